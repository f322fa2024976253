"""``vqa-score prune``: a model and a corpus to a smaller model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rankvqa_cli.cli import values
from rankvqa_cli.cli.render import draw
from rankvqa_cli.cli.training_options import TrainingOptions, training_options
from rankvqa_cli.errors import UsageError

if TYPE_CHECKING:
    from rankvqa_cli.training.prune import Pruned


def amount(text: str) -> float:
    """``0.08``, ``8%`` (shares), or a number above 1 such as ``367000`` or ``2.1e9``. Raises UsageError."""
    number, percent, rest = text.strip().partition("%")
    try:
        value = float(number) / (100 if percent else 1)
    except ValueError:
        value = 0.0
    if rest or not 0 < value < float("inf") or (percent and value > 1):
        raise UsageError(
            f"{text!r} is no target: write a share (0.08, 8%) or a number above 1 (367000, 2.1e9)"
        )
    return value


@click.command("prune", short_help="Make a smaller model of one, on a corpus.")
@click.option(
    "--model", default="rankvqa", show_default=True, metavar="NAME|FILE", help="The model to prune."
)
@training_options
@click.option(
    "--target-params", type=amount, metavar="SHARE|N", help="Parameters to keep at most: 0.08, 8%, 367000."
)
@click.option(
    "--target-flops", type=amount, metavar="SHARE|N", help="FLOPs of a clip pair to keep at most, alike."
)
@click.option(
    "--lambda",
    "penalty",
    default=2e-3,
    show_default=True,
    type=values.Finite(0, min_open=True),
    help="Penalty on the weights' absolute values: larger is sparser.",
)
@click.option(
    "--multiple", default=8, show_default=True, type=click.IntRange(1), help="Widths are multiples of this."
)
@click.option(
    "--steps", default=2000, show_default=True, type=click.IntRange(2), help="Of the sparse training."
)
@click.option(
    "--rate", default=1e-2, show_default=True, type=values.Finite(0, min_open=True), help="Of the same."
)
@click.option("--finetune-steps", default=2000, show_default=True, type=click.IntRange(1))
@click.option("--finetune-rate", default=1e-3, show_default=True, type=values.Finite(0, min_open=True))
def command(
    shared: TrainingOptions,
    model: str,
    target_params: float | None,
    target_flops: float | None,
    penalty: float,
    multiple: int,
    steps: int,
    rate: float,
    finetune_steps: int,
    finetune_rate: float,
) -> None:
    """Prune a full-reference model: training with a penalty that makes weights 0 (OBProx-SG), widths that follow the
    layers' densities, a smaller network of the strongest filters, and fine-tuning.

    Without a target, a width is its density times what it was, rounded up to --multiple. A target scales all densities
    alike until the network fits. The table of layers goes to stdout and into the run's folder as layers.csv. The same
    command goes on where it was broken off.

    \b
    Examples:
      vqa-score prune --model rankvqa --data corpus/ -o pruned.safetensors --target-params 8% --target-flops 10%
      vqa-score prune --model teacher.safetensors --data corpus/ -o pruned.safetensors --lambda 5e-3
    """
    from rankvqa_cli.training.prune import PruneOptions, prune
    from rankvqa_cli.training.sparsity import SparsityOptions
    from rankvqa_cli.training.widths import Target

    with shared.started() as started:
        options = PruneOptions(
            batch=shared.batch(),
            sparsity=SparsityOptions(penalty=penalty),
            sparse=started.loop(steps, rate),
            finetune=started.loop(finetune_steps, finetune_rate),
            target=Target(target_params, target_flops),
            multiple=multiple,
            fold=shared.fold,
            folds=shared.folds,
        )
        found = prune(
            model, shared.corpus, shared.folder, shared.out, shared.written_name, options, started.say
        )
        if started.first:
            click.echo(layer_table(found), nl=False)
            click.echo(f"{shared.out}\t{found.sha256}")


def layer_table(found: Pruned) -> bytes:
    """A row for each layer and one for their sum."""
    from rich import box
    from rich.table import Table

    drawn = Table(box=box.SIMPLE_HEAD, header_style="bold")
    drawn.add_column("layer", overflow="fold")
    for heading in ("width", "density", "parameters", "MFLOPs of a clip pair"):
        drawn.add_column(heading, justify="right")
    for row in found.layers:
        width = "-" if row.width_before is None else f"{row.width_before} > {row.width_after}"
        drawn.add_row(
            row.layer.replace("layers.0.residual_group.blocks.0.", ""),
            width,
            f"{row.density:.3f}",
            f"{row.parameters_before} > {row.parameters_after}",
            f"{row.flops_before / 1e6:.1f} > {row.flops_after / 1e6:.1f}",
        )
    drawn.add_section()
    before, after = found.before, found.after
    drawn.add_row(
        "all",
        "",
        "",
        f"{before.parameters} > {after.parameters} ({after.parameters / before.parameters:.1%})",
        f"{before.flops / 1e6:.1f} > {after.flops / 1e6:.1f} ({after.flops / before.flops:.1%})",
        style="bold",
    )
    return draw(drawn)
