"""Distances by place: what the levels of a network say, added up to one map."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def summed(maps: Sequence[Tensor], level: int) -> Tensor:
    """Level maps (N, 1, h_k, w_k), each coarser than the one before, added up at the size of ``maps[level]``:
    (N, h, w) float32. Finer ones are averaged over each place, coarser ones are interpolated."""
    height, width = maps[level].shape[-2:]
    total = torch.zeros_like(maps[level][:, 0], dtype=torch.float32)
    for number, level_map in enumerate(maps):
        if number < level:
            resized = F.adaptive_avg_pool2d(level_map, (height, width))
        else:
            resized = F.interpolate(level_map, (height, width), mode="bilinear")
        total += resized[:, 0]
    return total
