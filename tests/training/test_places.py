"""What stage two learns from the corpus' places: positions for STANet to weigh, orders, and labels where asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from rankvqa_cli.models import registry
from rankvqa_cli.models.rankvqa import RankVQA
from rankvqa_cli.training.datasets import SourceShard, load_corpus
from rankvqa_cli.training.observations import Observations, observe_corpus
from rankvqa_cli.training.places import LABELS, CorpusPlaces, LabelCurve

from .tiny_networks import RANKVQA, write


def silent(line: str) -> None:
    pass


def seen_of(shard: SourceShard, places: int) -> Observations:
    """Row r is 'seen' as energy r."""
    rows = torch.arange(len(shard.versions) * places, dtype=torch.float32).view(-1, 1, 1, 1)
    return Observations(rows, rows, rows)


@pytest.fixture
def shard(corpus: Path) -> SourceShard:
    return load_corpus(corpus)[0]


def test_a_place_in_small_patches_is_the_place(shard: SourceShard, tmp_path: Path) -> None:
    """Positions to weigh, whose plain mean is what one large patch shows; both are kept in the cache, apart."""
    side = round((shard.reference.shape[2] / 1.5) ** 0.5)
    model = registry.load(str(write(tmp_path / "tiny.safetensors", RANKVQA)))
    assert isinstance(model, RankVQA)
    small = replace(shard, versions=shard.versions[:2], distorted=shard.distorted[:2])
    whole, fine = (observe_corpus(model, [small], 1, tmp_path, silent, patch)[0] for patch in (side, 32))
    assert whole.positions.shape[2:] == (1, 1)
    assert fine.positions.shape[2:] == (side // 32, side // 32)
    levels = 5  # maps of every level, which end on whole windows; then the channels
    for one, many in ((whole.energy, fine.energy), (whole.reserve, fine.reserve)):
        assert torch.allclose(one[:, levels:-8, 0, 0], many[:, levels:-8].mean(dim=(2, 3)), rtol=1e-3)


def test_labels_are_learned_only_with_a_curve(shard: SourceShard) -> None:
    places = CorpusPlaces([(shard, seen_of(shard, 1))], 1)
    slope = torch.tensor(0.1, requires_grad=True)
    gain = torch.tensor(1.0)

    def logs(seen: Observations) -> Tensor:
        return slope * seen.energy.flatten()

    plain = places.losses(logs, gain, None, np.random.default_rng(0), 2)
    labelled = places.losses(logs, gain, LabelCurve(), np.random.default_rng(0), 2)
    assert set(plain) == {"order"}
    assert set(labelled) == {"order", "label"}
    assert float(plain["order"].detach()) == float(labelled["order"].detach())
    labelled["label"].backward()
    assert slope.grad is not None
    assert float(slope.grad) != 0


def test_the_figures_are_of_the_labels_that_hold(shard: SourceShard) -> None:
    labels = np.mean([shard.labels[name] for name in LABELS], axis=0)[:, :1]
    places = CorpusPlaces([(shard, seen_of(shard, 1))], 1)
    curve = LabelCurve()
    score = torch.from_numpy(labels.ravel()).clamp(0.5, 99.5)

    def logs(seen: Observations) -> Tensor:
        """What the curve turns into the labels, 4 points too good."""
        return -torch.logit((score[seen.energy.flatten().long()] + 4).clamp_max(99.9) / 100)

    with torch.inference_mode():
        figures = places.figures(logs, curve)
    usable = [v for v in shard.usable(1) if shard.labels_hold[v]]
    wanted = (score + 4).clamp_max(99.9).numpy()[usable] - labels.ravel()[usable]
    assert figures["held_rmse"] == pytest.approx(float(np.sqrt(np.mean(wanted**2))), abs=1e-3)
    assert figures["held_srocc"] > 0.9
