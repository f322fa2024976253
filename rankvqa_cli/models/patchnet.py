"""PatchNet: the real-time full-reference student with a patchified stem.

A strided convolution turns every 4x4 block of luma into 16 channels, and every 4x4 block of 4:2:0 chroma into a
few more, so nothing runs at full resolution and no colour conversion happens. A small pyramid (1/8, 1/16, 1/32)
describes each frame. The comparison sees only differences of the two pyramids: what the distorted frame lost, what it
gained, and how its error flickers. They pass visibility thresholds and gates that depend on the reference alone
(masking by texture and motion) and then bias-free convolutions with rectifiers, so identical inputs give a distance
of exactly 0 by construction, and the reference's share of the work is done once for any number of encodes.

Viewers judge an encode by what its content could lose: a sharp, detailed picture is not worse than a soft one because
more of it can be missed. So the distance is divided by a power of the reference's *reserve*, its distance from its own
low-passed version, under the same network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rankvqa_cli.models.reserve import Readout, low_passed


@dataclass(frozen=True)
class PatchNetConfig:
    """Widths are channels. ``luma`` and ``chroma`` count the stem's filters, ``pyramid`` the features at 1/8, 1/16
    and 1/32 of the luma size, ``trunk`` the error maps at each of these levels. ``readout``: distances are read off all
    features, measured against the reference's reserve (see models.reserve)."""

    luma: int = 16
    chroma: int = 8
    pyramid: tuple[int, int, int] = (24, 40, 64)
    trunk: int = 32
    readout: bool = False

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> PatchNetConfig:
        """From a model file's header, which has no tuples. Raises TypeError for a field that is not known."""
        p8, p16, p32 = (int(width) for width in values["pyramid"])
        return cls(**{**values, "pyramid": (p8, p16, p32)})


TINY = PatchNetConfig(luma=4, chroma=2, pyramid=(4, 6, 8), trunk=4)


class Units(NamedTuple):
    """How code values become the network's units: gain * (code - zero). Folded into the stem, it costs no pass over
    the picture."""

    luma_gain: float = 1.0
    luma_zero: float = 0.0
    chroma_gain: float = 1.0
    chroma_zero: float = 0.0


PLAIN = Units()


class Features(NamedTuple):
    """One chunk of frames. Shapes (N, C, h, w): ``luma`` at 1/4, ``chroma`` and ``p8`` at 1/8, ``p16``, ``p32``."""

    luma: Tensor
    chroma: Tensor
    p8: Tensor
    p16: Tensor
    p32: Tensor


class Gates(NamedTuple):
    """Masking by the reference, each (N, trunk, h, w) in 0 to 1, for the merged errors of the three levels."""

    g8: Tensor
    g16: Tensor
    g32: Tensor


class Visibility(nn.Module):
    """x -> x |x| / (|x| + t), t > 0 a channel: quadratic below the threshold, linear above, odd, 0 at 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_threshold = nn.Parameter(torch.full((1, channels, 1, 1), -2.0))

    def forward(self, x: Tensor) -> Tensor:
        size = x.abs()
        threshold = self.log_threshold.exp()
        if torch.is_grad_enabled():
            return x * size.div(size + threshold)
        seen = size + threshold
        return torch.div(size, seen, out=seen).mul_(x)


def _dct_filters(count: int) -> Tensor:
    """First ``count`` 4x4 DCT-II basis images in zigzag-like order of rising frequency, (count, 1, 4, 4)."""
    position = (torch.arange(4) + 0.5) * math.pi / 4
    basis = torch.stack([torch.cos(position * k) * math.sqrt((1 if k == 0 else 2) / 4) for k in range(4)])
    order = sorted(((u, v) for u in range(4) for v in range(4)), key=lambda uv: (uv[0] + uv[1], uv))
    images = [torch.outer(basis[u], basis[v]) for u, v in order]
    return torch.stack([images[i % 16] for i in range(count)]).unsqueeze(1)


def _half(x: Tensor) -> Tensor:
    """2x2 mean, the last row and column of odd sizes included: (N, C, h, w) -> (N, C, ceil(h/2), ceil(w/2))."""
    return F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)


def _change(x: Tensor, before: Tensor | None, frames: int) -> Tensor:
    """|x(t) - x(t - 1)| within clips: x is (B * frames, C, h, w), ``before`` the last frame of the chunk ahead.

    A clip's first frame takes the change to its successor; a lone frame has none.
    """
    clips = x.view(-1, frames, *x.shape[1:])
    steps = (clips[:, 1:] - clips[:, :-1]).abs()
    if before is not None:
        first = (clips[:, :1] - before.unsqueeze(1)).abs()
    elif frames > 1:
        first = steps[:, :1]
    else:
        first = torch.zeros_like(clips)
    return torch.cat([first, steps], dim=1).flatten(0, 1)


class PatchNet(nn.Module):
    """Frame-wise distance between a reference and a distorted clip; see the module's docstring."""

    def __init__(self, config: PatchNetConfig) -> None:
        super().__init__()
        self.config = config
        p8, p16, p32 = config.pyramid
        trunk = config.trunk
        self.stem_luma = nn.Conv2d(1, config.luma, 4, stride=4, bias=False)
        self.stem_chroma = nn.Conv2d(2, config.chroma, 4, stride=4, bias=False)
        with torch.no_grad():
            self.stem_luma.weight.copy_(_dct_filters(config.luma))
        self.down8 = nn.Conv2d(config.luma, p8, 3, stride=2, padding=1)
        self.mix8 = nn.Conv2d(config.chroma, p8, 1, bias=False)
        self.conv8 = nn.Conv2d(p8, p8, 3, padding=1)
        self.down16 = nn.Conv2d(p8, p16, 3, stride=2, padding=1)
        self.conv16 = nn.Conv2d(p16, p16, 3, padding=1)
        self.down32 = nn.Conv2d(p16, p32, 3, stride=2, padding=1)
        self.conv32 = nn.Conv2d(p32, p32, 3, padding=1)

        error8 = config.luma + config.chroma + p8
        error16 = 3 * p16
        error32 = 2 * p32
        self.visible8, self.visible16, self.visible32 = map(Visibility, (error8, error16, error32))
        self.gate8 = nn.Conv2d(p8, trunk, 1)
        self.gate16 = nn.Conv2d(2 * p16, trunk, 1)
        self.gate32 = nn.Conv2d(p32, trunk, 1)
        self.merge8 = nn.Conv2d(error8, trunk, 1, bias=False)
        self.merge16 = nn.Conv2d(error16 + trunk, trunk, 1, bias=False)
        self.trunk16 = nn.Conv2d(trunk, trunk, 3, padding=1, bias=False)
        self.merge32 = nn.Conv2d(error32 + trunk, trunk, 1, bias=False)
        self.trunk32 = nn.Conv2d(trunk, trunk, 3, padding=1, bias=False)
        # Heads add up rectified maps with positive weights, so a distance can only grow with what is seen.
        self.log_head = nn.Parameter(torch.full((3, trunk), -3.0))
        # Distances are divided by (reserve + floor) ** power; a power of 0 leaves them alone.
        self.reserve_power = nn.Parameter(torch.tensor(0.0), requires_grad=False)
        self.log_reserve_floor = nn.Parameter(torch.tensor(-3.0), requires_grad=False)
        self.readout = Readout((3, config.luma, config.chroma, *config.pyramid)) if config.readout else None

    def features(self, luma: Tensor, chroma: Tensor, units: Units = PLAIN) -> Features:
        """Describe frames. ``luma`` (N, 1, H, W) and ``chroma`` (N, 2, H/2, W/2) float32, H and W multiples of 8;
        ``units`` turns their values into nominal luma and chroma of -2 to 2."""
        stem_luma = _stem(
            luma, self.stem_luma.weight, units.luma_gain, units.luma_zero
        )  # (N, luma, H/4, W/4)
        stem_chroma = _stem(
            chroma, self.stem_chroma.weight, units.chroma_gain, units.chroma_zero
        )  # (.., H/8, W/8)
        working = self.down8.weight.dtype
        p8 = self.down8(stem_luma.to(working)).add_(self.mix8(stem_chroma.to(working))).relu_()
        p8 = self.conv8(p8).relu_()  # (N, C8, H/8, W/8)
        p16 = self.conv16(self.down16(p8).relu_()).relu_()  # (N, C16, H/16, W/16)
        p32 = self.conv32(self.down32(p16).relu_()).relu_()  # (N, C32, H/32, W/32)
        return Features(stem_luma, stem_chroma, p8, p16, p32)

    def gates(self, reference: Features, frames: int, before: Tensor | None = None) -> Gates:
        """Masking from the reference: texture at every level, motion at 1/16. ``before`` is ``p16`` of the frame ahead
        of a chunk, where there is one."""
        motion = _change(reference.p16, before, frames)
        return Gates(
            torch.sigmoid(self.gate8(reference.p8)),
            torch.sigmoid(self.gate16(torch.cat([reference.p16, motion], dim=1))),
            torch.sigmoid(self.gate32(reference.p32)),
        )

    def compare(
        self,
        reference: Features,
        distorted: Features,
        gates: Gates,
        frames: int,
        error_before: Tensor | None = None,
    ) -> list[Tensor]:
        """Distances by place: three maps (N, 1, h, w) at 1/8, 1/16, 1/32, all >= 0, whose means add up to the
        frame's distance. ``error_before`` is distorted minus reference at 1/16 of the frame ahead of a chunk."""
        working = reference.p8.dtype
        # The stem stays in float32: small errors are differences of large numbers, which bfloat16 would swallow.
        error_luma = _half((reference.luma - distorted.luma).abs())
        error_chroma = (reference.chroma - distorted.chroma).abs()
        signed8 = distorted.p8 - reference.p8
        error8 = torch.cat([error_luma.to(working), error_chroma.to(working), signed8], dim=1)
        seen8 = self.merge8(self.visible8(error8)).relu_() * gates.g8
        signed16 = distorted.p16 - reference.p16
        flicker = _change(signed16, error_before, frames)
        error16 = torch.cat([signed16.relu(), (-signed16).relu_(), flicker], dim=1)
        seen16 = self.merge16(torch.cat([self.visible16(error16), _half(seen8)], dim=1)).relu_() * gates.g16
        seen16 = self.trunk16(seen16).relu_()
        signed32 = distorted.p32 - reference.p32
        error32 = torch.cat([signed32.relu(), (-signed32).relu_()], dim=1)
        seen32 = self.merge32(torch.cat([self.visible32(error32), _half(seen16)], dim=1)).relu_() * gates.g32
        seen32 = self.trunk32(seen32).relu_()
        weights = self.log_head.exp().to(working)
        return [
            F.conv2d(seen, weight.view(1, -1, 1, 1)).float()
            for seen, weight in zip((seen8, seen16, seen32), weights, strict=True)
        ]

    def reserve(self, reference: Features, luma: Tensor, chroma: Tensor, units: Units = PLAIN) -> Tensor:
        """How far single frames are from their own low-passed version: (N,) distances. ``reference`` are the features
        of (``luma``, ``chroma``), as in ``features``."""
        soft = self.features(low_passed(luma), low_passed(chroma), units)
        return frame_distances(self.compare(reference, soft, self.gates(reference, 1), 1))

    def energies(self, reference: Features, distorted: Features, maps: Sequence[Tensor]) -> Tensor:
        """What the readout is given: the means of ``compare``'s maps and the mean absolute differences of all features,
        (N, 3 + channels) float32, a frame."""
        levels = [level.mean(dim=(1, 2, 3)).unsqueeze(1) for level in maps]
        channels = [
            (near - far).abs().mean(dim=(2, 3), dtype=torch.float32)
            for near, far in zip(reference, distorted, strict=True)
        ]
        return torch.cat([*levels, *channels], dim=1)

    def reserve_energies(
        self, reference: Features, luma: Tensor, chroma: Tensor, units: Units = PLAIN
    ) -> Tensor:
        """The same for single frames against their own low-passed versions; arguments as in ``reserve``."""
        soft = self.features(low_passed(luma), low_passed(chroma), units)
        return self.energies(reference, soft, self.compare(reference, soft, self.gates(reference, 1), 1))

    def content_scale(self, reserve: Tensor) -> Tensor:
        """What distances are divided by, for a reference with this reserve: same shape, > 0."""
        return (reserve.float() + self.log_reserve_floor.float().exp()) ** self.reserve_power.float()


def _stem(x: Tensor, weight: Tensor, gain: float, zero: float) -> Tensor:
    """4x4 blocks of gain * (x - zero) through the filters ``weight``."""
    if gain == 1.0 and zero == 0.0:
        return F.conv2d(x, weight, stride=4)
    scaled = weight * gain
    return F.conv2d(x, scaled, scaled.sum(dim=(1, 2, 3)) * -zero, stride=4)


def frame_distances(maps: Sequence[Tensor]) -> Tensor:
    """Spatial means of the level maps, added: [(N, 1, h, w), ...] -> (N,)."""
    return torch.stack([level.mean(dim=(1, 2, 3)) for level in maps]).sum(dim=0)
