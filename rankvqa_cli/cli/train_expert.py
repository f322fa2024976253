"""``vqa-score train --model expert``: its own options, and what is done with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rankvqa_cli.cli.training_options import FILE, RunOptions, as_one

if TYPE_CHECKING:
    from rankvqa_cli.training.loop import LoopOptions

EXPERT = "expert"
TASKS = ("rank", "distortion", "content", "texture", "motion")
#: A file, and the name of a tensor in its graph.
FileAndMap = tuple[Path, str]


@dataclass(frozen=True)
class ExpertArguments:
    """The options of ``expert_options``, as given."""

    tasks: tuple[str, ...]
    half: bool
    labels: Path | None
    textures: tuple[FileAndMap, ...]


def _maps(_: click.Context, __: click.Parameter, named: tuple[str, ...]) -> tuple[FileAndMap, ...]:
    found = [(file, name) for file, _, name in (each.rpartition("#") for each in named)]
    if not all(file and name for file, name in found):
        raise click.UsageError("--texture names a file and a map in it: net.onnx#map")
    return tuple((Path(file), name) for file, name in found)


expert_options = as_one(
    "expert",
    ExpertArguments,
    click.option(
        "--task",
        "tasks",
        multiple=True,
        type=click.Choice(TASKS),
        help="expert: what it is trained for; repeatable.",
    ),
    click.option(
        "--half",
        is_flag=True,
        help="expert: show it pictures at half their size, as ensembles see them that --see half.",
    ),
    click.option(
        "--labels",
        type=FILE,
        help="expert, rank, and ptm with --corpus: a full-reference model file to learn from.",
    ),
    click.option(
        "--texture",
        "textures",
        multiple=True,
        metavar="FILE#MAP",
        callback=_maps,
        help="expert, texture: a map to learn, a tensor in the graph of an ONNX network; repeatable.",
    ),
)


def require_task(model: str, given: ExpertArguments) -> None:
    """UsageError where the options of an expert are given to another training, or one lacks its own."""
    tasks = given.tasks
    if (model == EXPERT) != bool(tasks):
        raise click.UsageError(f"--task is for --model {EXPERT}, which needs it: one of {', '.join(TASKS)}")
    if given.half and not tasks:
        raise click.UsageError(f"--half is for --model {EXPERT}")
    if "texture" in tasks and given.half:
        raise click.UsageError("--task texture always shows pictures at half their size: it takes no --half")
    if len(set(tasks)) < len(tasks):
        raise click.UsageError("--task names one task twice")
    if ("rank" in tasks) != (given.labels is not None):
        raise click.UsageError("--labels is for --task rank, which needs it")
    if ("texture" in tasks) != bool(given.textures):
        raise click.UsageError("--texture is for --task texture, which needs it")


def train(
    run: RunOptions,
    given: ExpertArguments,
    start: Path | None,
    frozen: tuple[Path, ...],
    crop: int | None,
    loop: LoopOptions,
    say: Callable[[str], None],
    *,
    tiny: bool,
) -> str:
    """Train an expert and return the sha256 of its file; what the options leave open is as in ``ExpertOptions``."""
    from dataclasses import replace

    from rankvqa_cli.models.ptm.expert import ON_NEAR, TINY, TINY_ON_NEAR, ExpertConfig
    from rankvqa_cli.models.ptm.near import TINY as TINY_NEAR
    from rankvqa_cli.models.ptm.near import NearConfig
    from rankvqa_cli.training.expert import ExpertOptions, train_expert

    asked = ExpertOptions(
        tasks=given.tasks,  # type: ignore[arg-type]
        network=TINY if tiny else ExpertConfig(),
        on_near=TINY_ON_NEAR if tiny else ON_NEAR,
        near=TINY_NEAR if tiny else NearConfig(),
        loop=replace(loop, average=0.995),
        groups=run.groups,
        halved=given.half,
        labels=given.labels,
        start=start,
        frozen=frozen,
        texture=given.textures,
        fold=run.fold,
        folds=run.folds,
    )
    if crop is not None:
        asked = replace(asked, crop=crop)
    return train_expert(run.corpus, run.folder, run.out, run.out.stem, asked, say)
