"""Frames -> one picture or video file, by one FFmpeg process that is fed as they come."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType

import ffmpeg
import numpy as np
from numpy.typing import NDArray

from rankvqa_cli.errors import OutputError, UsageError
from rankvqa_cli.media.ffmpeg import find_ffmpeg, has_encoder
from rankvqa_cli.media.messages import MessageCollector


@dataclass(frozen=True)
class Encoding:
    """``muxer`` in FFmpeg's words, and the encoder with its options. ``still``: the file holds one frame."""

    muxer: str
    encoder: str
    options: tuple[tuple[str, str], ...]
    still: bool = False


# Video is to be looked at, so quality comes before size; the second of each kind is what the leanest builds have.
_BT709 = (
    ("vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"),
    ("colorspace", "bt709"),
    ("color_primaries", "bt709"),
    ("color_trc", "bt709"),
    ("color_range", "tv"),
)
_X264 = ("libx264", (("preset", "veryfast"), ("crf", "16"), *_BT709))
_MPEG4 = ("mpeg4", (("q:v", "2"), *_BT709))
_VP9 = ("libvpx-vp9", (("b:v", "0"), ("crf", "24"), ("cpu-used", "6"), ("row-mt", "1"), *_BT709))
_VP8 = ("libvpx", (("b:v", "20M"), ("crf", "6"), ("cpu-used", "6"), *_BT709))
_KINDS: dict[str, tuple[str, bool, tuple[tuple[str, tuple[tuple[str, str], ...]], ...]]] = {
    ".png": ("image2pipe", True, (("png", ()),)),
    ".mp4": ("mp4", False, (_X264, _MPEG4)),
    ".mkv": ("matroska", False, (_X264, _MPEG4)),
    ".webm": ("webm", False, (_VP9, _VP8)),
}
SUFFIXES = tuple(_KINDS)


def encoding_of(path: str) -> Encoding:
    """How the file ``path`` is encoded, by its suffix. Raises UsageError for a suffix that is not one of ``SUFFIXES``,
    OutputError where FFmpeg has no encoder for it."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in _KINDS:
        raise UsageError(
            f"the suffix of {path!r} says no kind of picture or video: use {', '.join(SUFFIXES)}"
        )
    muxer, still, encoders = _KINDS[suffix]
    for name, options in encoders:
        if has_encoder(name):
            return Encoding(muxer, name, options, still)
    names = " or ".join(name for name, _ in encoders)
    raise OutputError(
        f"cannot write {path!r}: this FFmpeg has no encoder {names}; write .png, or use another FFmpeg"
    )


class FrameWriter:
    """Encodes frames into the file ``path``, which is overwritten; all have the size of the first.

    A context manager that ends FFmpeg however the block ends; only after ``finish`` the file is whole. Errors of
    FFmpeg are raised as OutputError naming ``name``, what the file will be called.
    """

    def __init__(
        self, path: str, encoding: Encoding, rate: Fraction, *, name: str, threads: int | None = None
    ) -> None:
        self._path, self._encoding, self._rate = path, encoding, rate
        self._name, self._threads = name, threads
        self._process: subprocess.Popen[bytes] | None = None
        self._messages: MessageCollector | None = None
        self._shape: tuple[int, ...] = ()

    def __enter__(self) -> FrameWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, frame: NDArray[np.uint8]) -> None:
        """Encode one frame, (H, W, 3) R'G'B'."""
        if self._process is None:
            self._start(frame.shape)
        if frame.shape != self._shape:
            raise ValueError(f"a frame of {frame.shape} after frames of {self._shape}")
        assert self._process is not None
        assert self._process.stdin is not None
        rest = np.ascontiguousarray(frame).data.cast("B")
        try:
            while rest:
                rest = rest[self._process.stdin.write(rest) :]
        except BrokenPipeError:
            raise self._failed() from None

    def finish(self) -> None:
        """Have FFmpeg write the rest; the file is whole when this returns. Raises ValueError without a frame."""
        if self._process is None:
            raise ValueError("there is no frame to write")
        if self._end() != 0 or (self._messages is not None and self._messages.errors()):
            raise self._failed()

    def close(self) -> None:
        """End FFmpeg, in whatever state it is. Safe to call more than once."""
        if self._process is not None:
            self._process.kill()
            self._end()

    def _start(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        argv = _encode_argv(self._path, self._encoding, shape, self._rate, self._threads)
        try:
            # A session of its own: Ctrl-C on the terminal reaches us only, and we end the process ourselves.
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            raise OutputError(
                f"cannot write {self._name!r}: {argv[0]!r} cannot be started ({error.strerror})"
            ) from error
        assert self._process.stderr is not None
        self._messages = MessageCollector(self._process.stderr)

    def _end(self) -> int:
        process, messages = self._process, self._messages
        assert process is not None
        assert process.stdin is not None
        assert messages is not None
        if not process.stdin.closed:
            process.stdin.close()
            code = process.wait()
            messages.join()
            return code
        return process.wait()

    def _failed(self) -> OutputError:
        code = self._end()
        assert self._messages is not None
        why = next(iter(self._messages.errors()), f"it ends with status {code}")
        return OutputError(
            f"cannot write {self._name!r}: FFmpeg does not encode it ({why}); check the free space, or write .png"
        )


def _encode_argv(
    path: str, encoding: Encoding, shape: tuple[int, ...], rate: Fraction, threads: int | None
) -> list[str]:
    height, width, _ = shape
    source = {
        "f": "rawvideo",
        "pixel_format": "rgb24",
        "s": f"{width}x{height}",
        "framerate": str(rate),
    }
    target = {"c:v": encoding.encoder, **dict(encoding.options), "f": encoding.muxer}
    if threads is not None:
        target["threads"] = str(threads)
    node = ffmpeg.input("pipe:0", **source).output(f"file:{path}", **target)
    node = node.global_args("-y", "-hide_banner", "-nostats", "-loglevel", "level+info")
    argv: list[str] = ffmpeg.compile(node, cmd=find_ffmpeg())
    return argv
