"""Encoders: how FFmpeg makes one encode of a clip and brings it back, the same every time."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rankvqa_cli.errors import InputError
from rankvqa_cli.training.sources import run_ffmpeg


@dataclass(frozen=True)
class Codec:
    """``coarse`` and ``fine`` are the ends of the quality parameter's useful range (lower is better).

    ``any_rate`` is False for a codec that knows few frame rates: it is told 25, which its constant quantiser does
    not look at.
    """

    encoder: str
    quality_option: str
    fine: int
    coarse: int
    options: tuple[str, ...]
    pix_fmt: str = "yuv420p"
    any_rate: bool = True

    @property
    def span(self) -> int:
        return self.coarse - self.fine


CODECS: dict[str, Codec] = {
    "x264": Codec("libx264", "-crf", 12, 51, ("-preset", "fast")),
    "x265": Codec("libx265", "-crf", 12, 51, ("-preset", "fast", "-x265-params", "log-level=none:pools=1")),
    "svtav1": Codec("libsvtav1", "-crf", 14, 63, ("-preset", "8", "-svtav1-params", "lp=1")),
    "vp9": Codec("libvpx-vp9", "-crf", 14, 63, ("-b:v", "0", "-deadline", "good", "-cpu-used", "5")),
    "vvenc": Codec("libvvenc", "-qp", 17, 56, ("-preset", "faster"), "yuv420p10le"),
    "mpeg2": Codec("mpeg2video", "-qscale:v", 2, 31, ("-g", "12", "-bf", "2"), any_rate=False),
    "mjpeg": Codec("mjpeg", "-qscale:v", 4, 31, ("-strict", "unofficial", "-color_range", "tv")),
}

#: The codecs whose ladders every source draws from unless told otherwise; mjpeg comes in as a degradation.
LADDER_CODECS = tuple(name for name in CODECS if name != "mjpeg")

#: Coded sizes against the source's, below the full one.
SIZES = (0.75, 0.5, 0.375, 0.25)


@dataclass(frozen=True)
class Encode:
    """One encode: ``quality`` is the CRF or quantiser, ``scale`` the coded size against the source's, and only each
    ``every``-th frame is coded and then shown ``every`` times."""

    codec: str
    quality: int
    scale: float = 1.0
    every: int = 1


@dataclass(frozen=True)
class Encoded:
    """``frames`` (T, W * H * 3 / 2) uint8 on the source's grid; ``commands`` the arguments of FFmpeg's two runs."""

    frames: NDArray[np.uint8]
    commands: tuple[tuple[str, ...], ...]


def encode_and_decode(
    encode: Encode, clip: NDArray[np.uint8], size: tuple[int, int], rate: Fraction, scratch: Path
) -> Encoded:
    """Encode raw 4:2:0 frames (T, bytes) of ``size`` (width, height) and bring them back to their size and number.

    In ``commands``, SOURCE stands for the raw frames and ENCODED for the file between the two runs. Raises InputError
    where the encode does not decode to as many frames as went in.
    """
    width, height = size
    codec = CODECS[encode.codec]
    raw, encoded = scratch / "source.yuv", scratch / "encode.mkv"
    given = clip[:: encode.every]
    given.tofile(raw)
    coded_rate = rate / encode.every if codec.any_rate else Fraction(25)
    arguments = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{width}x{height}", "-r", str(coded_rate)]
    arguments += ["-i", "SOURCE", "-threads", "1"]
    if encode.scale != 1.0:
        coded_w, coded_h = (max(64, round(side * encode.scale / 2) * 2) for side in size)
        arguments += ["-vf", f"scale={coded_w}:{coded_h}:flags=bicubic"]
    arguments += ["-c:v", codec.encoder, codec.quality_option, str(encode.quality), *codec.options]
    arguments += ["-pix_fmt", codec.pix_fmt, "ENCODED"]
    back = ["-threads", "1", "-i", "ENCODED", "-vf", f"scale={width}:{height}:flags=bicubic,format=yuv420p"]
    back += ["-fps_mode", "passthrough", "-f", "rawvideo", "-"]
    names = {"SOURCE": raw.name, "ENCODED": encoded.name}
    outputs = [
        run_ffmpeg([names.get(part, part) for part in command], subject=str(encode), folder=scratch)
        for command in (arguments, back)
    ]
    decoded = np.frombuffer(outputs[1], np.uint8).reshape(-1, width * height * 3 // 2)
    raw.unlink()
    encoded.unlink()
    if len(decoded) != len(given):
        raise InputError(f"{encode} decodes to {len(decoded)} of {len(given)} frames")
    frames = np.repeat(decoded, encode.every, axis=0)[: len(clip)] if encode.every > 1 else decoded
    return Encoded(frames, (tuple(arguments), tuple(back)))
