"""The main path of a batch: what is finished is taken over, the rest is checked, scored and written down."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from rankvqa_cli.batch.joblist import Job, JobList
from rankvqa_cli.batch.journal import Journal
from rankvqa_cli.batch.prepare import Prepared, Preparing, Refused, load_infos, prepare_all, require_none
from rankvqa_cli.batch.scoring import adopted, failed, make_tasks
from rankvqa_cli.batch.workers import Work
from rankvqa_cli.results.batch import Batch, ScoredJob
from rankvqa_cli.scoring.options import ScoreOptions
from rankvqa_cli.types import ModelInfo
from rankvqa_cli.version import version

#: Told of every job as it is finished, and how many are, of how many.
Say = Callable[[ScoredJob, int, int], None]


def run_batch(
    listed: JobList,
    options: ScoreOptions,
    journal: str,
    work: Work,
    *,
    keep_going: bool = False,
    argv: Sequence[str] = (),
    say: Say = lambda job, done, total: None,
    require: Callable[[tuple[ModelInfo, ...]], None] = lambda models: None,
) -> Batch:
    """Score every job of ``listed`` that the NDJSON file ``journal`` does not hold yet, and write it there.

    A job that fails is an outcome like others. What can be known before any work is raised, with its row, unless
    ``keep_going`` makes a failed job of it too: InputError (a file is missing, or cannot be compared with its
    reference), UsageError and ModelError. Raises OutputError where the journal cannot be written, DeviceError where a
    cluster cannot be joined. ``require`` is shown the models before any work, and may raise what it has against them.
    """
    with Journal(journal) as written, work:
        if len(written.finished) < len(listed.jobs):
            work.begin(options, len(listed.jobs) - len(written.finished))
        models = load_infos(options.models, has_reference=any(job.reference for job in listed.jobs))
        require(models)
        preparing = Preparing(models, options)
        jobs = score_listed(listed, preparing, written, work, keep_going=keep_going, say=say)
    return make_batch(listed.source, jobs, models, options, argv)


def make_batch(
    source: str,
    jobs: Sequence[ScoredJob],
    models: tuple[ModelInfo, ...],
    options: ScoreOptions,
    argv: Sequence[str],
) -> Batch:
    """What a batch of ``jobs`` is, by this version."""
    return Batch(version(), tuple(argv), source, options.pool, models, tuple(jobs))


def score_listed(
    listed: JobList, preparing: Preparing, journal: Journal, work: Work, *, keep_going: bool, say: Say
) -> list[ScoredJob]:
    """The jobs of ``listed``, in its order; see ``run_batch``."""
    keys, ready, refused = prepare_all(listed, preparing, lambda _, key: key in journal.finished)
    if not keep_going:
        require_none(listed, refused)
    total = len(listed.jobs)
    gone = journal.add(_refusal(each) for each in refused)
    outcome = {job.row: job for job in gone}
    for job in gone:
        say(job, len(outcome), total)
    first, again = _each_content_once(ready)
    found = {key: job for key, job in journal.finished.items() if key in keys.values()}
    waiting = {
        each.row: each for each in listed.jobs if keys.get(each.row) in found and each.row not in outcome
    }
    outcome |= {row: adopted(found[keys[row]], known) for row, known in waiting.items()}
    for jobs in work(make_tasks(first, preparing.options)):
        for scored in journal.add(jobs):
            outcome[scored.row] = scored
            found[scored.key] = scored
            say(scored, len(outcome), total)
    for known in again:
        outcome[known.row] = adopted(found[keys[known.row]], known)
        say(outcome[known.row], len(outcome), total)
    return [outcome[each.row] for each in listed.jobs]


def _each_content_once(ready: Collection[Prepared]) -> tuple[list[Prepared], list[Job]]:
    """Jobs to score, and jobs that hold the same as one of those."""
    first: dict[str, Prepared] = {}
    for each in ready:
        first.setdefault(each.key, each)
    return list(first.values()), [each.job for each in ready if first[each.key] is not each]


def _refusal(refused: Refused) -> ScoredJob:
    """Without a key: it is looked at again in every run."""
    prepared = Prepared(refused.job, "", "", None)
    return failed(prepared, refused.error.exit_code, str(refused.error))
