"""Probing of what cannot be demuxed in advance: raw frames, and anything on stdin."""

from __future__ import annotations

import os
from fractions import Fraction

from rankvqa_cli.errors import InputError
from rankvqa_cli.media import wording
from rankvqa_cli.media.limits import window_of_rate
from rankvqa_cli.media.pixfmt import layout_of
from rankvqa_cli.media.rawsize import raw_frame_bytes
from rankvqa_cli.media.y4m import MAX_HEADER, Y4mHeader, parse_header
from rankvqa_cli.types import DecodeStart, InputSpec, RawFormat, ReadOptions, VideoInfo

STDIN_FD = 0


def probe_raw(spec: InputSpec, raw: RawFormat, size: int, options: ReadOptions) -> VideoInfo:
    """A file of ``size`` bytes that holds nothing but frames. Raises InputError where they do not fill it
    evenly.
    """
    frame_bytes = raw_frame_bytes(raw)
    total, left = divmod(size, frame_bytes)
    if left:
        raise InputError(
            f"{spec.path!r} holds {size} bytes: {total} frames of {raw.width}x{raw.height} {raw.pix_fmt} "
            f"at {frame_bytes} bytes and {left} bytes left over; check -s and -pix_fmt"
        )
    first, end = window_of_rate(total, raw.frame_rate, options)
    frames = max(0, min(total, total if end is None else end) - first)
    return _describe(spec, _as_header(raw), frames, DecodeStart(skip_frames=first), "rawvideo", options)


def probe_stdin(spec: InputSpec, options: ReadOptions) -> VideoInfo:
    """Raw frames as ``spec`` says, or y4m, whose header is taken from the pipe and kept for the decoder."""
    if spec.raw is not None:
        raw_frame_bytes(spec.raw)
        first, _ = window_of_rate(None, spec.raw.frame_rate, options)
        return _describe(
            spec, _as_header(spec.raw), None, DecodeStart(skip_frames=first), "rawvideo", options
        )
    head = _take_line()
    if not head:
        raise InputError("stdin is empty: pipe y4m into it, or raw frames with -f rawvideo -s WxH -pix_fmt F")
    header = parse_header(head.rstrip(b"\n"), "stdin")
    first, _ = window_of_rate(None, header.frame_rate, options)
    start = DecodeStart(skip_frames=first, stdin_head=head)
    return _describe(spec, header, None, start, "yuv4mpegpipe", options)


def _as_header(raw: RawFormat) -> Y4mHeader:
    return Y4mHeader(
        raw.width, raw.height, raw.pix_fmt, raw.frame_rate, Fraction(1), interlaced=False, range_code=0
    )


def _take_line() -> bytes:
    """The first line of stdin, byte by byte so that nothing behind it is taken away from the decoder."""
    line = bytearray()
    while len(line) < MAX_HEADER and not line.endswith(b"\n"):
        try:
            byte = os.read(STDIN_FD, 1)
        except OSError as error:
            raise InputError(f"stdin cannot be read: {error.strerror}") from error
        if not byte:
            break
        line += byte
    return bytes(line)


def _describe(
    spec: InputSpec,
    header: Y4mHeader,
    frames: int | None,
    start: DecodeStart,
    container: str,
    options: ReadOptions,
) -> VideoInfo:
    layout = layout_of(header.pix_fmt)
    tags = header.tags
    warnings = wording.missing_tags(tags)
    if header.interlaced:
        warnings = (*warnings, wording.interlaced(options))
    return VideoInfo(
        spec=spec,
        width=header.width,
        height=header.height,
        pix_fmt=header.pix_fmt,
        bit_depth=layout.depth,
        chroma=layout.chroma,
        full_range=tags.full_range,
        matrix=tags.matrix,
        primaries=tags.primaries,
        transfer=tags.transfer,
        frame_rate=header.frame_rate,
        frames=frames,
        sample_aspect_ratio=header.sample_aspect_ratio,
        interlaced=header.interlaced,
        codec="rawvideo",
        container=container,
        warnings=warnings,
        start=start,
        assumed=tags.assumed,
    )
