"""What members see of a picture, and what is kept of their vectors: one feature vector a picture and member.

Viewers judge pixels, so members see crops at native resolution, spread evenly over the picture; and they judge the
whole, so members may see it reduced as well. A feature of a blurred picture tells little where the content is smooth by
itself: *detail* compares a crop with its own softened version, which a sharp picture differs from and a blurred one
does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from rankvqa_cli.errors import ModelError
from rankvqa_cli.models.ptm.contract import FrozenNetwork, View

#: Below this, a difference of two features counts as none.
FLOOR = 1e-3


@dataclass(frozen=True)
class Views:
    """``columns`` x ``rows`` crops of ``crop`` pixels a side (turned for portrait pictures; fewer where fewer cover
    it).

    ``seen`` lists what makes the features, each as long as the network's vector, in this order:

    - ``crops``: the mean of the crops' vectors
    - ``detail``: the mean over crops of log(|v(x) - v(s)| + 0.001), with the crop x and s, the same of the picture
      reduced by ``soften`` (area) and enlarged again (bicubic)
    - ``whole``: the vector of the whole picture, its shorter side reduced to ``crop``
    """

    crop: int = 448
    columns: int = 3
    rows: int = 2
    soften: int = 2
    seen: tuple[View, ...] = ("crops", "detail")

    def __post_init__(self) -> None:
        sizes = (self.crop, self.columns, self.rows, self.soften)
        if not all(isinstance(size, int) and 1 <= size <= 4096 for size in sizes) or self.soften < 2:
            raise ValueError("views need positive whole numbers, and soften at least 2")
        if not self.seen or len(set(self.seen)) < len(self.seen) or not set(self.seen) <= set(get_args(View)):
            raise ValueError(f"what is seen must be some of {', '.join(get_args(View))}")

    def length(self, dimension: int) -> int:
        """How long the features are of a network whose vectors have ``dimension`` elements."""
        return dimension * len(self.seen)


def features(network: FrozenNetwork, pictures: Tensor, views: Views) -> Tensor:
    """(T, 3, H, W) float32 RGB in 0 to 1 -> (features,) float32 of one moment.

    ``network.frames`` frames are taken from the middle of the T, which must be as many or more. A picture smaller than
    the network needs is continued by mirroring. Raises ModelError as ``network.vectors`` does.
    """
    first = (len(pictures) - network.frames) // 2
    if first < 0:
        raise ModelError(f"{str(network.file)!r} needs {network.frames} frames, and is given {len(pictures)}")
    x = pictures[first : first + network.frames]
    size = network.side or max(views.crop, network.least)
    crops = _crops(mirrored(x, network.side or network.least), size, views)
    found = {}
    if "crops" in views.seen or "detail" in views.seen:
        found["crops"] = vectors = _vectors(network, crops)
    if "detail" in views.seen:
        soft = _crops(mirrored(softened(x, views.soften), network.side or network.least), size, views)
        found["detail"] = torch.log((vectors - _vectors(network, soft)).abs() + FLOOR)
    if "whole" in views.seen:
        found["whole"] = _vectors(network, [mirrored(_whole(x, size, network.side), network.least)])
    return torch.cat([found[name].mean(dim=0) for name in views.seen])


def softened(x: Tensor, factor: int) -> Tensor:
    """(T, 3, H, W) reduced by ``factor`` (area mean) and brought back (bicubic), in 0 to 1."""
    small = F.avg_pool2d(x, factor, ceil_mode=True, count_include_pad=False)
    return F.interpolate(small, size=x.shape[-2:], mode="bicubic", align_corners=False).clamp_(0, 1)


def mirrored(x: Tensor, least: int) -> Tensor:
    """``x`` (..., H, W) continued by mirroring to at least ``least`` each way; itself where it is large enough."""
    for axis in (-2, -1):
        size = x.shape[axis]
        if size < least:
            there_and_back = torch.cat([torch.arange(size), torch.arange(size).flip(0)])
            order = there_and_back.repeat(-(-least // (2 * size)))[:least]
            x = x.index_select(x.dim() + axis, order.to(x.device))
    return x


def _crops(x: Tensor, size: int, views: Views) -> list[Tensor]:
    """Crops of (T, 3, H, W), each at most ``size`` a side."""
    height, width = x.shape[-2:]
    across, down = (views.columns, views.rows) if width >= height else (views.rows, views.columns)
    tops, lefts = _starts(height, size, down), _starts(width, size, across)
    return [x[..., top : top + size, left : left + size] for top in tops for left in lefts]


def _starts(length: int, size: int, most: int) -> list[int]:
    """Even starts, on even samples, of ``most`` windows from edge to edge, fewer where fewer cover the length."""
    count = min(most, -(-length // size))
    if count == 1:
        return [max(0, (length - size) // 4 * 2)]
    return [(length - size) * i // (count - 1) // 2 * 2 for i in range(count)]


def _whole(x: Tensor, size: int, side: int | None) -> Tensor:
    height, width = x.shape[-2:]
    if side is not None:
        return F.interpolate(x, size=(side, side), mode="bilinear", antialias=True).clamp_(0, 1)
    scale = size / min(height, width)
    if scale >= 1:
        return x
    reduced = (max(1, round(height * scale)), max(1, round(width * scale)))
    return F.interpolate(x, size=reduced, mode="bilinear", antialias=True).clamp_(0, 1)


def _vectors(network: FrozenNetwork, views: list[Tensor]) -> Tensor:
    """(V, dimension): a picture network sees the one frame of each view, a clip network all of its frames."""
    batch = torch.stack(views)  # V, T, 3, h, w
    return network.vectors(batch.squeeze(1) if network.frames == 1 else batch)
