"""What PQANet sees of a comparison, gathered patch by patch: the numbers that are pooled into a distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rankvqa_cli.models.dense import Comparison
from rankvqa_cli.models.layers import normalised
from rankvqa_cli.models.patches import PatchGrid, pool
from rankvqa_cli.models.pqanet import LEVELS, PQANet


@dataclass(frozen=True)
class Evidence:
    """One pair of clips: T frames (1 where all frames of both are the same), R x C patches, all float32 and >= 0.

    ``levels`` (LEVELS, R, C) are the means of the level maps over each patch, ``channels`` (T, K, R, C) the mean
    absolute differences of every channel of the pyramid's levels, finest first, or None where nobody asked.
    """

    levels: Tensor
    channels: Tensor | None

    def energies(self, weights: Tensor) -> Tensor:
        """Means over places: ``weights`` (T, R, C), adding up to 1 -> (LEVELS + K,)."""
        levels = (self.levels * weights.sum(dim=0)).sum(dim=(1, 2))
        if self.channels is None:
            return levels
        return torch.cat([levels, (self.channels * weights.unsqueeze(1)).sum(dim=(0, 2, 3))])


def uniform(frames: int, grid: tuple[int, int], device: torch.device) -> Tensor:
    """Weights of a plain mean, (frames, R, C)."""
    shape = (frames, *grid)
    return torch.full(shape, 1.0, device=device) / (frames * grid[0] * grid[1])


class Gatherer:
    """One pair of clips over whole frames, frame by frame: ``add`` every frame's pyramids, then ``finish``.

    ``frames`` are distinct frames, which the network is shown as often as makes a clip.
    """

    def __init__(self, network: PQANet, grid: PatchGrid, frames: int, *, channels: bool) -> None:
        self._comparison = Comparison(network, frames)
        self._grid = grid
        self._channels: list[Tensor] | None = [] if channels else None

    def add(
        self, reference: Sequence[Tensor], described: Sequence[Tensor], distorted: Sequence[Tensor]
    ) -> None:
        """The next frame: pyramids as ``PQANet.frame_features`` gives them, ``described`` the reference's normalised
        levels."""
        self._comparison.add(described, distorted)
        if self._channels is not None:
            parts = [
                pool((near - far).abs().float(), 2 << level, self._grid)
                for level, (near, far) in enumerate(zip(reference, distorted, strict=True))
            ]
            self._channels.append(torch.cat(parts, dim=1))

    def finish(self) -> tuple[Evidence, list[Tensor]]:
        """The evidence, and the level maps (1, 1, h, w) it was pooled from. Can be asked for once."""
        maps = self._comparison.maps()
        pooled = [pool(level_map.double(), 2 << level, self._grid) for level, level_map in enumerate(maps)]
        levels = torch.cat(pooled, dim=1)[0].float()  # (LEVELS, R, C)
        return Evidence(levels, None if self._channels is None else torch.cat(self._channels)), maps


def patch_evidence(
    network: PQANet, reference: Sequence[Tensor], distorted: Sequence[Tensor], *, channels: bool
) -> Evidence:
    """Evidence of a single patch from two pyramids of ``PQANet.features`` with batch size 1: R = C = 1."""
    maps = network.level_maps(reference[:LEVELS], distorted[:LEVELS])
    levels = torch.stack([level.double().mean() for level in maps]).float().view(-1, 1, 1)
    if not channels:
        return Evidence(levels, None)
    parts = [
        (near - far).abs().float().mean(dim=(3, 4))[0] for near, far in zip(reference, distorted, strict=True)
    ]
    return Evidence(levels, torch.cat(parts, dim=1)[:, :, None, None])


def joined(patches: Sequence[Evidence], shape: tuple[int, int]) -> Evidence:
    """Evidence of single patches, row by row, as that of a grid of ``shape`` (R, C)."""
    levels = torch.unflatten(torch.cat([patch.levels for patch in patches], dim=2), 2, shape).squeeze(1)
    found = [patch.channels for patch in patches if patch.channels is not None]
    if not found:
        return Evidence(levels, None)
    return Evidence(levels, torch.unflatten(torch.cat(found, dim=3), 3, shape).squeeze(2))


def normalised_levels(pyramid: Sequence[Tensor]) -> list[Tensor]:
    """The levels that make the score, as ``Gatherer.add`` takes a reference's."""
    return [normalised(level) for level in pyramid[:LEVELS]]
