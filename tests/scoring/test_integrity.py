"""What is damage, what is a difference in length, and what an offset explains."""

from __future__ import annotations

import pytest
from made_video import made_video

from rankvqa_cli.errors import DamagedError, InputError
from rankvqa_cli.scoring.integrity import Decoded, integrity_of, judge_damage, judge_lengths
from rankvqa_cli.types import Integrity


def decoded(
    expected: int | None,
    frames: int,
    *,
    left: int = 0,
    at_end: bool = True,
    returncode: int = 0,
    errors: tuple[str, ...] = (),
    compared: int = 10,
) -> Decoded:
    info = made_video("a\nb.mp4", frames=expected)
    return Decoded(info, frames, compared, left, at_end, returncode, errors)


@pytest.mark.parametrize(
    "fine", [decoded(10, 10), decoded(None, 10), decoded(10, 12), decoded(10, 4, at_end=False)]
)
def test_no_damage(fine: Decoded) -> None:
    assert judge_damage(fine, allow_damaged=False) == ()


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (decoded(50, 30), "30 of 50 frames"),
        (decoded(10, 10, errors=("h264: bad",)), "says 'h264: bad';"),
        (decoded(10, 10, errors=("h264: bad (12 times)", "x")), "says 'h264: bad' and more;"),
        (decoded(10, 10, returncode=69), "status 69"),
        (decoded(None, 10, returncode=-11), "status -11"),
    ],
)
def test_damage(bad: Decoded, words: str) -> None:
    with pytest.raises(DamagedError) as caught:
        judge_damage(bad, allow_damaged=False)
    message = str(caught.value)
    assert words in message
    assert "--allow-damaged" in message
    assert "\n" not in message
    (warning,) = judge_damage(bad, allow_damaged=True)
    assert words.removesuffix(";") in warning


def lengths(ref_left: int, dist_left: int, offset: int, *, allow_short: bool = False) -> tuple[str, ...]:
    reference = decoded(10 + ref_left, 10 + ref_left, left=ref_left)
    distorted = decoded(10 + dist_left, 10 + dist_left, left=dist_left)
    return judge_lengths(reference, distorted, offset, allow_short=allow_short)


@pytest.mark.parametrize(
    ("ref_left", "dist_left", "offset"), [(0, 0, 0), (0, 0, 3), (3, 0, 3), (1, 0, 3), (0, 2, -2), (0, 0, -2)]
)
def test_lengths_that_agree(ref_left: int, dist_left: int, offset: int) -> None:
    assert lengths(ref_left, dist_left, offset) == ()


@pytest.mark.parametrize(
    ("ref_left", "dist_left", "offset"), [(1, 0, 0), (0, 1, 0), (4, 0, 3), (0, 1, 3), (1, 0, -2), (0, 3, -2)]
)
def test_lengths_that_differ(ref_left: int, dist_left: int, offset: int) -> None:
    with pytest.raises(InputError, match="--allow-short") as caught:
        lengths(ref_left, dist_left, offset)
    assert "\n" not in str(caught.value)
    (warning,) = lengths(ref_left, dist_left, offset, allow_short=True)
    assert "only the common part" in warning


def test_frames_lost_to_damage_are_no_difference_in_length() -> None:
    reference, distorted = decoded(50, 11, left=1, at_end=False), decoded(50, 10)
    assert judge_lengths(reference, distorted, 0, allow_short=False) == ()


def test_nothing_in_common() -> None:
    with pytest.raises(InputError, match="offset 60"):
        judge_lengths(decoded(50, 50), decoded(50, 50, compared=0), 60, allow_short=True)


def test_counts() -> None:
    assert integrity_of(decoded(50, 30, errors=("x",)), 29) == Integrity(50, 30, 29, 0, ("x",))
