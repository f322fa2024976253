from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import pytest
from made_video import made_video

from rankvqa_cli.errors import InputError
from rankvqa_cli.media.pairing import match_times, pair
from rankvqa_cli.media.probe import is_variable
from rankvqa_cli.types import VideoInfo


def video(
    frames: int | None, rate: int | Fraction, times: Sequence[float] | None = None, name: str = "x"
) -> VideoInfo:
    if times is None and frames is not None:
        times = [float(n / Fraction(rate)) for n in range(frames)]
    times = tuple(times or ())
    return made_video(
        name,
        frame_rate=Fraction(rate),
        frames=frames,
        pts_times=times,
        variable_frame_rate=is_variable(times),
    )


def test_equal_counts_are_compared_in_order() -> None:
    assert pair(video(50, 25), video(50, 25), allow_short=False).frames == ()


def test_equal_counts_at_other_rates_are_compared_in_order_and_said() -> None:
    result = pair(video(48, 24), video(48, 25), allow_short=False)
    assert result.frames == ()
    assert "24 and 25" in result.warnings[0]


def test_a_container_without_times_is_compared_in_order() -> None:
    assert pair(video(50, 25), video(50, 25, ()), allow_short=False).frames == ()
    assert pair(video(50, 25), video(None, 25), allow_short=False).frames == ()


def test_the_time_base_of_milliseconds_is_no_variable_rate() -> None:
    rounded = [round(n / 60, 3) for n in range(600)]
    assert not is_variable(rounded)
    assert pair(video(600, 60), video(600, 60, rounded), allow_short=False).frames == ()


def test_half_the_rate_shows_every_frame_twice() -> None:
    result = pair(video(60, 60), video(30, 30), allow_short=False)
    assert result.frames == tuple(n // 2 for n in range(60))
    assert "presentation time" in result.steps[0]
    assert result.warnings == ()


def test_twice_the_rate_leaves_frames_out() -> None:
    assert pair(video(30, 30), video(60, 60), allow_short=False).frames == tuple(range(0, 60, 2))


def test_dropped_frames_are_matched_by_time() -> None:
    kept = [n for n in range(50) if n % 7 != 3]
    result = pair(video(50, 25), video(len(kept), 25, [n / 25 for n in kept]), allow_short=False)
    assert len(result.frames) == 50
    for n, index in enumerate(result.frames):
        assert kept[index] == (n if n in kept else n - 1)


def test_equal_counts_at_uneven_times_are_matched_by_time() -> None:
    """A phone's uneven frames made even by doubling one and dropping another."""
    uneven = [n / 25 for n in [*range(10), *range(14, 50), 50, 51, 52, 53]]
    result = pair(video(50, 25, uneven), video(50, Fraction(50, 54) * 25), allow_short=False)
    assert len(result.frames) == 50
    assert result.frames != tuple(range(50))
    assert result.frames[10] == round(14 / 54 * 50), (
        "the frame after the gap of four goes with what is shown then"
    )


def test_the_same_uneven_times_are_compared_in_order_whatever_the_start() -> None:
    uneven = [0.0, 0.04, 0.12, 0.16, 0.28, 0.32]
    shifted = [time + 0.004 for time in uneven]
    assert pair(video(6, 25, uneven), video(6, 25, shifted), allow_short=False).frames == ()


@pytest.mark.parametrize("frames", [30, 49, 51])
def test_unequal_lengths_are_refused_with_both_counts(frames: int) -> None:
    with pytest.raises(
        InputError, match=rf"'short\\n' has {frames} frames .* has 50 .*--allow-short"
    ) as caught:
        pair(video(50, 25), video(frames, 25, name="short\n"), allow_short=False)
    assert "\n" not in str(caught.value)


def test_unequal_lengths_can_be_allowed() -> None:
    result = pair(video(50, 25), video(30, 25), allow_short=True)
    assert result.frames == ()
    assert "common part" in result.warnings[0]


def test_half_the_rate_and_short_is_refused_or_cut_where_the_display_ends() -> None:
    with pytest.raises(InputError, match="--allow-short"):
        pair(video(120, 60), video(40, 30), allow_short=False)
    result = pair(video(120, 60), video(40, 30), allow_short=True)
    assert result.frames == tuple(n // 2 for n in range(80)), "the last frame is not repeated beyond its time"
    assert "40 reference frames" in result.warnings[0]


def test_a_time_close_to_a_frame_means_that_frame() -> None:
    assert match_times([0.0, 0.0329, 0.0671], [0.0, 0.0333, 0.0667]) == (0, 1, 2)
