"""What the loop trains for the teacher, stage one: PQANet and its readout on ranked pairs of patch clips."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rankvqa_cli.models import colour
from rankvqa_cli.models.pqanet import LEVELS, PQANet
from rankvqa_cli.models.reserve import Readout, low_passed
from rankvqa_cli.training.datasets import Batch, BatchOptions, Sampler, SourceShard
from rankvqa_cli.training.held_out import HELD_PLACES, measure_held_out
from rankvqa_cli.training.losses import (
    ScoreCurve,
    damage_losses,
    log_distance,
    ranking_loss,
    same_group,
    scale_loss,
)
from rankvqa_cli.training.planes import AS_THEY_ARE, as_clip, to_planes


@dataclass(frozen=True)
class TeacherWeights:
    """Weights of the loss terms; 0 leaves one out. ``order`` is of pairs ordered by construction, ``label`` of pairs by
    the labels, in and across sources, or in sources only where frozen networks rank across them; ``damage`` of pairs
    by frozen networks and ``amount`` of its regression. ``width`` and ``damage_width`` are the softness of an order, in
    label points and in log-ratio."""

    order: float = 1.0
    label: float = 1.0
    damage: float = 1.0
    amount: float = 1.0
    width: float = 5.0
    damage_width: float = 0.1


class Seen(NamedTuple):
    """What a network makes of N clips. ``energy`` (N, E) is averaged where clips are pooled over places; ``reserve``
    (N, E) or (N, 1) is what it is held against, None where it is a distance as it is. ``levels``, where asked for, are
    differences by place, (N, C, h, w) at 1 / 2^key of the frame's size."""

    energy: Tensor
    reserve: Tensor | None
    levels: dict[int, Tensor]


class TeacherModule(ScoreCurve):
    """PQANet and readout (None: a plain sum of the level maps), with what only their training needs: the gain of the
    ranking losses, a scale for damage, and the curve that makes scores of distances."""

    def __init__(self, network: PQANet, readout: Readout | None, colours: colour.ColourInput) -> None:
        super().__init__()
        self.network = network
        self.readout = readout
        self.colours = colours
        self.log_gain = nn.Parameter(torch.tensor(1.0))
        self.damage_slope = nn.Parameter(torch.tensor(1.0))
        self.damage_zero = nn.Parameter(torch.tensor(0.0))
        self.log_midpoint = nn.Parameter(torch.tensor(0.0))
        self.log_slope = nn.Parameter(torch.tensor(0.0))

    def forward(self, batch: Batch) -> Tensor:
        """Log distances (groups * slots,) of a batch's clips."""
        seen = self.observe(batch)
        return log_distance(self.distance(seen.energy, seen.reserve))

    def observe(self, batch: Batch, *, maps: bool = False) -> Seen:
        """A batch's clips, groups * slots of them. The level maps, and the absolute differences of every channel beside
        them, are kept where ``maps`` asks for them."""
        groups, slots = batch.groups, batch.slots
        seen = self._seen(batch.reference)
        reference = self._pyramid(seen, groups)
        reserve: Tensor | None = None
        if self.readout is not None:
            soft = self._pyramid(low_passed(seen), groups)
            reserve = self._energies(reference, soft).repeat_interleave(slots, dim=0)
        distorted = self._pyramid(self._seen(batch.distorted), groups * slots)
        repeated = [level.repeat_interleave(slots, dim=0) for level in reference]
        levels: dict[int, Tensor] = {}
        energy = self._energies(repeated, distorted, levels if maps else None)
        return Seen(energy, reserve, levels)

    def distance(self, energy: Tensor, reserve: Tensor | None) -> Tensor:
        """Distances (N,) of what ``observe`` saw, or of its means over places."""
        if self.readout is None:
            return energy[:, :LEVELS].sum(dim=1).clamp_min(0)
        found: Tensor = self.readout(energy, reserve)
        return found

    def _energies(
        self,
        reference: Sequence[Tensor],
        distorted: Sequence[Tensor],
        kept: dict[int, Tensor] | None = None,
    ) -> Tensor:
        """As ``models.evidence.Evidence.energies`` of single patches: (B, LEVELS + K) float32. Maps into ``kept``."""
        maps = self.network.level_maps(reference[:LEVELS], distorted[:LEVELS])
        levels = torch.stack([level.float().mean(dim=(1, 2, 3)) for level in maps], dim=1)
        channels = [
            (near - far).abs().mean(dim=(1, 3, 4), dtype=torch.float32)
            for near, far in zip(reference, distorted, strict=True)
        ]
        if kept is not None:
            for level, (near, far) in enumerate(zip(reference, distorted, strict=True)):
                kept[level + 1] = torch.cat([*maps[level : level + 1], (near - far).abs().mean(dim=1)], dim=1)
        return torch.cat([levels, *channels], dim=1)

    def _pyramid(self, frames: Tensor, clips: int) -> list[Tensor]:
        """(clips * T, 3, H, W) -> per level (clips, T, width, h, w)."""
        return [torch.unflatten(level, 0, (clips, -1)) for level in self.network.frame_features(frames)]

    def _seen(self, planes: tuple[Tensor, Tensor]) -> Tensor:
        """8-bit limited-range planes (N, H, W) and (N, 2, H / 2, W / 2) as the network takes them."""
        return colour.network_input(as_clip(*planes), self.colours)


class TeacherTask:
    """Stage one of RankDVQA: pairs of patch clips, ranked by labels, by frozen networks and by construction."""

    def __init__(
        self,
        module: TeacherModule,
        training: Sequence[SourceShard],
        held_out: Sequence[SourceShard],
        options: BatchOptions,
        weights: TeacherWeights,
        seed: int,
        damage: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> None:
        self.module = module
        self.sampler = Sampler(training, options, seed, damage)
        self.held_out = held_out
        self.weights = weights
        self.options = options
        self.has_damage = damage is not None

    def losses(self, index: int) -> dict[str, Tensor]:
        batch = self.sampler.batch(index).to(self.module.log_gain.device)
        logs = self.module(batch).float()
        weights, gain = self.weights, self.module.log_gain.exp()
        comparable = same_group(batch.groups, batch.slots, logs.device) if self.has_damage else None
        ranked = ranking_loss(logs, batch.label, batch.better, gain, weights.width, comparable)
        terms = {"order": weights.order * ranked["order"], "label": weights.label * ranked["pairs"]}
        if self.has_damage:
            scale = self.module.damage_slope, self.module.damage_zero
            found = damage_losses(logs, batch.damage, gain, scale, weights.damage_width)
            terms |= {"damage": weights.damage * found["damage"], "amount": weights.amount * found["amount"]}
        # The curve follows the labels; the network does not follow the curve.
        terms["scale"] = scale_loss(self.module.score(logs.detach()), batch.label)
        return terms

    def validate(self, module: nn.Module) -> dict[str, float]:
        """On the held-out contents: see ``held_out.measure_held_out``."""
        if not self.held_out:
            return {}
        assert isinstance(module, TeacherModule)
        device = module.log_gain.device
        return measure_places(lambda batch: module(batch.to(device)), self.held_out, self.options)


def measure_places(
    logs: Callable[[Batch], Tensor], held_out: Sequence[SourceShard], options: BatchOptions
) -> dict[str, float]:
    """``held_out.measure_held_out`` at the first places of every source, of a network that makes log distances (N,) of
    a batch's clips."""
    distances = [
        np.stack(
            [place_distances(logs, shard, place, options.frames) for place in _places(shard)],
            axis=1,
        )
        for shard in held_out
    ]
    usable = [shard.usable(options.frames) for shard in held_out]
    return measure_held_out(held_out, distances, HELD_PLACES, options.labels, usable)


def _places(shard: SourceShard) -> range:
    return range(min(HELD_PLACES, len(shard.reference)))


def place_distances(
    logs: Callable[[Batch], Tensor], shard: SourceShard, place: int, frames: int
) -> NDArray[np.float32]:
    """Log distances (E,) of every version of a source at one place, from the ``frames`` frames in its middle."""
    first = (shard.reference.shape[1] - frames) // 2
    view = slice(first, first + frames)
    found = []
    for version in shard.distorted:
        single = torch.zeros(1)
        batch = Batch(
            reference=to_planes(shard.reference[place, view], AS_THEY_ARE),
            distorted=to_planes(version[place, view], AS_THEY_ARE),
            label=single,
            damage=single,
            better=torch.zeros(1, 1, dtype=torch.bool),
            groups=1,
            slots=1,
            frames=frames,
        )
        found.append(float(logs(batch)))
    return np.array(found, np.float32)
