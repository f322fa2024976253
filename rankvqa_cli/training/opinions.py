"""Stage two for the student: people's scores of whole pictures join the corpus, so that it learns what they mind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from rankvqa_cli.models.contract import Calibration
from rankvqa_cli.models.patchnet import PatchNet
from rankvqa_cli.training.losses import ranking_loss, scale_loss
from rankvqa_cli.training.scored import ScoredSampler, ScoredSet, planes_of
from rankvqa_cli.training.tasks import RankedModule, RankingTask, batch_distances, device_of, picture_distance

#: Where the learning of PatchNet's ``reserve_power`` begins.
RESERVE_POWER = 0.7


@dataclass(frozen=True)
class OpinionOptions:
    """A batch is ``groups`` contents with ``slots`` stimuli each, crops of ``crop`` pixels. ``weight`` is that of the
    opinions' losses against the corpus' ``1 - weight``; ``width`` the softness of an order, in points of 100."""

    groups: int = 4
    slots: int = 4
    crop: int = 384
    weight: float = 0.6
    width: float = 8.0


def learn_reserve(network: PatchNet) -> None:
    """Let training find the power of the reserve that distances are divided by."""
    for parameter in (network.reserve_power, network.log_reserve_floor):
        parameter.requires_grad_(True)
    if float(network.reserve_power.detach()) == 0.0:
        with torch.no_grad():
            network.reserve_power.fill_(RESERVE_POWER)


class OpinionModule(nn.Module):
    """A RankedModule and the scale of opinions: labels of the corpus are VMAF's points, those of people MOS."""

    def __init__(self, ranked: RankedModule) -> None:
        super().__init__()
        self.ranked = ranked
        # Opinions are about contents too: from here on distances are divided by what the content could lose.
        learn_reserve(ranked.network)
        self.log_midpoint = nn.Parameter(ranked.log_midpoint.detach().clone())
        self.log_slope = nn.Parameter(ranked.log_slope.detach().clone())

    def score(self, log_distances: Tensor) -> Tensor:
        """Log distances to 25 x (MOS - 1)."""
        return 100 * torch.sigmoid(self.log_slope.exp() * (self.log_midpoint - log_distances))

    @property
    def calibration(self) -> Calibration:
        return Calibration(self.log_midpoint.exp().item(), self.log_slope.exp().item())


class OpinionTask:
    """Ranks stimuli by MOS, in and across contents, beside the corpus' pairs. ``held_out`` is never learned from."""

    def __init__(
        self,
        ranking: RankingTask,
        training: ScoredSet,
        held_out: ScoredSet | None,
        options: OpinionOptions,
        seed: int,
    ) -> None:
        self.ranking = ranking
        self.module = OpinionModule(ranking.module)
        self.sampler = ScoredSampler(training, options.groups, options.slots, options.crop, seed)
        self.held_out = held_out
        self.options = options

    def losses(self, index: int) -> dict[str, Tensor]:
        batch = self.sampler.batch(index).to(device_of(self.module))
        ranked = self.module.ranked
        logs = batch_distances(ranked.network, batch, by_content=True)
        terms = ranking_loss(logs, batch.label, batch.better, ranked.log_gain.exp(), self.options.width)
        share = self.options.weight
        corpus = {name: (1 - share) * term for name, term in self.ranking.losses(index).items()}
        return corpus | {
            "opinion_pairs": share * terms["pairs"],
            "opinion_scale": share * scale_loss(self.module.score(logs), batch.label),
        }

    def validate(self, module: nn.Module) -> dict[str, float]:
        """The corpus' measures, and SROCC and RMSE (in points) on the held-out content's whole pictures."""
        assert isinstance(module, OpinionModule)
        measured = self.ranking.validate(module.ranked)
        if self.held_out is not None:
            scores = opinion_scores(module, self.held_out)
            labels = np.array([stimulus.label for stimulus in self.held_out.stimuli])
            measured["opinion_srocc"] = float(spearmanr(scores, labels).statistic)
            measured["opinion_rmse"] = float(np.sqrt(np.mean((scores - labels) ** 2)))
        return measured


@torch.inference_mode()
def opinion_scores(module: OpinionModule, scored: ScoredSet) -> list[float]:
    """Score of every stimulus, whole pictures, as the scoring engine would give it."""
    logs = [
        picture_distance(module.ranked.network, planes_of(scored, reference), planes_of(scored, distorted))
        for reference, distorted in zip(scored.reference_at, scored.distorted_at, strict=True)
    ]
    return [float(score) for score in module.score(torch.stack(logs))]
