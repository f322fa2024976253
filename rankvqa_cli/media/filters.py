"""The filter graph that turns what a decoder gives into the planned frame format."""

from __future__ import annotations

from collections.abc import Sequence

from rankvqa_cli.media.pixfmt import PixelLayout, delivered_depth, delivered_pix_fmt, layout_of
from rankvqa_cli.media.plan import source_colour
from rankvqa_cli.types import FrameFormat, PlannedInput, ReadOptions, VideoInfo

_ACCURATE = "+accurate_rnd+full_chroma_int+full_chroma_inp"
_SUBSAMPLED = (2, 2)
_RANGES = {True: "full", False: "limited"}


def filter_chain(
    planned: PlannedInput, options: ReadOptions, *, scaler: str = "bicubic", chosen: Sequence[str] = ()
) -> list[str]:
    """Filter descriptions in order: drop leading frames, deinterlace, pass on those that are ``chosen``, scale and
    convert, force the format.

    ``scaler`` is the scaling algorithm in libswscale's words. A video that already has the planned format
    passes untouched. libswscale takes gray for full range whatever it is told, so luma goes in and out of
    it as the luma of YUV.
    """
    info, target = planned.info, planned.format
    layout = layout_of(info.pix_fmt)
    chain = leading_frames(info)
    if options.deinterlace:
        # Progressive frames pass: bwdif looks at each frame's own flag.
        chain.append("bwdif=mode=send_frame:deint=interlaced")
    chain += chosen
    if not _is_delivered(info, layout, target):
        chain += _conversion(info, layout, target, scaler)
    return chain or ["null"]


def leading_frames(info: VideoInfo) -> list[str]:
    """What drops the frames before the first."""
    return [f"trim=start_frame={info.start.skip_frames}"] if info.start.skip_frames else []


def _is_delivered(info: VideoInfo, layout: PixelLayout, target: FrameFormat) -> bool:
    """Whether the decoder's frames are already what is to be delivered (the yuvj names differ, not the bytes)."""
    return (
        _same_samples(info, layout, target)
        and layout.chroma == target.chroma
        and info.pix_fmt.replace("yuvj", "yuv") == target.pix_fmt
    )


def _same_samples(info: VideoInfo, layout: PixelLayout, target: FrameFormat) -> bool:
    """Whether size, depth, range and, for colour, matrix are the target's."""
    full_range, matrix = source_colour(info, target)
    return (
        (info.width, info.height) == (target.width, target.height)
        and not layout.rgb
        and layout.depth == target.bit_depth
        and full_range == target.full_range
        and (matrix == target.matrix or None in (layout.chroma, target.chroma))
    )


def _conversion(info: VideoInfo, layout: PixelLayout, target: FrameFormat, scaler: str) -> list[str]:
    chain: list[str] = []
    if layout.chroma is None:
        # Full to full changes no luma code; chroma becomes neutral.
        same_depth = delivered_pix_fmt(_SUBSAMPLED, delivered_depth(layout.depth))
        chain += ["scale=in_range=full:out_range=full", f"format={same_depth}"]
    full_range, matrix = source_colour(info, target)
    scale = [
        f"w={target.width}",
        f"h={target.height}",
        f"flags={scaler}{_ACCURATE}",
        f"out_range={_RANGES[target.full_range]}",
        f"out_color_matrix={target.matrix}",
    ]
    if not layout.rgb:
        scale += [f"in_range={_RANGES[full_range]}", f"in_color_matrix={matrix}"]
    chain.append("scale=" + ":".join(scale))
    if target.chroma is not None:
        return [*chain, f"format={target.pix_fmt}"]
    return [*chain, f"format={delivered_pix_fmt(_SUBSAMPLED, target.bit_depth)}", "extractplanes=y"]
