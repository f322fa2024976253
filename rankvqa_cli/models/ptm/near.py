"""A network that sees small windows of a picture, and those well: what textures are learned with.

Four neighbouring pixels are one place with four times the channels; one convolution to 1/4 of the picture, then only
separable ones (every channel by itself over space, then all channels of a place), to 1/8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Times that a side of the map goes into the picture's.
REDUCED = 8


@dataclass(frozen=True)
class NearConfig:
    """Channels, and how many separable convolutions do not change the size, at 1/4 and at 1/8."""

    widths: tuple[int, int] = (64, 128)
    blocks: tuple[int, int] = (2, 5)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> NearConfig:
        """From a model file's header, which has no tuples. Raises TypeError and ValueError for another's."""
        known: dict[str, tuple[int, int]] = {}
        for field, pair in values.items():
            first, second = (int(each) for each in pair)
            known[field] = first, second
        return cls(**known)


TINY = NearConfig(widths=(4, 6), blocks=(0, 1))


class Separable(nn.Module):
    """(N, A, H, W) -> (N, B, H / stride, W / stride), to which what was given is added where it has the same shape."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.space = nn.Conv2d(before, before, 3, stride=stride, padding=1, groups=before)
        self.place = nn.Conv2d(before, after, 1)
        self.same = stride == 1 and before == after
        for convolution in (self.space, self.place):
            _begin(convolution)
        if self.same:
            with torch.no_grad():
                self.place.weight *= 0.3  # so that many of them begin as little more than one

    def forward(self, x: Tensor) -> Tensor:
        found = self.place(F.relu_(self.space(x)))
        return F.relu_(found + x if self.same else found)


class Near(nn.Module):
    """(N, 3, H, W) RGB in 0 to 1 -> (N, C, H/8, W/8). An odd last row or column is left out."""

    def __init__(self, config: NearConfig) -> None:
        super().__init__()
        self.config = config
        (near, far), (first, then) = config.widths, config.blocks
        self.stem = nn.Conv2d(4 * 3, near, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(
            *(Separable(near, near) for _ in range(first)),
            Separable(near, far, stride=2),
            *(Separable(far, far) for _ in range(then)),
        )
        _begin(self.stem)

    def forward(self, pictures: Tensor) -> Tensor:
        height, width = (size // 2 * 2 for size in pictures.shape[-2:])
        # Converted before it is laid out anew: the other way takes twice the time.
        same = (4 * pictures[..., :height, :width] - 2).to(self.stem.weight.dtype)
        places = F.pixel_unshuffle(same, 2).contiguous(memory_format=torch.channels_last)
        found: Tensor = self.blocks(F.relu_(self.stem(places)))
        return found

    def pooled(self, pictures: Tensor) -> Tensor:
        """Mean and standard deviation over space of every map: (N, 2 C) float32."""
        places = self(pictures).permute(0, 2, 3, 1).flatten(1, 2).float()  # N, places, C
        mean = places.mean(dim=1)
        return torch.cat([mean, (places - mean.unsqueeze(1)).square().mean(dim=1).sqrt()], dim=1)


def _begin(convolution: nn.Conv2d) -> None:
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
