"""``vqa-score train``: a corpus to a model file."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("train", short_help="Train a model on a corpus made by 'vqa-score corpus'.")
@click.option(
    "--model", "name", default="rankvqa-mini", show_default=True, help="Name written into the model file."
)
@click.option(
    "--data", "corpus", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option("-o", "--output", "out", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--run", type=click.Path(file_okay=False, path_type=Path), help="Folder of checkpoint and curve."
)
@click.option("--steps", default=8000, show_default=True, type=click.IntRange(1))
@click.option(
    "--rate", default=2e-3, show_default=True, type=click.FloatRange(0, min_open=True), help="Learning rate."
)
@click.option("--seed", default=1, show_default=True)
@click.option("--fold", default=0, show_default=True, help="Which fold of contents is held out.")
@click.option(
    "--folds", default=5, show_default=True, type=click.IntRange(2), help="Folds the contents fall into."
)
@click.option("--tiny", is_flag=True, help="A network of a few thousand parameters, to try the command.")
@click.option("-threads", "--threads", type=click.IntRange(1), help="CPU threads.")
def command(
    name: str,
    corpus: Path,
    out: Path,
    run: Path | None,
    steps: int,
    rate: float,
    seed: int,
    fold: int,
    folds: int,
    tiny: bool,
    threads: int | None,
) -> None:
    """Train a full-reference student on ranked pairs of encodes, held-out contents measured on the way.

    The run's folder keeps a checkpoint and the curve; the same command goes on where it was broken off.

    \b
    Example:
      vqa-score train --data corpus/ -o mini.safetensors --steps 8000
    """
    import torch

    from rankvqa_cli.models.patchnet import TINY, PatchNetConfig
    from rankvqa_cli.training.loop import LoopOptions
    from rankvqa_cli.training.student import StudentOptions, train_student

    if threads is not None:
        torch.set_num_threads(threads)
    options = StudentOptions(
        network=TINY if tiny else PatchNetConfig(),
        loop=LoopOptions(steps=steps, rate=rate, seed=seed, warmup=min(200, max(1, steps // 10))),
        fold=fold,
        folds=folds,
    )
    folder = run if run is not None else out.with_suffix(".run")
    sha256 = train_student(corpus, folder, out, name, options, lambda line: click.echo(line, err=True))
    click.echo(f"{out}\t{sha256}")
