"""Demuxing with PyAV: one pass over the packets, decoding no more than the first frame."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction

import av
import av.error
import av.subtitles.stream  # which it imports with its first file otherwise, when the linker may be busy
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from rankvqa_cli.errors import InputError
from rankvqa_cli.media.colour_tags import ColourTags, read_tags
from rankvqa_cli.media.pixfmt import layout_of

_PLAYLISTS = "concat dash hls imf sdp rtsp rtp rtp_mpegts sap smoothstreaming webm_dash_manifest vobsub"
_SCRIPTS = "avisynth vapoursynth lavfi svg_pipe"
_DEVICES = "alsa fbdev kmsgrab oss video4linux2,v4l2 x11grab xcbgrab pulse jack sndio openal iec61883"
_TEXT = "tty bin xbin adf idf ffmetadata data"
REFUSED_DEMUXERS = frozenset(f"{_PLAYLISTS} {_SCRIPTS} {_DEVICES} {_TEXT}".split())
"""What makes FFmpeg open files that a file names, grab a device, or show a text as pictures."""

_DECODE_ATTEMPTS = 64
_PROGRESSIVE = 1
_UNKNOWN_FIELDS = 0


@dataclass(frozen=True)
class Stream:
    """The video stream that will be scored.

    ``index`` counts video streams only; width and height are before rotation. ``times`` are presentation
    times in seconds from the first frame, sorted, empty without timestamps; ``offset`` is the first frame's
    own timestamp. ``frames`` counts the frames a decode gives, including any that
    the index lists but the file has lost; None where packets are not frames.
    """

    index: int
    width: int
    height: int
    pix_fmt: str
    tags: ColourTags
    rate: Fraction | None
    frames: int | None
    times: tuple[float, ...]
    offset: float
    sample_aspect_ratio: Fraction
    rotation: int
    interlaced: bool
    codec: str
    container: str
    warnings: tuple[str, ...]


def read_container(path: str, size: int) -> Stream:
    """Demuxes ``path`` (``size`` bytes). Raises InputError where it is no container, has no video, or where
    no frame decodes.
    """
    with _opened(path) as container:
        index, stream = _choose(container, path)
        packets, frame = _demux(container, stream, path)
        return _describe(container, stream, index, packets, frame, size)


@contextmanager
def _opened(path: str) -> Iterator[InputContainer]:
    allowed = ",".join(sorted(av.formats_available - REFUSED_DEMUXERS))
    options = {"format_whitelist": allowed, "protocol_whitelist": "file", "pattern_type": "none"}
    try:
        container = av.open(f"file:{path}", mode="r", options=options)
    except (av.error.FFmpegError, ValueError) as error:
        raise InputError(
            f"{path!r} is not a video that FFmpeg can open ({_reason(error)})" + _raw_hint(path)
        ) from error
    with container:
        yield container


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, av.error.FFmpegError) and error.strerror else str(error)


def _raw_hint(path: str) -> str:
    if path.lower().endswith((".yuv", ".rgb", ".raw", ".nv12", ".i420")):
        return ": headerless video needs -f rawvideo -s WxH -pix_fmt F"
    return ": check the file"


def _choose(container: InputContainer, path: str) -> tuple[int, VideoStream]:
    videos = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    if not videos:
        kinds = sorted({stream.type for stream in container.streams})
        what = f"only {', '.join(kinds)}" if kinds else "no streams at all"
        raise InputError(f"{path!r} has no video stream ({what}): give a file with video")
    readable = [stream for stream in videos if _has_decoder(stream)]
    if not readable:
        raise InputError(
            f"{path!r} is in a codec that PyAV has no decoder for: convert it, losslessly, first"
        )
    # FFmpeg's own choice: the largest picture, the first of equals.
    best = max(readable, key=lambda s: (s.codec_context.width * s.codec_context.height, -s.index))
    return list(container.streams.video).index(best), best


def _has_decoder(stream: VideoStream) -> bool:
    context: object = stream.codec_context  # None without a decoder, whatever the annotation says
    return context is not None


@dataclass
class _Packets:
    ticks: list[int]
    count: int = 0
    untimed: int = 0
    untimed_leading: int = 0
    corrupt: int = 0
    ended_early: str = ""


def _demux(container: InputContainer, stream: VideoStream, path: str) -> tuple[_Packets, VideoFrame]:
    packets = _Packets([])
    frame: VideoFrame | None = None
    refusal = ""
    try:
        for packet in container.demux(stream):
            if frame is None and packets.count < _DECODE_ATTEMPTS:
                try:
                    frame = next(iter(packet.decode()), None)
                except av.error.FFmpegError as error:
                    refusal = _reason(error)
            _count(packets, packet)
    except av.error.FFmpegError as error:
        packets.ended_early = _reason(error)
    if frame is None:
        raise InputError(
            f"{path!r} has a video stream that does not decode ({refusal or packets.ended_early or 'no frames'}): "
            "check the file"
        )
    return packets, frame


def _count(packets: _Packets, packet: Packet[VideoStream]) -> None:
    if packet.size == 0 or packet.is_discard or _is_hidden(packet):
        return
    packets.count += 1
    packets.corrupt += packet.is_corrupt
    if packet.pts is None:
        packets.untimed += 1
        packets.untimed_leading += len(packets.ticks) == 1
    else:
        packets.ticks.append(packet.pts)


def _is_hidden(packet: Packet[VideoStream]) -> bool:
    """VP8's alternate reference frames travel as packets of their own; show_frame is bit 4 of the first
    byte (RFC 6386, 9.1).
    """
    return packet.stream.codec_context.name == "vp8" and not bytes(packet)[0] >> 4 & 1


def _describe(
    container: InputContainer,
    stream: VideoStream,
    index: int,
    packets: _Packets,
    frame: VideoFrame,
    size: int,
) -> Stream:
    context = stream.codec_context
    layout = layout_of(frame.format.name)
    tags = read_tags(
        range_code=int(frame.color_range),
        matrix_code=int(frame.colorspace),
        primaries_code=int(frame.color_primaries),
        transfer_code=int(frame.color_trc),
        full_format=layout.full_range,
        rgb=layout.rgb,
        height=frame.height,
    )
    warnings: list[str] = []
    listed, lost = _index(stream, size)
    if lost:
        warnings.append(f"truncated: the file ends before {lost} of the {listed} frames that its index lists")
    elif packets.ended_early:
        warnings.append(f"damaged: demuxing stops after {packets.count} frames ({packets.ended_early})")
    if packets.corrupt:
        warnings.append(f"damaged: {packets.corrupt} corrupt packets")
    dropped = _drop_leading(packets, frame.pts)
    times, offset = _times(packets, stream)
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate
    field_order = int(context.field_order)
    interlaced = frame.interlaced_frame or field_order not in (_PROGRESSIVE, _UNKNOWN_FIELDS)
    uncounted = interlaced and context.name == "h264" and _may_be_fields(packets.untimed, times, rate)
    return Stream(
        index=index,
        width=frame.width,
        height=frame.height,
        pix_fmt=frame.format.name,
        tags=tags,
        rate=Fraction(rate) if rate else None,
        frames=None if uncounted else max(packets.count, listed) - dropped,
        times=() if uncounted else times,
        offset=offset,
        sample_aspect_ratio=Fraction(stream.sample_aspect_ratio or 1),
        rotation=round(frame.rotation) % 360,
        interlaced=interlaced,
        codec=context.codec.canonical_name if hasattr(context.codec, "canonical_name") else context.name,
        container=container.format.name,
        warnings=tuple(warnings),
    )


def _index(stream: VideoStream, size: int) -> tuple[int, int]:
    """(frames listed, of these beyond the end of the file) where the container has an index in front (MP4, MOV)."""
    if not stream.container.format.name.startswith("mov"):
        return 0, 0
    entries = [entry for entry in stream.index_entries if not entry.is_discard]
    return len(entries), sum(1 for entry in entries if entry.pos + entry.size > size)


def _may_be_fields(untimed: int, times: Sequence[float], rate: Fraction | None) -> bool:
    """Whether packets may hold one field each, as H.264 in transport streams does: then they are no count of frames.

    The second field has no timestamp, or one half a frame later.
    """
    if untimed:
        return True
    steps = sorted(b - a for a, b in itertools.pairwise(times))
    return bool(steps and rate) and steps[len(steps) // 2] < 0.75 / float(rate or 1)


def _drop_leading(packets: _Packets, first_shown: int | None) -> int:
    """Takes out the packets that belong before the first frame that decodes, and says how many they are.

    A stream cut at an open GOP begins with a key frame and pictures that refer to what was cut off: they come
    after it, are shown before it, and no decoder gives them. Matroska leaves them without a timestamp.
    """
    if first_shown is None or not packets.ticks:
        return 0
    kept = [tick for tick in packets.ticks if tick >= first_shown]
    dropped = len(packets.ticks) - len(kept)
    packets.ticks = kept
    if packets.untimed and packets.untimed == packets.untimed_leading and kept and min(kept) == first_shown:
        dropped += packets.untimed
        packets.untimed = 0
    return dropped


def _times(packets: _Packets, stream: VideoStream) -> tuple[tuple[float, ...], float]:
    if packets.untimed or not packets.ticks or stream.time_base is None:
        return (), 0.0
    ticks = sorted(packets.ticks)
    base = stream.time_base
    return tuple(float((tick - ticks[0]) * base) for tick in ticks), float(ticks[0] * base)


def coded_bytes(path: str, index: int) -> tuple[int, int]:
    """(bytes, packets) of the video stream ``index``, counted among video streams; nothing is decoded.

    Raises InputError where ``path`` is no container.
    """
    size = packets = 0
    with _opened(path) as container:
        try:
            for packet in container.demux(container.streams.video[index]):
                size += packet.size
                packets += packet.size > 0 and not packet.is_discard and not _is_hidden(packet)
        except av.error.FFmpegError as error:
            raise InputError(f"{path!r} is damaged ({_reason(error)}): make it again") from error
    return size, packets
