"""A network that sees small windows of a picture, and those well: what textures are learned with.

Four neighbouring pixels are one place with four times the channels; one convolution to 1/4 of the picture, one to each
size below, and residual ones at every size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Times that a side of the first map goes into the picture's; of every other map twice those of the one before.
REDUCED = 8
#: Below this, a map counts as empty or constant.
FLOOR = 0.03


def require_paired(widths: Sequence[int], blocks: Sequence[int]) -> None:
    """Raises ValueError where there is not a number of residual convolutions for every size."""
    if len(widths) != len(blocks):
        raise ValueError(f"{len(widths)} widths do not go with {len(blocks)} numbers of blocks")


@dataclass(frozen=True)
class NearConfig:
    """Channels, and how many residual convolutions there are, at 1/4, 1/8, 1/16 and so on."""

    widths: tuple[int, ...] = (64, 96, 160)
    blocks: tuple[int, ...] = (1, 3, 3)

    def __post_init__(self) -> None:
        require_paired(self.widths, self.blocks)
        if len(self.widths) < 2:
            raise ValueError("a network of textures has maps below 1/4: give two widths or more")

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> NearConfig:
        """From a model file's header, which has no tuples. Raises TypeError and ValueError for another's."""
        return cls(**{field: tuple(int(each) for each in several) for field, several in values.items()})

    @property
    def maps(self) -> tuple[int, ...]:
        """The channels of its maps."""
        return self.widths[1:]


TINY = NearConfig(widths=(4, 6, 8), blocks=(0, 1, 1))


class Near(nn.Module):
    """(N, 3, H, W) RGB in 0 to 1 -> maps (N, C, H/8, W/8), (N, C, H/16, W/16) and so on. An odd last row or column is
    left out."""

    def __init__(self, config: NearConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Conv2d(4 * 3, config.widths[0], 3, stride=2, padding=1)
        self.down = downwards(config.widths)
        self.blocks = residuals(config.widths, config.blocks)
        begin(self)

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        height, width = (size // 2 * 2 for size in pictures.shape[-2:])
        same = laid_out(centred(pictures[..., :height, :width]), self.stem.weight.dtype)
        x = F.conv2d(same, _of_pixels(self.stem.weight), self.stem.bias, stride=4, padding=2)
        first, *blocks = self.blocks
        return tuple(descended(deepened(F.relu_(x), first), self.down, blocks))


def centred(pictures: Tensor) -> Tensor:
    """Of 0 to 1, as -2 to 2: 4 x - 2 in one pass."""
    return torch.add(torch.full((), -2.0, device=pictures.device), pictures, alpha=4)


def laid_out(x: Tensor, dtype: torch.dtype) -> Tensor:
    """(N, C, H, W) in the ``dtype`` and the layout that convolutions take."""
    # Converted before it is laid out anew: the other way takes twice the time, and both at once three times.
    return x.to(dtype).contiguous(memory_format=torch.channels_last)


def _of_pixels(weight: Tensor) -> Tensor:
    """Filters (O, 4 C, 3, 3) of places of 2x2 pixels as those of the pixels, (O, C, 6, 6): to rearrange the filters
    takes no time, to rearrange pictures as long as the convolution."""
    outputs = len(weight)
    places = weight.view(
        outputs, -1, 2, 2, 3, 3
    )  # O, C, row and column of the pixel, row and column of the place
    return places.permute(0, 1, 4, 2, 5, 3).reshape(outputs, -1, 6, 6)


def downwards(widths: Iterable[int]) -> nn.ModuleList:
    """Convolutions from each size to the one below, half of it."""
    return nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths))


def residuals(widths: Iterable[int], counts: Iterable[int]) -> nn.ModuleList:
    """Residual convolutions at each size: so many of so many channels."""
    return nn.ModuleList(
        nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(count))
        for width, count in zip(widths, counts, strict=True)
    )


def deepened(x: Tensor, blocks: nn.Module) -> Tensor:
    """``blocks`` are those of one size of ``residuals``."""
    for block in blocks.children():
        x = F.relu_(block(x).add_(x))
    return x


def descended(x: Tensor, down: Iterable[nn.Module], blocks: Iterable[nn.Module]) -> Iterator[Tensor]:
    """Of every size below that of ``x``: its map, deepened."""
    for convolution, own in zip(down, blocks, strict=True):
        x = deepened(F.relu_(convolution(x)), own)
        yield x


def begin(network: nn.Module) -> None:
    """Convolutions as they begin; of the residual ones of a size, ``blocks.SIZE``, all but the first change nothing
    before they have learned: a network can be deepened."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            assert module.bias is not None
            nn.init.zeros_(module.bias)
            if name.startswith("blocks.") and not name.endswith(".0"):
                nn.init.zeros_(module.weight)
            else:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")


def moments(maps: Iterable[Tensor]) -> Iterator[Tensor]:
    """Of every map (N, C, h, w): logarithms of the mean and of the standard deviation over space, (N, C) float32
    each."""
    for x in maps:
        places = x.permute(0, 2, 3, 1).flatten(1, 2).float()  # N, places, C
        mean = places.mean(dim=1)
        variance = (places - mean.unsqueeze(1)).square().mean(dim=1)
        yield torch.log(mean + FLOOR)
        yield 0.5 * torch.log(variance + FLOOR**2)
