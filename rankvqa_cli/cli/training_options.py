"""Options that commands which train a network have in common, and what they make of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rankvqa_cli.cli.options import Function

if TYPE_CHECKING:
    from rankvqa_cli.training.datasets import BatchOptions
    from rankvqa_cli.training.loop import LoopOptions

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)

_OUTPUT = (
    click.option("-o", "--output", "out", required=True, type=FILE, help="Model file to write."),
    click.option("--run", type=FOLDER, help="Folder of checkpoint and curve  [default: beside the output]"),
)
_COURSE = (
    click.option("--seed", default=1, show_default=True),
    click.option("--groups", default=6, show_default=True, type=click.IntRange(1), help="Sources a batch."),
    click.option(
        "--fold", default=0, show_default=True, help="Which fold of contents is held out; -1 holds out none."
    ),
    click.option(
        "--folds", default=5, show_default=True, type=click.IntRange(2), help="Folds the contents fall into."
    ),
    click.option(
        "--accumulate", default=1, show_default=True, type=click.IntRange(1), help="Micro-batches a step."
    ),
    click.option("--save-every", default=250, show_default=True, type=click.IntRange(1), help="Steps."),
    click.option("--check-every", default=500, show_default=True, type=click.IntRange(1), help="Steps."),
    click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda[:N]"),
    click.option(
        "--precision", default="fp32", show_default=True, type=click.Choice(["auto", "fp32", "bf16"])
    ),
    click.option("-threads", "--threads", type=click.IntRange(1), help="CPU threads."),
)


@dataclass(frozen=True)
class RunOptions:
    """The values of ``run_options``: what is trained on, where it is written, and how a training goes on."""

    corpus: Path
    out: Path
    run: Path | None
    seed: int
    groups: int
    fold: int
    folds: int
    accumulate: int
    save_every: int
    check_every: int
    device: str
    precision: str
    threads: int | None

    @property
    def folder(self) -> Path:
        return self.run if self.run is not None else self.out.with_suffix(".run")

    @contextmanager
    def started(self) -> Iterator[Started]:
        """Where it computes, with the processes joined for as long as the block runs."""
        import torch

        from rankvqa_cli.models.allocator import keep_pages
        from rankvqa_cli.models.compute import choose
        from rankvqa_cli.training.parallel import local_device, processes

        keep_pages()
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        where = choose(local_device(self.device), self.precision)
        with processes(where.device) as world:
            yield Started(self, str(where.device), where.precision, world.rank == 0)


@dataclass(frozen=True)
class Started:
    """One process of a training; the ``first`` one talks."""

    options: RunOptions
    device: str
    precision: str
    first: bool

    def loop(self, steps: int, rate: float) -> LoopOptions:
        from rankvqa_cli.training.loop import LoopOptions

        return LoopOptions(
            steps=steps,
            rate=rate,
            warmup=min(200, max(1, steps // 10)),
            check_every=self.options.check_every,
            save_every=self.options.save_every,
            seed=self.options.seed,
            accumulate=self.options.accumulate,
            device=self.device,
            precision=self.precision,
        )

    def say(self, line: str) -> None:
        if self.first:
            click.echo(line, err=True)


@dataclass(frozen=True)
class TrainingOptions(RunOptions):
    """The values of ``training_options``; ``--frames`` and so on as the training modules define them."""

    name: str | None
    slots: int
    frames: int

    @property
    def written_name(self) -> str:
        return self.name or self.out.stem

    def batch(self) -> BatchOptions:
        from rankvqa_cli.training.datasets import BatchOptions

        return BatchOptions(groups=self.groups, slots=self.slots, frames=self.frames)


def as_one(argument: str, kind: type, *stack: Callable[..., Any]) -> Callable[[Function], Function]:
    """The command gets the values of these options as one ``argument``, a ``kind`` with fields of their names; its
    other options as they are. They keep their order in the help."""
    names = [each.name for each in fields(kind)]

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def gathered(**given: Any) -> Any:
            own = {name: given.pop(name) for name in names}
            return function(**{argument: kind(**own)}, **given)

        decorated: Any = gathered
        for option in reversed(stack):
            decorated = option(decorated)
        return decorated  # type: ignore[no-any-return]

    return decorate


def run_options(*first: Callable[..., Any]) -> Callable[[Function], Function]:
    """The command gets a RunOptions, ``run``. The ``first`` options, with that of what is trained on, ``corpus``, come
    before the others in the help."""
    return as_one("run", RunOptions, *first, *_OUTPUT, *_COURSE)


training_options = as_one(
    "shared",
    TrainingOptions,
    click.option("--data", "corpus", required=True, type=FOLDER, help="Corpus folder."),
    click.option("--name", help="Name written into the model file  [default: that of the file]"),
    *_OUTPUT,
    click.option(
        "--slots", default=4, show_default=True, type=click.IntRange(2), help="Versions of a source."
    ),
    click.option("--frames", default=1, show_default=True, type=click.IntRange(1, 12), help="Frames a clip."),
    *_COURSE,
)
