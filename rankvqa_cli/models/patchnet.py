"""PatchNet: the real-time full-reference student, made of convolutions that do not overlap where pixels are many.

Every 8x8 block of luma becomes a few dozen channels, and at 1/16 every 8x8 block of 4:2:0 chroma is added, so nothing
runs at full resolution and no colour conversion happens. A small pyramid (1/8, 1/16, 1/32) describes each frame by
itself. What the distorted frame differs by, and what small linear filters see of the planes' difference, is averaged
over the frame, feature by feature, and read off against what the content could lose (models.reserve). Nothing else sees
a frame pair, so identical inputs have a distance of exactly 0 by construction, and the reference is described once for
any number of encodes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rankvqa_cli.models.blocks import (
    BLOCK,
    Filters,
    Softened,
    laid_out,
    lost_to_low_pass,
    seen_by,
    soft_blocks,
    softened,
    with_means,
)
from rankvqa_cli.models.reserve import Readout


@dataclass(frozen=True)
class PatchNetConfig:
    """Widths are channels. ``luma`` and ``chroma`` count the filters of the planes' differences, ``pyramid`` the
    features at 1/8, 1/16 and 1/32 of the luma size, ``mixed`` those of 1/16 that chroma is added to."""

    luma: int = 16
    chroma: int = 8
    pyramid: tuple[int, int, int] = (24, 48, 64)
    mixed: int = 16

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> PatchNetConfig:
        """From a model file's header, which has no tuples. Raises TypeError for a field that is not known."""
        p8, p16, p32 = (int(width) for width in values.get("pyramid", cls.pyramid))
        return cls(**{**values, "pyramid": (p8, p16, p32)})


TINY = PatchNetConfig(luma=4, chroma=2, pyramid=(4, 6, 8), mixed=3)


class Units(NamedTuple):
    """How code values become the network's units: gain * (code - zero). Folded into the stem, it costs no pass over
    the picture."""

    luma_gain: float = 1.0
    luma_zero: float = 0.0
    chroma_gain: float = 1.0
    chroma_zero: float = 0.0


PLAIN = Units()


class Stem(NamedTuple):
    """All that sees planes: what describes frames, and what sees their differences."""

    luma: Filters
    chroma: Filters
    detail_luma: Filters
    detail_chroma: Filters


class ReserveStem(NamedTuple):
    """All of the reserve that sees planes: what describes low-passed frames, what sees whole frames (4x4 means, too),
    and what that would see of low-passed ones. Luma and chroma each."""

    described: tuple[Softened, Softened]
    seen: tuple[Filters, Filters]
    kept: tuple[Softened, Softened]


class Features(NamedTuple):
    """A few frames: their planes, ``luma`` (N, 1, H, W) and ``chroma`` (N, 2, H/2, W/2), and what the network makes of
    them, (N, C, h, w) at 1/8, 1/16 and 1/32."""

    luma: Tensor
    chroma: Tensor
    p8: Tensor
    p16: Tensor
    p32: Tensor

    @property
    def pyramid(self) -> tuple[Tensor, Tensor, Tensor]:
        """Finest first."""
        return self.p8, self.p16, self.p32


def _dct_filters(count: int) -> Tensor:
    """First ``count`` 4x4 DCT-II basis images in zigzag-like order of rising frequency, (count, 1, 4, 4)."""
    position = (torch.arange(BLOCK) + 0.5) * math.pi / BLOCK
    basis = [torch.cos(position * k) * math.sqrt((1 if k == 0 else 2) / BLOCK) for k in range(BLOCK)]
    order = sorted(((u, v) for u in range(BLOCK) for v in range(BLOCK)), key=lambda uv: (uv[0] + uv[1], uv))
    images = [torch.outer(basis[u], basis[v]) for u, v in order]
    return torch.stack([images[i % len(images)] for i in range(count)]).unsqueeze(1)


class PatchNet(nn.Module):
    """Describes frames, and measures what two descriptions differ by; see the module's docstring."""

    def __init__(self, config: PatchNetConfig) -> None:
        super().__init__()
        self.config = config
        p8, p16, p32 = config.pyramid
        self.detail_luma = nn.Conv2d(1, config.luma, BLOCK, stride=BLOCK, bias=False)
        self.detail_chroma = nn.Conv2d(2, config.chroma, BLOCK, stride=BLOCK, bias=False)
        with torch.no_grad():
            self.detail_luma.weight.copy_(_dct_filters(config.luma))
        self.luma8 = nn.Conv2d(1, p8, 8, stride=8)
        self.chroma16 = nn.Conv2d(2, config.mixed, 8, stride=8, bias=False)
        self.down16 = nn.Conv2d(p8, p16, 3, stride=2, padding=1)
        self.down32 = nn.Conv2d(p16, p32, 3, stride=2, padding=1)
        self.conv32 = nn.Conv2d(p32, p32, 3, padding=1)
        self.readout = Readout((config.luma, config.chroma, *config.pyramid))

    def stem(self, units: Units, dtype: torch.dtype) -> Stem:
        """What sees planes of ``dtype`` whose values are in ``units``; to be made once for all frames of a video."""
        luma = _unit_filters(self.luma8.weight, dtype, units.luma_gain)
        chroma = _unit_filters(self.chroma16.weight, dtype, units.chroma_gain)
        return Stem(
            laid_out(luma, _bias(luma, units.luma_zero, self.luma8.bias)),
            laid_out(chroma, _bias(chroma, units.chroma_zero)),
            laid_out(_unit_filters(self.detail_luma.weight, dtype, units.luma_gain)),
            laid_out(_unit_filters(self.detail_chroma.weight, dtype, units.chroma_gain)),
        )

    def features(self, luma: Tensor, chroma: Tensor, stem: Stem | None = None) -> Features:
        """Describe frames. ``luma`` (N, 1, H, W) and ``chroma`` (N, 2, H/2, W/2), contiguous, H and W multiples of 16;
        ``stem`` turns their values into nominal luma and chroma of -2 to 2, which they are without. It computes in the
        planes' own dtype, float32 or, where it holds the code values exactly, bfloat16."""
        seen = stem or self.stem(PLAIN, luma.dtype)
        return Features(luma, chroma, *self.levels(seen_by(luma, seen.luma), seen_by(chroma, seen.chroma)))

    def levels(self, at8: Tensor, at16: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """From what the first filters see of luma and chroma: p8, p16, p32."""
        working = self.down16.weight.dtype
        p8 = at8.relu_().to(working)  # (N, C8, H/8, W/8)
        others = self.config.pyramid[1] - self.config.mixed
        # Adding to some channels in place takes five times as long as adding zeros to the others.
        chroma = F.pad(at16.to(working), (0, 0, 0, 0, 0, others))
        p16 = self.down16(p8).add_(chroma).relu_()  # (N, C16, H/16, W/16)
        p32 = self.conv32(self.down32(p16).relu_()).relu_()  # (N, C32, H/32, W/32)
        return p8, p16, p32

    def differences(self, reference: Features, distorted: Features, stem: Stem | None = None) -> list[Tensor]:
        """What the distorted frames differ by: absolute values (N, C, h, w), of luma's and chroma's filters and of each
        level of the pyramid. ``stem`` as for ``features``."""
        seen = stem or self.stem(PLAIN, distorted.luma.dtype)
        # The filters see the difference of the planes: a difference of what they see would drown in its rounding.
        luma, chroma = distorted.luma - reference.luma, distorted.chroma - reference.chroma
        signed = [
            seen_by(luma, seen.detail_luma),
            seen_by(chroma, seen.detail_chroma),
            *(far - near for near, far in zip(reference.pyramid, distorted.pyramid, strict=True)),
        ]
        return [each.abs_() for each in signed]

    def energies(self, reference: Features, distorted: Features, stem: Stem | None = None) -> Tensor:
        """What the readout is given: the means of all differences over the frame, (N, channels) float32."""
        return over_places(self.differences(reference, distorted, stem))

    def reserve_stem(self, units: Units, dtype: torch.dtype) -> ReserveStem:
        """As ``stem``, for ``reserve_energies``."""
        luma8 = _unit_filters(self.luma8.weight, dtype, units.luma_gain)
        chroma16 = _unit_filters(self.chroma16.weight, dtype, units.chroma_gain)
        detail_luma = _unit_filters(self.detail_luma.weight, dtype, units.luma_gain)
        detail_chroma = _unit_filters(self.detail_chroma.weight, dtype, units.chroma_gain)
        return ReserveStem(
            (
                softened(luma8, _bias(luma8, units.luma_zero, self.luma8.bias)),
                softened(chroma16, _bias(chroma16, units.chroma_zero)),
            ),
            (with_means(detail_luma), with_means(detail_chroma)),
            (softened(detail_luma), softened(detail_chroma)),
        )

    def reserve_energies(self, frames: Features, stem: ReserveStem | None = None) -> Tensor:
        """The same for single frames against their own low-passed versions (models.reserve), without making those."""
        luma, chroma = frames.luma, frames.chroma
        described, seen, kept = stem or self.reserve_stem(PLAIN, luma.dtype)
        lost_luma, luma_means = lost_to_low_pass(luma, seen[0], kept[0])
        lost_chroma, chroma_means = lost_to_low_pass(chroma, seen[1], kept[1])
        at8, at16 = soft_blocks(luma_means, described[0]), soft_blocks(chroma_means, described[1])
        soft = self.levels(at8.to(luma.dtype), at16.to(chroma.dtype))
        lost = [far - near for near, far in zip(frames.pyramid, soft, strict=True)]
        return over_places([each.abs_() for each in (lost_luma, lost_chroma, *lost)])

    def by_place(self, differences: Sequence[Tensor], reserve: Tensor) -> list[Tensor]:
        """Where the distance comes from: maps (N, 1, h, w) float32 at 1/4, 1/8, 1/16 and 1/32, >= 0. Every feature's
        ``differences`` count as the readout weighs them against ``reserve`` (K,) where all are small."""
        shares = torch.split(self.readout.shares(reserve), [each.shape[1] for each in differences])
        luma, chroma, p8, p16, p32 = (
            torch.einsum("nchw,c->nhw", each.float(), share).unsqueeze(1)
            for each, share in zip(differences, shares, strict=True)
        )
        return [luma, chroma + p8, p16, p32]


def over_places(maps: Sequence[Tensor]) -> Tensor:
    """Of maps (N, C, h, w), the means over places, side by side: (N, all C) float32."""
    found = []
    for each in maps:
        places = each.shape[2] * each.shape[3]
        # Rows first, in the maps' own dtype and as they lie in memory: a tenth of what converting whole maps costs.
        rows = each.permute(0, 2, 3, 1).sum(dim=2)  # (N, h, C)
        found.append(rows.float().sum(dim=1) / places)
    return torch.cat(found, dim=1)


def _unit_filters(weight: Tensor, dtype: torch.dtype, gain: float) -> Tensor:
    """Filters for code values of ``dtype``."""
    return (weight * gain).to(dtype)


def _bias(filters: Tensor, zero: float, own: Tensor | None = None) -> Tensor:
    """What makes ``filters`` see ``planes - zero``, plus a layer's ``own`` bias: (O,) in the filters' dtype."""
    found = filters.float().sum(dim=(1, 2, 3)) * -zero
    return (found if own is None else found + own).to(filters.dtype)
