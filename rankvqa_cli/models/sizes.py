"""Pictures at other sizes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def halved(x: Tensor) -> Tensor:
    """(..., H, W) at half its size (area mean), without the last row and column of odd sizes. Five times as fast as
    ``avg_pool2d`` on a few planes."""
    height, width = (size // 2 * 2 for size in x.shape[-2:])
    rows = x[..., :height:2, :width] + x[..., 1:height:2, :width]
    return (rows[..., ::2] + rows[..., 1::2]) / 4


#: Integers that hold two code values side by side, or sums of 64 of them.
WIDER = {torch.uint8: torch.int16, torch.uint16: torch.int32}


def halved_codes(codes: Tensor) -> Tensor:
    """``halved`` of code values, uint8 or uint16 (..., H, W): the same numbers, float32, in half the time. Neighbours
    in a row are read as one integer."""
    *apart, step = codes.stride()
    if codes.shape[-1] % 2 or step != 1 or any(each % 2 for each in (codes.storage_offset(), *apart)):
        return halved(codes.to(torch.float32))
    bits = 8 * codes.element_size()
    pairs = codes[..., : codes.shape[-2] // 2 * 2, :].view(WIDER[codes.dtype])
    low, high = pairs & ((1 << bits) - 1), (pairs >> bits).bitwise_and_((1 << bits) - 1)
    sums = low.add_(high)
    return (sums[..., ::2, :] + sums[..., 1::2, :]).to(torch.float32).div_(4)


def mirrored(x: Tensor, least: int) -> Tensor:
    """``x`` (..., H, W) continued by mirroring to at least ``least`` each way; itself where it is large enough."""
    for axis in (-2, -1):
        size = x.shape[axis]
        if size < least:
            there_and_back = torch.cat([torch.arange(size), torch.arange(size).flip(0)])
            order = there_and_back.repeat(-(-least // (2 * size)))[:least]
            x = x.index_select(x.dim() + axis, order.to(x.device))
    return x


#: A screen is at most so many times as long as it has lines: what is narrower is not enlarged beyond it.
LONGEST_SCREEN = 4


def on_screen(x: Tensor, lines: int) -> Tensor:
    """(T, 3, H, W) in 0 to 1 with its shorter side brought to ``lines`` (bicubic), or, of a very narrow picture that
    is smaller, its longer side to LONGEST_SCREEN times that; itself where ``lines`` is 0."""
    if lines == 0:
        return x
    while min(x.shape[-2:]) >= 2 * lines:
        x = halved(x)
    height, width = x.shape[-2:]
    scale = lines / min(height, width)
    if scale > 1:
        scale = min(scale, max(1.0, LONGEST_SCREEN * lines / max(height, width)))
    if scale == 1:
        return x
    size = (round(height * scale), round(width * scale))
    return F.interpolate(x, size=size, mode="bicubic", antialias=scale < 1).clamp_(0, 1)
