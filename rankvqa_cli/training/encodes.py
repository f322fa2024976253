"""Encode ladders: which encodes a source gets, how FFmpeg makes them, and the order that holds by construction."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rankvqa_cli.training.sources import run_ffmpeg


@dataclass(frozen=True)
class Codec:
    """``coarse`` and ``fine`` are the ends of the quality parameter's useful range (lower is better)."""

    encoder: str
    quality_option: str
    fine: int
    coarse: int
    options: tuple[str, ...]


CODECS: dict[str, Codec] = {
    "x264": Codec("libx264", "-crf", 12, 51, ("-preset", "fast")),
    "x265": Codec("libx265", "-crf", 12, 51, ("-preset", "fast", "-x265-params", "log-level=none:pools=1")),
    "svtav1": Codec("libsvtav1", "-crf", 14, 63, ("-preset", "8", "-svtav1-params", "lp=1")),
    "vp9": Codec("libvpx-vp9", "-crf", 14, 63, ("-b:v", "0", "-deadline", "good", "-cpu-used", "5")),
    "mpeg2": Codec("mpeg2video", "-qscale:v", 2, 31, ("-g", "12", "-bf", "2")),
}

SCALES = (1.0, 0.75, 0.5, 0.375, 0.25)


@dataclass(frozen=True)
class Encode:
    """One encode of a source: ``scale`` is the coded size against the source's, ``quality`` the CRF or quantiser."""

    codec: str
    quality: int
    scale: float

    def is_better_than(self, other: Encode) -> bool:
        """True where the order holds by construction: same codec, same coded size, clearly finer quantiser."""
        return self.codec == other.codec and self.scale == other.scale and self.quality + 3 <= other.quality


def draw_ladders(rng: np.random.Generator, ladders: int, rungs: int) -> list[Encode]:
    """``ladders`` codec and size combinations, each with ``rungs`` qualities spread over the codec's range.

    The first half keeps the source's size; codecs come in random order before any repeats.
    """
    names: list[str] = []
    while len(names) < ladders:
        names += [str(name) for name in rng.permutation(list(CODECS))]
    encodes = []
    for i, name in enumerate(names[:ladders]):
        scale = 1.0 if i < (ladders + 1) // 2 else float(rng.choice(SCALES[1:]))
        codec = CODECS[name]
        coarse = codec.coarse if scale == 1.0 else codec.coarse - (codec.coarse - codec.fine) // 4
        edges = np.linspace(codec.fine, coarse, rungs + 1)
        qualities = [int(rng.uniform(low, high)) for low, high in pairwise(edges)]
        encodes += [Encode(name, quality, scale) for quality in qualities]
    return encodes


def encode_and_decode(
    encode: Encode, source: Path, size: tuple[int, int], rate: int, scratch: Path
) -> tuple[NDArray[np.uint8], list[str]]:
    """Encode raw 4:2:0 video and bring it back to its size: (frames, bytes a frame) uint8, and FFmpeg's arguments."""
    width, height = size
    coded_w, coded_h = (max(16, round(side * encode.scale / 2) * 2) for side in size)
    codec = CODECS[encode.codec]
    encoded = scratch / "encode.mkv"
    arguments = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{width}x{height}", "-r", str(rate)]
    arguments += ["-i", str(source), "-threads", "1"]
    if encode.scale != 1.0:
        arguments += ["-vf", f"scale={coded_w}:{coded_h}:flags=bicubic"]
    arguments += [
        "-c:v",
        codec.encoder,
        codec.quality_option,
        str(encode.quality),
        *codec.options,
        "-pix_fmt",
        "yuv420p",
    ]
    run_ffmpeg([*arguments, str(encoded)], subject=f"{encode}")
    data = run_ffmpeg(
        ["-threads", "1", "-i", str(encoded), "-vf", f"scale={width}:{height}:flags=bicubic,format=yuv420p"]
        + ["-fps_mode", "passthrough", "-f", "rawvideo", "-"],
        subject=f"{encode}",
    )
    encoded.unlink()
    shown = [part if part != str(source) else "SOURCE" for part in arguments]
    return np.frombuffer(data, np.uint8).reshape(-1, width * height * 3 // 2), shown
