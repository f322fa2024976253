"""Clips to the models, and what they say of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rankvqa_cli.errors import ModelError
from rankvqa_cli.media.wording import quoted
from rankvqa_cli.models.contract import (
    Clip,
    ClipOutput,
    Model,
    NoReferenceModel,
    Opinion,
    Overlapping,
    OverlappingAlone,
)
from rankvqa_cli.scoring.clips import clip_windows
from rankvqa_cli.scoring.passes import Pass
from rankvqa_cli.scoring.prefetch import ClipSet
from rankvqa_cli.types import ClipScore, PlannedInput, Progress

if TYPE_CHECKING:
    from rankvqa_cli.scoring.heatmaps import Painter
    from rankvqa_cli.scoring.runner import Job


class _Begun(NamedTuple):
    """Clips that models were given: the reference's, those of the lanes, and, for each model that has begun already,
    what waits for its outputs."""

    clips: ClipSet
    reference: Clip | None
    tensors: dict[int, Clip]
    waits: dict[int, Callable[[], Sequence[ClipOutput | Opinion]]]


class Scorer:
    """Feeds clips to the models and keeps their scores. Lane 0 is the reference, if there is one, the inputs of the
    pass follow."""

    def __init__(self, job: Job, work: Pass, planned: Sequence[PlannedInput], started: float) -> None:
        self._job = job
        self._work = work
        self._planned = planned
        self._started = started
        self._spacings = [job.grid(model, planned[0].info.frame_rate) for model in job.runtime.models]
        self.grids = list(dict.fromkeys(self._spacings))
        self._grid_of = [self.grids.index(grid) for grid in self._spacings]
        self._scores: list[list[list[ClipScore]]] = [[[] for _ in self._spacings] for _ in planned]
        self._painters: dict[tuple[int, int], Painter] = {}
        for lane, index in enumerate(work.inputs, job.first_input):
            for number in range(len(self._spacings)):
                if job.heatmaps is not None:
                    self._painters[lane, number] = job.heatmaps.start(index, number)
                if job.moments is not None:
                    job.moments.start(index, number)

    def clips(self, lane: int) -> tuple[tuple[ClipScore, ...], ...]:
        """The lane's clips by model."""
        return tuple(tuple(clips) for clips in self._scores[lane])

    def clips_in_all(self, frames: int) -> tuple[int, ...]:
        """How many clips ``frames`` frames have, by model, if none is passed over."""
        return tuple(len(clip_windows(frames, length, hop)) for length, hop, _ in self._spacings)

    def score(self, sets: Iterable[ClipSet]) -> Iterator[ClipSet]:
        """Each of ``sets``, once its scores are kept. One is begun before the last is done where all its models can:
        while one thread finishes, the others have work. Where this thread has work itself, it keeps no frames for
        that, so that the next ones can be read beside it."""
        last: _Begun | None = None
        for clips in sets:
            begun = self._begin(clips)
            if last is not None:
                yield self._finish(last)
            last = begun if len(begun.waits) == self._grid_of.count(clips.grid) else None
            if last is None:
                yield self._finish(begun)
        if last is not None:
            yield self._finish(last)

    def _begin(self, clips: ClipSet) -> _Begun:
        runtime = self._job.runtime
        tensors = {
            lane: runtime.clip(frames, self._planned[lane].format)
            for lane, frames in enumerate(clips.frames)
            if frames is not None
        }
        reference = tensors.pop(0) if self._job.first_input else None
        waits: dict[int, Callable[[], Sequence[ClipOutput | Opinion]]] = {}
        for number, model in enumerate(runtime.models):
            if self._grid_of[number] != clips.grid:
                continue
            wait = _started(model, reference, list(tensors.values()))
            if wait is not None:
                waits[number] = wait
        return _Begun(clips, reference, tensors, waits)

    def _finish(self, begun: _Begun) -> ClipSet:
        """Have every model's scores of the clips, and keep them."""
        clips, reference, tensors, waits = begun
        window, first = clips.window, self._work.ref_skip
        for number, model in enumerate(self._job.runtime.models):
            if self._grid_of[number] != clips.grid:
                continue
            wait = waits.get(number)
            outputs = wait() if wait else _score(model, reference, list(tensors.values()))
            for lane, output in zip(tensors, outputs, strict=True):
                if not math.isfinite(output.score):
                    raise ModelError(
                        f"the model {model.info.name!r} gives {output.score} for frames {window.start} to {window.end} "
                        f"of {quoted(self._planned[lane].info.spec.path)}: try --precision fp32"
                    )
                members = output.members if isinstance(output, Opinion) else ()
                score = ClipScore(
                    first + window.start, first + window.end, output.score, window.padded, members
                )
                self._scores[lane][number].append(score)
                if (
                    self._painters
                    and isinstance(output, ClipOutput)
                    and not isinstance(model, NoReferenceModel)
                ):
                    self._painters[lane, number].add(score, tensors[lane], output, model)
                if self._job.moments is not None:
                    place = (self._work.inputs[lane - self._job.first_input], number)
                    self._job.moments.see(place, score, reference, tensors[lane], output, model)
                self._report(lane, model.info.name, window.end)
        return clips

    def _report(self, lane: int, model: str, done: int) -> None:
        if self._job.progress is None:
            return
        rate = done / (time.perf_counter() - self._started)
        path = self._planned[lane].info.spec.path
        self._job.progress(Progress(path, model, done, self._work.frames, rate))


def _started(
    model: Model, reference: Clip | None, clips: Sequence[Clip]
) -> Callable[[], Sequence[ClipOutput | Opinion]] | None:
    """What waits for the scores of a model that works on beside this thread, None of any other."""
    if isinstance(model, Overlapping) and reference is not None:
        return model.begin_clips(reference, clips)
    return model.begin_alone(clips) if isinstance(model, OverlappingAlone) else None


def _score(model: Model, reference: Clip | None, clips: Sequence[Clip]) -> Sequence[ClipOutput | Opinion]:
    if isinstance(model, NoReferenceModel):
        return model.score_clips(clips)
    assert reference is not None, "models are held against the reference when they are loaded"
    return model.score_clips(reference, clips)
