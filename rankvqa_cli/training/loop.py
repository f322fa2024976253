"""The one training loop: a task gives a dict of losses a step, the loop does the rest and may be broken off."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from rankvqa_cli.errors import ModelError


class Task(Protocol):
    """What is trained. ``module`` holds all trainable parameters; ``losses`` returns weighted terms that are added."""

    @property
    def module(self) -> nn.Module: ...

    def losses(self, step: int) -> dict[str, Tensor]: ...

    def validate(self, module: nn.Module) -> dict[str, float]: ...


@dataclass(frozen=True)
class LoopOptions:
    """``steps`` in all; the rate rises over ``warmup`` steps and falls on a half cosine. ``average`` is the decay of
    the parameters' moving average, which is what is validated and kept. ``save_every`` and ``check_every`` in steps."""

    steps: int = 8000
    rate: float = 2e-3
    warmup: int = 200
    weight_decay: float = 1e-4
    clip: float = 1.0
    average: float = 0.998
    check_every: int = 500
    save_every: int = 250
    seed: int = 1


def learning_rate(step: int, options: LoopOptions) -> float:
    if step < options.warmup:
        return options.rate * (step + 1) / options.warmup
    done = (step - options.warmup) / max(1, options.steps - options.warmup)
    return options.rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def fit(task: Task, options: LoopOptions, folder: Path, say: Callable[[str], None]) -> dict[str, Tensor]:
    """Train until ``options.steps`` and return the averaged parameters.

    ``folder`` keeps ``checkpoint.pt`` (model, average, optimiser, step, options) and ``curve.csv``; a run with the same
    folder and options goes on from the checkpoint. Raises ModelError for a checkpoint of another run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    optimiser = torch.optim.AdamW(
        task.module.parameters(), lr=options.rate, weight_decay=options.weight_decay
    )
    average = {name: value.detach().clone() for name, value in task.module.state_dict().items()}
    checkpoint = folder / "checkpoint.pt"
    start = _resume(checkpoint, task.module, average, optimiser, options) if checkpoint.exists() else 0
    sums: dict[str, float] = {}
    for step in range(start, options.steps):
        task.module.train()
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, options)
        terms = task.losses(step)
        total = torch.stack(list(terms.values())).sum()
        if not torch.isfinite(total):
            raise ModelError(
                f"the loss is not finite at step {step}; lower --rate and resume from {str(checkpoint)!r}"
            )
        optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(task.module.parameters(), options.clip)
        optimiser.step()
        decay = min(options.average, (step + 1) / (step + 10))
        with torch.no_grad():
            for name, value in task.module.state_dict().items():
                average[name].lerp_(value, 1 - decay)
        for name, term in (terms | {"total": total, "gradient": norm}).items():
            sums[name] = sums.get(name, 0.0) + float(term.detach())
        done = step + 1
        if done % options.save_every == 0 or done == options.steps:
            row = {"step": done, "rate": learning_rate(step, options)}
            row |= {name: round(value / options.save_every, 6) for name, value in sums.items()}
            sums = {}
            if done % options.check_every == 0 or done == options.steps:
                row |= _validate(task, average)
            say("  ".join(f"{key} {value:.5g}" for key, value in row.items()))
            _append_row(folder / "curve.csv", row)
            _save(checkpoint, task.module, average, optimiser, done, options)
    return average


def _validate(task: Task, average: dict[str, Tensor]) -> dict[str, float]:
    """Measure the averaged parameters; the trained ones are put back afterwards."""
    kept = {name: value.detach().clone() for name, value in task.module.state_dict().items()}
    task.module.load_state_dict(average)
    task.module.eval()
    with torch.inference_mode():
        measured = task.validate(task.module)
    task.module.load_state_dict(kept)
    return measured


def _append_row(path: Path, row: dict[str, Any]) -> None:
    fields = list(row)
    if path.exists():
        with path.open(newline="") as file:
            rows = [kept for kept in csv.DictReader(file) if int(kept["step"]) < row["step"]]
        fields = list(dict.fromkeys([*(rows[0] if rows else {}), *fields]))
    else:
        rows = []
    partial = path.with_suffix(".partial")
    with partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        writer.writerows([*rows, row])
    os.replace(partial, path)


def _save(
    path: Path,
    module: nn.Module,
    average: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    step: int,
    options: LoopOptions,
) -> None:
    state = {
        "model": module.state_dict(),
        "average": average,
        "optimiser": optimiser.state_dict(),
        "step": step,
        "options": asdict(options),
    }
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def _resume(
    path: Path,
    module: nn.Module,
    average: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    options: LoopOptions,
) -> int:
    try:
        state = torch.load(path, weights_only=True)
        if state["options"] != asdict(options):
            raise ModelError(f"{str(path)!r} belongs to a run with other options; take another --run folder")
        module.load_state_dict(state["model"])
        for name, value in state["average"].items():
            average[name].copy_(value)
        optimiser.load_state_dict(state["optimiser"])
        return int(state["step"])
    except (RuntimeError, KeyError, ValueError, EOFError, OSError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ModelError(
            f"{str(path)!r} is no checkpoint of this model ({reason}); take another --run folder"
        ) from error
