"""STANet weighs every position of a clip, unlike the released code, whose weights are all 1."""

from __future__ import annotations

import math

import torch

from rankvqa_cli.models.stanet import LIMIT, STANet


def taught(channels: int) -> STANet:
    """As if it had learned something."""
    pooling = STANet(channels)
    torch.nn.init.normal_(pooling.get_parameter("conv3d_block2.2.weight"), std=3.0)
    return pooling


def test_weights_differ_and_add_up_to_one() -> None:
    torch.manual_seed(0)
    weights = taught(20).weights(torch.randn(2, 12, 20, 3, 5))
    assert weights.shape == (2, 12, 3, 5)
    assert torch.allclose(weights.sum(dim=(1, 2, 3)), torch.ones(2))
    assert (weights > 0).all()
    assert weights.flatten(1).std(dim=1).min() > 1e-5  # within a clip
    for axis in (1, 2, 3):  # in time and in both directions of space
        assert weights.std(dim=axis).min() > 0


def test_a_new_one_weighs_all_positions_alike() -> None:
    torch.manual_seed(0)
    weights = STANet(20).weights(torch.randn(2, 12, 20, 3, 5))
    assert torch.equal(weights, weights[0, 0, 0, 0].expand_as(weights))


def test_no_position_drowns_the_others() -> None:
    """However strong a channel: what it is relative to its own mean counts."""
    torch.manual_seed(0)
    features = torch.rand(1, 4, 6, 3, 5)
    features[:, :, 0] *= 1e4
    features[0, 1, 0, 2, 2] = 1e9
    weights = taught(6).weights(features).detach()
    assert float(weights.amax() / weights.amin()) <= math.exp(2 * LIMIT) * 1.0001
    pooling = taught(6)
    louder = features.clone()
    louder[:, :, 1:] *= 50
    assert torch.allclose(pooling.weights(features), pooling.weights(louder), rtol=0.1)


def test_a_still_weighs_as_each_of_its_frames() -> None:
    torch.manual_seed(3)
    pooling, still = taught(6), torch.rand(2, 1, 6, 3, 4)
    clip = pooling.weights(still.expand(-1, 12, -1, -1, -1))
    assert torch.allclose(clip.sum(dim=1), pooling.weights(still)[:, 0], atol=1e-6)


def test_the_same_sight_weighs_the_same_wherever_it_is() -> None:
    """Edges are not in view: a few training contents could teach it their places by heart."""
    torch.manual_seed(4)
    pooling, features = taught(6), torch.rand(2, 3, 6, 3, 4)
    moved = pooling.weights(features.roll((1, 2), dims=(3, 4)))
    assert torch.allclose(moved, pooling.weights(features).roll((1, 2), dims=(2, 3)), atol=1e-6)


def test_the_score_is_the_weighted_mean() -> None:
    torch.manual_seed(1)
    pooling = taught(6)
    features = torch.randn(2, 12, 6, 3, 4)
    quality = torch.rand(2, 3, 4)
    by_patch = pooling.weights(features).sum(dim=1)
    assert torch.allclose(pooling(quality, features), (by_patch * quality).sum(dim=(1, 2)))
    assert torch.allclose(pooling(torch.full((2, 3, 4), 7.0), features), torch.full((2,), 7.0))
    assert pooling(torch.zeros(2, 3, 4), features).tolist() == [0.0, 0.0]


def test_it_learns_where_to_look() -> None:
    """Trained to report the one patch that its features mark, it gives it nearly all the weight that it may."""
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
    most = math.exp(2 * LIMIT) / (math.exp(2 * LIMIT) + 8)
    assert weight.mean() > 0.9 * most
