"""The network behind every expert of the project's own: a patchified stem, a small convolutional trunk, one vector.

What an expert is trained for is not its own business: it gives as many ``outputs`` as its pretext task asks for, and a
vector that holds what they were read from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rankvqa_cli.models.sizes import halved

#: Below this, a map of the trunk counts as empty or constant.
FLOOR = 0.03


@dataclass(frozen=True)
class ExpertConfig:
    """``widths`` are the channels at 1/4, 1/8, 1/16 and 1/32, with ``blocks`` residual convolutions at each size from
    1/16 on; ``vector`` and ``outputs`` the lengths of what is read off. The trunk sees the picture at ``scales`` sizes,
    each half the one before. A clip of ``frames`` frames is its middle frame, in colour, and how luma changes from
    frame to frame. ``tasks`` are what the outputs were trained for, one after the other, with how many are of each."""

    widths: tuple[int, ...] = (32, 64, 128, 192)
    hidden: int = 256
    vector: int = 128
    outputs: int = 1
    frames: int = 1
    scales: int = 3
    blocks: int = 3
    tasks: tuple[tuple[str, int], ...] = ()

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ExpertConfig:
        """From a model file's header, which has no tuples; one without ``blocks`` is of a time when there was one.
        Raises TypeError for a field that is not known."""
        known: dict[str, Any] = {"blocks": 1, "tasks": (), **values}
        known["widths"] = tuple(int(width) for width in known["widths"])
        known["tasks"] = tuple((str(name), int(count)) for name, count in known["tasks"])
        return cls(**known)

    def parts(self) -> dict[str, slice]:
        """Which of the outputs are of each task. Raises ValueError where they are not all of some task's."""
        if self.tasks and sum(count for _, count in self.tasks) != self.outputs:
            raise ValueError(f"{self.outputs} outputs are not those of {self.tasks}")
        ends = accumulate(count for _, count in self.tasks)
        return {name: slice(end - count, end) for (name, count), end in zip(self.tasks, ends, strict=True)}


TINY = ExpertConfig(widths=(4, 6, 8), hidden=8, vector=6)


class Expert(nn.Module):
    """(N, 3, H, W), or (N, T, 3, H, W) for clips, RGB in 0 to 1 -> (N, outputs)."""

    def __init__(self, config: ExpertConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.stem = nn.Conv2d(3 + config.frames - 1, widths[0], 4, stride=4)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths))
        # At 1/8 a second convolution would cost as much as all the others together.
        self.refine = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for width in widths[2:])
        further = config.blocks - 1
        self.further = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(further))
            for width in widths[2:]
        )
        self.embed = nn.Sequential(
            nn.Linear(2 * config.scales * sum(widths[1:]), config.hidden),
            nn.GELU(),
            nn.Linear(config.hidden, config.vector),
            nn.GELU(),
        )
        self.head = nn.Linear(config.vector, config.outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        for parameter in self.further.parameters():
            nn.init.zeros_(parameter)  # changes nothing before it has learned: an expert can be deepened

    def forward(self, pictures: Tensor) -> Tensor:
        outputs: Tensor = self.head(self.described(pictures))
        return outputs.float()

    def described(self, pictures: Tensor) -> Tensor:
        """The vector that the outputs are read from: (N, vector)."""
        vector: Tensor = self.embed(self.pooled(pictures))
        return vector

    def pooled(self, pictures: Tensor) -> Tensor:
        """Logarithms of the mean and of the standard deviation over space of every map from 1/8 on, at every scale:
        (N, 2 * scales * channels) float32."""
        x = self._seen(pictures)
        found = []
        for scale in range(self.config.scales):
            x = halved(x) if scale else x
            # Converted before it is laid out anew: the other way takes twice the time, and both at once three times.
            same = x.to(self.stem.weight.dtype)
            found += self._moments(same.contiguous(memory_format=torch.channels_last))
        return torch.cat(found, dim=1)

    def convolve_in(self, dtype: torch.dtype) -> None:
        """Compute the trunk, nearly all of the work, in ``dtype``; what is read from it stays as it is."""
        for convolution in (self.stem, self.down, self.refine, self.further):
            convolution.to(dtype)

    def _moments(self, x: Tensor) -> list[Tensor]:
        x = F.relu_(self.stem(x))  # (N, C, H/4, W/4)
        found = []
        for i, down in enumerate(self.down):
            x = F.relu_(down(x))
            if i > 0:
                for block in (self.refine[i - 1], *self.further[i - 1].children()):
                    x = F.relu_(block(x).add_(x))
            places = x.permute(0, 2, 3, 1).flatten(1, 2).float()  # N, places, C
            mean = places.mean(dim=1)
            variance = (places - mean.unsqueeze(1)).square().mean(dim=1)
            found += [torch.log(mean + FLOOR), 0.5 * torch.log(variance + FLOOR**2)]
        return found

    def _seen(self, pictures: Tensor) -> Tensor:
        if self.config.frames == 1:
            return 4 * pictures - 2
        luma = pictures.mean(dim=2)  # N, T, H, W
        middle = pictures[:, self.config.frames // 2]
        return torch.cat([4 * middle - 2, 8 * (luma[:, 1:] - luma[:, :-1])], dim=1)
