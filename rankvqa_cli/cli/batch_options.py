"""Options that ``batch`` and ``compare`` share: which jobs, how each is scored, by how many at a time."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from rankvqa_cli.cli import options
from rankvqa_cli.cli.options import Function, option, stack
from rankvqa_cli.cli.scoring_options import Scoring, scoring_options
from rankvqa_cli.cli.talk import Talk
from rankvqa_cli.errors import UsageError
from rankvqa_cli.media.threads import usable_cpus
from rankvqa_cli.scoring.options import ScoreOptions

if TYPE_CHECKING:
    from rankvqa_cli.batch.joblist import JobList
    from rankvqa_cli.batch.workers import Work
    from rankvqa_cli.results.batch import ScoredJob

_OPTIONS = (
    stack(
        "Jobs",
        option(
            "-ref",
            "reference",
            metavar="FILE",
            help="The reference of jobs that name none; {fields} are filled in from their columns.",
        ),
        option(
            "--pattern",
            metavar="NAME",
            help="How a folder's encodes are called: '{content}_{codec}_{crf}.mp4' makes three columns.",
        ),
        option("--keep-going", is_flag=True, help="What can be known to fail before any work stops nothing."),
        option("--jobs", "count", type=click.IntRange(1), metavar="N", help="Processes.  [default: 1]"),
        option(
            "--cluster", metavar="ray[://HOST:PORT]", help="On a Ray cluster; --jobs is how many at a time."
        ),
    ),
    stack("Inputs", *options.READING),
    stack("Comparison", *options.COMPARING),
    options.model_options,
    stack("Results", options.POOL),
)


#: Headings of the options that say how jobs are scored, and those of them that change nothing but time.
_SCORING = ("Jobs", "Inputs", "Comparison", "Model")
_ONLY_TIME = frozenset({"count", "device", "precision", "threads"})


@dataclass(frozen=True)
class Settings:
    """Who works on which jobs, and how files are scored, as far as that does not depend on their names."""

    reference: str | None
    pattern: str | None
    keep_going: bool
    count: int | None
    cluster: str | None
    scoring: Scoring

    def read_jobs(self, source: str) -> JobList:
        """What ``source`` lists; see ``batch.joblist.read_jobs``."""
        from rankvqa_cli.batch.joblist import read_jobs

        return read_jobs(source, pattern=self.pattern, reference=self.reference)

    def options_for(self, listed: JobList) -> ScoreOptions:
        """How the jobs are scored. Raises UsageError as ``Scoring.of`` does."""
        references = [job.reference for job in listed.jobs if job.reference is not None]
        return self.named([job.distorted for job in listed.jobs], references[0] if references else None)

    def named(self, distorted: Sequence[str], reference: str | None) -> ScoreOptions:
        """How files are scored that are called like these. Raises UsageError as ``Scoring.of`` does."""
        found = self.scoring.of(distorted, reference)
        count, threads = self.count or 1, found.threads
        if threads is None and count > 1:
            threads = max(1, usable_cpus() // count)
        return dataclasses.replace(found, threads=threads, memory_share=found.memory_share / count)

    def work(self) -> Work:
        """Who scores. Raises UsageError for a cluster that is none, DeviceError where nobody answers there."""
        if self.cluster is not None:
            from rankvqa_cli.batch.cluster import OnRay, require_cluster

            return OnRay(require_cluster(self.cluster), self.count)
        from rankvqa_cli.batch.workers import InProcesses, InTurn

        return InTurn() if (self.count or 1) == 1 else InProcesses(self.count or 1)


def batch_options(function: Function) -> Function:
    """Adds the options of this module, which the command gets as one argument, ``settings``."""

    @functools.wraps(function)
    def gathered(
        *args: Any,
        reference: str | None,
        pattern: str | None,
        keep_going: bool,
        count: int | None,
        cluster: str | None,
        scoring: Scoring,
        **rest: Any,
    ) -> Any:
        settings = Settings(reference, pattern, keep_going, count, cluster, scoring)
        return function(*args, settings=settings, **rest)

    decorated: Callable[..., Any] = scoring_options(gathered)
    for each in reversed(_OPTIONS):
        decorated = each(decorated)
    return decorated  # type: ignore[return-value]


def refuse_scoring(source: str) -> None:
    """UsageError for an option on the command line that says what is scored and how, where ``source`` holds scores."""
    for name, each in options.given_parameters():
        if getattr(each, "section", None) in _SCORING and name not in _ONLY_TIME:
            raise UsageError(
                f"{each.opts[0]} is for jobs that are scored here, and {source!r} holds scores: leave it out"
            )


def teller(talk: Talk) -> Callable[[ScoredJob, int, int], None]:
    """Says of every job, as it is finished, how it went."""

    def say(job: ScoredJob, done: int, total: int) -> None:
        place = f"{done}/{total}"
        if job.failed:
            talk.error(f"{place} row {job.row}: {job.error}")
            return
        scores = ", ".join(f"{result.score:.2f} by {result.model}" for result in job.results)
        talk.info(f"{place} row {job.row}: {job.distorted!r} has {scores}")
        for warning in dict.fromkeys(each for result in job.results for each in result.warnings):
            talk.warning(f"row {job.row}: {warning}")

    return say
