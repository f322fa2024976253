"""What members see of a picture, and what is kept of their vectors: one feature vector a picture and member.

Viewers judge pixels, so members see crops at native resolution, spread evenly over the picture; and they judge the
whole, so members may see it reduced as well. A feature of a blurred picture tells little where the content is smooth by
itself: *detail* compares a crop with its own softened version, which a sharp picture differs from and a blurred one
does not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from rankvqa_cli.errors import ModelError
from rankvqa_cli.models import colour
from rankvqa_cli.models.contract import Clip
from rankvqa_cli.models.ptm.contract import FrozenNetwork, View
from rankvqa_cli.models.sizes import halved, mirrored, on_screen

#: Views of the whole picture at less than its size, and how many times less.
REDUCED = {"half": 2, "quarter": 4}
#: Below this, a difference of two features counts as none.
FLOOR = 1e-3


@dataclass(frozen=True)
class Views:
    """``columns`` x ``rows`` crops of ``crop`` pixels a side (turned for portrait pictures; fewer where fewer cover
    it).

    ``lines`` is the screen: pictures are first brought to so many lines (the shorter side), as a player does that fills
    it (see ``on_screen``); 0 leaves them. ``seen`` lists what makes the features, each as long as the network's vector,
    in this order:

    - ``crops``: the mean of the crops' vectors
    - ``detail``: the mean over crops of log(|v(x) - v(s)| + 0.001), with the crop x and s, x reduced by ``soften``
      (area) and enlarged again (bicubic)
    - ``whole``: the vector of the whole picture, its shorter side reduced to ``crop``
    - ``half``, ``quarter``: the vector of the whole picture at that share of its size (area mean)
    - ``half-detail``, ``quarter-detail``: log(|v(x) - v(s)| + 0.001) of these. What was enlarged many times has no
      detail at native resolution to tell how often, but there it has
    """

    crop: int = 448
    columns: int = 3
    rows: int = 2
    soften: int = 2
    lines: int = 0
    seen: tuple[View, ...] = ("crops", "detail")

    def __post_init__(self) -> None:
        sizes = (self.crop, self.columns, self.rows, self.soften)
        if not all(isinstance(size, int) and 1 <= size <= 4096 for size in sizes) or self.soften < 2:
            raise ValueError("views need positive whole numbers, and soften at least 2")
        if not isinstance(self.lines, int) or not (self.lines == 0 or 64 <= self.lines <= 4320):
            raise ValueError("a screen has 64 to 4320 lines, or 0 for pictures as they are")
        if not self.seen or len(set(self.seen)) < len(self.seen) or not set(self.seen) <= set(get_args(View)):
            raise ValueError(f"what is seen must be some of {', '.join(get_args(View))}")

    @property
    def only_reduced(self) -> bool:
        """Whether nothing is seen at more than half the size on the screen."""
        return {name.removesuffix("-detail") for name in self.seen} <= set(REDUCED)

    def of(self, network: FrozenNetwork) -> Views:
        """These, but with what the ``network`` is shown, where it says so itself."""
        return replace(self, seen=network.seen) if network.seen else self

    def length(self, dimension: int) -> int:
        """How long the features are of a network whose vectors have ``dimension`` elements."""
        return dimension * len(self.seen)


class Moment:
    """Frames of one moment, (T, 3, H, W) float32 RGB in 0 to 1, and what is cut out of them, once for all members."""

    def __init__(self, pictures: Tensor, views: Views, reduced: int = 1) -> None:
        """``pictures`` are as they come, or, where ``reduced`` is 2, half the size that the screen shows them at."""
        self._pictures = on_screen(pictures, views.lines) if reduced == 1 else pictures
        self._views, self._reduction = views, reduced
        self._cut: dict[tuple[int, int, int], Tensor] = {}
        self._soft: dict[tuple[int, int, int], Tensor] = {}
        self._seen: dict[tuple[str, str], Tensor] = {}

    @classmethod
    def of(cls, clip: Clip, views: Views) -> Moment:
        """Of a clip's frames, made RGB at no larger size than anything is seen at. Raises InputError as ``colour.rgb``
        does."""
        shorter = min(clip.luma.shape[1:])
        if 0 < 2 * views.lines <= shorter:
            return cls(colour.halved_rgb(clip), views)
        if views.only_reduced and shorter > 1 and views.lines in (0, shorter):
            return cls(colour.halved_rgb(clip), views, 2)
        return cls(colour.rgb(clip), views)

    def features(self, network: FrozenNetwork) -> Tensor:
        """(features,) float32 of one member.

        ``network.frames`` frames are taken from the middle of the T, which must be as many or more. A picture smaller
        than the network needs is continued by mirroring. Raises ModelError as ``network.vectors`` does.
        """
        count, views = len(self._pictures), self._views.of(network)
        first = (count - network.frames) // 2
        if first < 0:
            raise ModelError(f"{str(network.file)!r} needs {network.frames} frames, and is given {count}")
        size = network.side or max(views.crop, network.least)
        key = (network.frames, size, network.side or network.least)
        x = self._pictures[first : first + network.frames]
        found = {}
        if "crops" in views.seen or "detail" in views.seen:
            if key not in self._cut:
                self._cut[key] = torch.stack(_crops(mirrored(x, key[2]), size, views))  # V, T, 3, h, w
            found["crops"] = vectors = self._vectors(network, "crops", self._cut[key])
        if "detail" in views.seen:
            found["detail"] = self._detail(network, "detail", key, vectors)
        for name, factor in REDUCED.items():
            if name in views.seen or f"{name}-detail" in views.seen:
                key = (network.frames, factor, network.side or network.least)
                if key not in self._cut:
                    self._cut[key] = self._reduced(x, factor, network).unsqueeze(0)
                found[name] = vectors = self._vectors(network, name, self._cut[key])
                detail = f"{name}-detail"
                if detail in views.seen:
                    found[detail] = self._detail(network, detail, key, vectors)
        if "whole" in views.seen:
            whole = mirrored(_whole(x, size, network.side), network.least)
            found["whole"] = self._vectors(network, "whole", whole.unsqueeze(0))
        return torch.cat([found[name].mean(dim=0) for name in views.seen])

    def _reduced(self, x: Tensor, factor: int, network: FrozenNetwork) -> Tensor:
        """``x`` at its size on the screen divided by ``factor``, a power of 2."""
        left = factor // self._reduction
        small = mirrored(x, left)
        while left > 1:
            small, left = halved(small), left // 2
        if network.side is not None:
            size = (network.side, network.side)
            return F.interpolate(small, size=size, mode="bilinear", antialias=True).clamp_(0, 1)
        return mirrored(small, network.least)

    def _detail(
        self, network: FrozenNetwork, name: str, key: tuple[int, int, int], vectors: Tensor
    ) -> Tensor:
        """(V, dimension) by how much the vectors of what is cut out move where it is softened."""
        cut = self._cut[key]
        if key not in self._soft:
            self._soft[key] = softened(cut.flatten(0, 1), self._views.soften).view_as(cut)
        soft = self._vectors(network, name, self._soft[key])
        return torch.log((vectors - soft).abs() + FLOOR)

    def _vectors(self, network: FrozenNetwork, name: str, views: Tensor) -> Tensor:
        """(V, T, 3, h, w) of the view ``name`` -> (V, dimension): a picture network sees the one frame of each, a clip
        network all."""
        seen = network.source, name
        if seen not in self._seen:
            self._seen[seen] = network.whole(views.squeeze(1) if network.frames == 1 else views)
        return network.part(self._seen[seen])


def features(network: FrozenNetwork, pictures: Tensor, views: Views) -> Tensor:
    """``Moment.features`` of a moment that only one member sees."""
    return Moment(pictures, views).features(network)


def softened(x: Tensor, factor: int) -> Tensor:
    """(T, 3, H, W) reduced by ``factor`` (area mean) and brought back (bicubic), in 0 to 1."""
    small = F.avg_pool2d(x, factor, ceil_mode=True, count_include_pad=False)
    return F.interpolate(small, size=x.shape[-2:], mode="bicubic", align_corners=False).clamp_(0, 1)


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
