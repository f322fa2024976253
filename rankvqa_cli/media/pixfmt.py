"""Pixel formats: what FFmpeg's names mean, and which planar formats frames are delivered in."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from av.video.format import VideoFormat
from av.video.format import names as format_names  # type: ignore[attr-defined]

from rankvqa_cli.errors import UsageError

DELIVERED_DEPTHS = (8, 10, 12, 16)
_LAYOUT_NAMES: dict[tuple[int, int] | None, str] = {
    None: "gray",
    (2, 2): "yuv420p",
    (2, 1): "yuv422p",
    (1, 1): "yuv444p",
}
_CHROMA_WORDS: dict[tuple[int, int] | None, str] = {
    None: "4:0:0",
    (2, 2): "4:2:0",
    (2, 1): "4:2:2",
    (1, 1): "4:4:4",
    (1, 2): "4:4:0",
    (4, 1): "4:1:1",
    (4, 4): "4:1:0",
}


@dataclass(frozen=True)
class PixelLayout:
    """``depth`` is bits a sample (32 for float); ``chroma`` the subsampling divisors (1, 1 for RGB), None
    for luma only.

    ``rgb`` also covers palettes, Bayer and XYZ: whatever has to be converted to become luma and chroma.
    """

    depth: int
    chroma: tuple[int, int] | None
    rgb: bool = False
    alpha: bool = False
    full_range: bool = False


def layout_of(pix_fmt: str) -> PixelLayout:
    """What ``pix_fmt`` means. Raises UsageError, with near names, where FFmpeg knows no such format."""
    try:
        format = VideoFormat(pix_fmt, 16, 16)
    except ValueError as error:
        near = difflib.get_close_matches(pix_fmt, sorted(format_names), n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "yuv420p is the usual one"
        raise UsageError(f"unknown pixel format {pix_fmt!r}: {hint}") from error
    components = format.components
    colour = [c for c in components if not c.is_alpha]
    if not colour:
        raise UsageError(f"{pix_fmt!r} is not a format of pixels in memory: yuv420p is the usual one")
    alpha = len(colour) < len(components)
    depth = max(c.bits for c in colour)
    if format.has_palette:
        return PixelLayout(8, (1, 1), rgb=True)
    if format.is_rgb or pix_fmt.startswith("xyz"):
        return PixelLayout(_bayer_depth(pix_fmt) or depth, (1, 1), rgb=True, alpha=alpha)
    if len(colour) == 1:
        return PixelLayout(depth, None, alpha=alpha)
    chroma = (16 // format.chroma_width(16), 16 // format.chroma_height(16))
    return PixelLayout(depth, chroma, alpha=alpha, full_range=pix_fmt.startswith("yuvj"))


def _bayer_depth(pix_fmt: str) -> int | None:
    """FFmpeg counts the bits of a Bayer sample by colour; the sample is what has a depth."""
    if not pix_fmt.startswith("bayer"):
        return None
    return 8 if pix_fmt.endswith("8") else 16


def delivered_depth(depth: int) -> int:
    """The smallest delivered bit depth (8, 10, 12, 16) that holds ``depth``; deeper and float samples
    become 16.
    """
    return next((d for d in DELIVERED_DEPTHS if d >= depth), 16)


def delivered_pix_fmt(chroma: tuple[int, int] | None, depth: int) -> str:
    """FFmpeg's name of the planar format with ``chroma`` out of 4:0:0, 4:2:0, 4:2:2, 4:4:4 and a delivered
    ``depth``.
    """
    return _LAYOUT_NAMES[chroma] + ("" if depth == 8 else f"{depth}le")


def delivered_chroma(layout: PixelLayout) -> tuple[int, int] | None:
    """The chroma layout that ``layout`` is delivered in as a reference: its own where it is a common one,
    else 4:4:4.
    """
    return layout.chroma if layout.chroma in _LAYOUT_NAMES else (1, 1)


def chroma_words(chroma: tuple[int, int] | None) -> str:
    """``4:2:0`` and the like."""
    return _CHROMA_WORDS.get(chroma, str(chroma))
