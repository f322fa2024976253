"""``vqa-score batch``: many jobs in one run, on disk as they come, gone on with where a run was broken off."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from rankvqa_cli.cli import options, render, values
from rankvqa_cli.cli.batch_options import Settings, batch_options, teller
from rankvqa_cli.cli.gating import Gating, gate_options, judge
from rankvqa_cli.cli.options import option, stack
from rankvqa_cli.cli.score import check_models, settle_overwrite
from rankvqa_cli.cli.talk import Talk
from rankvqa_cli.errors import OutputError, UsageError
from rankvqa_cli.results import writers
from rankvqa_cli.results.writers import STDOUT, Target

if TYPE_CHECKING:
    from rankvqa_cli.batch.joblist import JobList
    from rankvqa_cli.batch.workers import Work
    from rankvqa_cli.results.batch import Batch
    from rankvqa_cli.scoring.options import ScoreOptions

FORMATS = ("csv", "json")
JOURNAL_SUFFIXES = (".ndjson", ".jsonl")

EPILOG = """\b
Examples:
  vqa-score batch jobs.csv -o scores.csv
  vqa-score batch encodes/ --pattern '{content}_{codec}_{crf}.mp4' -ref 'sources/{content}.y4m' -o scores.csv
  vqa-score batch jobs.csv -o scores.csv -o scores.json --jobs 4
  vqa-score batch --watch encodes/ -ref source.mp4 -o scores.csv --idle 10:00

\b
Exit codes: 0 every job was scored and every gate passed; the highest code of a job that was not scored, by
the codes of 'vqa-score score'; 1 every job was scored, and a gate failed. A list that is wrong in itself is
2 or 3 before any work.
"""


@click.command(
    "batch",
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
    short_help="Score many videos.",
)
@click.argument("source", metavar="[JOBS]", required=False, shell_complete=options.files)
@batch_options
@stack(
    "Output",
    option(
        "-o",
        "outputs",
        metavar="FILE",
        multiple=True,
        help="Write results to FILE (.csv, .json), repeatable; - is CSV on stdout. An .ndjson beside it grows as jobs "
        "finish, and is gone on with.  [default: JOBS.scored.csv here]",
    ),
    option("-y", "overwrite", is_flag=True, help="Overwrite output files."),
    option("-n", "never_overwrite", is_flag=True, help="Never overwrite, never ask."),
)
@stack(
    "Watching",
    option(
        "--watch", "watched", metavar="DIR", help="Score encodes in DIR as they are finished, until Ctrl-C."
    ),
    option("--idle", type=values.seconds, metavar="TIME", help="End after so long without a new one."),
    option(
        "--settle",
        type=values.seconds,
        default="2",
        show_default=True,
        metavar="TIME",
        help="A file is finished that nobody writes and that has not grown for so long.",
    ),
)
@gate_options
@options.talk_options
@click.pass_obj
def command(
    talk: Talk,
    source: str | None,
    settings: Settings,
    outputs: tuple[str, ...],
    overwrite: bool,
    never_overwrite: bool,
    watched: str | None,
    idle: float | None,
    settle: float,
    gating: Gating,
    loglevel: str,
    no_progress: bool,
) -> int:
    """Score the encodes that JOBS lists: a CSV or JSON Lines with distorted, reference and any other columns
    (paths relative to it), or a folder.

    Jobs with one reference are scored together and decode it once. The same command again goes on where a run was
    broken off: what is finished is known by the contents of its files, models and options. A job that fails is a row
    with its error and exit code, and the rest goes on.
    """
    writers.require_stdout()
    check_models(settings.scoring.given.models)
    if watched is not None:
        if source is not None:
            raise UsageError("--watch is in place of JOBS: leave one of them out")
        if gating.fail_drop:
            raise UsageError("--fail-drop needs to know what will be scored: it does not go with --watch")
        return _watch(talk, watched, settings, gating, outputs, overwrite, never_overwrite, idle, settle)
    if source is None:
        raise UsageError("nothing to score: name a list of jobs or a folder (see vqa-score batch --help)")
    if idle is not None:
        raise UsageError("--idle goes with --watch")
    work = settings.work()
    listed = settings.read_jobs(source)
    gating.check(talk, [(job.distorted, job.reference) for job in listed.jobs])
    targets, journal = output_files(outputs, source)
    written = [*targets, *gating.targets()]
    overwrite = settle_overwrite(written, overwrite, never_overwrite, may_ask=True)
    check_outputs(written, journal, listed, gating.baselines(), overwrite=overwrite)
    batch, scoring = run_listed(talk, settings, listed, work, journal, gating)
    return _end(talk, batch, gating, scoring, targets, overwrite=overwrite)


def _watch(
    talk: Talk,
    folder: str,
    settings: Settings,
    gating: Gating,
    outputs: tuple[str, ...],
    overwrite: bool,
    never_overwrite: bool,
    idle: float | None,
    settle: float,
) -> int:
    from rankvqa_cli.batch.watch import Watch, watch

    if settings.reference is None and not settings.scoring.given.models:
        raise UsageError("--watch needs a reference for the encodes: give one with -ref")
    work = settings.work()
    gating.check(talk, [])
    targets, journal = output_files(outputs, folder)
    written = [*targets, *gating.targets()]
    overwrite = settle_overwrite(written, overwrite, never_overwrite, may_ask=True)
    writers.check(written, [], inputs_scored=1, overwrite=overwrite)
    scoring = settings.named([folder], settings.reference)
    watched = Watch(folder, settings.pattern, settings.reference, idle_s=idle, settle_s=settle)
    batch = watch(watched, scoring, journal, work, argv=("vqa-score", *sys.argv[1:]), say=teller(talk))
    return _end(talk, batch, gating, scoring, targets, overwrite=overwrite)


def run_listed(
    talk: Talk, settings: Settings, listed: JobList, work: Work, journal: str, gating: Gating
) -> tuple[Batch, ScoreOptions]:
    """Score what is listed, as far as ``journal`` has not got it yet: the batch, and how it was scored. Raises as
    ``batch.run.run_batch`` does, and UsageError for gates on models that are not asked for."""
    from rankvqa_cli.batch.run import run_batch

    pairs = [(job.distorted, job.reference) for job in listed.jobs]
    scoring = settings.options_for(listed)
    if listed.left_out:
        more = f" and {len(listed.left_out) - 1} more" if len(listed.left_out) > 1 else ""
        talk.warning(f"the pattern does not match {listed.left_out[0]!r}{more}: left out")
    batch = run_batch(
        listed,
        scoring,
        journal,
        work,
        keep_going=settings.keep_going,
        argv=("vqa-score", *sys.argv[1:]),
        say=teller(talk),
        require=lambda models: gating.check_models(pairs, models),
    )
    return batch, scoring


def _end(
    talk: Talk,
    batch: Batch,
    gating: Gating,
    scoring: ScoreOptions,
    targets: Sequence[Target],
    *,
    overwrite: bool,
) -> int:
    """Hold the batch against its gates, and write everything; the exit code."""
    from rankvqa_cli.batch.moments import worst_moments
    from rankvqa_cli.cli.outcomes import of_batch

    batch = dataclasses.replace(batch, gates=gating.evaluate_jobs(batch.jobs))
    outcome = of_batch(batch, lambda: worst_moments(batch, scoring, talk.warning))
    try:
        deliver(talk, batch, targets, overwrite=overwrite)
    finally:
        failures = gating.deliver(outcome, overwrite=overwrite)
    verdict = judge(talk, batch.gates)
    raise_first(talk, failures)
    return batch.exit_code or verdict


def output_files(outputs: Sequence[str], source: str) -> tuple[list[Target], str]:
    """Where results go, and the journal: an .ndjson beside the first file. Raises UsageError for another format."""
    journals = [path for path in outputs if path.lower().endswith(JOURNAL_SUFFIXES)]
    if len(journals) > 1:
        raise UsageError(f"{journals[1]!r}: a batch has one .ndjson, which it goes on with")
    targets = [Target(path, _format(path)) for path in outputs if path not in journals]
    stem = f"{os.path.splitext(os.path.basename(os.path.normpath(source)))[0]}.scored"
    named = [*journals, *(each.path for each in targets if each.path != STDOUT)]
    stem = os.path.splitext(named[0])[0] if named else stem
    if not targets:
        targets = [Target(f"{stem}.csv", "csv")]
    return targets, journals[0] if journals else f"{stem}.ndjson"


def _format(path: str) -> str:
    found = "csv" if path == STDOUT else os.path.splitext(path)[1].lower().removeprefix(".")
    if found not in FORMATS:
        raise UsageError(f"{path!r}: a batch is written as .csv or .json, and as .ndjson while it runs")
    return found


def check_outputs(
    targets: Sequence[Target],
    journal: str,
    listed: JobList,
    baselines: Sequence[str] = (),
    *,
    overwrite: bool,
) -> None:
    """Find out before any work what cannot be written; see ``writers.check``."""
    read = {path for job in listed.jobs for path in (job.distorted, job.reference) if path is not None}
    files = [*([listed.source] if os.path.isfile(listed.source) else []), *read, *baselines]
    writers.check(targets, files, inputs_scored=1, overwrite=overwrite)
    writers.check([*targets, Target(journal, "ndjson")], files, inputs_scored=1, overwrite=True)


def deliver(talk: Talk, batch: Batch, targets: Sequence[Target], *, overwrite: bool) -> None:
    """Write every target, and the scores to stdout where none of them is that. Raises the first failure after all."""
    from rankvqa_cli.results.batch_files import RENDERERS

    failures: list[OutputError] = []
    for target in targets:
        try:
            writers.write_data(RENDERERS[target.format](batch).encode(), target.path, overwrite=overwrite)
            if target.path != STDOUT:
                failed = sum(job.failed for job in batch.jobs)
                but = f", but not of {failed} that failed" if failed else ""
                talk.info(f"{target.path!r} has the scores of {len(batch.jobs) - failed} jobs{but}")
        except OutputError as error:
            failures.append(error)
    if all(target.path != STDOUT for target in targets):
        results = [result for job in batch.jobs for result in job.results]
        writers.write_stdout(render.lines(results))
    raise_first(talk, failures)


def raise_first(talk: Talk, failures: Sequence[OutputError]) -> None:
    """Say all ``failures`` but the first, and raise that."""
    for failure in failures[1:]:
        talk.error(str(failure))
    if failures:
        raise failures[0]
