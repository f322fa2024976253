"""The ICID loss, term by term."""

from __future__ import annotations

import pytest
import torch

from rankvqa_cli.models.ptm.fusion import Fused
from rankvqa_cli.training.icid import IcidOptions, icid_loss

CLUSTERS = torch.tensor([0, 0, 1, 1])
LABEL = torch.tensor([10.0, 20.0, 80.0, 90.0])
ONES = torch.ones(4)


def fused(vectors: torch.Tensor, quality: torch.Tensor = LABEL) -> Fused:
    own = quality[:, None].expand(-1, vectors.shape[1])
    return Fused(quality, own, vectors, vectors.mean(dim=1))


def test_what_is_right_costs_nothing() -> None:
    """Right scores, members that agree, clusters that are apart."""
    axes = torch.eye(2)[CLUSTERS].unsqueeze(1).expand(-1, 3, -1)
    loss = icid_loss(fused(axes), LABEL, CLUSTERS, ONES, IcidOptions())
    for term in (loss.total, loss.regression, loss.own, loss.intra, loss.inter):
        assert float(term) == pytest.approx(0, abs=1e-6)
    assert float(loss.variance) == pytest.approx(0.25)


def test_members_that_contradict_each_other_cost_up_to_two() -> None:
    opposite = torch.tensor([[1.0, 0.0], [-1.0, 0.0]]).expand(4, -1, -1)
    assert float(icid_loss(fused(opposite), LABEL, CLUSTERS, ONES, IcidOptions()).intra) == pytest.approx(2)
    alone = torch.ones(4, 1, 2)
    assert float(icid_loss(fused(alone), LABEL, CLUSTERS, ONES, IcidOptions()).intra) == 0


def test_clusters_that_fall_together_cost_the_margin() -> None:
    """All vectors alike: every triplet costs its margin, and the variance says that all has collapsed."""
    same = torch.ones(4, 2, 3)
    loss = icid_loss(fused(same), LABEL, CLUSTERS, ONES, IcidOptions(margin=0.3))
    assert float(loss.inter) == pytest.approx(0.3, abs=1e-4)
    assert float(loss.variance) == 0
    one_cluster = icid_loss(fused(same), LABEL, torch.zeros(4, dtype=torch.int64), ONES, IcidOptions())
    assert float(one_cluster.inter) == 0


def test_a_sample_counts_what_its_weight_says() -> None:
    vectors = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(0))
    wrong = LABEL + torch.tensor([0.0, 0.0, 0.0, 40.0])
    heavy = icid_loss(
        fused(vectors, wrong), LABEL, CLUSTERS, torch.tensor([1.0, 1.0, 1.0, 3.0]), IcidOptions()
    )
    none = icid_loss(
        fused(vectors, wrong), LABEL, CLUSTERS, torch.tensor([1.0, 1.0, 1.0, 0.0]), IcidOptions()
    )
    assert float(heavy.regression) == pytest.approx(0.5 * (40 - 5) / 10)
    assert float(none.regression) == 0


def test_every_term_has_gradients_also_where_vectors_coincide() -> None:
    vectors = torch.ones(4, 2, 3, requires_grad=True)
    loss = icid_loss(fused(vectors), LABEL, CLUSTERS, ONES, IcidOptions(intra=1, inter=1))
    loss.total.backward()
    assert vectors.grad is not None
    assert bool(torch.isfinite(vectors.grad).all())
