"""Pictures of a batch's worst moments: its worst jobs are scored once more, and keep them this time."""

from __future__ import annotations

from collections.abc import Callable

from rankvqa_cli.batch.scoring import score_files
from rankvqa_cli.errors import VqaError
from rankvqa_cli.results.batch import Batch, ScoredJob
from rankvqa_cli.scoring.options import ScoreOptions
from rankvqa_cli.types import Moment

#: Jobs that are worth another look, and clips of each.
WORST_JOBS = 6
WORST_CLIPS = 1


def worst_moments(batch: Batch, options: ScoreOptions, warn: Callable[[str], None]) -> tuple[Moment, ...]:
    """Of the jobs with the lowest clips. What cannot be had is said through ``warn``, and left out."""
    scored = sorted((job for job in batch.jobs if job.results), key=_lowest)
    groups: dict[str | None, list[ScoredJob]] = {}
    for job in scored[:WORST_JOBS]:
        groups.setdefault(job.reference, []).append(job)
    found: list[Moment] = []
    for reference, jobs in groups.items():
        names = [job.distorted for job in jobs]
        try:
            report = score_files(names, reference, options, moments=WORST_CLIPS)
        except VqaError as error:
            warn(f"the report has no pictures of {', '.join(map(repr, names))}: {error}")
        else:
            found += report.moments
    return tuple(found)


def _lowest(job: ScoredJob) -> float:
    return min(clip.score for result in job.results for clip in result.clips)
