"""Frames that are read before their turn comes."""

from __future__ import annotations

from collections import deque

from rankvqa_cli.media.reader import StreamEnd
from rankvqa_cli.media.sparse import SparseReader
from rankvqa_cli.types import PlannedInput, ReadOptions


class HeldReader(SparseReader):
    """A SparseReader whose frames can be held, to be delivered in their turn."""

    def __init__(self, planned: PlannedInput, options: ReadOptions, every: int | None = None) -> None:
        super().__init__(planned, options, every)
        self._waiting: deque[memoryview | None] = deque()
        self._spare: memoryview | None = None
        self.holds = 0
        """How many frames are held."""

    @property
    def begun(self) -> bool:
        return self._process is not None

    def hold(self) -> memoryview | None:
        """Read the next frame and hold it: ``format.frame_bytes`` bytes, without meaning where it is not ``delivered``;
        None at the end."""
        frame = memoryview(bytearray(self.format.frame_bytes)) if self._spare is None else self._spare
        self._spare = frame
        if not super().read_into(frame):
            return None
        if self.delivered:
            self._spare = None
            self.holds += 1
        self._waiting.append(frame if self.delivered else None)
        return frame

    def read_into(self, buffer: memoryview) -> bool:
        """See FrameReader."""
        if not self._waiting:
            return super().read_into(buffer)
        frame = self._waiting.popleft()
        if frame is not None:
            self.holds -= 1
            buffer.cast("B")[:] = frame
        return True

    def finish(self) -> StreamEnd:
        """See FrameReader."""
        self._waiting.clear()
        self.holds = 0
        return super().finish()
