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

from rankvqa_cli.models.compute import has_amx
from rankvqa_cli.models.reserve import Readout

#: Side of the blocks whose means a low-passed picture keeps, and of what the filters of differences see.
BLOCK = 4
#: Channels that one tile of AMX multiplies at a time.
AMX_CHANNELS = 32
#: Bilinear interpolation between the means of neighbouring blocks: for each row (or column) of a block, the shares of
#: the blocks before, of its own, and after.
INTERPOLATION = ((0.375, 0.625, 0.0), (0.125, 0.875, 0.0), (0.0, 0.875, 0.125), (0.0, 0.625, 0.375))


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


class Filters(NamedTuple):
    """Filters (O, C, B, B) on blocks of planes (N, C, H, W), laid out as ``_blocks`` applies them: ``taps`` of every
    channel, and ``bias``, for ``together`` blocks of ``side`` pixels side by side."""

    taps: tuple[Tensor, ...]
    bias: Tensor | None
    side: int
    together: int


class Stem(NamedTuple):
    """All that sees planes: what describes frames, and what sees their differences."""

    luma: Filters
    chroma: Filters
    detail_luma: Filters
    detail_chroma: Filters


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
            _laid_out(luma, _bias(luma, units.luma_zero, self.luma8.bias)),
            _laid_out(chroma, _bias(chroma, units.chroma_zero)),
            _laid_out(_unit_filters(self.detail_luma.weight, dtype, units.luma_gain)),
            _laid_out(_unit_filters(self.detail_chroma.weight, dtype, units.chroma_gain)),
        )

    def features(self, luma: Tensor, chroma: Tensor, stem: Stem | None = None) -> Features:
        """Describe frames. ``luma`` (N, 1, H, W) and ``chroma`` (N, 2, H/2, W/2), contiguous, H and W multiples of 16;
        ``stem`` turns their values into nominal luma and chroma of -2 to 2, which they are without. It computes in the
        planes' own dtype, float32 or, where it holds the code values exactly, bfloat16."""
        seen = stem or self.stem(PLAIN, luma.dtype)
        return Features(luma, chroma, *self.levels(_blocks(luma, seen.luma), _blocks(chroma, seen.chroma)))

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
            _blocks(luma, seen.detail_luma),
            _blocks(chroma, seen.detail_chroma),
            *(far - near for near, far in zip(reference.pyramid, distorted.pyramid, strict=True)),
        ]
        return [each.abs_() for each in signed]

    def energies(self, reference: Features, distorted: Features, stem: Stem | None = None) -> Tensor:
        """What the readout is given: the means of all differences over the frame, (N, channels) float32."""
        return over_places(self.differences(reference, distorted, stem))

    def reserve_energies(self, frames: Features, units: Units = PLAIN) -> Tensor:
        """The same for single frames against their own low-passed versions (models.reserve), without making those."""
        luma, chroma = frames.luma, frames.chroma
        wide_luma = _unit_filters(self.luma8.weight, luma.dtype, units.luma_gain)
        wide_chroma = _unit_filters(self.chroma16.weight, chroma.dtype, units.chroma_gain)
        detail_luma = _unit_filters(self.detail_luma.weight, luma.dtype, units.luma_gain)
        detail_chroma = _unit_filters(self.detail_chroma.weight, chroma.dtype, units.chroma_gain)
        lost_luma, luma_means = _lost(luma, detail_luma)
        lost_chroma, chroma_means = _lost(chroma, detail_chroma)
        at8 = _soft_blocks(luma_means, wide_luma, _bias(wide_luma, units.luma_zero, self.luma8.bias))
        at16 = _soft_blocks(chroma_means, wide_chroma, _bias(wide_chroma, units.chroma_zero))
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


def _laid_out(filters: Tensor, bias: Tensor | None = None) -> Filters:
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


def _blocks(planes: Tensor, filters: Filters) -> Tensor:
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
    half = filters.dtype == torch.bfloat16 or torch.is_autocast_enabled(filters.device.type)
    if not (half and filters.device.type == "cpu" and has_amx()):
        return 1
    return AMX_CHANNELS // side


def _lost(planes: Tensor, filters: Tensor) -> tuple[Tensor, Tensor]:
    """What 4x4 ``filters`` see of ``planes`` less ``low_passed(planes)``, and the means (N, C, H/4, W/4) of the 4x4
    blocks, both float32."""
    channels = planes.shape[1]
    averages = torch.eye(channels, device=planes.device)[:, :, None, None].expand(-1, -1, BLOCK, BLOCK)
    seen = _blocks(planes.float(), _laid_out(torch.cat([filters.float(), averages / BLOCK**2])))
    whole, means = torch.split(seen, [len(filters), channels], dim=1)
    return whole - _soft_blocks(means, filters), means


def _soft_blocks(means: Tensor, filters: Tensor, bias: Tensor | None = None) -> Tensor:
    """``_blocks`` of low-passed planes, float32, from the ``means`` of 4x4 blocks: the low-passed picture is
    interpolated between them, so what filters see of a block depends on its own means and their neighbours."""
    count = filters.shape[-1] // BLOCK
    between = means.new_zeros(count * BLOCK, count + 2)  # (row of the filter, mean)
    for block in range(count):
        between[block * BLOCK : (block + 1) * BLOCK, block : block + 3] = means.new_tensor(INTERPOLATION)
    taps = torch.einsum("ra,ocrs,sb->ocab", between, filters.float(), between)
    around = F.pad(means, (1, 1, 1, 1), mode="replicate")
    # As a product of matrices, since a convolution of so few channels is slow, and to lie in memory as _blocks' does.
    columns = F.unfold(around, count + 2, stride=count).transpose(1, 2)  # (N, places, C * taps)
    found = torch.matmul(columns, taps.flatten(1).t())
    if bias is not None:
        found = found + bias.float()
    return torch.unflatten(found, 1, (means.shape[2] // count, -1)).permute(0, 3, 1, 2)
