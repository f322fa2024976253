"""PQANet against the released network's own outputs, and its streamed form against the plain one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import made
import pytest
import safetensors.torch
import torch
from torch import Tensor

from rankvqa_cli.models.dense import Comparison
from rankvqa_cli.models.layers import WindowAttention, normalised, pad_to_multiple
from rankvqa_cli.models.pqanet import LEVELS, PQANet, PQANetConfig

TOLERANCE = 1e-5  # relative; the promise is 1e-3


@pytest.fixture(scope="module")
def released(shared: Path) -> PQANet:
    network = PQANet(PQANetConfig()).eval()
    values = safetensors.torch.load_file(shared / "parity" / "pqanet_random.safetensors")
    network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in values.items()})
    return network


@pytest.fixture(scope="module")
def cases(shared: Path) -> dict[str, Tensor]:
    return safetensors.torch.load_file(shared / "parity" / "pqanet_cases.safetensors")


def streamed(network: PQANet, reference: Tensor, distorted: Tensor) -> list[Tensor]:
    comparison = Comparison(network)
    for t in range(reference.shape[1]):
        described = [normalised(level) for level in network.frame_features(reference[:, t], LEVELS)]
        comparison.add(described, network.frame_features(distorted[:, t], LEVELS))
    return comparison.maps()


def total(maps: list[Tensor]) -> Tensor:
    return torch.stack([level.mean(dim=(1, 2, 3)) for level in maps]).sum(dim=0)


def relative(found: Tensor, expected: Tensor) -> float:
    return float(((found - expected).abs() / expected.abs()).max())


def test_the_published_number_of_parameters() -> None:
    assert sum(parameter.numel() for parameter in PQANet(PQANetConfig()).parameters()) == 4_594_938


@pytest.mark.shared
@pytest.mark.parametrize("case", ["luma", "rgb", "odd"])
@torch.inference_mode()
def test_scores_are_the_released_network_s(released: PQANet, cases: dict[str, Tensor], case: str) -> None:
    reference, distorted = (cases[f"{case}.{side}"].float() / 255 for side in ("ref", "dist"))
    expected = cases[f"{case}.score"]
    assert relative(released(reference, distorted), expected) < TOLERANCE
    assert relative(total(streamed(released, reference, distorted)), expected) < TOLERANCE


@pytest.mark.shared
@torch.inference_mode()
def test_levels_and_features_are_the_released_network_s(released: PQANet, cases: dict[str, Tensor]) -> None:
    reference, distorted = (
        released.features(cases[f"luma.{side}"].float() / 255) for side in ("ref", "dist")
    )
    for level, level_map in enumerate(released.level_maps(reference, distorted)):
        assert relative(level_map.mean(dim=(1, 2, 3)), cases[f"luma.level{level + 1}_score"]) < TOLERANCE
    identical = total(released.level_maps(reference, reference))
    assert relative(identical, cases["luma.score_of_identical"]) < TOLERANCE
    spatial = distorted[2][0].mean(dim=(2, 3))
    assert torch.allclose(spatial, cases["luma.dist_feature3_spatial_mean"], atol=1e-5)
    assert torch.allclose(distorted[5][0], cases["luma.dist_feature6"], atol=1e-5)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("size", [(64, 96), (184, 132), (33, 250)])
@torch.inference_mode()
def test_frame_by_frame_is_the_same_as_all_at_once(exact: bool, size: tuple[int, int]) -> None:
    torch.manual_seed(3)
    network = PQANet(replace(made.SMALL, exact_identity=exact)).eval()
    reference, distorted = torch.rand(2, 2, 3, 3, *size)
    plain = network.level_maps(network.features(reference), network.features(distorted))
    for one, other in zip(plain, streamed(network, reference, distorted), strict=True):
        assert one.shape == other.shape
        assert torch.allclose(one, other, atol=1e-5)
    assert torch.allclose(network(reference, distorted), total(plain))


@torch.inference_mode()
def test_exact_identity_is_exact_and_never_negative() -> None:
    torch.manual_seed(4)
    network = PQANet(made.SMALL).eval()
    reference = torch.rand(2, 3, 1, 70, 50)
    assert network(reference, reference).tolist() == [0.0, 0.0]
    barely = reference.clone()
    barely[0, 1, 0, 35, 25] += 1 / 255
    distances = network(reference, barely)
    assert distances[0] > 0
    assert distances[1] == 0
    published = PQANet(replace(made.SMALL, exact_identity=False)).eval()
    assert published(reference, reference).abs().min() > 0  # the fault that exact_identity mends


def test_training_reaches_every_scoring_parameter() -> None:
    torch.manual_seed(5)
    network = PQANet(made.SMALL).train()
    network(torch.rand(1, 3, 1, 64, 64), torch.rand(1, 3, 1, 64, 64)).sum().backward()
    without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert all("moduleSixth" in name for name in without), without  # the sixth level is STANet's


def test_too_few_frames_are_an_error() -> None:
    network = PQANet(made.SMALL).eval()
    clip = torch.rand(1, 2, 1, 64, 64)
    with pytest.raises(ValueError, match="2 frames"):
        streamed(network, clip, clip)


def test_padding_reflects_where_it_can_and_repeats_where_it_cannot() -> None:
    row = torch.arange(6.0).view(1, 1, 1, 6).expand(1, 1, 5, 6)
    padded = pad_to_multiple(row, 4)
    assert padded.shape == (1, 1, 8, 8)
    assert padded[0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5, 4, 3]
    assert pad_to_multiple(torch.ones(1, 1, 1, 2), 4).shape == (1, 1, 4, 4)
    assert pad_to_multiple(padded, 4) is padded


def test_attention_knows_relative_positions() -> None:
    attention = WindowAttention(8, 2, 4)
    index = attention.relative_position_index
    assert index.shape == (16, 16)
    assert index.min() == 0
    assert index.max() == 48
    assert index.diagonal().unique().tolist() == [24]  # no offset: the middle of 7 x 7
    assert index[0, 1] == 23  # the place to the right
    assert index[0, 4] == 17  # the place below
