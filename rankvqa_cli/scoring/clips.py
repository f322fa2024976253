"""Which frames make which clip, and what a clip's score says about its frames. Pure functions on integers.

Clips start every ``hop`` frames. The last one is taken back so that it ends on the last frame; a video
shorter than a clip is mirrored. Nothing is repeated otherwise, and no frame at the end is dropped. A ``stride``
keeps one clip in so many of these, the first one always.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from rankvqa_cli.errors import UsageError
from rankvqa_cli.types import ClipScore, ModelInfo

#: Clips of a stream that are in memory at a time: one is read while another is scored.
SLOTS = 2


@dataclass(frozen=True)
class ClipWindow:
    """Frames ``start`` (inclusive) to ``end`` (exclusive); ``padded`` where there were fewer than a clip
    needs."""

    start: int
    end: int
    padded: bool = False


class Spacing(NamedTuple):
    """Clips of ``length`` frames every ``hop`` frames, of which one in ``stride`` is seen."""

    length: int
    hop: int
    stride: int = 1

    @property
    def every(self) -> int | None:
        """Of how many frames one is looked at, besides the last; None where clips have several."""
        return self.hop if self.length == 1 else None


def sampled(length: int, sample_s: float, rate: Fraction) -> Spacing:
    """A clip of ``length`` frames every ``sample_s`` seconds at ``rate`` frames a second."""
    return Spacing(length, max(1, round(sample_s * rate)))


def require_hop(hop: int | None, length: int) -> int:
    """The hop to use for clips of ``length`` frames; None stands for the clip length. Raises UsageError below
    1."""
    if hop is None:
        return length
    if hop < 1:
        raise UsageError(f"--hop must be at least 1 frame, not {hop}")
    return hop


def require_stride(stride: int) -> int:
    """``stride`` itself. Raises UsageError below 1."""
    if stride < 1:
        raise UsageError(f"--clip-stride must be at least 1 clip, not {stride}")
    return stride


def require_strided(stride: int, models: Iterable[ModelInfo]) -> None:
    """Raises UsageError where a ``stride`` is asked for and none of ``models`` has clips that it could pass over."""
    if stride > 1 and all(info.kind == "no-reference" for info in models):
        raise UsageError(
            "--clip-stride is for models with a reference, and none is asked for: --sample says how often others look"
        )


def require_sample(sample: float) -> None:
    """Raises UsageError where ``sample`` seconds cannot lie between two looks."""
    if not 0 < sample < math.inf:
        raise UsageError(f"--sample must be more than 0 seconds, not {sample:g}")


def clip_windows(frames: int, length: int, hop: int, stride: int = 1) -> tuple[ClipWindow, ...]:
    """The clips of a video of ``frames`` frames that are seen, in order; none for an empty video."""
    if frames <= 0:
        return ()
    if frames < length:
        return (ClipWindow(0, frames, padded=True),)
    starts = list(range(0, frames - length + 1, hop))
    if starts[-1] + length < frames:
        starts.append(frames - length)
    return tuple(ClipWindow(start, start + length) for start in starts[::stride])


def mirrored(frames: int, length: int) -> tuple[int, ...]:
    """Frame indices that fill a clip of ``length`` from ``frames`` >= 1 frames: 0 1 2 1 0 1 2 ... for
    three."""
    if frames == 1:
        return (0,) * length
    period = 2 * (frames - 1)
    return tuple(min(i % period, period - i % period) for i in range(length))


def frame_means(clips: Iterable[ClipScore]) -> list[tuple[int, float]]:
    """(frame index, mean score of the clips that cover it), ascending. Frames no clip covers (a hop longer
    than the clip leaves some) are not listed."""
    covering: dict[int, list[float]] = {}
    for clip in clips:
        for index in range(clip.start, clip.end):
            covering.setdefault(index, []).append(clip.score)
    return [(index, sum(scores) / len(scores)) for index, scores in sorted(covering.items())]
