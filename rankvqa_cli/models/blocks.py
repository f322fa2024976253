"""Filters on blocks of planes that do not overlap, laid out once for all frames, and the same filters on low-passed
planes without making those."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from rankvqa_cli.models.compute import has_amx

#: Side of the blocks whose means a low-passed picture keeps, and of what the filters of differences see.
BLOCK = 4
#: Channels that one tile of AMX multiplies at a time.
AMX_CHANNELS = 32
#: Bilinear interpolation between the means of neighbouring blocks: for each row (or column) of a block, the shares of
#: the blocks before, of its own, and after.
INTERPOLATION = ((0.375, 0.625, 0.0), (0.125, 0.875, 0.0), (0.0, 0.875, 0.125), (0.0, 0.625, 0.375))


class Filters(NamedTuple):
    """Filters (O, C, B, B) on blocks of planes (N, C, H, W), laid out as ``seen_by`` applies them: ``taps`` of every
    channel, and ``bias``, for ``together`` blocks of ``side`` pixels side by side."""

    taps: tuple[Tensor, ...]
    bias: Tensor | None
    side: int
    together: int


class Softened(NamedTuple):
    """What filters see of low-passed planes (models.reserve), from the means of 4x4 blocks: ``taps`` (C * means around,
    O) and ``bias`` (O,), both float32, of blocks of ``means`` means a side."""

    taps: Tensor
    bias: Tensor | None
    means: int


def laid_out(filters: Tensor, bias: Tensor | None = None) -> Filters:
    """``filters`` (O, C, B, B), for planes of their dtype, and their ``bias`` (O,)."""
    outputs, channels, side = filters.shape[:3]
    together = _side_by_side(filters, side)
    taps = filters.transpose(2, 3)  # (O, C, column, row)
    if together > 1:  # every block's outputs see its own columns
        apart = torch.eye(together, dtype=filters.dtype, device=filters.device)
        taps = torch.einsum("ab,ocsr->aocbsr", apart, taps)
        taps = taps.reshape(together * outputs, channels, together * side, side)
    each = tuple(taps[:, channel].unsqueeze(3) for channel in range(channels))
    return Filters(each, None if bias is None else bias.repeat(together), side, together)


def seen_by(planes: Tensor, filters: Filters) -> Tensor:
    """Blocks of ``planes`` (N, C, H, W) through O filters, side by side: (N, O, H/B, W/B).

    Neighbours in a row are taken as channels, which they are in memory: a convolution of single-channel pictures takes
    twice as long for the same products. They are those of one block, or of several where ``_side_by_side`` says so.
    """
    taps, bias, side, together = filters
    blocks = planes.shape[-1] // side
    if blocks % together:
        planes = F.pad(planes, (0, (-blocks % together) * side))
    n, channels, height, width = planes.shape
    by_row = planes.view(n, channels, height, width // (together * side), together * side)
    found: Tensor | None = None
    for channel, own in enumerate(taps):
        seen = by_row[:, channel].permute(0, 3, 1, 2)
        part = F.conv2d(seen, own, bias if found is None else None, stride=(side, 1))
        found = part if found is None else found.add_(part)
    assert found is not None
    if together == 1:
        return found
    rows = found.permute(0, 2, 3, 1).reshape(n, height // side, width // side, -1)
    return rows[:, :, :blocks].permute(0, 3, 1, 2)


def _side_by_side(filters: Tensor, side: int) -> int:
    """How many blocks of a row, for ``filters`` as large as ``side`` and planes of their dtype, are one place of a
    convolution.

    One, but for products in bfloat16 on CPUs with AMX. There oneDNN 3.12 (PyTorch 2.13) gets convolutions wrong, by as
    much as their results, that have as large a stride as filter and 8 to 24 channels, at most widths; and with 32
    channels it takes a fifth to two fifths less time.
    """
    if filters.device.type != "cpu" or not has_amx():
        return 1
    half = filters.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu")
    return AMX_CHANNELS // side if half else 1


def with_means(filters: Tensor) -> Filters:
    """4x4 ``filters`` (O, C, 4, 4) and, after them, the mean of each plane's block, in float32."""
    averages = torch.eye(filters.shape[1], device=filters.device)[:, :, None, None] / BLOCK**2
    return laid_out(torch.cat([filters.float(), averages.expand(-1, -1, BLOCK, BLOCK)]))


def softened(filters: Tensor, bias: Tensor | None = None) -> Softened:
    """``filters`` (O, C, B, B) of low-passed planes: the low-passed picture is interpolated between means, so what
    filters see of a block depends on its own means and their neighbours."""
    count = filters.shape[-1] // BLOCK
    between = torch.zeros(count * BLOCK, count + 2)  # (row of the filter, mean)
    for block in range(count):
        between[block * BLOCK : (block + 1) * BLOCK, block : block + 3] = torch.tensor(INTERPOLATION)
    between = between.to(filters.device)
    taps = torch.einsum("ra,ocrs,sb->ocab", between, filters.float(), between).flatten(1).t()
    return Softened(taps, None if bias is None else bias.float(), count)


def lost_to_low_pass(planes: Tensor, seen: Filters, kept: Softened) -> tuple[Tensor, Tensor]:
    """What 4x4 filters see of ``planes`` less ``low_passed(planes)``, and the means (N, C, H/4, W/4) of the 4x4
    blocks, both float32: ``seen`` of the planes (``with_means``), ``kept`` of the low-passed."""
    channels = planes.shape[1]
    found = seen_by(planes.float(), seen)
    whole, means = found[:, :-channels], found[:, -channels:]
    return whole - soft_blocks(means, kept), means


def soft_blocks(means: Tensor, filters: Softened) -> Tensor:
    """``seen_by`` of low-passed planes, float32, from the ``means`` of 4x4 blocks."""
    taps, bias, count = filters
    around = F.pad(means, (1, 1, 1, 1), mode="replicate")
    # As a product of matrices, since a convolution of so few channels is slow, and to lie in memory as seen_by's does.
    columns = F.unfold(around, count + 2, stride=count).transpose(1, 2)  # (N, places, C * taps)
    found = torch.matmul(columns, taps)
    if bias is not None:
        found = found + bias
    return torch.unflatten(found, 1, (means.shape[2] // count, -1)).permute(0, 3, 1, 2)
