"""What the loop trains: the full-reference student on ranked pairs of encodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rankvqa_cli.models.code_values import units_of
from rankvqa_cli.models.patchnet import Features, PatchNet
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
from rankvqa_cli.training.planes import to_planes
from rankvqa_cli.types import FrameFormat

#: So many frames of a held-out clip are looked at.
VALIDATED_FRAMES = 2


class RankedModule(ScoreCurve):
    """A network with what only its training needs: the gain of the ranking loss and a scale for its distances."""

    def __init__(self, network: PatchNet) -> None:
        super().__init__()
        self.network = network
        self.log_gain = nn.Parameter(torch.tensor(1.0))
        self.damage_slope = nn.Parameter(torch.tensor(1.0))
        self.damage_zero = nn.Parameter(torch.tensor(0.0))
        self.log_midpoint = nn.Parameter(torch.tensor(0.0))
        self.log_slope = nn.Parameter(torch.tensor(0.0))


@dataclass(frozen=True)
class RankingWeights:
    """Weights of the loss terms. ``damage`` and ``amount`` are of frozen networks' labels, where there are any; then
    labels rank in one source only, and ``scale`` teaches the curve alone, as it does where ``pairs`` is 0. ``width``
    and ``damage_width`` are the softness of an order, in label points and in log-ratio."""

    pairs: float = 1.0
    order: float = 1.0
    scale: float = 0.5
    damage: float = 1.0
    amount: float = 1.0
    width: float = 5.0
    damage_width: float = 0.1


class RankingTask:
    """Stage one of RankDVQA for the student: pairs of encodes, ranked by label and by construction."""

    def __init__(
        self,
        network: PatchNet,
        training: Sequence[SourceShard],
        held_out: Sequence[SourceShard],
        options: BatchOptions,
        weights: RankingWeights,
        seed: int,
        damage: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> None:
        self.module = RankedModule(network)
        self.sampler = Sampler(training, options, seed, damage)
        self.held_out = held_out
        self.weights = weights

    def losses(self, index: int) -> dict[str, Tensor]:
        batch = self.sampler.batch(index).to(device_of(self.module))
        logs = batch_distances(self.module.network, batch).float()
        weights, gain = self.weights, self.module.log_gain.exp()
        hurt = self.sampler.damage is not None
        comparable = same_group(batch.groups, batch.slots, logs.device) if hurt else None
        terms = ranking_loss(logs, batch.label, batch.better, gain, weights.width, comparable)
        labels_teach = weights.pairs > 0 and not hurt  # else the curve follows them, and the network does not
        losses = {
            "pairs": weights.pairs * terms["pairs"],
            "order": weights.order * terms["order"],
            "scale": weights.scale
            * scale_loss(self.module.score(logs if labels_teach else logs.detach()), batch.label),
        }
        if hurt:
            scale = self.module.damage_slope, self.module.damage_zero
            found = damage_losses(logs, batch.damage, gain, scale, weights.damage_width)
            losses |= {"damage": weights.damage * found["damage"], "amount": weights.amount * found["amount"]}
        return losses

    def validate(self, module: nn.Module) -> dict[str, float]:
        """On the held-out contents, at the first places of each: see ``held_out.measure_held_out``; and the RMSE of the
        calibrated score in points."""
        if not self.held_out:
            return {}
        assert isinstance(module, RankedModule)
        places = min(HELD_PLACES, *(len(shard.reference) for shard in self.held_out))
        names = self.sampler.options.labels
        distances, errors = [], []
        for shard in self.held_out:
            logs = torch.stack(
                [score_place(module, shard, place, VALIDATED_FRAMES) for place in range(places)], dim=1
            )
            label = np.mean([shard.labels[name][:, :places] for name in names], axis=0)
            counts = [v for v in shard.usable(VALIDATED_FRAMES) if shard.labels_hold[v]]
            errors.append((module.score(logs).cpu().numpy() - label)[counts].ravel())
            distances.append(logs.cpu().numpy())
        usable = [shard.usable(VALIDATED_FRAMES) for shard in self.held_out]
        rmse = float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))
        return measure_held_out(self.held_out, distances, places, names, usable) | {"held_rmse": rmse}


def score_place(module: RankedModule, shard: SourceShard, place: int, frames: int) -> Tensor:
    """Log distances (E,) of every version of a source at one place, from the first ``frames`` frames."""
    straight = np.zeros(3, np.bool_)
    network, device = module.network, device_of(module)
    reference = inputs_of(*to_planes(shard.reference[place, :frames], straight), device)
    described = network.features(*reference)
    reserve = network.reserve_energies(described).mean(dim=0, keepdim=True)
    energies = []
    for version in range(len(shard.versions)):
        planes = to_planes(shard.distorted[version, place, :frames], straight)
        energies.append(
            network.energies(described, network.features(*inputs_of(*planes, device))).mean(dim=0)
        )
    return log_distance(network.readout(torch.stack(energies), reserve))


class Compared(NamedTuple):
    """A batch under a PatchNet: the references' features, once for every clip, and the distorted clips'; ``energy``
    and ``reserve`` (groups * slots, K) are what the readout is given of every clip."""

    reference: Features
    distorted: Features
    energy: Tensor
    reserve: Tensor


def compare_batch(network: PatchNet, batch: Batch) -> Compared:
    """Compare every distorted clip of a batch with its reference."""
    device = device_of(network)
    reference = network.features(*inputs_of(*batch.reference, device))
    distorted = network.features(*inputs_of(*batch.distorted, device))
    repeated = Features(*(_repeat(x, batch.groups, batch.slots) for x in reference))
    energy, reserve = (
        torch.unflatten(x, 0, (-1, batch.frames)).mean(dim=1)
        for x in (network.energies(repeated, distorted), network.reserve_energies(reference))
    )
    return Compared(repeated, distorted, energy, reserve.repeat_interleave(batch.slots, dim=0))


def batch_distances(network: PatchNet, batch: Batch) -> Tensor:
    """Log distance (groups * slots,) of every distorted clip of a batch."""
    compared = compare_batch(network, batch)
    return log_distance(network.readout(compared.energy, compared.reserve))


def device_of(module: nn.Module) -> torch.device:
    """Where a module's parameters are, all of them on one device."""
    return next(module.parameters()).device


def inputs_of(luma: Tensor, chroma: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """8-bit limited-range planes (N, H, W) and (N, 2, H / 2, W / 2) to what ``PatchNet.features`` takes."""
    luma, chroma = luma.to(device), chroma.to(device)
    side = luma.shape[-1]
    units = units_of(FrameFormat(side, side, "yuv420p", 8, (2, 2), full_range=False, matrix="bt709"))
    nominal_luma = units.luma_gain * (luma.float() - 128 - units.luma_zero)
    return nominal_luma.unsqueeze(1), units.chroma_gain * (chroma.float() - 128 - units.chroma_zero)


def _repeat(x: Tensor, groups: int, slots: int) -> Tensor:
    """(G * F, ...) to (G * S * F, ...): every group's clip once for each of its slots."""
    clips = x.view(groups, 1, -1, *x.shape[1:])
    return clips.expand(-1, slots, *[-1] * x.dim()).flatten(0, 2)
