"""What can be known of jobs before any of them is scored: whether their files are there and can be compared, what they
hold, and which of them can share a decoding of their reference."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from rankvqa_cli.batch.joblist import Job, JobList
from rankvqa_cli.errors import UsageError, VqaError
from rankvqa_cli.media.bitrate import bitrate_kbps
from rankvqa_cli.media.plan import make_plan
from rankvqa_cli.media.probe import probe
from rankvqa_cli.models.files import Digests
from rankvqa_cli.scoring.options import ScoreOptions
from rankvqa_cli.types import FrameFormat, ModelInfo, ReadOptions, VideoInfo
from rankvqa_cli.version import version

_KEY_FORM = "vqa-score batch 1"


@dataclass(frozen=True)
class Prepared:
    """A job that can be scored. Jobs of one ``group`` see the same frames of the same reference. ``pixels`` is how many
    the video has in all its frames, where that is known, and tells how long scoring takes beside other jobs."""

    job: Job
    key: str
    group: str
    bitrate_kbps: float | None
    pixels: int = 1


@dataclass(frozen=True)
class Refused:
    """A job that cannot be scored, as is known before any work."""

    job: Job
    error: VqaError


def load_infos(models: Iterable[str], *, has_reference: bool) -> tuple[ModelInfo, ...]:
    """What the models are, the default one where none is named. Raises UsageError and ModelError as loading does."""
    from rankvqa_cli.models.registry import default_model, load

    return tuple(load(name).info for name in tuple(models) or (default_model(has_reference),))


class Preparing:
    """Looks at one job after the other; what they share is looked at once."""

    def __init__(self, models: Collection[ModelInfo], options: ScoreOptions) -> None:
        measured = [f"{model.name} {model.weights_sha256}" for model in models]
        self.options = options
        self._identity = [_KEY_FORM, version(), *measured, options.identity]
        self._needing = [model.name for model in models if model.kind == "full-reference"]
        self._digests = Digests()
        self._references: dict[str, VideoInfo] = {}

    def key(self, job: Job) -> str:
        """What is measured when ``job`` is scored: a hash of contents, models and options. Raises InputError."""
        files = [self._digests.of(job.distorted), self._digests.of(job.reference) if job.reference else ""]
        return hashlib.sha256("\n".join([*self._identity, *files]).encode()).hexdigest()

    def prepare(self, job: Job, key: str) -> Prepared:
        """Probe the files of ``job`` and plan its comparison. Raises what scoring it would raise then."""
        options = self.options
        if job.reference is None and self._needing:
            raise UsageError(
                f"the model {self._needing[0]!r} compares with a reference, and the job has none"
            )
        info = probe(options.distorted(job.distorted), options.read)
        reference = None if job.reference is None else self._reference(job.reference)
        plan = make_plan(reference, [info], options.read, allow_short=options.allow_short)
        rate = bitrate_kbps(_whole(info, options))
        compared = plan.inputs[0].format
        pixels = compared.width * compared.height * (info.frames or 1)
        if plan.reference is None or job.reference is None:
            return Prepared(job, key, key, rate, pixels)
        seen = f"{os.path.realpath(job.reference)} {_as_seen(plan.reference.format)}"
        return Prepared(job, key, seen, rate, pixels)

    def _reference(self, path: str) -> VideoInfo:
        if path not in self._references:
            self._references[path] = probe(self.options.reference(path), self.options.read)
        return self._references[path]


def prepare_all(
    listed: JobList, preparing: Preparing, done: Callable[[Job, str], bool]
) -> tuple[dict[int, str], list[Prepared], list[Refused]]:
    """(keys by row, jobs that can be scored, jobs that cannot), the latter two without those that are ``done``."""
    keys: dict[int, str] = {}
    ready: list[Prepared] = []
    refused: list[Refused] = []
    for job in listed.jobs:
        try:
            keys[job.row] = preparing.key(job)
            if not done(job, keys[job.row]):
                ready.append(preparing.prepare(job, keys[job.row]))
        except VqaError as error:
            refused.append(Refused(job, error))
    return keys, ready, refused


def require_none(listed: JobList, refused: Collection[Refused]) -> None:
    """Raise the first refusal, with its row and how many others there are."""
    for first in refused:
        others = ", ".join(str(each.job.row) for each in refused if each is not first)
        more = f" (so with row {others})" if others else ""
        raise type(first.error)(f"{listed.where(first.job)}: {first.error}{more}") from first.error


def _whole(info: VideoInfo, options: ScoreOptions) -> VideoInfo:
    limited = options.seek or options.duration is not None or options.frames is not None
    return probe(info.spec, ReadOptions()) if limited else info


def _as_seen(format: FrameFormat) -> str:
    """How a reference is delivered. A comparison in more bits changes no score where samples are only shifted up: in
    limited range."""
    depth = format.bit_depth if format.full_range else 0
    return f"{depth} {format.full_range} {format.matrix} {format.transfer} {format.chroma}"
