"""What a content could lose: the yardstick by which distances of different contents become comparable.

A sharp, detailed picture is not worse than a soft one because more of it can be missed. So what a distorted clip
differs by is measured against the reference's *reserve*, what its own low-passed version differs by, feature by
feature. The logarithms of these ratios are averaged: no strong feature drowns the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Where the learning of ``Readout``'s floors begins: below this, a difference counts as none.
START_FLOOR = 1e-3


#: How suddenly a distance falls to 0 where no feature differs by more than its floor.
SHARPNESS = 4.0


def low_passed(x: Tensor) -> Tensor:
    """(N, C, h, w) reduced by 4 (area mean) and brought back (bilinear): what a quarter of the size keeps of it."""
    small = F.avg_pool2d(x, 4, ceil_mode=True, count_include_pad=False)
    return F.interpolate(small, size=x.shape[-2:], mode="bilinear", align_corners=False)


class Readout(nn.Module):
    """Differences of many features to one distance D >= 0, which is 0 where all of them are 0 and rises with each.

    G(e) = prod_k ((e_k + f_k) / (r_k + f_k)) ** w_k is a weighted geometric mean of differences ``e`` over reserves
    ``r``, with learned floors f > 0 and weights w > 0. D = G(e) (1 - (G(0) / G(e)) ** 4): G itself, but for differences
    so small that it nears what it is without any, and 0 there. ``groups`` counts the features of each group; groups
    begin with equal shares, or with ``shares``, all weights with a sum of 1. A group has one floor.
    """

    def __init__(self, groups: Sequence[int], shares: Sequence[float] | None = None) -> None:
        super().__init__()
        self.groups = tuple(groups)
        begin = [1.0] * len(self.groups) if shares is None else shares
        weights = [
            torch.full((count,), share / (count * sum(begin)))
            for count, share in zip(self.groups, begin, strict=True)
        ]
        self.log_weight = nn.Parameter(torch.cat(weights).log())
        self.log_floor = nn.Parameter(torch.full((len(self.groups),), START_FLOOR).log())

    def log_ratios(self, energy: Tensor, reserve: Tensor) -> Tensor:
        """log((e + f) / (r + f)) of every feature: two (..., K) float32 -> (..., K)."""
        floor = self._floor()
        return torch.log(energy + floor) - torch.log(reserve + floor)

    def forward(self, energy: Tensor, reserve: Tensor) -> Tensor:
        """(B, K) float32, and (B, K) or (1, K) -> distances (B,)."""
        weight = self.log_weight.exp()
        nothing = torch.zeros_like(energy)
        seen = (self.log_ratios(energy, reserve) * weight).sum(dim=-1)
        unseen = (self.log_ratios(nothing, reserve) * weight).sum(dim=-1)
        # The same arithmetic on both sides, so that e = 0 gives 0 to the bit.
        return seen.exp() * (1 - (SHARPNESS * (unseen - seen)).exp()).clamp_min(0)

    def shares(self, reserve: Tensor) -> Tensor:
        """What a unit of each feature's difference adds to the weighted mean of the ratios: (K,) -> (K,)."""
        return self.log_weight.exp() / (reserve + self._floor())

    def _floor(self) -> Tensor:
        # By expanding: repeat_interleave has a CUDA device waited for.
        floors = self.log_floor.exp().unbind()
        return torch.cat([floor.expand(count) for floor, count in zip(floors, self.groups, strict=True)])
