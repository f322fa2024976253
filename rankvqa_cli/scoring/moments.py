"""Pictures of a video's worst moments: the worst frame of each of its worst clips, beside the reference and its map."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rankvqa_cli.media.jpeg import jpeg
from rankvqa_cli.models.contract import Clip, ClipOutput, Model, NoReferenceModel, Opinion
from rankvqa_cli.results.heatmap import Values, painted
from rankvqa_cli.scoring.heatmaps import pixels_of
from rankvqa_cli.types import ClipScore, Moment, Result

#: Pictures are reduced by a whole factor to at most this many pixels a side.
SIDE = 640


@dataclass(frozen=True)
class _Seen:
    clip: ClipScore
    frame: int
    distorted: NDArray[np.uint8]
    reference: NDArray[np.uint8] | None
    quality: Values | None

    def moment(self, result: Result) -> Moment:
        quality = None if self.quality is None else painted(self.distorted, self.quality)
        return Moment(
            input=result.input,
            model=result.model,
            clip=self.clip,
            frame=self.frame,
            distorted=jpeg(self.distorted),
            reference=None if self.reference is None else jpeg(self.reference),
            quality=None if quality is None else jpeg(quality),
        )


def keeping(count: int, models: Sequence[Model]) -> Moments | None:
    """What keeps pictures of the ``count`` worst clips, if any; ``models`` are asked for what they say of places."""
    if count == 0:
        return None
    for model in models:
        if not isinstance(model, NoReferenceModel):
            model.keep_maps = True
    return Moments(count)


class Moments:
    """What a run keeps of the ``count`` worst clips of each input and model, none of which share a frame."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._seen: dict[tuple[int, int], list[_Seen]] = {}

    def start(self, index: int, number: int) -> None:
        """The plan's input ``index`` with the run's model ``number``; what was seen of it before is void."""
        self._seen[index, number] = []

    def see(
        self,
        place: tuple[int, int],
        where: ClipScore,
        reference: Clip | None,
        clip: Clip,
        output: ClipOutput | Opinion,
        model: Model,
    ) -> None:
        """The next clip of ``place``, (index, number) as in ``start``, with what ``model`` says of it."""
        kept = self._seen[place]
        rivals = [seen for seen in kept if seen.clip.start < where.end and where.start < seen.clip.end]
        if len(kept) - len(rivals) >= self._count:
            rivals.append(max(kept, key=lambda seen: seen.clip.score))
        if any(where.score >= rival.clip.score for rival in rivals):
            return
        kept[:] = [seen for seen in kept if all(seen is not rival for rival in rivals)]
        kept.append(_seen(where, reference, clip, output, model))

    def pictures(self, results: tuple[Result, ...]) -> tuple[Moment, ...]:
        """All moments, the worst of each result first. ``results`` are those of the run, input by input and model by
        model."""
        return tuple(self._pictures(results))

    def _pictures(self, results: tuple[Result, ...]) -> Iterator[Moment]:
        for (_, kept), result in zip(sorted(self._seen.items()), results, strict=True):
            for seen in sorted(kept, key=lambda seen: seen.clip.score):
                yield seen.moment(result)


def _seen(
    where: ClipScore, reference: Clip | None, clip: Clip, output: ClipOutput | Opinion, model: Model
) -> _Seen:
    """The clip's worst frame: its middle one where no map says which."""
    count = where.end - where.start
    k, quality = count // 2, None
    if isinstance(output, ClipOutput) and output.maps is not None and not isinstance(model, NoReferenceModel):
        maps = model.calibration.by_place(output.maps).cpu().numpy()
        if len(maps) > 1:
            k = int(maps[:count].mean(axis=(1, 2)).argmin())
        quality = maps[k if len(maps) > 1 else 0]
    shown = None if reference is None else pixels_of(reference, k, SIDE)
    return _Seen(where, where.start + k, pixels_of(clip, k, SIDE), shown, quality)
