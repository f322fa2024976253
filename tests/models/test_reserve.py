"""The readout: exact at identity, rising with every difference, blind to the strength of a feature."""

from __future__ import annotations

import pytest
import torch

from rankvqa_cli.models.reserve import Readout, low_passed

GROUPS = (2, 3)


def readout(seed: int = 0) -> Readout:
    torch.manual_seed(seed)
    made = Readout(GROUPS)
    with torch.no_grad():
        made.log_weight += torch.randn(5)
        made.log_floor += torch.randn(2)
    return made


def test_no_difference_is_no_distance_to_the_bit() -> None:
    reserve = torch.rand(20, 5)
    assert torch.equal(readout()(torch.zeros(20, 5), reserve), torch.zeros(20))


def test_every_difference_raises_the_distance() -> None:
    made, reserve = readout(), torch.rand(1, 5)
    energy = torch.rand(1, 5)
    distance = made(energy, reserve)
    for feature in range(5):
        more = energy.clone()
        more[0, feature] *= 1.1
        assert made(more, reserve) > distance


def test_a_richer_reserve_forgives_more() -> None:
    made, energy = readout(), torch.rand(1, 5)
    assert made(energy, torch.full((1, 5), 2.0)) < made(energy, torch.full((1, 5), 0.5))


def test_a_feature_ten_times_as_strong_says_the_same() -> None:
    """Far above the floor, only the ratio to the reserve counts."""
    made = Readout(GROUPS)
    energy, reserve = torch.rand(1, 5) + 1, torch.rand(1, 5) + 2
    strength = torch.tensor([1.0, 10.0, 100.0, 1.0, 10.0])
    with torch.no_grad():
        found, plain = made(energy * strength, reserve * strength), made(energy, reserve)
    assert found.item() == pytest.approx(plain.item(), rel=1e-2)


def test_equal_ratios_are_the_distance() -> None:
    """Weights begin with a sum of 1: if every feature moved by half its reserve, the distance is a half."""
    reserve = torch.full((1, 5), 100.0)
    with torch.no_grad():
        distance = float(Readout(GROUPS)(reserve / 2, reserve))
    assert distance == pytest.approx(0.5, abs=1e-3)


def test_low_passing_keeps_what_is_flat_and_removes_what_is_fine() -> None:
    flat = torch.full((1, 2, 9, 14), 3.5)
    assert torch.allclose(low_passed(flat), flat)
    fine = torch.tensor([1.0, -1.0]).repeat(1, 1, 16, 8)
    assert low_passed(fine).abs().max() < 1e-6
