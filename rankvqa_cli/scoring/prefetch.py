"""One thread that reads the next clips while the last one is scored.

It reads every stream frame by frame in lock step (the decoders run on ahead in their own processes), so all
streams agree at which frame the video ends, also when nobody knew before. Clips wait in the buffers that
they were read into: two a stream, whatever the length of the video.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Protocol

from rankvqa_cli.scoring.clips import SLOTS, ClipWindow, Spacing
from rankvqa_cli.scoring.grid import Allocate, ClipGrid, Rows, allocate_rows


class FrameSource(Protocol):
    """What is read here: ``media.reader.FrameReader``."""

    def read_into(self, buffer: memoryview) -> bool:
        """Fill ``buffer`` with the next frame; False at the end of the stream."""
        ...

    def kill(self) -> None:
        """End the stream, from any thread: a waiting ``read_into`` returns."""
        ...


@dataclass(frozen=True)
class Stream:
    """One decoded video: compared frame n is its frame n + ``skip``. Where other streams end first, up to
    ``slack`` + 1 frames are read on to see how much is left."""

    source: FrameSource
    frame_bytes: int
    skip: int = 0
    slack: int = 0


@dataclass(frozen=True)
class Tally:
    """How a stream's pass went: frames that were ``compared``, frames ``left`` after those, and whether the
    stream was read to its end."""

    compared: int
    left: int
    at_end: bool


@dataclass(frozen=True)
class ClipSet:
    """The same window of every stream. ``frames[i]`` is (length, frame_bytes) uint8, None where stream i has
    ended before; valid until the item is released."""

    grid: int
    window: ClipWindow
    frames: tuple[Rows | None, ...] = field(repr=False)


class _StoppedError(Exception):
    """The consumer is gone."""


class _Lane:
    """Where a stream stands: how many frames were ``compared``, and how many are ``left`` after those."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.to_skip = stream.skip
        self.compared = 0
        self.left = 0
        self.at_end = False

    def read(self, row: Rows) -> bool:
        """Put the next compared frame into ``row``; False where there is none."""
        while self.to_skip and self._next(row):
            self.to_skip -= 1
        return self._next(row)

    def read_on(self, row: Rows, left: int) -> None:
        """See how many frames are left, of which ``left`` were read already."""
        self.left = left
        while self.left <= self.stream.slack and self._next(row):
            self.left += 1

    def _next(self, row: Rows) -> bool:
        self.at_end = self.at_end or not self.stream.source.read_into(row.data)
        return not self.at_end


class Prefetcher:
    """Iterates over the ClipSets of ``streams`` on one or several ``grids``.

    The first stream is the reference where there are several. The pass ends when it ends, or when all others
    have. A stream that ends before the pass does is in no later ClipSet. An exception of the reading thread
    is raised to the consumer.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        grids: Sequence[Spacing],
        allocate: Allocate = allocate_rows,
    ) -> None:
        sizes = [stream.frame_bytes for stream in streams]
        self._lanes = [_Lane(stream) for stream in streams]
        self._grids = [
            ClipGrid(spacing, sizes, partial(self._wait_for_slot, index), allocate)
            for index, spacing in enumerate(grids)
        ]
        self._published = [0] * len(self._grids)
        self._free = [SLOTS] * len(self._grids)
        self._ready: deque[ClipSet] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
        self._reading: Future[tuple[Tally, ...]] = Future()

    def __enter__(self) -> Prefetcher:
        self._reading = self._executor.submit(self._read_all)
        self._reading.add_done_callback(lambda _: self._wake())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped = True
        self._wake()
        if not self._reading.done():
            for lane in self._lanes:
                lane.stream.source.kill()
        self._executor.shutdown()

    def __iter__(self) -> Iterator[ClipSet]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ready or self._reading.done())
                if self._reading.done() and self._reading.exception() is not None:
                    self._reading.result()
                if not self._ready:
                    return
                item = self._ready.popleft()
            yield item

    def release(self, item: ClipSet) -> None:
        """The consumer is done with ``item``. One that waits for the next may keep one, not more."""
        with self._changed:
            self._free[item.grid] += 1
            self._changed.notify_all()

    def tallies(self) -> tuple[Tally, ...]:
        """How each stream ended; to be asked after the last item."""
        return self._reading.result()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _wait_for_slot(self, grid: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._free[grid] > 0 or self._stopped)
            if self._stopped:
                raise _StoppedError
            self._free[grid] -= 1

    def _publish(self, index: int, window: ClipWindow | None, alive: Sequence[int]) -> None:
        if window is None:
            return
        grid, number = self._grids[index], self._published[index]
        frames = tuple(grid.clip(i, number) if i in alive else None for i in range(len(self._lanes)))
        self._published[index] += 1
        with self._changed:
            self._ready.append(ClipSet(index, window, frames))
            self._changed.notify_all()

    def _read_all(self) -> tuple[Tally, ...]:
        alive = list(range(len(self._lanes)))
        n = 0
        while True:
            for grid in self._grids:
                grid.open(n)
            present = [i for i in alive if self._lanes[i].read(self._grids[0].row(i, n))]
            if 0 not in present or (present == [0] and len(self._lanes) > 1):
                break
            alive = present
            self._spread(alive, n)
            n += 1
            for index, grid in enumerate(self._grids):
                self._publish(index, grid.close(n - 1), alive)
        for i in alive:
            # The row of a frame that is not compared is free.
            self._lanes[i].read_on(self._grids[0].row(i, n), int(i in present))
        for index, grid in enumerate(self._grids):
            self._publish(index, grid.finish(n), alive)
        return tuple(Tally(lane.compared, lane.left, lane.at_end) for lane in self._lanes)

    def _spread(self, alive: Sequence[int], n: int) -> None:
        """Count frame ``n`` of every stream, and copy it from the first grid to the others."""
        for i in alive:
            self._lanes[i].compared = n + 1
            for grid in self._grids[1:]:
                grid.row(i, n)[:] = self._grids[0].row(i, n)
