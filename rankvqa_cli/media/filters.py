"""The filter graph that turns what a decoder gives into the planned frame format."""

from __future__ import annotations

from rankvqa_cli.media.pixfmt import layout_of
from rankvqa_cli.media.plan import source_colour
from rankvqa_cli.types import PlannedInput, ReadOptions

_ACCURATE = "+accurate_rnd+full_chroma_int+full_chroma_inp"


def filter_chain(planned: PlannedInput, options: ReadOptions, *, scaler: str = "bicubic") -> list[str]:
    """Filter descriptions in order: drop leading frames, deinterlace, scale and convert, force the format.

    ``scaler`` is the scaling algorithm in libswscale's words. A video that already has the planned format
    passes untouched.
    """
    info, target = planned.info, planned.format
    layout = layout_of(info.pix_fmt)
    chain: list[str] = []
    if info.start.skip_frames:
        chain.append(f"trim=start_frame={info.start.skip_frames}")
    if options.deinterlace:
        # Progressive frames pass: bwdif looks at each frame's own flag.
        chain.append("bwdif=mode=send_frame:deint=interlaced")
    full_range, matrix = source_colour(info, target)
    same = (
        (info.width, info.height) == (target.width, target.height)
        and (layout.chroma, layout.depth, layout.rgb) == (target.chroma, target.bit_depth, False)
        and (full_range, matrix) == (target.full_range, target.matrix)
        and info.pix_fmt.removeprefix("yuvj") == target.pix_fmt.removeprefix("yuv")
    )
    if same:
        return chain or ["null"]
    ranges = {True: "full", False: "limited"}
    scale = [
        f"w={target.width}",
        f"h={target.height}",
        f"flags={scaler}{_ACCURATE}",
        f"out_range={ranges[target.full_range]}",
    ]
    scale.append(f"out_color_matrix={target.matrix}")
    if not layout.rgb:
        scale += [f"in_range={ranges[full_range]}", f"in_color_matrix={matrix}"]
    return [*chain, "scale=" + ":".join(scale), f"format={target.pix_fmt}"]
