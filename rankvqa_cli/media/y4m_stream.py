"""Y4M frame by frame: FFmpeg does not say when a file or a pipe ends in the middle of one."""

from __future__ import annotations

import os

from rankvqa_cli.errors import InputError
from rankvqa_cli.media.container import Stream
from rankvqa_cli.media.rawsize import raw_frame_bytes
from rankvqa_cli.media.y4m import MAGIC, MAX_HEADER, Y4mHeader, parse_header
from rankvqa_cli.types import RawFormat

_MAX_FRAME_LINE = 256


def is_y4m(path: str) -> bool:
    """Whether the file begins as Y4M does."""
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read_y4m(path: str, size: int) -> Stream:
    """Describes the file ``path`` of ``size`` bytes by its header and by walking from frame to frame.

    Raises InputError where the header is none or no frame is complete. A last frame that is cut off counts among
    ``frames``, so that the decoder will be found one short.
    """
    with open(path, "rb") as file:
        line = file.readline(MAX_HEADER)
        header = parse_header(line.rstrip(b"\n"), repr(path))
        frame_bytes = _frame_bytes(header)
        complete, cut = 0, False
        while frame_line := file.readline(_MAX_FRAME_LINE):
            if not frame_line.startswith(b"FRAME") or not frame_line.endswith(b"\n"):
                cut = True
                break
            cut = file.tell() + frame_bytes > size
            if cut:
                break
            file.seek(frame_bytes, os.SEEK_CUR)
            complete += 1
    if not complete:
        raise InputError(f"{path!r} is y4m without a single complete frame: make it again")
    return _describe(header, complete, cut)


class FrameFollower:
    """Follows the bytes of a Y4M stream behind its header: is it in the middle of a frame?"""

    def __init__(self, header: bytes) -> None:
        self._frame_bytes = _frame_bytes(parse_header(header.rstrip(b"\n"), "stdin"))
        self._left = 0
        self._in_line = False

    @property
    def in_the_middle(self) -> bool:
        return self._in_line or self._left > 0

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes, cut anywhere."""
        place = 0
        while place < len(chunk):
            if self._left:
                taken = min(self._left, len(chunk) - place)
                self._left -= taken
                place += taken
                continue
            end = chunk.find(b"\n", place)
            self._in_line = end < 0
            if end < 0:
                return
            place = end + 1
            self._left = self._frame_bytes


def _frame_bytes(header: Y4mHeader) -> int:
    return raw_frame_bytes(RawFormat(header.width, header.height, header.pix_fmt))


def _describe(header: Y4mHeader, complete: int, cut: bool) -> Stream:
    return Stream(
        index=0,
        width=header.width,
        height=header.height,
        pix_fmt=header.pix_fmt,
        tags=header.tags,
        rate=header.frame_rate,
        frames=complete + cut,
        times=tuple(float(n / header.frame_rate) for n in range(complete)),
        offset=0.0,
        sample_aspect_ratio=header.sample_aspect_ratio,
        rotation=0,
        interlaced=header.interlaced,
        codec="rawvideo",
        container="yuv4mpegpipe",
        warnings=("truncated: the file ends in the middle of a frame",) if cut else (),
    )
