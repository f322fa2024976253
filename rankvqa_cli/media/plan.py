"""The comparison plan: in which common form all inputs are delivered, and what is done to each on the way,
in words.
"""

from __future__ import annotations

from collections.abc import Sequence

from rankvqa_cli.errors import InputError, UsageError
from rankvqa_cli.media.colour_tags import HDR_TRANSFERS, computed_matrix
from rankvqa_cli.media.pairing import Pairing, pair
from rankvqa_cli.media.pixfmt import (
    chroma_words,
    delivered_chroma,
    delivered_depth,
    delivered_pix_fmt,
    layout_of,
)
from rankvqa_cli.media.wording import quoted
from rankvqa_cli.types import ComparisonPlan, FrameFormat, PlannedInput, ReadOptions, VideoInfo

_RGB_MATRIX = "bt709"
_DEFAULT_TRANSFER = "bt709"


def make_plan(
    reference: VideoInfo | None,
    inputs: Sequence[VideoInfo],
    options: ReadOptions,
    *,
    allow_short: bool = False,
) -> ComparisonPlan:
    """Decides how ``inputs`` are compared with ``reference``, or delivered alone where there is none.

    With a reference every input is scaled to its size and brought to its range, matrix and chroma layout;
    the bit depth is the deepest of them all. Raises InputError where they cannot be compared (SDR against
    HDR, PQ against HLG, unequal lengths without ``allow_short``, a matrix that cannot be computed) and
    UsageError where stdin is named twice.
    """
    everything = [*([] if reference is None else [reference]), *inputs]
    if sum(info.spec.path == "-" for info in everything) > 1:
        raise UsageError("stdin (-) can be only one of the inputs: give files for the others")
    if reference is None:
        return ComparisonPlan(
            None, tuple(_plan_one(info, _target(info, ()), Pairing(), options) for info in inputs)
        )
    for info in inputs:
        _check_transfer(reference, info)
    target = _target(reference, inputs)
    planned_reference = _plan_one(reference, target, Pairing(), options)
    planned = [
        _plan_one(info, target, pair(reference, info, allow_short=allow_short), options, reference=reference)
        for info in inputs
    ]
    return ComparisonPlan(planned_reference, tuple(planned))


def source_colour(info: VideoInfo, target: FrameFormat) -> tuple[bool, str]:
    """(full range, matrix to compute with) as which the samples of ``info`` are read on their way to
    ``target``.

    What no tag says is taken to be as in ``target``: an encode that lost its tags was made of the same
    samples. Only the range of coded video is limited where it is not said, as H.264 and HEVC define it.
    """
    matrix = target.matrix if "matrix" in info.assumed else computed_matrix(info.matrix) or target.matrix
    full_range = (
        target.full_range if "range" in info.assumed and info.codec == "rawvideo" else info.full_range
    )
    return full_range, matrix


def _target(reference: VideoInfo, inputs: Sequence[VideoInfo]) -> FrameFormat:
    layout = layout_of(reference.pix_fmt)
    chroma = delivered_chroma(layout)
    depth = delivered_depth(max(info.bit_depth for info in (reference, *inputs)))
    full_range, matrix = reference.full_range, reference.matrix
    if layout.rgb:
        full_range, matrix = True, _RGB_MATRIX
    others = [info for info in inputs if not layout_of(info.pix_fmt).rgb]
    if not layout.rgb and "matrix" in reference.assumed:
        matrix = next((info.matrix for info in others if "matrix" not in info.assumed), matrix)
    if "range" in reference.assumed and reference.codec == "rawvideo":
        full_range = next((info.full_range for info in others if "range" not in info.assumed), full_range)
    computed = computed_matrix(matrix)
    if computed is None:
        raise _uncomputable(reference, matrix)
    return FrameFormat(
        width=reference.width,
        height=reference.height,
        pix_fmt=delivered_pix_fmt(chroma, depth),
        bit_depth=depth,
        chroma=chroma,
        full_range=full_range,
        matrix=computed,
        transfer=reference.transfer if reference.transfer in HDR_TRANSFERS else _DEFAULT_TRANSFER,
    )


def _check_transfer(reference: VideoInfo, info: VideoInfo) -> None:
    ours, theirs = (HDR_TRANSFERS.get(video.transfer) for video in (reference, info))
    if ours != theirs:
        raise InputError(
            f"{quoted(info.spec.path)} is {theirs or 'SDR'} ({info.transfer}) but the reference "
            f"{quoted(reference.spec.path)} is {ours or 'SDR'} ({reference.transfer}): "
            "convert one of them (FFmpeg's zscale and tonemap) before comparing"
        )


def _plan_one(
    info: VideoInfo,
    target: FrameFormat,
    pairing: Pairing,
    options: ReadOptions,
    *,
    reference: VideoInfo | None = None,
) -> PlannedInput:
    matrix = computed_matrix(info.matrix)
    if matrix is None and not layout_of(info.pix_fmt).rgb:
        raise _uncomputable(info, info.matrix)
    steps = (*_steps(info, target, options), *pairing.steps)
    warnings = (*_colour_warnings(info, target, reference), *pairing.warnings)
    return PlannedInput(info, target, steps, pairing.frames, warnings)


def _steps(info: VideoInfo, target: FrameFormat, options: ReadOptions) -> tuple[str, ...]:
    layout = layout_of(info.pix_fmt)
    full_range, matrix = source_colour(info, target)
    steps: list[str] = []
    if info.rotation:
        steps.append(f"rotated by {info.rotation} degrees, as its metadata says")
    if options.deinterlace and info.interlaced:
        steps.append("deinterlaced (bwdif)")
    if layout.alpha:
        steps.append("alpha dropped")
    if (info.width, info.height) != (target.width, target.height):
        steps.append(f"scaled from {info.width}x{info.height} to {target.width}x{target.height} (bicubic)")
    if layout.rgb:
        steps.append(
            f"converted from RGB ({info.pix_fmt}) to {_range_word(target.full_range)}-range {target.matrix}"
        )
    elif layout.chroma != target.chroma:
        steps.append(f"chroma from {chroma_words(layout.chroma)} to {chroma_words(target.chroma)}")
    if layout.depth != target.bit_depth:
        steps.append(f"bit depth from {layout.depth} to {target.bit_depth}")
    if not layout.rgb:
        if full_range != target.full_range:
            steps.append(f"range from {_range_word(full_range)} to {_range_word(target.full_range)}")
        if layout.chroma is not None and target.chroma is not None and matrix != target.matrix:
            steps.append(f"matrix from {matrix} to {target.matrix}")
    return tuple(steps)


def _colour_warnings(info: VideoInfo, target: FrameFormat, reference: VideoInfo | None) -> tuple[str, ...]:
    warnings: list[str] = []
    full_range, matrix = source_colour(info, target)
    if not layout_of(info.pix_fmt).rgb:
        if matrix != computed_matrix(info.matrix):
            warnings.append(f"no matrix tag: read as {matrix}, like what it is compared with")
        if full_range != info.full_range:
            warnings.append(
                f"no range tag: read as {_range_word(full_range)} range, like what it is compared with"
            )
    if info.matrix in {"bt2020c", "chroma-derived-c"}:
        warnings.append("constant-luminance matrix: computed as the non-constant one")
    hdr = HDR_TRANSFERS.get(info.transfer)
    if hdr is not None:
        warnings.append(
            f"{hdr} video: the models were trained on SDR, take the score as an order, not as an opinion"
        )
    if reference is None:
        return tuple(warnings)
    if info.sample_aspect_ratio != reference.sample_aspect_ratio:
        warnings.append(
            f"sample aspect ratio {_ratio(info)} against {_ratio(reference)}: pixels are compared as stored"
        )
    if _tagged_primaries(info, reference) and info.primaries != reference.primaries:
        warnings.append(
            f"primaries {info.primaries} against the reference's {reference.primaries}: not converted"
        )
    return tuple(warnings)


def _uncomputable(info: VideoInfo, matrix: str) -> InputError:
    return InputError(
        f"{quoted(info.spec.path)} has the colour matrix {matrix}: convert it to bt709 or bt2020nc"
    )


def _tagged_primaries(*infos: VideoInfo) -> bool:
    return all("primaries" not in info.assumed for info in infos)


def _ratio(info: VideoInfo) -> str:
    return f"{info.sample_aspect_ratio.numerator}:{info.sample_aspect_ratio.denominator}"


def _range_word(full: bool) -> str:
    return "full" if full else "limited"
