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
Function = TypeVar("Function", bound=Callable[..., Any])


def expert_options(function: Function) -> Function:
    """``tasks``, ``labels`` and ``textures``, one parameter each."""
    stack = (
        click.option(
            "--task",
            "tasks",
            multiple=True,
            type=click.Choice(TASKS),
            help="expert: what it is trained for; repeatable.",
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
            help="expert, texture: a map to learn, a tensor in the graph of an ONNX network; repeatable.",
        ),
    )
    for option in reversed(stack):
        function = option(function)
    return function


def require_task(model: str, tasks: tuple[str, ...], labels: Path | None, textures: tuple[str, ...]) -> None:
    """UsageError where the options of an expert are given to another training, or one lacks its own."""
    if (model == EXPERT) != bool(tasks):
        raise click.UsageError(f"--task is for --model {EXPERT}, which needs it: one of {', '.join(TASKS)}")
    if len(set(tasks)) < len(tasks):
        raise click.UsageError("--task names one task twice")
    if ("rank" in tasks) != (labels is not None):
        raise click.UsageError("--labels is for --task rank, which needs it")
    if ("texture" in tasks) != bool(textures):
        raise click.UsageError("--texture is for --task texture, which needs it")
    if any(not all(texture.rpartition("#")) for texture in textures):
        raise click.UsageError("--texture names a file and a map in it: net.onnx#map")


def expert_settings(
    tasks: tuple[str, ...],
    labels: Path | None,
    start: Path | None,
    frozen: tuple[Path, ...],
    textures: tuple[str, ...],
    loop: LoopOptions,
    groups: int,
    crop: int | None,
    *,
    tiny: bool,
) -> ExpertOptions:
    """What the options ask for; what they leave open is as in ``ExpertOptions``."""
    from dataclasses import replace

    from rankvqa_cli.models.ptm.expert import TINY, ExpertConfig
    from rankvqa_cli.models.ptm.near import TINY as TINY_NEAR
    from rankvqa_cli.models.ptm.near import NearConfig
    from rankvqa_cli.training.expert import ExpertOptions

    asked = ExpertOptions(
        tasks=tasks,  # type: ignore[arg-type]
        network=TINY if tiny else ExpertConfig(),
        near=TINY_NEAR if tiny else NearConfig(),
        loop=replace(loop, average=0.995),
        groups=groups,
        labels=labels,
        start=start,
        frozen=frozen,
        texture=tuple((Path(file), name) for file, _, name in (each.rpartition("#") for each in textures)),
    )
    return asked if crop is None else replace(asked, crop=crop)
