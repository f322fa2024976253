"""Temporal alignment: how many frames the distorted video is late against the reference, from
low-resolution luma.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rankvqa_cli.errors import UsageError
from rankvqa_cli.media.offset_search import Match, best_offset
from rankvqa_cli.media.reader import FrameReader
from rankvqa_cli.types import Alignment, FrameFormat, PlannedInput, ReadOptions

SEARCH_S = 1.0
MIN_RANGE = 12
_WINDOW_S = 2.0
_THUMB = (96, 54)


def find_offset(
    reference: PlannedInput, distorted: PlannedInput, options: ReadOptions, mode: str | int
) -> Alignment:
    """Finds the offset for which distorted frame n + offset shows reference frame n (positive: the
    distorted starts late).

    ``mode`` ``auto`` searches one second either way (at least 12 frames, bounded by the clip) in the first
    few seconds; ``off`` searches as well but only reports what it ``suspected``; a number is taken as it
    stands. Stdin can be read only once, so nothing is searched there; nor is anything in videos of one or
    two frames. Raises UsageError for any other mode.
    """
    if isinstance(mode, int):
        return Alignment(mode, 1.0, mode=str(mode))
    if mode not in {"auto", "off"}:
        raise UsageError(f"--align {mode}: give auto, off or a number of frames")
    match = _search(reference, distorted, options)
    if mode == "auto":
        return Alignment(match.offset, match.confidence, mode="auto")
    return Alignment(0, match.confidence, mode="off", suspected=match.offset or None)


def overlap(reference_frames: int, distorted_frames: int, offset: int) -> tuple[int, int, int]:
    """(first reference frame, first distorted frame, count) of what both videos show, given ``offset``.

    The frames that only one of them has, at the start and at the end, are left out; count is 0 where
    nothing is shared.
    """
    start_reference = max(0, -offset)
    start_distorted = max(0, offset)
    count = min(reference_frames - start_reference, distorted_frames - start_distorted)
    return start_reference, start_distorted, max(0, count)


def _search(reference: PlannedInput, distorted: PlannedInput, options: ReadOptions) -> Match:
    if "-" in (reference.info.spec.path, distorted.info.spec.path):
        return Match(0, 0.0)
    rate = float(reference.info.frame_rate)
    reach = max(MIN_RANGE, round(rate * SEARCH_S))
    count = reach + max(round(rate * _WINDOW_S), 2 * MIN_RANGE)
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(_thumbnails, planned, options, count) for planned in (reference, distorted)]
        first, second = (job.result() for job in jobs)
    if min(len(first), len(second)) < 3:
        return Match(0, 0.0)
    return best_offset(first, second, reach)


def _thumbnails(planned: PlannedInput, options: ReadOptions, count: int) -> NDArray[np.uint8]:
    """The first ``count`` frames as (T, h, w) uint8 luma, small."""
    width, height = (
        min(a, b) for a, b in zip(_THUMB, (planned.format.width, planned.format.height), strict=True)
    )
    small = FrameFormat(
        width,
        height,
        "gray",
        8,
        None,
        planned.format.full_range,
        planned.format.matrix,
        planned.format.transfer,
    )
    buffer = np.empty((count, height * width), np.uint8)
    got = 0
    with FrameReader(replace(planned, format=small), options, scaler="area") as reader:
        while got < count and reader.read_into(memoryview(buffer[got])):
            got += 1
    return buffer[:got].reshape(got, height, width)
