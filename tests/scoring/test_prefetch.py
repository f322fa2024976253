"""The reading thread: the right frames, agreed ends, bounded memory, and no thread left behind."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import pytest

from rankvqa_cli.scoring.clips import SLOTS, ClipWindow, Spacing, clip_windows
from rankvqa_cli.scoring.prefetch import Prefetcher, Stream, Tally


@dataclass
class Numbers:
    """A source of ``count`` frames, each filled with its number plus ``first``."""

    count: int
    first: int = 0
    fails_at: int | None = None
    blocks_at: int | None = None
    read: int = 0
    killed: threading.Event = field(default_factory=threading.Event)

    def read_into(self, buffer: memoryview) -> bool:
        if self.read == self.blocks_at:
            self.killed.wait(20)
            return False
        if self.read == self.fails_at:
            raise OSError("the pipe broke")
        if self.read >= self.count:
            return False
        buffer[:] = bytes([self.first + self.read]) * len(buffer)
        self.read += 1
        return True

    def kill(self) -> None:
        self.killed.set()


def stream(source: Numbers, skip: int = 0, slack: int = 0) -> Stream:
    return Stream(source, 4, skip, slack)


def collect(prefetcher: Prefetcher) -> list[tuple[int, ClipWindow, list[list[int] | None]]]:
    found = []
    with prefetcher:
        for item in prefetcher:
            rows = [None if f is None else f[:, 0].tolist() for f in item.frames]
            found.append((item.grid, item.window, rows))
            prefetcher.release(item)
    return found


def test_lock_step_over_two_streams() -> None:
    items = collect(Prefetcher([stream(Numbers(9)), stream(Numbers(9, 100))], [Spacing(4, 4)]))
    assert [window for _, window, _ in items] == list(clip_windows(9, 4, 4))
    assert [first for _, _, (first, _) in items] == [[0, 1, 2, 3], [4, 5, 6, 7], [5, 6, 7, 8]]
    assert [second for _, _, (_, second) in items] == [
        [100, 101, 102, 103],
        [104, 105, 106, 107],
        [105, 106, 107, 108],
    ]


@pytest.mark.parametrize("frames", [1, 3, 4, 5, 11, 12, 24, 31])
def test_several_grids_in_one_decode(frames: int) -> None:
    grids = [Spacing(4, 4), Spacing(12, 5), Spacing(2, 7), Spacing(4, 4, 3), Spacing(3, 1, 2)]
    source = Numbers(frames)
    items = collect(Prefetcher([stream(source)], grids))
    assert source.read == frames
    for index, spacing in enumerate(grids):
        windows = [window for grid, window, _ in items if grid == index]
        assert windows == list(clip_windows(frames, *spacing))
        for grid, window, (rows,) in items:
            if grid == index and not window.padded:
                assert rows == list(range(window.start, window.end))


def test_alignment_skips_frames() -> None:
    """The distorted shows the reference's frame n at n + 2; its last two have lost their partners."""
    prefetcher = Prefetcher([stream(Numbers(8), slack=2), stream(Numbers(8, 100), skip=2)], [Spacing(3, 3)])
    items = collect(prefetcher)
    assert [rows for _, _, rows in items] == [
        [[0, 1, 2], [102, 103, 104]],
        [[3, 4, 5], [105, 106, 107]],
    ]
    assert prefetcher.tallies() == (Tally(6, 2, True), Tally(6, 0, True))


@pytest.mark.parametrize(("reference", "distorted"), [(50, 7), (7, 50), (7, 8), (8, 7)])
@pytest.mark.parametrize(
    "grid", [Spacing(3, 3), Spacing(3, 1), Spacing(3, 4), Spacing(12, 12), Spacing(3, 1, 2)]
)
def test_the_shorter_one_ends_the_pass(reference: int, distorted: int, grid: Spacing) -> None:
    first, second = Numbers(reference), Numbers(distorted, 100)
    prefetcher = Prefetcher([stream(first, slack=2), stream(second, slack=2)], [grid])
    items = collect(prefetcher)
    assert [window for _, window, _ in items] == list(clip_windows(7, *grid))
    assert items[-1][2][0][: items[-1][1].end - items[-1][1].start] == list(
        range(items[-1][1].start, items[-1][1].end)
    )
    expected = [Tally(7, min(count - 7, 3), count - 7 <= 2) for count in (reference, distorted)]
    assert list(prefetcher.tallies()) == expected
    assert max(first.read, second.read) <= 7 + 3


def test_one_of_several_ends_early() -> None:
    sources = [Numbers(10), Numbers(10, 50), Numbers(5, 100)]
    prefetcher = Prefetcher([stream(source) for source in sources], [Spacing(3, 3)])
    items = collect(prefetcher)
    assert [rows[2] for _, _, rows in items] == [[100, 101, 102], None, None, None]
    assert [rows[1] for _, _, rows in items][-1] == [57, 58, 59]
    assert [tally.compared for tally in prefetcher.tallies()] == [10, 10, 5]


def test_an_empty_stream() -> None:
    prefetcher = Prefetcher([stream(Numbers(0)), stream(Numbers(3))], [Spacing(3, 3)])
    assert collect(prefetcher) == []
    assert prefetcher.tallies() == (Tally(0, 0, True), Tally(0, 1, False))


def test_the_producer_waits_for_the_consumer() -> None:
    """However long the video, no more than the buffers is read ahead."""
    source = Numbers(200)
    with Prefetcher([stream(source)], [Spacing(4, 4)]) as prefetcher:
        for count, item in enumerate(prefetcher):
            time.sleep(0.002)
            assert source.read <= 4 * (count + SLOTS) + 1
            prefetcher.release(item)
    assert count == 49


@pytest.mark.parametrize("grids", [[Spacing(4, 4)], [Spacing(6, 2), Spacing(4, 4)]])
def test_one_item_may_be_kept_while_the_next_is_awaited(grids: list[Spacing]) -> None:
    """What is kept does not change, and nothing comes to a stop."""
    prefetcher = Prefetcher([stream(Numbers(42))], grids)
    kept, found = None, []
    with prefetcher:
        for item in prefetcher:
            if kept is not None:
                assert kept.frames[0] is not None
                found.append((kept.grid, kept.frames[0][:, 0].tolist()))
                prefetcher.release(kept)
            kept = item
        assert kept is not None
        assert kept.frames[0] is not None
        found.append((kept.grid, kept.frames[0][:, 0].tolist()))
    for number, (length, hop, _) in enumerate(grids):
        windows = clip_windows(42, length, hop)
        assert [rows for grid, rows in found if grid == number] == [
            list(range(window.start, window.end)) for window in windows
        ]


def test_the_producers_exception_reaches_the_consumer() -> None:
    with (
        pytest.raises(OSError, match="the pipe broke"),
        Prefetcher([stream(Numbers(50, fails_at=6))], [Spacing(4, 4)]) as prefetcher,
    ):
        list(prefetcher)
    assert not any(thread.name.startswith("prefetch") for thread in threading.enumerate())


@pytest.mark.parametrize("blocks_at", [None, 6])
def test_leaving_early_joins_the_thread(blocks_at: int | None) -> None:
    source = Numbers(200, blocks_at=blocks_at)
    with Prefetcher([stream(source)], [Spacing(4, 4)]) as prefetcher:
        next(iter(prefetcher))
    assert source.killed.is_set()
    assert not any(thread.name.startswith("prefetch") for thread in threading.enumerate())
