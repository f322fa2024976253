"""STANet weighs every position of a clip, unlike the released code, whose weights are all 1."""

from __future__ import annotations

import torch

from rankvqa_cli.models.stanet import STANet


def test_weights_differ_and_add_up_to_one() -> None:
    torch.manual_seed(0)
    weights = STANet(20).weights(torch.randn(2, 12, 20, 3, 5))
    assert weights.shape == (2, 12, 3, 5)
    assert torch.allclose(weights.sum(dim=(1, 2, 3)), torch.ones(2))
    assert (weights > 0).all()
    assert weights.flatten(1).std(dim=1).min() > 1e-5  # within a clip
    for axis in (1, 2, 3):  # in time and in both directions of space
        assert weights.std(dim=axis).min() > 0


def test_the_score_is_the_weighted_mean() -> None:
    torch.manual_seed(1)
    pooling = STANet(6)
    features = torch.randn(2, 12, 6, 3, 4)
    quality = torch.rand(2, 3, 4)
    by_patch = pooling.weights(features).sum(dim=1)
    assert torch.allclose(pooling(quality, features), (by_patch * quality).sum(dim=(1, 2)))
    assert torch.allclose(pooling(torch.full((2, 3, 4), 7.0), features), torch.full((2,), 7.0))
    assert pooling(torch.zeros(2, 3, 4), features).tolist() == [0.0, 0.0]


def test_it_learns_where_to_look() -> None:
    """Trained to report the one patch that its features mark, it puts most of its weight there."""
    torch.manual_seed(2)
    pooling = STANet(4)
    optimiser = torch.optim.Adam(pooling.parameters(), lr=0.02)
    for _ in range(150):
        place = torch.randint(0, 9, (8,))
        mark = torch.nn.functional.one_hot(place, 9).view(8, 1, 1, 3, 3).float()
        features = (mark * 3).expand(8, 2, 4, 3, 3)
        quality = torch.rand(8, 3, 3)
        loss = (
            (pooling(quality, features) - quality.flatten(1).gather(1, place[:, None])[:, 0]).square().mean()
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    weight = (pooling.weights(features) * mark[:, :, 0]).sum(dim=(1, 2, 3))
    assert weight.mean() > 0.6
