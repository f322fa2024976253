"""OBProx-SG by hand: soft thresholds, faces of orthants, half-spaces, and an l1 problem whose solution is known."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from rankvqa_cli.training.sparsity import OBProxSG, parameter_groups


def stepped(
    x: list[list[float]], gradient: list[list[float]], optimiser_steps: int, **options: float
) -> list[list[float]]:
    """``x`` after one step at a rate of 0.1 and a penalty of 1; ``optimiser_steps`` of them are proximal."""
    parameter = nn.Parameter(torch.tensor(x))
    parameter.grad = torch.tensor(gradient)
    OBProxSG([{"params": [parameter]}], 0.1, 1.0, optimiser_steps, **options).step()
    found: list[list[float]] = parameter.detach().tolist()
    return found


def test_proximal_step_is_a_soft_threshold() -> None:
    found = stepped([[1.0, -1.0, 0.05, 0.0, 0.0]], [[2.0, 0.0, 0.0, 3.0, 0.5]], 1)
    assert found[0] == pytest.approx([0.7, -0.9, 0.0, -0.2, 0.0])


def test_orthant_step_stays_on_its_face() -> None:
    # Zeros stay whatever the gradient; what would cross 0 is projected to it; the others follow the whole objective.
    found = stepped([[1.0, -1.0, 0.05, 0.0, 0.2]], [[2.0, 0.0, 0.0, 3.0, 4.0]], 0)
    assert found[0] == pytest.approx([0.7, -0.9, 0.0, 0.0, 0.0])


def test_a_filter_that_leaves_its_half_space_goes_as_a_whole() -> None:
    x, gradient = [[0.1, 0.1, 0.01], [1.0, 1.0, 1.0]], [[5.0, 5.0, -1.0], [0.0, 0.0, 0.0]]
    # The first filter: <trial, x> < 0, although its last weight would have kept its sign.
    assert stepped(x, gradient, 0)[0] == [0.0, 0.0, 0.0]
    assert stepped(x, gradient, 0)[1] == pytest.approx([0.9, 0.9, 0.9])
    assert stepped(x, gradient, 0, half_space=0.95)[1] == [0.0, 0.0, 0.0]


def test_weight_and_bias_are_one_filter() -> None:
    weight, bias = nn.Parameter(torch.tensor([[0.1], [1.0]])), nn.Parameter(torch.tensor([0.01, 1.0]))
    weight.grad, bias.grad = torch.tensor([[5.0], [0.0]]), torch.tensor([-1.0, 0.0])
    OBProxSG([{"params": [weight, bias]}], 0.1, 1.0, 0).step()
    assert weight.flatten().tolist() == pytest.approx([0.0, 0.9])
    assert bias.tolist() == pytest.approx([0.0, 0.9])


def test_without_a_penalty_it_is_gradient_descent_in_both_phases() -> None:
    for proximal in (0, 1):
        parameter = nn.Parameter(torch.tensor([0.1, 0.0]))
        parameter.grad = torch.tensor([5.0, 1.0])
        OBProxSG([{"params": [parameter], "penalty": 0.0}], 0.1, 1.0, proximal).step()
        assert parameter.tolist() == pytest.approx([-0.4, -0.1])


def test_it_finds_the_solution_of_an_l1_problem() -> None:
    """min 1/2 |x - b|^2 + |x|: the soft threshold of b by 1."""
    b = torch.tensor([[3.0], [-2.0], [0.5], [-0.9], [1.5]])
    parameter = nn.Parameter(torch.randn(5, 1, generator=torch.Generator().manual_seed(0)))
    optimiser = OBProxSG([{"params": [parameter]}], 0.1, 1.0, 100)
    for _ in range(200):
        parameter.grad = (parameter - b).detach()
        optimiser.step()
    assert parameter.flatten().tolist() == pytest.approx([2.0, -1.0, 0.0, 0.0, 0.5], abs=1e-4)
    assert parameter[2:4].count_nonzero() == 0


def test_its_phase_is_part_of_its_state() -> None:
    parameter = nn.Parameter(torch.ones(1, 1))
    first = OBProxSG([{"params": [parameter]}], 0.1, 1.0, 1)
    first.step()
    second = OBProxSG([{"params": [parameter]}], 0.1, 1.0, 1)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    with torch.no_grad():
        parameter.zero_()
    parameter.grad = torch.full((1, 1), -9.0)
    second.step()
    assert parameter.item() == 0.0  # in its first, proximal step it would have left 0


def test_groups_hold_every_parameter_once() -> None:
    layer, other = nn.Linear(2, 3), nn.Linear(3, 1)
    named = {**dict(layer.named_parameters()), "frozen": nn.Parameter(torch.ones(1), requires_grad=False)}
    groups = parameter_groups(
        [["weight", "bias"], ["weight"], ["frozen"]], named, [*layer.parameters(), *other.parameters()]
    )
    assert [len(group["params"]) for group in groups] == [2, 2]
    assert "penalty" not in groups[0]
    assert groups[1]["penalty"] == 0.0
