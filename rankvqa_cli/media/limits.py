"""``-ss``, ``-t`` and ``-frames`` as frame numbers, decided once so that what is expected and what is read
agree.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from fractions import Fraction

from rankvqa_cli.errors import UsageError
from rankvqa_cli.types import ReadOptions


def check_options(options: ReadOptions) -> None:
    """Raises UsageError for limits that mean nothing."""
    if not (math.isfinite(options.seek_s) and options.seek_s >= 0):
        raise UsageError(f"-ss {options.seek_s}: give a time of 0 or more seconds")
    if options.duration_s is not None and not (math.isfinite(options.duration_s) and options.duration_s > 0):
        raise UsageError(f"-t {options.duration_s}: give a duration above 0 seconds")
    if options.frames is not None and options.frames < 1:
        raise UsageError(f"-frames {options.frames}: give 1 or more")
    if options.threads is not None and options.threads < 1:
        raise UsageError(f"-threads {options.threads}: give 1 or more")


def window_of_times(times: Sequence[float], rate: Fraction, options: ReadOptions) -> tuple[int, int]:
    """(first, end) of the frames that ``options`` keep, given sorted presentation times in seconds from the
    stream's start.

    A frame is kept where ss <= time < ss + t, to within a quarter of a frame and at most a millisecond,
    which covers the rounding of container time bases.
    """
    slack = _slack(rate)
    first = bisect.bisect_left(times, options.seek_s - slack) if options.seek_s > 0 else 0
    end = len(times)
    if options.duration_s is not None:
        end = bisect.bisect_left(times, options.seek_s + options.duration_s - slack)
    if options.frames is not None:
        end = min(end, first + options.frames)
    return first, max(end, first)


def window_of_rate(total: int | None, rate: Fraction, options: ReadOptions) -> tuple[int, int | None]:
    """(first, end) of the frames that ``options`` keep of a stream without times at ``rate`` frames a second.

    ``total`` is its length, None where unknown; the end is then None too unless the options bound it.
    """
    first = _frame_at(options.seek_s, rate)
    end = total
    if options.duration_s is not None:
        stop = _frame_at(options.seek_s + options.duration_s, rate)
        end = stop if end is None else min(end, stop)
    if options.frames is not None:
        end = first + options.frames if end is None else min(end, first + options.frames)
    return first, end if end is None else max(end, first)


def _frame_at(seconds: float, rate: Fraction) -> int:
    """The first frame at or after ``seconds``."""
    return max(0, math.ceil((seconds - _slack(rate)) * float(rate)))


def _slack(rate: Fraction) -> float:
    return min(0.001, 0.25 / float(rate))
