"""Clip windows against their definition, over every small combination."""

from __future__ import annotations

import itertools

import pytest

from rankvqa_cli.errors import UsageError
from rankvqa_cli.scoring.clips import (
    ClipWindow,
    clip_windows,
    frame_means,
    mirrored,
    require_hop,
    require_stride,
    require_strided,
)
from rankvqa_cli.types import ClipScore, ModelInfo


@pytest.mark.parametrize(("length", "hop"), list(itertools.product((1, 2, 5, 12), (1, 2, 4, 5, 12, 17))))
def test_windows_keep_their_promises(length: int, hop: int) -> None:
    for frames in range(1, 31):
        check_windows(frames, length, hop)


def check_windows(frames: int, length: int, hop: int) -> None:
    windows = clip_windows(frames, length, hop)
    assert windows[0].start == 0
    assert windows[-1].end == frames
    if frames < length:
        assert windows == (ClipWindow(0, frames, padded=True),)
        return
    assert all(w.end - w.start == length and not w.padded for w in windows)
    assert [w.start for w in windows[:-1]] == [i * hop for i in range(len(windows) - 1)]
    starts = [w.start for w in windows]
    assert starts == sorted(set(starts))
    assert starts[-1] - (starts[-2] if len(starts) > 1 else 0) <= hop
    covered = {index for w in windows for index in range(w.start, w.end)}
    if hop <= length:
        assert covered == set(range(frames))
    assert [index for index, _ in frame_means(ClipScore(w.start, w.end, 1.0) for w in windows)] == sorted(
        covered
    )


def test_the_last_clip_is_taken_back() -> None:
    assert [w.start for w in clip_windows(30, 12, 12)] == [0, 12, 18]
    assert [w.start for w in clip_windows(24, 12, 12)] == [0, 12]
    assert [w.start for w in clip_windows(25, 12, 12)] == [0, 12, 13]
    assert clip_windows(0, 12, 12) == ()


@pytest.mark.parametrize("stride", [1, 2, 3, 7, 100])
def test_a_stride_takes_one_in_so_many_of_the_same_clips(stride: int) -> None:
    for frames in range(40):
        for hop in (2, 5, 9):
            assert clip_windows(frames, 5, hop, stride) == clip_windows(frames, 5, hop)[::stride]
    assert [w.start for w in clip_windows(30, 12, 12, 2)] == [0, 18]  # the one taken back is the third
    assert [w.start for w in clip_windows(40, 12, 12, 2)] == [0, 24]  # and here the fourth
    assert clip_windows(7, 12, 12, 3) == (ClipWindow(0, 7, padded=True),)


def test_mirroring() -> None:
    assert mirrored(3, 8) == (0, 1, 2, 1, 0, 1, 2, 1)
    assert mirrored(1, 4) == (0, 0, 0, 0)
    assert mirrored(2, 5) == (0, 1, 0, 1, 0)
    assert mirrored(11, 12) == (*range(11), 9)


@pytest.mark.parametrize("frames", range(1, 12))
def test_mirroring_moves_by_one_frame_at_most(frames: int) -> None:
    order = mirrored(frames, 12)
    assert order[:frames] == tuple(range(frames))
    assert all(0 <= index < frames for index in order)
    assert all(abs(a - b) == (1 if frames > 1 else 0) for a, b in itertools.pairwise(order))


def test_a_frame_is_the_mean_of_its_clips() -> None:
    clips = [ClipScore(0, 4, 80.0), ClipScore(2, 6, 90.0), ClipScore(3, 7, 40.0)]
    assert frame_means(clips) == [(0, 80.0), (1, 80.0), (2, 85.0), (3, 70.0), (4, 65.0), (5, 65.0), (6, 40.0)]


def test_hop() -> None:
    assert require_hop(None, 12) == 12
    assert require_hop(5, 12) == 5
    with pytest.raises(UsageError, match="--hop"):
        require_hop(0, 12)


def test_stride() -> None:
    def info(kind: str) -> ModelInfo:
        return ModelInfo("m", kind, "ab", 12, "0 to 100", "by hand")  # type: ignore[arg-type]

    assert require_stride(3) == 3
    with pytest.raises(UsageError, match="--clip-stride"):
        require_stride(0)
    require_strided(1, [info("no-reference")])
    require_strided(2, [info("no-reference"), info("full-reference")])
    with pytest.raises(UsageError, match="--sample"):
        require_strided(2, [info("no-reference")])
