"""A video as probing would describe it, made by hand: 8-bit 4:2:0 in BT.709, but for what is asked for."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

from rankvqa_cli.types import InputSpec, VideoInfo

VIDEO = VideoInfo(
    spec=InputSpec("x"),
    width=64,
    height=48,
    pix_fmt="yuv420p",
    bit_depth=8,
    chroma=(2, 2),
    full_range=False,
    matrix="bt709",
    primaries="bt709",
    transfer="bt709",
    frame_rate=Fraction(25),
    frames=None,
)


def made_video(path: str = "x", **fields: Any) -> VideoInfo:
    """``fields`` are VideoInfo's."""
    return replace(VIDEO, spec=InputSpec(path), **fields)
