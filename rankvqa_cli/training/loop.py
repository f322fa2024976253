"""The one training loop: a task gives a dict of losses a micro-batch, the loop does the rest and may be broken off.

A step takes ``accumulate`` micro-batches in each of W processes and applies the mean of their gradients. Micro-batches
are numbered through, step by step and process by process, and a task draws by that number alone. So W processes with A
micro-batches each train what one process with W x A does, and a run that was broken off goes on as if it had not been.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from rankvqa_cli.errors import ModelError, OutputError
from rankvqa_cli.models.compute import choose
from rankvqa_cli.models.files import write_atomically
from rankvqa_cli.training import parallel
from rankvqa_cli.training.curve import CurveRow, draw_curve, write_curve

CHECKPOINT_NAME = "checkpoint.pt"


class Task(Protocol):
    """What is trained. ``module`` holds all trainable parameters; ``losses`` returns weighted terms that are added, of
    the micro-batch ``index``: the same names for every index, on the module's device."""

    @property
    def module(self) -> nn.Module: ...

    def losses(self, index: int) -> dict[str, Tensor]: ...

    def validate(self, module: nn.Module) -> dict[str, float]: ...


@dataclass(frozen=True)
class LoopOptions:
    """``steps`` in all; the rate rises over ``warmup`` steps and falls on a half cosine. ``average`` is the decay of
    the parameters' moving average, which is what is validated and kept. ``save_every`` and ``check_every`` in steps.

    ``accumulate`` micro-batches make a step, in each process. With ``precision`` bf16 losses are computed under
    autocast; parameters and optimiser stay float32. ``device`` and ``precision`` are words of ``compute.choose``.
    """

    steps: int = 8000
    rate: float = 2e-3
    warmup: int = 200
    weight_decay: float = 1e-4
    clip: float = 1.0
    average: float = 0.998
    check_every: int = 500
    save_every: int = 250
    seed: int = 1
    accumulate: int = 1
    device: str = "cpu"
    precision: str = "fp32"


def learning_rate(step: int, options: LoopOptions) -> float:
    if step < options.warmup:
        return options.rate * (step + 1) / options.warmup
    done = (step - options.warmup) / max(1, options.steps - options.warmup)
    return options.rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def fit(
    task: Task,
    options: LoopOptions,
    folder: Path,
    say: Callable[[str], None],
    settings: Mapping[str, Any] | None = None,
    optimiser: Callable[[], torch.optim.Optimizer] | None = None,
) -> dict[str, Tensor]:
    """Train until ``options.steps`` and return the averaged parameters and buffers, in every process.

    ``folder`` keeps ``checkpoint.pt``, ``curve.csv`` and ``curve.png``; a run with the same folder, options and
    ``settings`` (what else decides this training: numbers, text, lists and dicts of them) goes on from the checkpoint,
    on a CPU in fp32 to the same bits. ``optimiser`` makes one of the module's parameters, AdamW where it is None; a
    group of its parameters may have a ``share`` of the rate. Moves the module to the device, and seeds torch's
    generators before every micro-batch. Raises ModelError for a checkpoint of another run and for a loss that is not
    finite, OutputError where ``folder`` cannot be written.
    """
    return _Run(task, options, folder, say, dict(settings or {}), optimiser).train()


class _Run:
    """What changes while a training goes on: parameters, their average, the optimiser, the curve."""

    def __init__(
        self,
        task: Task,
        options: LoopOptions,
        folder: Path,
        say: Callable[[str], None],
        settings: dict[str, Any],
        optimiser: Callable[[], torch.optim.Optimizer] | None,
    ) -> None:
        compute = choose(parallel.local_device(options.device), options.precision)
        self.task, self.folder, self.say = task, folder, say
        self.options = replace(options, device=str(compute.device), precision=compute.precision)
        self.device = compute.device
        self.world = parallel.world()
        self.module = task.module.to(compute.device)
        self.parameters = [p for p in self.module.parameters() if p.requires_grad]
        self.optimiser = (
            torch.optim.AdamW(self.parameters, lr=options.rate, weight_decay=options.weight_decay)
            if optimiser is None
            else optimiser()
        )
        self.average = _copied(self.module)
        self.rows: list[CurveRow] = []
        # Where it computes, and how micro-batches are shared out, may change between two sittings of one run.
        whose = asdict(replace(self.options, accumulate=options.accumulate * self.world.size))
        del whose["device"]
        self.identity = whose | settings

    def train(self) -> dict[str, Tensor]:
        start = self._resume()
        options = self.options
        sums: dict[str, Tensor] = {}
        for step in range(start, options.steps):
            for name, value in self._step(step).items():
                sums[name] = sums[name] + value if name in sums else value
            done = step + 1
            checked = done % options.check_every == 0 or done == options.steps
            if checked or done % options.save_every == 0:
                losses = self._means(sums, done - (self.rows[-1].step if self.rows else 0))
                sums = {}
                if self.world.rank == 0:
                    measured = self._validate(done) if checked else {}
                    self._keep(CurveRow(done, learning_rate(step, options), losses, measured), checked)
                else:
                    self.rows.append(CurveRow(done, learning_rate(step, options), losses))
        return self.average

    def _step(self, step: int) -> dict[str, Tensor]:
        """One optimiser step. Returns this process' share of the mean loss terms, float64."""
        options, world = self.options, self.world
        self.module.train()
        for group in self.optimiser.param_groups:
            group["lr"] = group.get("share", 1.0) * learning_rate(step, options)
        self.optimiser.zero_grad(set_to_none=True)
        count = world.size * options.accumulate
        first = step * count + world.rank * options.accumulate
        found: dict[str, Tensor] = {}
        for index in range(first, first + options.accumulate):
            torch.manual_seed(_drawn(options.seed, index))
            with torch.autocast(self.device.type, torch.bfloat16, enabled=options.precision == "bf16"):
                terms = self.task.losses(index)
            total = torch.stack([term.float() for term in terms.values()]).sum()
            (total / count).backward()  # type: ignore[no-untyped-call]
            for name, term in (terms | {"total": total}).items():
                share = term.detach().double() / count
                found[name] = found[name] + share if name in found else share
        parallel.add_gradients(self.parameters)
        norm = nn.utils.clip_grad_norm_(self.parameters, options.clip)
        if not torch.isfinite(parallel.add_up(found["total"] + norm)):
            raise ModelError(
                f"the loss or its gradient is not finite at step {step}; train again with a lower --rate, in a --run "
                f"folder other than {str(self.folder)!r}"
            )
        self.optimiser.step()
        decay = min(options.average, (step + 1) / (step + 10))
        with torch.no_grad():
            for name, value in self.module.state_dict().items():
                if value.is_floating_point():
                    self.average[name].lerp_(value, 1 - decay)
                else:
                    self.average[name].copy_(value)
        return found | {"gradient": norm.double() / world.size}

    def _means(self, sums: Mapping[str, Tensor], steps: int) -> dict[str, float]:
        together = parallel.add_up(torch.stack(list(sums.values()))) / steps
        return {name: round(value, 6) for name, value in zip(sums, together.tolist(), strict=True)}

    def _validate(self, done: int) -> dict[str, float]:
        """Measure the averaged parameters after ``done`` steps; the trained ones are put back afterwards."""
        kept = _copied(self.module)
        torch.manual_seed(_drawn(self.options.seed, done, 1))
        self.module.load_state_dict(self.average)
        self.module.eval()
        with torch.inference_mode():
            measured = self.task.validate(self.module)
        self.module.load_state_dict(kept)
        return {name: float(value) for name, value in measured.items()}

    def _keep(self, row: CurveRow, checked: bool) -> None:
        self.say(str(row))
        self.rows.append(row)
        state = {
            "model": self.module.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "rows": [asdict(each) for each in self.rows],
            "identity": self.identity,
        }
        data = io.BytesIO()
        torch.save(state, data)
        # First the checkpoint, which holds the whole curve: files drawn from it can lag behind, never run ahead.
        write_atomically(self.folder / CHECKPOINT_NAME, data.getvalue())
        write_curve(self.folder, self.rows)
        if checked:
            draw_curve(self.folder, self.rows)

    def _resume(self) -> int:
        """Steps that are done already."""
        state = parallel.once(lambda: _read_checkpoint(self.folder))
        if state is None:
            return 0
        path = self.folder / CHECKPOINT_NAME
        try:
            _require_same(path, state["identity"], self.identity)
            self.module.load_state_dict(state["model"])
            for name, value in self.average.items():
                value.copy_(state["average"][name])
            self.optimiser.load_state_dict(state["optimiser"])
            self.rows = [CurveRow(**row) for row in state["rows"]]
            done = self.rows[-1].step
        except (RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:
            raise _no_checkpoint(path, error) from error
        if self.world.rank == 0:
            write_curve(self.folder, self.rows)
            draw_curve(self.folder, self.rows)
        return done


def _copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def _drawn(*numbers: int) -> int:
    """A seed for what torch draws at random (dropout) in one micro-batch, so that none depends on the one before."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def _read_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The checkpoint in ``folder``, on the CPU; None where there is none yet."""
    path = folder / CHECKPOINT_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f".{CHECKPOINT_NAME}.*.tmp"):
            left.unlink()  # from a process that was killed while it wrote
    except OSError as error:
        raise OutputError(
            f"cannot use {str(folder)!r} for the run: {error.strerror}; take another --run"
        ) from error
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (
        RuntimeError,
        LookupError,
        ValueError,
        TypeError,
        EOFError,
        OSError,
        pickle.UnpicklingError,
    ) as error:
        raise _no_checkpoint(path, error) from error
    return state


def _no_checkpoint(path: Path, error: Exception) -> ModelError:
    reason = " ".join(str(error).split())[:160]
    return ModelError(f"{str(path)!r} is no checkpoint of this model ({reason}); take another --run folder")


def _require_same(path: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    differing = [key for key in {**theirs, **ours} if theirs.get(key) != ours.get(key)]
    if differing:
        key = differing[0]
        raise ModelError(
            f"{str(path)!r} belongs to a run with other options ({key}: {theirs.get(key)}, now {ours.get(key)}); "
            "take another --run folder"
        )
