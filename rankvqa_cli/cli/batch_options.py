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
from rankvqa_cli.cli.rawvideo import RawOptions, raw_formats
from rankvqa_cli.cli.score import one_thread_for_numpy
from rankvqa_cli.cli.talk import Talk
from rankvqa_cli.errors import UsageError
from rankvqa_cli.media.threads import usable_cpus

if TYPE_CHECKING:
    from rankvqa_cli.batch.joblist import JobList
    from rankvqa_cli.batch.options import ScoreOptions
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


@dataclass(frozen=True)
class Settings:
    """The options as they were given. ``scoring`` has no layouts of headerless video yet: see ``options_for``."""

    reference: str | None
    pattern: str | None
    keep_going: bool
    count: int | None
    cluster: str | None
    raw: RawOptions
    ref_raw: RawOptions
    scoring: ScoreOptions

    def read_jobs(self, source: str) -> JobList:
        """What ``source`` lists; see ``batch.joblist.read_jobs``."""
        from rankvqa_cli.batch.joblist import read_jobs

        return read_jobs(source, pattern=self.pattern, reference=self.reference)

    def options_for(self, listed: JobList) -> ScoreOptions:
        """How the jobs are scored. Raises UsageError as ``raw_formats`` does."""
        references = [job.reference for job in listed.jobs if job.reference is not None]
        return self.named([job.distorted for job in listed.jobs], references[0] if references else None)

    def named(self, distorted: Sequence[str], reference: str | None) -> ScoreOptions:
        """How files are scored that are called like these. Raises UsageError as ``raw_formats`` does."""
        raw, ref_raw = raw_formats(distorted, reference, self.raw, self.ref_raw)
        count, threads = self.count or 1, self.scoring.threads
        if threads is None and count > 1:
            threads = max(1, usable_cpus() // count)
        share = self.scoring.memory_share / count
        return dataclasses.replace(
            self.scoring, raw=raw, ref_raw=ref_raw, threads=threads, memory_share=share
        )

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
        input_format: str | None,
        size: tuple[int, int] | None,
        pix_fmt: str | None,
        framerate: Any,
        ref_format: str | None,
        ref_size: tuple[int, int] | None,
        ref_pix_fmt: str | None,
        ref_framerate: Any,
        seek: float,
        duration: float | None,
        frames: int | None,
        deinterlace: bool,
        align: str | int,
        allow_short: bool,
        allow_damaged: bool,
        models: tuple[str, ...],
        hop: int | None,
        clip_stride: int,
        sample: float,
        device: str,
        precision: str,
        threads: int | None,
        pool: str,
        **rest: Any,
    ) -> Any:
        one_thread_for_numpy()
        from rankvqa_cli.batch.options import ScoreOptions

        if duration == 0.0:
            raise UsageError("-t 0 leaves nothing to score: give a longer time, or leave -t out")
        settings = Settings(
            reference,
            pattern,
            keep_going,
            count,
            cluster,
            RawOptions(input_format, size, pix_fmt, framerate),
            RawOptions(ref_format, ref_size, ref_pix_fmt, ref_framerate),
            ScoreOptions(
                models=models,
                seek=seek,
                duration=duration,
                frames=frames,
                align=align,
                hop=hop,
                clip_stride=clip_stride,
                sample=sample,
                device=device,
                precision=precision,
                threads=threads,
                pool=pool,
                allow_short=allow_short,
                allow_damaged=allow_damaged,
                deinterlace=deinterlace,
            ),
        )
        return function(*args, settings=settings, **rest)

    decorated: Callable[..., Any] = gathered
    for each in reversed(_OPTIONS):
        decorated = each(decorated)
    return decorated  # type: ignore[return-value]


def teller(talk: Talk) -> Callable[[ScoredJob, int, int], None]:
    """Says of every job, as it is finished, how it went."""

    def say(job: ScoredJob, done: int, total: int) -> None:
        place = f"{done}/{total}"
        if job.failed:
            talk.error(f"{place} row {job.row}: {job.error}")
            return
        scores = ", ".join(f"{result.score:.2f} by {result.model}" for result in job.results)
        talk.info(f"{place} row {job.row}: {job.distorted!r} has {scores}")
        for result in job.results:
            for warning in result.warnings:
                talk.warning(f"row {job.row}: {warning}")

    return say
