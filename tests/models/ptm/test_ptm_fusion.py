"""The fusion: projections that explain the label, weights that are shares, each member's own view."""

from __future__ import annotations

import pytest
import torch

from rankvqa_cli.models.ptm.fusion import SHRINKAGES, Fusion, FusionConfig


def made(inputs: list[int], weights: list[float], **values: int) -> Fusion:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Fusion(FusionConfig(inputs, weights, **values)).eval()


def test_components_add_up_to_the_ridge_that_is_shrunk_least() -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(50, 4, generator=generator) * torch.tensor([1.0, 10.0, 0.1, 3.0]) + 5
    y = x @ torch.tensor([2.0, -1.0, 4.0, 0.5]) + torch.randn(50, generator=generator)
    fusion = made([4], [1.0], components=3)
    fusion.fit([x], y)
    z = (x - x.mean(dim=0)) / x.std(dim=0, correction=0)
    t = (y - y.mean()) / y.std(correction=0)
    weights = torch.linalg.solve(z.T @ z + SHRINKAGES[2] * 4 * torch.eye(4), z.T @ t)
    torch.testing.assert_close(fusion.projected(0, x).sum(dim=1), z @ weights, rtol=1e-3, atol=1e-4)


def test_blocks_are_projected_each_by_itself() -> None:
    generator = torch.Generator().manual_seed(2)
    x, y = torch.randn(30, 6, generator=generator), torch.randn(30, generator=generator)
    whole, parts = made([6], [1.0], blocks=2, components=2), made([3, 3], [0.5, 0.5], components=2)
    whole.fit([x], y)
    parts.fit([x[:, :3], x[:, 3:]], y)
    both = torch.cat([parts.projected(0, x[:, :3]), parts.projected(1, x[:, 3:])], dim=1)
    torch.testing.assert_close(whole.projected(0, x), both)
    with pytest.raises(ValueError, match="blocks"):
        FusionConfig([5], [1.0], blocks=2)


def test_the_mean_of_a_block_is_taken_as_it_is() -> None:
    x = torch.randn(30, 6, generator=torch.Generator().manual_seed(3))
    fusion = made([6], [1.0], blocks=2, components=0, mean=True)
    fusion.fit([x], torch.arange(30.0))
    z = (x - x.mean(dim=0)) / x.std(dim=0, correction=0)
    expected = torch.stack([z[:, :3].mean(dim=1), z[:, 3:].mean(dim=1)], dim=1)
    torch.testing.assert_close(fusion.projected(0, x), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="components"):
        made([6], [1.0], components=0)


def test_joint_goes_past_the_layers_and_adds_up() -> None:
    generator = torch.Generator().manual_seed(4)
    x = [torch.randn(60, 3, generator=generator), torch.randn(60, 4, generator=generator)]
    y = x[0][:, 0] + x[1][:, 1] - x[1][:, 2]
    fusion = made([3, 4], [0.3, 0.7], components=2, joint=True)
    fusion.fit(x, y)
    fused, plain = fusion(x), made([3, 4], [0.3, 0.7], components=2)
    plain.load_state_dict(fusion.state_dict() | plain.state_dict(), strict=False)
    plain.fit(x, y)
    shares = torch.stack([fusion.projected(i, each)[:, -1] for i, each in enumerate(x)])
    torch.testing.assert_close(fused.quality, plain(x).quality + 25 * shares.sum(dim=0))
    regressed = torch.stack([plain.projected(i, each).sum(dim=1) for i, each in enumerate(x)], dim=1)
    torch.testing.assert_close(fused.own, plain(x).own + 25 * regressed)
    assert torch.corrcoef(torch.stack([shares.sum(dim=0), y]))[0, 1] > 0.95
    with pytest.raises(ValueError, match="joint needs components"):
        made([3], [1.0], components=0, mean=True, joint=True)


def test_constant_features_project_to_nothing() -> None:
    fusion = made([3, 2], [0.5, 0.5])
    fusion.fit([torch.ones(20, 3), torch.randn(20, 2)], torch.arange(20.0))
    assert not fusion.projected(0, torch.rand(4, 3)).any()
    fused = fusion([torch.ones(2, 3), torch.zeros(2, 2)])
    assert bool(torch.isfinite(fused.quality).all())


def test_a_member_of_no_weight_has_no_say_but_a_view() -> None:
    fusion = made([3, 3], [1.0, 0.0])
    fusion.fit([torch.randn(20, 3), torch.randn(20, 3)], torch.arange(20.0))
    same = torch.randn(5, 3)
    a, b = fusion([same, torch.randn(5, 3)]), fusion([same, torch.randn(5, 3)])
    torch.testing.assert_close(a.quality, b.quality)
    torch.testing.assert_close(a.quality, a.own[:, 0])
    assert not torch.allclose(a.own[:, 1], b.own[:, 1])


@pytest.mark.parametrize("weights", [[1.0], [0.5, 0.4], [1.5, -0.5]])
def test_weights_are_shares(weights: list[float]) -> None:
    with pytest.raises(ValueError):
        FusionConfig([3, 3], weights)


@pytest.mark.parametrize("penalty", [0.3, 30.0])
def test_members_are_heard_in_the_joint_regression_as_loud_as_their_weight(penalty: float) -> None:
    generator = torch.Generator().manual_seed(5)
    x = [torch.randn(40, 3, generator=generator), torch.randn(40, 8, generator=generator)]
    y = x[0][:, 0] - x[1][:, 2] + 0.1 * torch.randn(40, generator=generator)
    weights = [0.8, 0.2]
    fusion = made([3, 8], weights, joint=True)
    fusion.fit(x, y, penalty=penalty)
    shares = sum(fusion.projected(i, each)[:, -1] for i, each in enumerate(x))
    z = [(each - each.mean(dim=0)) / each.std(dim=0, correction=0) for each in x]
    alike = sum(w * each @ each.T / each.shape[1] for w, each in zip(weights, z, strict=True))
    t = (y - y.mean()) / y.std(correction=0)
    torch.testing.assert_close(
        shares, alike @ torch.linalg.solve(alike + penalty * torch.eye(40), t), rtol=1e-3, atol=1e-3
    )


def test_a_sample_that_counts_twice_is_two() -> None:
    generator = torch.Generator().manual_seed(6)
    x, y = torch.randn(20, 5, generator=generator), torch.randn(20, generator=generator)
    group = torch.arange(20) % 3
    counted, repeated = made([5], [1.0], joint=True), made([5], [1.0], joint=True)
    weight = torch.ones(20)
    weight[:6] = 2
    counted.fit([x], y, weight, group)
    repeated.fit([torch.cat([x, x[:6]])], torch.cat([y, y[:6]]), None, torch.cat([group, group[:6]]))
    torch.testing.assert_close(counted.projected(0, x), repeated.projected(0, x), rtol=1e-4, atol=1e-5)


def test_samples_are_compared_within_their_group_alone() -> None:
    """What sets whole groups apart, in label or features, has no part in it."""
    generator = torch.Generator().manual_seed(7)
    x, y = torch.randn(60, 4, generator=generator), torch.randn(60, generator=generator)
    x[:, 0] = y
    group = torch.arange(60) % 4
    plain, shifted = made([4], [1.0], joint=True), made([4], [1.0], joint=True)
    plain.fit([x], y, None, group)
    shifted.fit([x], y - 50 * group, None, group)
    torch.testing.assert_close(
        plain.get_buffer("projection0"), shifted.get_buffer("projection0"), rtol=1e-3, atol=1e-4
    )
    together = made([4], [1.0], joint=True)
    together.fit([x], y - 50 * group)
    assert torch.corrcoef(torch.stack([plain.projected(0, x)[:, -1], y]))[0, 1] > 0.9
    assert torch.corrcoef(torch.stack([together.projected(0, x)[:, -1], y]))[0, 1] < 0.9
