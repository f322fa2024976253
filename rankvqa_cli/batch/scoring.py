"""The work itself: jobs that share a reference, scored in one go, each with its own outcome."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rankvqa_cli.batch.joblist import Job
from rankvqa_cli.batch.prepare import Prepared
from rankvqa_cli.errors import DeviceError, VqaError
from rankvqa_cli.results.batch import ScoredJob
from rankvqa_cli.results.report import plan_json
from rankvqa_cli.scoring.options import ScoreOptions
from rankvqa_cli.types import ComparisonPlan, Report, Result


@dataclass(frozen=True)
class Task:
    """Jobs of one group, to be scored together by whoever gets them."""

    jobs: tuple[Prepared, ...]
    options: ScoreOptions


def make_tasks(ready: Iterable[Prepared], options: ScoreOptions) -> list[Task]:
    """One task a group, in the order of the first job of each."""
    groups: dict[str, list[Prepared]] = {}
    for each in ready:
        groups.setdefault(each.group, []).append(each)
    return [Task(tuple(members), options) for members in groups.values()]


def score_task(task: Task) -> tuple[ScoredJob, ...]:
    """Every job of ``task`` in its order, scored or failed; an expected failure is never raised."""
    done = {job.row: job for job in _score(task.jobs, task.options)}
    return tuple(done[each.job.row] for each in task.jobs)


def failed(prepared: Prepared, exit_code: int, error: str) -> ScoredJob:
    """A job that was tried in vain."""
    return replace(_tried(prepared), exit_code=exit_code, error=" ".join(error.split()))


def _tried(prepared: Prepared) -> ScoredJob:
    """A job without its outcome."""
    job = prepared.job
    return ScoredJob(
        row=job.row,
        distorted=job.distorted,
        reference=job.reference,
        columns=job.columns,
        key=prepared.key,
        bitrate_kbps=prepared.bitrate_kbps,
    )


def _score(jobs: Sequence[Prepared], options: ScoreOptions) -> list[ScoredJob]:
    try:
        report = score_files([each.job.distorted for each in jobs], jobs[0].job.reference, options)
    except VqaError as error:
        return _after(error, jobs, options)
    except MemoryError:
        short = DeviceError("out of memory: score with fewer --jobs or -threads")
        return _after(short, jobs, options)
    return [_scored(report, place, each) for place, each in enumerate(jobs)]


def score_files(
    distorted: Sequence[str], reference: str | None, options: ScoreOptions, *, moments: int = 0
) -> Report:
    """``scoring.engine.score`` with the batch's options; it raises the same."""
    from rankvqa_cli.scoring import engine

    return engine.score(distorted, reference, moments=moments, **options.arguments)


def _after(error: VqaError, jobs: Sequence[Prepared], options: ScoreOptions) -> list[ScoredJob]:
    """What becomes of ``jobs`` after ``error``: those that it speaks of have failed, the others are tried again."""
    blamed = [each for each in jobs if repr(each.job.distorted) in str(error)]
    if len(jobs) == 1 or (not blamed and not isinstance(error, DeviceError)):
        return [failed(each, error.exit_code, str(error)) for each in jobs]
    if blamed:
        rest = [each for each in jobs if each not in blamed]
        groups = [*([each] for each in blamed), rest] if len(blamed) > 1 else [rest]
        gone = [] if len(blamed) > 1 else [failed(blamed[0], error.exit_code, str(error))]
    else:  # too many at a time for the device
        half = len(jobs) // 2
        groups, gone = [list(jobs[:half]), list(jobs[half:])], []
    return gone + [job for group in groups if group for job in _score(group, options)]


def _scored(report: Report, place: int, prepared: Prepared) -> ScoredJob:
    """The report's input ``place`` as the outcome of ``prepared``."""
    count = len(report.models)
    results: tuple[Result, ...] = report.results[place * count : (place + 1) * count]
    own = ComparisonPlan(report.plan.reference, (report.plan.inputs[place],))
    return replace(
        _tried(prepared),
        results=results,
        reference_decodes=None if prepared.job.reference is None else report.reference_decodes,
        plan=plan_json(own, results),
        environment=report.environment,
    )


def adopted(found: ScoredJob, job: Job) -> ScoredJob:
    """``found`` as the outcome of ``job``, whose files hold the same."""
    results = tuple(replace(each, input=job.distorted, reference=job.reference) for each in found.results)
    return replace(
        found,
        row=job.row,
        distorted=job.distorted,
        reference=job.reference,
        columns=job.columns,
        results=results,
    )
