"""What a file is, before any of it is compared: size, pixel format, colour, rate, frames. PyAV reads it;
there may be no ffprobe.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from fractions import Fraction

from rankvqa_cli.errors import InputError
from rankvqa_cli.media import wording
from rankvqa_cli.media.container import Stream, read_container
from rankvqa_cli.media.headerless import probe_raw, probe_stdin
from rankvqa_cli.media.limits import check_options, window_of_rate, window_of_times
from rankvqa_cli.media.pixfmt import layout_of
from rankvqa_cli.media.y4m_stream import is_y4m, read_y4m
from rankvqa_cli.types import DecodeStart, InputSpec, ReadOptions, VideoInfo

_SEEKABLE = ("mov", "matroska")
"""Demuxers whose index makes ``-ss`` exact; others are decoded from the start and the unwanted frames
dropped.
"""

_DEFAULT_RATE = Fraction(25)


def probe(spec: InputSpec, options: ReadOptions) -> VideoInfo:
    """Finds out what ``spec`` is and which of its frames ``options`` keep.

    Containers are demuxed to the end (no decoding beyond the first frame), so ``frames`` and ``pts_times``
    are what a whole decode gives. Raises InputError where the file is missing, empty, not video, damaged
    beyond opening, or where nothing of it is left after ``-ss``; UsageError for options that mean nothing.
    """
    check_options(options)
    if spec.path == "-":
        return probe_stdin(spec, options)
    size = _check_file(spec.path)
    if spec.raw is not None:
        info = probe_raw(spec, spec.raw, size, options)
    else:
        read = read_y4m if is_y4m(spec.path) else read_container
        info = _from_stream(spec, read(spec.path, size), options)
    if info.frames == 0:
        raise InputError(f"{spec.path!r} has no frame at or after {options.seek_s:g} s: give a smaller -ss")
    return info


def _check_file(path: str) -> int:
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"{path!r} cannot be opened ({reason}): check the name") from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path!r} is a directory: give a video file")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(
            f"{path!r} is not a regular file: pipe it in and give -i - (y4m, or raw with -f rawvideo)"
        )
    if not os.access(path, os.R_OK):
        raise InputError(f"{path!r} cannot be read (permission denied): change its mode or owner")
    if status.st_size == 0:
        raise InputError(f"{path!r} is empty: make it again")
    return status.st_size


def _from_stream(spec: InputSpec, stream: Stream, options: ReadOptions) -> VideoInfo:
    layout = layout_of(stream.pix_fmt)
    warnings = [*stream.warnings, *wording.missing_tags(stream.tags)]
    assumed = stream.tags.assumed
    rate = stream.rate
    if rate is None:
        rate = _DEFAULT_RATE
        assumed = (*assumed, "rate")
        if stream.frames != 1:
            warnings.append(f"the file says no frame rate: taken as {rate}")
    times, frames, start = _window(stream, rate, options)
    variable = is_variable(times)
    if variable:
        warnings.append("variable frame rate: frame times are uneven")
    if stream.interlaced:
        warnings.append(wording.interlaced(options))
    turned = stream.rotation % 180 == 90
    return VideoInfo(
        spec=spec,
        width=stream.height if turned else stream.width,
        height=stream.width if turned else stream.height,
        pix_fmt=stream.pix_fmt,
        bit_depth=layout.depth,
        chroma=layout.chroma,
        full_range=stream.tags.full_range,
        matrix=stream.tags.matrix,
        primaries=stream.tags.primaries,
        transfer=stream.tags.transfer,
        frame_rate=rate,
        frames=frames,
        pts_times=times,
        sample_aspect_ratio=1 / stream.sample_aspect_ratio if turned else stream.sample_aspect_ratio,
        rotation=stream.rotation,
        interlaced=stream.interlaced,
        variable_frame_rate=variable,
        codec=stream.codec,
        container=stream.container,
        warnings=tuple(warnings),
        start=start,
        assumed=assumed,
    )


def _window(
    stream: Stream, rate: Fraction, options: ReadOptions
) -> tuple[tuple[float, ...], int | None, DecodeStart]:
    """The kept frames' times, how many there are to be, and where decoding starts."""
    if not stream.times:
        first, end = window_of_rate(stream.frames, rate, options)
        frames = None if stream.frames is None or end is None else max(0, min(end, stream.frames) - first)
        return (), frames, _start(stream, first)
    first, end = window_of_times(stream.times, rate, options)
    times = stream.times[first:end]
    if stream.frames is None:
        return times, None, _start(stream, first)
    lost = stream.frames - len(stream.times)
    frames = len(times)
    if lost and end == len(stream.times):
        # What a truncated file has lost would have come next. Its times are lost too, so only -frames bounds it.
        frames += lost if options.frames is None else min(lost, options.frames - frames)
    return times, frames, _start(stream, first)


def _start(stream: Stream, first: int) -> DecodeStart:
    if first == 0:
        return DecodeStart(stream=stream.index)
    if 0 < first < len(stream.times) and stream.container.startswith(_SEEKABLE):
        # Half way between the last frame to drop and the first to keep: no time base can round across that.
        middle = (stream.times[first - 1] + stream.times[first]) / 2
        return DecodeStart(stream=stream.index, seek_s=stream.offset + middle)
    return DecodeStart(stream=stream.index, skip_frames=first)


def is_variable(times: Sequence[float]) -> bool:
    """Whether presentation times (s, sorted) leave an even grid by more than a quarter of a frame anywhere."""
    if len(times) < 3:
        return False
    step = (times[-1] - times[0]) / (len(times) - 1)
    slack = max(0.25 * step, 0.0011)
    return any(abs(time - times[0] - index * step) > slack for index, time in enumerate(times))
