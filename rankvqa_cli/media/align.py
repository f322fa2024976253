"""Temporal alignment: how many frames the distorted video is late against the reference, from small luma
pictures of the first few seconds.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rankvqa_cli.errors import UsageError
from rankvqa_cli.media.offset_search import Match, best_offset
from rankvqa_cli.media.reader import FrameReader
from rankvqa_cli.types import Alignment, FrameFormat, PlannedInput, ReadOptions

SEARCH_S = 1.0
MIN_REACH = 12
_FIRST_LOOK = 2 * MIN_REACH + 8
_WINDOW_S = 2.0
_PATIENCE_S = 5.0
_SOME_AGREEMENT = 0.1
_THUMB_WIDTH, _THUMB_HEIGHT = 96, 54


def find_offset(
    reference: PlannedInput, distorted: PlannedInput, options: ReadOptions, mode: str | int
) -> Alignment:
    """The offset for which distorted frame n + offset shows reference frame n (positive: the distorted is late).

    ``mode`` ``auto`` searches one second either way, at least 12 frames, bounded by the clip; ``off`` searches
    too but only reports what it ``suspected``; a number is taken as it stands, with confidence 1. Both videos
    are decoded at the same time, no further than it takes: 32 frames where those settle it, else about 3
    seconds, or 6 where nothing moves before. Stdin cannot be read twice, and a video of one or two frames
    has no movement: there the answer is 0 with confidence 0.

    Raises UsageError for any other mode, InputError where a video gives no frame.
    """
    if isinstance(mode, int):
        return Alignment(mode, 1.0, mode=str(mode))
    if mode not in {"auto", "off"}:
        raise UsageError(f"--align {mode!r}: give auto, off or a number of frames")
    match = _search(reference, distorted, options)
    if mode == "auto":
        return Alignment(match.offset, match.confidence, mode="auto")
    return Alignment(0, match.confidence, mode="off", suspected=match.offset or None)


def overlap(reference_frames: int, distorted_frames: int, offset: int) -> tuple[int, int, int]:
    """(first reference frame, first distorted frame, count) of what both videos show at ``offset``.

    Frames that only one of them has, at the start or at the end, are left out: two videos of N frames that
    are k frames apart share N - k. The count is 0 where nothing is shared.
    """
    start_reference, start_distorted = max(0, -offset), max(0, offset)
    count = min(reference_frames - start_reference, distorted_frames - start_distorted)
    return start_reference, start_distorted, max(0, count)


def _search(reference: PlannedInput, distorted: PlannedInput, options: ReadOptions) -> Match:
    both = (reference, distorted)
    if any(planned.info.spec.path == "-" or (planned.info.frames or 3) < 3 for planned in both):
        return Match(0, 0.0)
    rate = float(reference.info.frame_rate)
    reach = max(MIN_REACH, round(rate * SEARCH_S))
    match = Match(0, 0.0)
    with ExitStack() as stack:
        size = (min(_THUMB_WIDTH, reference.format.width), min(_THUMB_HEIGHT, reference.format.height))
        series = [_Thumbnails(planned, size, options, stack) for planned in both]
        pool = stack.enter_context(ThreadPoolExecutor(len(series)))
        for one in series:
            # Runs first on the way out, so that an interrupted search does not wait for the decoders.
            stack.callback(one.reader.kill)
        for look in (_FIRST_LOOK, reach + round(rate * _WINDOW_S), reach + round(rate * _PATIENCE_S)):
            before = [len(one.frames) for one in series]
            jobs = [pool.submit(one.read_up_to, look) for one in series]
            for job in jobs:
                job.result()
            if before == [len(one.frames) for one in series]:
                break
            match = best_offset(series[0].frames, series[1].frames, reach)
            if match.decisive or (look > _FIRST_LOOK and match.agreement >= _SOME_AGREEMENT):
                break
    return match


class _Thumbnails:
    """Small luma pictures of one video, as many as were asked for so far: ``frames`` is (T, h, w) uint8."""

    def __init__(
        self, planned: PlannedInput, size: tuple[int, int], options: ReadOptions, stack: ExitStack
    ) -> None:
        width, height = size
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
        self.reader = stack.enter_context(FrameReader(replace(planned, format=small), options, scaler="area"))
        self.frames: NDArray[np.uint8] = np.empty((0, height, width), np.uint8)

    def read_up_to(self, count: int) -> None:
        more = np.empty((max(0, count - len(self.frames)), *self.frames.shape[1:]), np.uint8)
        got = 0
        while got < len(more) and self.reader.read_into(memoryview(more[got]).cast("B")):
            got += 1
        self.frames = np.concatenate((self.frames, more[:got]))
