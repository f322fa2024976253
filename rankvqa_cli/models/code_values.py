"""From a clip's native planes to what PatchNet sees: code values less the middle one, 4:2:0, padded to whole blocks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from rankvqa_cli.models.contract import Clip
from rankvqa_cli.models.patchnet import Units
from rankvqa_cli.types import FrameFormat

#: Luma sides are padded (by repeating the edge) to a multiple of this.
ALIGNMENT = 16


def units_of(format: FrameFormat) -> Units:
    """From code values less the middle one, 2^(depth - 1), to the network's units: nominal luma and chroma, each -2 to
    2.

    Nominal ranges are those of ITU-R BT.709 and BT.2100: 219 and 224 steps at 8 bits in limited range.
    """
    unit = float(2 ** (format.bit_depth - 8))
    peak = float(2**format.bit_depth - 1)
    black, swing = (0.0, peak) if format.full_range else (16 * unit, 219 * unit)
    chroma_swing = peak if format.full_range else 224 * unit
    return Units(4 / swing, black + swing / 2 - 128 * unit, 4 / chroma_swing)


def planes_of(clip: Clip, chunk: slice, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Frames of a clip: luma (N, 1, H, W) and chroma (N, 2, H/2, W/2), code values less the middle one, padded."""
    height, width = (-(-side // ALIGNMENT) * ALIGNMENT for side in clip.luma.shape[-2:])
    depth = clip.format.bit_depth
    luma = _padded([_centred(clip.luma[chunk].to(device), depth)], height, width, dtype)
    if clip.cb is None or clip.cr is None or clip.format.chroma is None:
        return luma, luma.new_zeros((len(luma), 2, height // 2, width // 2))
    chroma = [_centred(plane[chunk].to(device), depth) for plane in (clip.cb, clip.cr)]
    if clip.format.chroma != (2, 2):
        chroma = [_subsampled(plane.float(), clip.format.chroma) for plane in chroma]
    return luma, _padded(chroma, height // 2, width // 2, dtype)


def _padded(planes: Sequence[Tensor], height: int, width: int, dtype: torch.dtype) -> Tensor:
    """Planes (N, h, w) side by side as (N, planes, height, width), the last column and row repeated."""
    frames, h, w = planes[0].shape
    found = torch.empty((frames, len(planes), height, width), dtype=dtype, device=planes[0].device)
    for number, plane in enumerate(planes):
        found[:, number, :h, :w] = plane
    if w < width:
        found[..., :h, w:] = found[..., :h, w - 1 : w]
    if h < height:
        found[..., h:, :] = found[..., h - 1 : h, :]
    return found


def _centred(plane: Tensor, depth: int) -> Tensor:
    """Code values less the middle one: of a large constant, rounding would leave more than of what it is added to."""
    if depth == 8:
        return plane.bitwise_xor(128).view(torch.int8)
    return plane.float().sub_(2 ** (depth - 1))


def _subsampled(plane: Tensor, chroma: tuple[int, int]) -> Tensor:
    """A chroma plane (N, h, w) of any subsampling to 4:2:0 by area mean."""
    kernel = (2 if chroma[1] == 1 else 1, 2 if chroma[0] == 1 else 1)
    if kernel == (1, 1):
        return plane
    return F.avg_pool2d(plane.unsqueeze(1), kernel, ceil_mode=True, count_include_pad=False).squeeze(1)
