"""The network behind every expert of the project's own: a patchified stem, a small convolutional trunk, one vector.

What an expert is trained for is not its own business: it gives as many ``outputs`` as its pretext task asks for, and a
vector that holds what they were read from. Instead of the stem it may stand on a network that has learned textures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rankvqa_cli.models.ptm.near import (
    Near,
    NearConfig,
    begin,
    centred,
    deepened,
    descended,
    downwards,
    laid_out,
    moments,
    require_paired,
    residuals,
)
from rankvqa_cli.models.sizes import halved


@dataclass(frozen=True)
class ExpertConfig:
    """``widths`` are the channels at 1/4, 1/8, 1/16 and 1/32, with so many residual convolutions at each size as
    ``blocks`` says; ``vector`` and ``outputs`` the lengths of what is read off. The trunk sees the picture at
    ``scales`` sizes, each half the one before. A clip of ``frames`` frames is its middle frame, in colour, and how luma
    changes from frame to frame. ``tasks`` are what the outputs were trained for, one after the other, with how many
    are of each. With ``near`` a network of textures gives the maps of the first sizes, and ``widths`` and ``blocks``
    are those of the sizes below."""

    widths: tuple[int, ...] = (32, 64, 128, 192)
    blocks: tuple[int, ...] = (0, 0, 3, 3)
    hidden: int = 256
    vector: int = 128
    outputs: int = 1
    frames: int = 1
    scales: int = 3
    tasks: tuple[tuple[str, int], ...] = ()
    near: NearConfig | None = None

    def __post_init__(self) -> None:
        require_paired(self.widths, self.blocks)
        if self.near is not None and self.frames > 1:
            raise ValueError("a network of textures sees single pictures")

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ExpertConfig:
        """From a model file's header, which has no tuples. Raises TypeError for a field that is not known or of another
        kind, as of experts that were trained when ``blocks`` was one number."""
        known: dict[str, Any] = dict(values)
        for field in ("widths", "blocks"):
            known[field] = tuple(int(each) for each in known[field])
        known["tasks"] = tuple((str(name), int(count)) for name, count in known["tasks"])
        if known.get("near") is not None:
            known["near"] = NearConfig.from_json(known["near"])
        return cls(**known)

    def parts(self) -> dict[str, slice]:
        """Which of the outputs are of each task. Raises ValueError where they are not all of some task's."""
        if self.tasks and sum(count for _, count in self.tasks) != self.outputs:
            raise ValueError(f"{self.outputs} outputs are not those of {self.tasks}")
        ends = accumulate(count for _, count in self.tasks)
        return {name: slice(end - count, end) for (name, count), end in zip(self.tasks, ends, strict=True)}

    @property
    def pooled(self) -> int:
        """How many numbers are pooled from all maps."""
        maps = self.widths[1:] if self.near is None else (*self.near.maps, *self.widths)
        return 2 * self.scales * sum(maps)


#: On a network of textures.
ON_NEAR = ExpertConfig(widths=(192,), blocks=(3,), scales=1)
TINY = ExpertConfig(widths=(4, 6, 8), blocks=(0, 0, 1), hidden=8, vector=6)
TINY_ON_NEAR = ExpertConfig(widths=(8,), blocks=(1,), hidden=8, vector=6, scales=1)


class Expert(nn.Module):
    """(N, 3, H, W), or (N, T, 3, H, W) for clips, RGB in 0 to 1 -> (N, outputs) float32."""

    def __init__(self, config: ExpertConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        if config.near is None:
            self.stem = nn.Conv2d(3 + config.frames - 1, widths[0], 4, stride=4)
        else:
            widths = (config.near.widths[-1], *widths)
        self.down = downwards(widths)
        self.blocks = residuals(config.widths, config.blocks)
        begin(self)
        self.near = None if config.near is None else Near(config.near)
        self.embed = nn.Sequential(
            nn.Linear(config.pooled, config.hidden),
            nn.GELU(),
            nn.Linear(config.hidden, config.vector),
            nn.GELU(),
        )
        self.head = nn.Linear(config.vector, config.outputs)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.described(pictures)[1]

    def described(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The vector that the outputs are read from, (N, vector); the outputs, (N, outputs); and logarithms of the mean
        and of the standard deviation over space of every map from 1/8 on, at every scale, that the vector is read from:
        (N, pooled). All float32."""
        pooled = torch.cat([each for scale in self._scales(pictures) for each in moments(scale)], dim=1)
        vector = self.embed(pooled)
        return vector.float(), self.head(vector).float(), pooled

    def convolve_in(self, dtype: torch.dtype) -> None:
        """Compute the trunk, nearly all of the work, in ``dtype``; what is read from it stays as it is."""
        for trunk in (self.stem if self.near is None else self.near, self.down, self.blocks):
            trunk.to(dtype)

    def _scales(self, pictures: Tensor) -> Iterator[list[Tensor]]:
        """The maps from 1/8 on, (N, C, h, w) each, of the picture at every scale."""
        x = self._seen(pictures)
        for scale in range(self.config.scales):
            x = halved(x) if scale else x
            yield self._maps(x)

    def _maps(self, x: Tensor) -> list[Tensor]:
        if self.near is not None:
            maps = self.near(x)
            return [*maps, *descended(maps[-1], self.down, self.blocks)]
        first, *blocks = self.blocks
        stem = F.relu_(self.stem(laid_out(x, self.stem.weight.dtype)))
        return [*descended(deepened(stem, first), self.down, blocks)]

    def _seen(self, pictures: Tensor) -> Tensor:
        if self.near is not None:
            return pictures
        if self.config.frames == 1:
            return centred(pictures)
        luma = pictures.mean(dim=2)  # N, T, H, W
        middle = pictures[:, self.config.frames // 2]
        return torch.cat([centred(middle), 8 * (luma[:, 1:] - luma[:, :-1])], dim=1)
