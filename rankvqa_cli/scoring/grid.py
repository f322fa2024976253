"""Frames of several streams, in lock step, laid into clip buffers that are allocated once.

A grid is one ``Spacing`` of clips over the compared frames. Every stream has two buffers of ``length`` rows, a
row a frame: while one holds the clip that is being scored, the other is filled. The clip before the one being
filled is never overwritten, so the last clip can be taken back over the end of the video when the end is
seen, however far away the end was thought to be: nothing needs the number of frames in advance. Frames between
clips pass through the buffer that is being filled; they are copied nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rankvqa_cli.scoring.clips import SLOTS, ClipWindow, Spacing, mirrored

Rows: TypeAlias = NDArray[np.uint8]
Allocate: TypeAlias = Callable[[int, int], Rows]


def allocate_rows(rows: int, frame_bytes: int) -> Rows:
    """Pageable memory for ``rows`` frames."""
    return np.empty((rows, frame_bytes), dtype=np.uint8)


class ClipGrid:
    """Clip buffers of one grid for streams of the given frame sizes. Frames come in order, ``n`` from 0.

    For every n: ``open(n)``, fill ``row(stream, n)`` of every stream, ``close(n)``; then ``finish(frames)``
    once. ``wait_for_slot`` is called before a buffer is used again and returns when its last clip is no
    longer needed.
    """

    def __init__(
        self,
        spacing: Spacing,
        frame_bytes: Sequence[int],
        wait_for_slot: Callable[[], None],
        allocate: Allocate = allocate_rows,
    ) -> None:
        self.length, self._hop, self._stride = spacing
        self._step = self._hop * self._stride
        # Between clips (step > length) the rows are a ring of the latest frames; the spare row is for a frame
        # that one stream still has and another has not: the end lies before it, and the ``length`` frames
        # before count.
        self._rows = self.length if self._step <= self.length else self.length + 1
        self._buffers = [[allocate(self._rows, size) for _ in range(SLOTS)] for size in frame_bytes]
        self._wait_for_slot = wait_for_slot
        self._clip = 0
        self._opened = -1
        self._finished_end = 0

    @property
    def _start(self) -> int:
        return self._clip * self._step

    def open(self, n: int) -> None:
        """Make room for frame ``n``."""
        if self._opened == self._clip:
            return
        self._wait_for_slot()
        self._opened = self._clip
        kept = self.length - self._step
        if self._clip > 0 and kept > 0:
            for slots in self._buffers:
                now, before = slots[self._clip % SLOTS], slots[(self._clip - 1) % SLOTS]
                now[:kept] = before[self._step : self.length]

    def row(self, stream: int, n: int) -> Rows:
        """Where frame ``n`` of a stream belongs: (frame_bytes,) uint8, writable."""
        row: Rows = self._buffers[stream][self._clip % SLOTS][(n - self._start) % self._rows]
        return row

    def close(self, n: int) -> ClipWindow | None:
        """Frame ``n`` is in place in every stream. Returns the window that it completed, if any: its frames
        are ``clip(stream)`` of ``slot`` until the slot is given back."""
        if n != self._start + self.length - 1:
            return None
        window = ClipWindow(self._start, n + 1)
        self._finished_end = n + 1
        self._clip += 1
        return window

    def finish(self, frames: int) -> ClipWindow | None:
        """The video ended after ``frames`` frames. Returns the last, taken back or mirrored window, if one is
        left."""
        last = -(-max(0, frames - self.length) // self._hop)
        if frames == self._finished_end or last % self._stride:
            return None
        if self._clip == 0 and frames < self.length:
            order = mirrored(frames, self.length)
            for slots in self._buffers:
                for target in range(frames, self.length):
                    slots[0][target] = slots[0][order[target]]
            window = ClipWindow(0, frames, padded=True)
        else:
            window = ClipWindow(frames - self.length, frames)
            for slots in self._buffers:
                now, before = slots[self._clip % SLOTS], slots[(self._clip - 1) % SLOTS]
                self._take_back(now, before, window.start)
        self._clip += 1
        return window

    def _take_back(self, now: Rows, before: Rows, first: int) -> None:
        """Rearrange ``now`` to hold frames ``first`` onwards: its own ones moved, the earlier ones from
        ``before``."""
        before_start = self._start - self._step
        rotate_rows(now, (self._start - first) % self._rows)
        own_first = min(self._start, before_start + self.length)
        taken = max(0, own_first - first)
        source = first - before_start
        now[:taken] = before[source : source + taken]

    def clip(self, stream: int, clip_number: int) -> Rows:
        """Frames of the ``clip_number``-th window that was completed: (length, frame_bytes) uint8,
        contiguous."""
        return self._buffers[stream][clip_number % SLOTS][: self.length]


def rotate_rows(rows: Rows, shift: int) -> None:
    """Move every row ``shift`` places on, the last ones to the front, in place: one spare row at a time."""
    count = len(rows)
    shift %= count
    if shift == 0:
        return
    for begin, end in ((0, count), (0, shift), (shift, count)):
        while end - begin > 1:
            end -= 1
            spare = rows[begin].copy()
            rows[begin] = rows[end]
            rows[end] = spare
            begin += 1
