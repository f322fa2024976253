"""A reference that is looked at before it is compared, in one decoding: its first frames are held until their use."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from rankvqa_cli.media.held import HeldReader
from rankvqa_cli.media.reader import FrameReader
from rankvqa_cli.media.yuv import split_planes
from rankvqa_cli.types import FrameFormat, PlannedInput, ReadOptions

THUMB_WIDTH, THUMB_HEIGHT = 96, 54
#: Frames are held up to this size in all; whoever looks further decodes anew.
HELD_BYTES = 256 << 20


class Thumbnails:
    """Small luma pictures of one video, FFmpeg's own, from a decoding of their own: ``up_to`` reads as far as asked.

    To be entered with ``with``. ``kill`` ends a waiting read, from any thread.
    """

    def __init__(self, planned: PlannedInput, size: tuple[int, int], options: ReadOptions) -> None:
        width, height = size
        form = planned.format
        small = FrameFormat(width, height, "gray", 8, None, form.full_range, form.matrix, form.transfer)
        self._reader = FrameReader(replace(planned, format=small), options, scaler="area")
        self._frames: NDArray[np.uint8] = np.empty((0, height, width), np.uint8)

    def __enter__(self) -> Thumbnails:
        self._reader.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    def up_to(self, count: int) -> NDArray[np.uint8]:
        """The first ``count`` pictures, fewer where the video is shorter: (T, h, w) uint8."""
        more = np.empty((max(0, count - len(self._frames)), *self._frames.shape[1:]), np.uint8)
        got = 0
        while got < len(more) and self._reader.read_into(memoryview(more[got]).cast("B")):
            got += 1
        self._frames = np.concatenate((self._frames, more[:got]))
        return self._frames[:count]

    def kill(self) -> None:
        self._reader.kill()


class Lookahead:
    """A reference's small luma pictures like ``Thumbnails``, made of frames that are then there to be compared.

    ``begin`` starts decoding before that, ``take`` hands over the reader, once. Where the frames that are looked at do
    not fit into HELD_BYTES, the pictures come from another decoding; ``decodes`` counts all that were begun.
    """

    def __init__(self, planned: PlannedInput, options: ReadOptions) -> None:
        self._planned = planned
        self._options = options
        self.size = (min(THUMB_WIDTH, planned.format.width), min(THUMB_HEIGHT, planned.format.height))
        self._stack = ExitStack()
        self.reader = HeldReader(planned, options)
        self.taken = False
        self._anew: Thumbnails | None = None
        form = planned.format
        self._down = _area_weights(form.height, self.size[1])
        self._across = _area_weights(form.width, self.size[0]).T
        self._frames: list[NDArray[np.uint8]] = []
        self.decodes = 0

    def __enter__(self) -> Lookahead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def begin(self) -> None:
        """Start decoding, if that has not been done. Raises InputError where FFmpeg cannot be started."""
        self.decodes = max(1, self.decodes)
        self.reader.open()

    def close(self) -> None:
        """End all decoding but that which was handed over."""
        self._stack.close()
        if not self.taken:
            self.reader.close()

    def up_to(self, count: int) -> NDArray[np.uint8]:
        """The first ``count`` pictures, fewer where the video is shorter: (T, h, w) uint8."""
        if self._anew is None and count * self._planned.format.frame_bytes > HELD_BYTES:
            self._anew = self._stack.enter_context(Thumbnails(self._planned, self.size, self._options))
            self.decodes += 1
        if self._anew is not None:
            return self._anew.up_to(count)
        self.decodes = max(1, self.decodes)
        while len(self._frames) < count and (frame := self.reader.hold()) is not None:
            self._frames.append(self._small(frame))
        empty = np.empty((0, self.size[1], self.size[0]), np.uint8)
        return np.stack(self._frames[:count]) if self._frames else empty

    def take(self) -> HeldReader | None:
        """The reader, from its first frame on, to be closed by whoever takes it; None where that was done before."""
        if self.taken or not self.reader.begun:
            return None
        self.taken = True
        return self.reader

    def looked(self) -> None:
        """Nobody will ask for pictures again: end the decoding that was begun for them alone, if there is one."""
        self._stack.close()

    def kill(self) -> None:
        """End whatever is being read, from any thread."""
        self.reader.kill()
        if self._anew is not None:
            self._anew.kill()

    def _small(self, frame: memoryview) -> NDArray[np.uint8]:
        luma = split_planes(np.frombuffer(frame, np.uint8)[None], self._planned.format)[0][0]
        means = self._down @ luma.astype(np.float32) @ self._across
        steps = np.rint(means / 2 ** (self._planned.format.bit_depth - 8))
        return np.asarray(steps.clip(0, 255), np.uint8)


def _area_weights(length: int, parts: int) -> NDArray[np.float32]:
    """(parts, length): each row the mean over its share of ``length`` samples, edges by how much of them it has."""
    edges = np.linspace(0, length, parts + 1)
    samples = np.arange(length)
    covered = np.minimum(edges[1:, None], samples + 1) - np.maximum(edges[:-1, None], samples)
    return np.asarray(covered.clip(0) * parts / length, np.float32)
