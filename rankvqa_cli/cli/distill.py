"""``vqa-score distill``: a teacher, a student and a corpus to a trained student."""

from __future__ import annotations

import click

from rankvqa_cli.cli import values
from rankvqa_cli.cli.training_options import TrainingOptions, training_options


@click.command("distill", short_help="Train a student beside a teacher, on a corpus.")
@click.option(
    "--teacher", default="rankvqa", show_default=True, metavar="NAME|FILE", help="The model to learn from."
)
@click.option(
    "--student",
    required=True,
    metavar="FILE|CONFIG",
    help="A model to go on from (pruned, or trained), or a .json with architecture and config of a new one.",
)
@training_options
@click.option("--steps", default=4000, show_default=True, type=click.IntRange(1))
@click.option("--rate", default=1e-3, show_default=True, type=values.Finite(0, 1, min_open=True))
@click.option(
    "--weight",
    "weights",
    multiple=True,
    metavar="NAME=VALUE",
    help="Weight of a loss: maps, patch, pooled, pairs, order, scale; width of an order in points. Repeatable.",
)
@click.option(
    "--places",
    default=3,
    show_default=True,
    type=click.IntRange(1),
    help="Places of a source that are pooled.",
)
def command(
    shared: TrainingOptions,
    teacher: str,
    student: str,
    steps: int,
    rate: float,
    weights: tuple[str, ...],
    places: int,
) -> None:
    """Train a full-reference student to see what a teacher sees: differences by place on every level, distances of
    patches, distances pooled over places, and the order of all pairs, whether or not the corpus labels them.

    The run's folder keeps a checkpoint and the curve of every loss; the same command goes on where it was broken off.

    \b
    Examples:
      vqa-score distill --teacher rankvqa --student pruned.safetensors --data corpus/ -o mini.safetensors
      vqa-score distill --student fast.json --data corpus/ -o fast.safetensors --frames 2 --weight maps=2
    with fast.json: {"architecture": "patchnet", "config": {"pyramid": [32, 48, 64]}}
    """
    from rankvqa_cli.training.distill import DistillOptions, distill, weights_from

    with shared.started() as started:
        options = DistillOptions(
            batch=shared.batch(),
            weights=weights_from(weights),
            loop=started.loop(steps, rate),
            places=places,
            fold=shared.fold,
            folds=shared.folds,
        )
        name, folder = shared.written_name, shared.folder
        sha256 = distill(teacher, student, shared.corpus, folder, shared.out, name, options, started.say)
        if started.first:
            click.echo(f"{shared.out}\t{sha256}")
