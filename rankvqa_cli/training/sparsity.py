"""OBProx-SG, stochastic training towards zeros (Chen et al., "Orthant Based Proximal Stochastic Gradient Method for
l1-Regularized Optimization", ECML PKDD 2020): loss + penalty x sum |x|, whose solutions hold exact zeros."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class SparsityOptions:
    """``penalty`` is lambda, of every weight's absolute value. The first ``proximal`` share of the steps are proximal,
    the others orthant steps. ``half_space`` is the epsilon of the half-space projection, 0 to below 1: larger is more
    zeros."""

    penalty: float = 2e-3
    proximal: float = 0.5
    half_space: float = 0.0


class OBProxSG(torch.optim.Optimizer):
    """Two phases. For the first ``proximal_steps`` steps, a gradient step of the loss and then soft thresholding by
    rate x penalty, which makes zeros all over and lets them go again. After that every weight keeps its sign or
    becomes 0: zeros stay, and what a gradient step of the whole objective carries across 0 is projected to 0; so is a
    whole filter where the step leaves the half-space {y: <y, x> >= half_space <x, x>} of what the filter was.

    A parameter group is a dict with ``params``, the tensors of one layer whose rows (axis 0) of the same number are one
    filter, and optionally ``penalty``; one with a penalty of 0 takes plain gradient steps in both phases.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        rate: float,
        penalty: float,
        proximal_steps: int,
        half_space: float = 0.0,
    ) -> None:
        defaults = {
            "lr": rate,
            "penalty": penalty,
            "proximal_steps": proximal_steps,
            "half_space": half_space,
            "done": 0,
        }
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step with the gradients that are there; a weight without a gradient is only shrunk. Takes no closure."""
        for group in self.param_groups:
            if group["penalty"] == 0:
                _descend(group["params"], group["lr"])
            elif group["done"] < group["proximal_steps"]:
                _proximal(group["params"], group["lr"], group["penalty"])
            else:
                _orthant(group["params"], group["lr"], group["penalty"], group["half_space"])
            group["done"] += 1


def _gradient(x: Tensor) -> Tensor:
    return torch.zeros_like(x) if x.grad is None else x.grad


def _descend(params: Iterable[Tensor], rate: float) -> None:
    for x in params:
        x.sub_(rate * _gradient(x))


def _proximal(params: Iterable[Tensor], rate: float, penalty: float) -> None:
    for x in params:
        x.sub_(rate * _gradient(x))
        x.copy_(x.sign() * (x.abs() - rate * penalty).clamp_min(0))


def _orthant(params: Iterable[Tensor], rate: float, penalty: float, half_space: float) -> None:
    params = list(params)
    trials = [x - rate * (_gradient(x) + penalty * x.sign()) for x in params]
    along = _by_filter(trial * x for trial, x in zip(trials, params, strict=True))
    before = _by_filter(x * x for x in params)
    left = along < half_space * before
    for x, trial in zip(params, trials, strict=True):
        face = trial * x > 0
        inside = ~left.view(-1, *[1] * (x.dim() - 1))
        x.copy_(torch.where(face & inside, trial, 0.0))


def _by_filter(values: Iterable[Tensor]) -> Tensor:
    """Sums over all tensors' rows of the same number."""
    return torch.stack([value.reshape(len(value), -1).sum(dim=1) for value in values]).sum(dim=0)


def parameter_groups(
    layers: Iterable[Iterable[str]], parameters: Mapping[str, nn.Parameter], others: Iterable[nn.Parameter]
) -> list[dict[str, Any]]:
    """Groups for ``OBProxSG``: one with a penalty for the parameters of each of ``layers`` (names; one that came before
    stays where it is), one without for those of ``others`` that no layer has. Frozen parameters are left out."""
    taken: set[int] = set()
    groups: list[dict[str, Any]] = []
    for names in layers:
        own = [parameters[name] for name in names]
        new = [each for each in own if id(each) not in taken and each.requires_grad]
        taken |= {id(each) for each in new}
        if new:
            groups.append({"params": new})
    rest = [each for each in others if id(each) not in taken and each.requires_grad]
    if rest:
        groups.append({"params": rest, "penalty": 0.0})
    return groups
