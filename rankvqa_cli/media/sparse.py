"""Frames of which few are looked at: FFmpeg counts the others, and does not send them."""

from __future__ import annotations

from dataclasses import replace

from rankvqa_cli.errors import InputError
from rankvqa_cli.media.reader import FrameReader, StreamEnd, reader_argv
from rankvqa_cli.media.threads import decoding_share
from rankvqa_cli.types import PlannedInput, ReadOptions


class SparseReader(FrameReader):
    """A FrameReader that delivers one frame in ``every``, the first one always, and the last; of the others it says
    that they are there, and leaves the buffer as it is.

    Frames are all delivered where ``every`` is None, and where nobody knows before how many there are: a pipe, or a
    file that does not say. Where a file has fewer or more than it says, its last frame is decoded once more.
    """

    def __init__(self, planned: PlannedInput, options: ReadOptions, every: int | None = None) -> None:
        known = planned.info.spec.path != "-" and planned.info.frames is not None and not planned.pairing
        self.every = every if known and every is not None and every > 1 else None
        """Of how many frames one is delivered; None where all are."""
        if self.every is not None:
            pixels = self.every * planned.info.width * planned.info.height
            options = replace(options, threads=decoding_share(options.threads, pixels))
        super().__init__(planned, options)
        self._last_expected = (planned.info.frames or 0) - 1
        self._count: int | None = None
        self.delivered = True
        """Whether the frame that was read last is in the buffer."""

    def _argv(self) -> list[str]:
        if self.every is None:
            return super()._argv()
        chosen = f"not(mod(n,{self.every}))+eq(n,{self._last_expected})"
        return reader_argv(self._planned, self._options, chosen=chosen, count=True)

    def finish(self) -> StreamEnd:
        """See FrameReader."""
        if self.every is None:
            return super().finish()
        scrap = memoryview(bytearray(self.format.frame_bytes))
        while super()._next(scrap):
            pass
        self.frames_read = self._counted()
        return self._end()

    def _next(self, target: memoryview) -> bool:
        if self.every is None:
            return super()._next(target)
        number = self.frames_read
        self.delivered = number % self.every == 0 or number == self._last_expected
        if self._count is None and self.delivered and super()._next(target):
            return True
        if self._count is None and not self.delivered and self._goes_on():
            self.frames_read += 1  # a later one is there
            return True
        self._count = self._counted()
        if number >= self._count or self.delivered:
            return False
        if number == self._count - 1:
            self.delivered = self._decode_again(number, target)
        self.frames_read += 1
        return number < self._count - 1 or self.delivered

    def _counted(self) -> int:
        """How many frames there were; what was read where FFmpeg came to no end of its own."""
        self._end()
        assert self._messages is not None
        return self.frames_read if self._messages.frames is None else self._messages.frames

    def _decode_again(self, number: int, target: memoryview) -> bool:
        # With as many threads: of a damaged file, decoders give more or fewer frames with others.
        with _OneFrame(self._planned, self._options, number) as reader:
            try:
                return reader.read_into(target)
            except InputError:  # nothing comes a second time: it is damaged, which its end will say
                return False


class _OneFrame(FrameReader):
    """Frame ``number`` alone."""

    def __init__(self, planned: PlannedInput, options: ReadOptions, number: int) -> None:
        super().__init__(planned, options)
        self._number = number

    def _argv(self) -> list[str]:
        return reader_argv(self._planned, self._options, chosen=f"eq(n,{self._number})")
