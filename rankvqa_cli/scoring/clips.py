"""Which frames make which clip, and what a clip's score says about its frames. Pure functions on integers.

Clips start every ``hop`` frames. The last one is taken back so that it ends on the last frame; a video
shorter than a clip is mirrored. Nothing is repeated otherwise, and no frame at the end is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rankvqa_cli.errors import UsageError
from rankvqa_cli.types import ClipScore


@dataclass(frozen=True)
class ClipWindow:
    """Frames ``start`` (inclusive) to ``end`` (exclusive); ``padded`` where there were fewer than a clip
    needs."""

    start: int
    end: int
    padded: bool = False


def require_hop(hop: int | None, length: int) -> int:
    """The hop to use for clips of ``length`` frames; None stands for the clip length. Raises UsageError below
    1."""
    if hop is None:
        return length
    if hop < 1:
        raise UsageError(f"--hop must be at least 1 frame, not {hop}")
    return hop


def clip_windows(frames: int, length: int, hop: int) -> tuple[ClipWindow, ...]:
    """All clips of a video of ``frames`` frames, in order; none for an empty video."""
    if frames <= 0:
        return ()
    if frames < length:
        return (ClipWindow(0, frames, padded=True),)
    starts = list(range(0, frames - length + 1, hop))
    if starts[-1] + length < frames:
        starts.append(frames - length)
    return tuple(ClipWindow(start, start + length) for start in starts)


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
