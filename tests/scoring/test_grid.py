"""The buffers must hold exactly the frames that the window names, wherever the end turns out to be."""

from __future__ import annotations

import numpy as np
import pytest

from rankvqa_cli.scoring.clips import ClipWindow, Spacing, clip_windows, mirrored
from rankvqa_cli.scoring.grid import ClipGrid, rotate_rows


def play(frames: int, spacing: Spacing, *, extra: bool) -> list[tuple[ClipWindow, list[list[int]]]]:
    """Two streams of numbered frames (the second counts from 100); ``extra``: the second still has a frame
    where the first has ended."""
    grid = ClipGrid(spacing, (2, 3), wait_for_slot=lambda: None)
    seen = []

    def take(window: ClipWindow | None) -> None:
        if window is not None:
            clips = [grid.clip(stream, len(seen)) for stream in (0, 1)]
            assert all((clip == clip[:, :1]).all() for clip in clips)
            seen.append((window, [clip[:, 0].tolist() for clip in clips]))

    for n in range(frames):
        grid.open(n)
        grid.row(0, n)[:] = n
        grid.row(1, n)[:] = 100 + n
        take(grid.close(n))
    if extra:
        grid.open(frames)
        grid.row(1, frames)[:] = 255
    take(grid.finish(frames))
    return seen


@pytest.mark.parametrize("extra", [False, True])
@pytest.mark.parametrize("length", [1, 2, 3, 5, 12])
@pytest.mark.parametrize("hop", [1, 2, 3, 4, 5, 7, 12, 14, 29])
@pytest.mark.parametrize("stride", [1, 2, 3, 5])
def test_clips_hold_their_windows(length: int, hop: int, stride: int, extra: bool) -> None:
    for frames in range(1, 42):
        check_clips(frames, Spacing(length, hop, stride), extra=extra)


def check_clips(frames: int, spacing: Spacing, *, extra: bool) -> None:
    length = spacing.length
    seen = play(frames, spacing, extra=extra)
    assert tuple(window for window, _ in seen) == clip_windows(frames, *spacing)
    for window, (first, second) in seen:
        expected = list(range(window.start, window.end))
        if window.padded:
            expected = list(mirrored(frames, length))
        assert first == expected
        assert second == [100 + index for index in expected]


def test_no_frames_no_window() -> None:
    assert ClipGrid(Spacing(3, 3), (2,), wait_for_slot=lambda: None).finish(0) is None


def test_the_clip_before_is_left_alone_while_the_next_is_filled() -> None:
    """The consumer scores clip k while clip k + 1 is being filled."""
    grid = ClipGrid(Spacing(4, 2), (2,), wait_for_slot=lambda: None)
    for n in range(7):
        grid.open(n)
        grid.row(0, n)[:] = n
        grid.close(n)
    assert grid.clip(0, 1)[:, 0].tolist() == [2, 3, 4, 5]


def test_a_slot_is_asked_for_once_a_clip() -> None:
    asked = []
    grid = ClipGrid(Spacing(3, 3), (1,), wait_for_slot=lambda: asked.append(1))
    for n in range(7):
        grid.open(n)
        grid.close(n)
    assert len(asked) == 3


@pytest.mark.parametrize("count", range(1, 9))
def test_rotation(count: int) -> None:
    for shift in range(count + 1):
        rows = np.arange(count, dtype=np.uint8).repeat(2).reshape(count, 2)
        expected = np.roll(rows, shift, axis=0)
        rotate_rows(rows, shift)
        assert rows.tolist() == expected.tolist()
