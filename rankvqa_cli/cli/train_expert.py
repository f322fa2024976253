"""``vqa-score train --model expert``: its own options, and what is done with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rankvqa_cli.training.expert import ExpertOptions
    from rankvqa_cli.training.loop import LoopOptions

EXPERT = "expert"
TASKS = ("rank", "distortion", "content", "texture", "motion")
FILE = click.Path(dir_okay=False, path_type=Path)
#: A file, and the name of a tensor in its graph.
FileAndMap = tuple[Path, str]
Function = TypeVar("Function", bound=Callable[..., Any])


def expert_options(function: Function) -> Function:
    """``tasks``, ``half``, ``labels`` and ``textures``, one parameter each."""
    stack = (
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
    for option in reversed(stack):
        function = option(function)
    return function


def _maps(_: click.Context, __: click.Parameter, named: tuple[str, ...]) -> tuple[FileAndMap, ...]:
    found = [(file, name) for file, _, name in (each.rpartition("#") for each in named)]
    if not all(file and name for file, name in found):
        raise click.UsageError("--texture names a file and a map in it: net.onnx#map")
    return tuple((Path(file), name) for file, name in found)


def require_task(
    model: str,
    tasks: tuple[str, ...],
    half: bool,
    labels: Path | None,
    textures: tuple[FileAndMap, ...],
) -> None:
    """UsageError where the options of an expert are given to another training, or one lacks its own."""
    if (model == EXPERT) != bool(tasks):
        raise click.UsageError(f"--task is for --model {EXPERT}, which needs it: one of {', '.join(TASKS)}")
    if half and not tasks:
        raise click.UsageError(f"--half is for --model {EXPERT}")
    if "texture" in tasks and half:
        raise click.UsageError("--task texture always shows pictures at half their size: it takes no --half")
    if len(set(tasks)) < len(tasks):
        raise click.UsageError("--task names one task twice")
    if ("rank" in tasks) != (labels is not None):
        raise click.UsageError("--labels is for --task rank, which needs it")
    if ("texture" in tasks) != bool(textures):
        raise click.UsageError("--texture is for --task texture, which needs it")


def expert_settings(
    tasks: tuple[str, ...],
    labels: Path | None,
    start: Path | None,
    frozen: tuple[Path, ...],
    textures: tuple[FileAndMap, ...],
    loop: LoopOptions,
    groups: int,
    crop: int | None,
    *,
    half: bool,
    tiny: bool,
) -> ExpertOptions:
    """What the options ask for; what they leave open is as in ``ExpertOptions``."""
    from dataclasses import replace

    from rankvqa_cli.models.ptm.expert import ON_NEAR, TINY, TINY_ON_NEAR, ExpertConfig
    from rankvqa_cli.models.ptm.near import TINY as TINY_NEAR
    from rankvqa_cli.models.ptm.near import NearConfig
    from rankvqa_cli.training.expert import ExpertOptions

    asked = ExpertOptions(
        tasks=tasks,  # type: ignore[arg-type]
        network=TINY if tiny else ExpertConfig(),
        on_near=TINY_ON_NEAR if tiny else ON_NEAR,
        near=TINY_NEAR if tiny else NearConfig(),
        loop=replace(loop, average=0.995),
        groups=groups,
        halved=half,
        labels=labels,
        start=start,
        frozen=frozen,
        texture=textures,
    )
    return asked if crop is None else replace(asked, crop=crop)
