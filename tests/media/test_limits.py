from __future__ import annotations

from fractions import Fraction

import pytest

from rankvqa_cli.errors import UsageError
from rankvqa_cli.media.limits import check_options, window_of_rate, window_of_times
from rankvqa_cli.types import ReadOptions

TIMES = [n / 25 for n in range(50)]
RATE = Fraction(25)


@pytest.mark.parametrize(
    ("options", "window"),
    [
        (ReadOptions(), (0, 50)),
        (ReadOptions(seek_s=0.4), (10, 50)),
        (ReadOptions(seek_s=0.41), (11, 50)),
        (ReadOptions(duration_s=0.4), (0, 10)),
        (ReadOptions(seek_s=0.4, duration_s=0.4), (10, 20)),
        (ReadOptions(seek_s=0.4, duration_s=0.4, frames=3), (10, 13)),
        (ReadOptions(frames=500), (0, 50)),
        (ReadOptions(seek_s=7), (50, 50)),
    ],
)
def test_windows(options: ReadOptions, window: tuple[int, int]) -> None:
    assert window_of_times(TIMES, RATE, options) == window
    first, end = window_of_rate(50, RATE, options)
    assert (min(first, 50), end) == (window[0], max(window[1], first))


def test_rounded_times_count_as_meant() -> None:
    assert window_of_times([0.0, 0.033, 0.067, 0.1], Fraction(30), ReadOptions(seek_s=1 / 30)) == (1, 4)


def test_a_stream_of_unknown_length_is_bounded_by_options_only() -> None:
    assert window_of_rate(None, RATE, ReadOptions(seek_s=1)) == (25, None)
    assert window_of_rate(None, RATE, ReadOptions(seek_s=1, duration_s=2)) == (25, 75)
    assert window_of_rate(None, RATE, ReadOptions(duration_s=2, frames=3)) == (0, 3)


@pytest.mark.parametrize(
    "options",
    [
        ReadOptions(seek_s=-1),
        ReadOptions(seek_s=float("nan")),
        ReadOptions(duration_s=0),
        ReadOptions(frames=0),
        ReadOptions(threads=0),
    ],
)
def test_senseless_limits_are_usage_errors(options: ReadOptions) -> None:
    with pytest.raises(UsageError):
        check_options(options)
