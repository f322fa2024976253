"""What the second stage learns from the corpus: orders that hold by construction, and labels of whole places."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rankvqa_cli.training.datasets import BatchOptions, SourceShard
from rankvqa_cli.training.held_out import measure_held_out
from rankvqa_cli.training.losses import ScoreCurve, ranking_loss, scale_loss
from rankvqa_cli.training.observations import Observations
from rankvqa_cli.training.orders import SURE

#: Pixels across of the patches that a place is seen in where its label is learned: STANet then has positions to weigh.
FINE = 64

#: The labels, averaged, and the softness of their order in points.
LABELS = BatchOptions().labels
WIDTH = 5.0

#: Log distances (N,) of what was seen of N pictures.
Logs = Callable[[Observations], Tensor]


class LabelCurve(ScoreCurve):
    """What turns log distances into the corpus' labels. For training alone: a model's own curve makes opinions."""

    def __init__(self) -> None:
        super().__init__()
        self.log_midpoint = nn.Parameter(torch.tensor(0.0))
        self.log_slope = nn.Parameter(torch.tensor(0.0))


class CorpusPlaces:
    """Sources, and what was seen of the first ``places`` places of each, row = version * places + place."""

    def __init__(self, sources: Sequence[tuple[SourceShard, Observations]], places: int) -> None:
        self.sources = sources
        self.places = places

    def losses(
        self, logs: Logs, gain: Tensor, curve: LabelCurve | None, rng: np.random.Generator, groups: int
    ) -> dict[str, Tensor]:
        """Of ``groups`` places with all their versions: ``order``, and with a ``curve`` also ``label``, which is the
        ranking by labels within a place and their regression."""
        terms = {"order": gain * 0} | ({} if curve is None else {"label": gain * 0})
        for chosen in rng.choice(len(self.sources), groups) if self.sources else ():
            shard, seen = self.sources[chosen]
            place = int(rng.integers(self.places))
            mine = np.array(shard.usable(1))
            better = torch.from_numpy(shard.better[np.ix_(mine, mine)][:, :, place] >= SURE)
            found = logs(seen.pick(mine * self.places + place))
            label = torch.from_numpy(_labels(shard, place)[mine])
            ranked = ranking_loss(found, label, better, gain, WIDTH)
            terms["order"] = terms["order"] + ranked["order"] / groups
            if curve is not None:
                here = ranked["pairs"] + scale_loss(curve.score(found), label)
                terms["label"] = terms["label"] + here / groups
        return terms

    def figures(self, logs: Logs, curve: LabelCurve) -> dict[str, float]:
        """``held_out.measure_held_out`` of these sources, and the RMSE of their labels in points."""
        distances, errors = [], []
        for shard, seen in self.sources:
            mine = np.array(shard.usable(1))
            found = np.full((len(shard.versions), self.places), np.nan, np.float32)
            for place in range(self.places):
                log = logs(seen.pick(mine * self.places + place))
                found[mine, place] = log.numpy()
                errors.append(curve.score(log).numpy() - _labels(shard, place)[mine])
            distances.append(found)
        shards = [shard for shard, _ in self.sources]
        usable = [shard.usable(1) for shard in shards]
        square = np.concatenate(errors) ** 2
        return measure_held_out(shards, distances, self.places, LABELS, usable) | {
            "held_rmse": float(np.sqrt(np.nanmean(square)))
        }


def _labels(shard: SourceShard, place: int) -> NDArray[np.float32]:
    """(E,), NaN where a version's labels do not hold."""
    mean = np.mean([shard.labels[name][:, place] for name in LABELS], axis=0)
    return np.where(shard.labels_hold, mean, np.nan).astype(np.float32)
