"""From clips and their maps to heatmap files: a picture of the worst clip, or a video of every scored frame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray

from rankvqa_cli.errors import ModelError
from rankvqa_cli.media.encode import Encoding, FrameWriter, encoding_of
from rankvqa_cli.models import colour
from rankvqa_cli.models.contract import Clip, ClipOutput, FullReferenceModel
from rankvqa_cli.results.files import PendingFile, translated
from rankvqa_cli.results.heatmap import Shown, Values, picture
from rankvqa_cli.types import ClipScore, Heatmap, Result

#: Panels of a video are reduced by a whole factor to at most this many pixels a side; a picture keeps its size.
VIDEO_SIDE = 1280


class Heatmaps:
    """The heatmaps of a run: ``start`` one for each input and model, ``publish`` them when all is scored.

    A context manager; whatever has not been published by then is removed.
    """

    def __init__(
        self,
        paths: Mapping[tuple[int, int], str],
        rate: Fraction,
        *,
        overwrite: bool = False,
        threads: int | None = None,
    ) -> None:
        self._paths, self._rate, self._overwrite, self._threads = paths, rate, overwrite, threads
        self._painters: dict[tuple[int, int], Painter] = {}

    def __enter__(self) -> Heatmaps:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for painter in self._painters.values():
            painter.close()

    def start(self, index: int, number: int) -> Painter:
        """Paint the plan's input ``index`` with the run's model ``number``; what was painted of it before is void."""
        place = (index, number)
        if place in self._painters:
            self._painters.pop(place).close()
        path = self._paths[place]
        encoding = encoding_of(path)
        kind = _Still if encoding.still else _Video
        self._painters[place] = kind(path, encoding, self._rate, self._threads)
        return self._painters[place]

    def publish(self, results: Sequence[Result]) -> tuple[Heatmap, ...]:
        """Complete all files, then give them their names. ``results`` are those of the run, input by input and model by
        model. Raises OutputError."""
        painters = sorted(self._painters.items())
        for _, painter in painters:
            painter.finish()
        return tuple(
            Heatmap(self._paths[place], result.input, result.model, painter.publish(self._overwrite))
            for (place, painter), result in zip(painters, results, strict=True)
        )


@dataclass
class _Frame:
    """A frame and the sums of what the ``clips`` that cover it say about it."""

    pixels: NDArray[np.uint8]
    score: float
    quality: Values
    weights: Values | None
    clips: int = 1

    def add(self, score: float, quality: Values, weights: Values | None) -> None:
        self.score += score
        self.quality = self.quality + quality
        if self.weights is not None and weights is not None:
            self.weights = self.weights + weights
        self.clips += 1

    def shown(self, index: int) -> Shown:
        weights = None if self.weights is None else self.weights / self.clips
        return Shown(index, self.score / self.clips, self.pixels, self.quality / self.clips, weights)


class Painter(ABC):
    """One file in the making."""

    def __init__(self, path: str, encoding: Encoding, rate: Fraction, threads: int | None) -> None:
        self._path = path
        with translated(path):
            self._file = PendingFile(path)
        self._writer = FrameWriter(self._file.temporary, encoding, rate, name=path, threads=threads)
        self._painted: list[int] = []

    def add(self, where: ClipScore, clip: Clip, output: ClipOutput, model: FullReferenceModel) -> None:
        """The next clip, with what ``model`` says of it. Raises ModelError where that has no maps."""
        if output.maps is None:
            raise ModelError(
                f"the model {model.info.name!r} says nothing of single places that could be painted: leave "
                "--heatmap out, or take another model"
            )
        quality = model.calibration.by_place(output.maps).cpu().numpy()
        weights = None
        if output.weights is not None:
            weights = (output.weights.float() * output.weights.numel()).cpu().numpy()
        self._take(where, clip, quality, weights)

    @abstractmethod
    def _take(self, where: ClipScore, clip: Clip, quality: Values, weights: Values | None) -> None:
        """``quality`` (T', h, w) scores, ``weights`` (T', R, C) of 1 on average."""

    @abstractmethod
    def _complete(self) -> None:
        """Paint what is left."""

    def finish(self) -> None:
        """There are no more clips. Raises OutputError where the file cannot be made whole."""
        self._complete()
        self._writer.finish()

    def publish(self, overwrite: bool) -> tuple[int, ...]:
        """Let the finished file appear. Returns which frames it shows."""
        with translated(self._path):
            self._file.publish(overwrite=overwrite)
        return tuple(self._painted)

    def close(self) -> None:
        self._writer.close()
        self._file.drop()

    def _paint(self, shown: Shown) -> None:
        self._writer.write(picture(shown))
        self._painted.append(shown.index)


class _Still(Painter):
    """The worst frame of the worst clip: its middle one where one map stands for the clip."""

    _worst: Shown | None = None

    def _take(self, where: ClipScore, clip: Clip, quality: Values, weights: Values | None) -> None:
        if self._worst is not None and where.score >= self._worst.score:
            return
        count = where.end - where.start
        k = int(quality[:count].mean(axis=(1, 2)).argmin()) if len(quality) > 1 else count // 2
        self._worst = _frame(where, clip, k, quality, weights, 0).shown(where.start + k)

    def _complete(self) -> None:
        if self._worst is not None:
            self._paint(self._worst)


class _Video(Painter):
    """Every frame that a clip covers, with the mean of the clips that cover it; at most the frames of a clip wait."""

    def __init__(self, path: str, encoding: Encoding, rate: Fraction, threads: int | None) -> None:
        super().__init__(path, encoding, rate, threads)
        self._waiting: dict[int, _Frame] = {}

    def _take(self, where: ClipScore, clip: Clip, quality: Values, weights: Values | None) -> None:
        self._paint_until(where.start)
        for k in range(where.end - where.start):
            index = where.start + k
            if index in self._waiting:
                self._waiting[index].add(where.score, *_maps_at(k, quality, weights))
            else:
                self._waiting[index] = _frame(where, clip, k, quality, weights, VIDEO_SIDE)

    def _complete(self) -> None:
        self._paint_until(None)

    def _paint_until(self, end: int | None) -> None:
        """Clips begin one after the other, so no frame before ``end`` is covered by any more of them."""
        for index in sorted(self._waiting):
            if end is None or index < end:
                self._paint(self._waiting.pop(index).shown(index))


def _frame(
    where: ClipScore, clip: Clip, k: int, quality: Values, weights: Values | None, most: int
) -> _Frame:
    return _Frame(pixels_of(clip, k, most), where.score, *_maps_at(k, quality, weights))


def pixels_of(clip: Clip, k: int, most: int) -> NDArray[np.uint8]:
    """Frame ``k`` of a clip, (H, W, 3) R'G'B', reduced by a whole factor to sides of at most ``most`` (0: as it is)."""
    pixels = colour.rgb(colour.frames(clip, k, k + 1))  # (1, 3, H, W)
    factor = -(-max(pixels.shape[-2:]) // most) if most else 1
    if factor > 1:
        pixels = F.avg_pool2d(pixels, factor, ceil_mode=True, count_include_pad=False)
    shown: NDArray[np.uint8] = pixels[0].mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
    return shown


def _maps_at(k: int, quality: Values, weights: Values | None) -> tuple[Values, Values | None]:
    """What is said of frame ``k`` of a clip, by maps of every frame or by one that stands for all."""
    chosen = None if weights is None else weights[k if len(weights) > 1 else 0]
    return quality[k if len(quality) > 1 else 0], chosen
