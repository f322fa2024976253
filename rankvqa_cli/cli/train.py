"""``vqa-score train``: a corpus, and perhaps people's scores, to a model file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from rankvqa_cli.cli import training_options as shared
from rankvqa_cli.cli import values
from rankvqa_cli.cli.train_expert import EXPERT, FileAndMap, expert_options, require_task
from rankvqa_cli.cli.train_ptm import PTM, PtmArguments, ptm_options, refuse_foreign
from rankvqa_cli.cli.train_ptm import train as train_ptm
from rankvqa_cli.cli.training_options import FILE, FOLDER

TEACHER = "rankvqa"


@click.command("train", short_help="Train a model on a corpus made by 'vqa-score corpus'.")
@click.option(
    "--model",
    "name",
    default="rankvqa-mini",
    show_default=True,
    help="Name written into the model file. rankvqa trains the teacher, ptm a head, expert a network for "
    "ensembles, any other name a student.",
)
@click.option(
    "--data",
    "corpus",
    required=True,
    type=click.Path(path_type=Path),
    help="Corpus folder; ptm: a rated CSV.",
)
@shared.OUTPUT
@shared.RUN
@click.option("--scored", type=FILE, help="Stage two: CSV with distorted, reference, mos, content.")
@click.option("--start", type=FILE, help="A model file to go on from; stage two needs the stage-one file.")
@click.option("--fresh-readout", is_flag=True, help="Teacher: go on from --start with an untrained readout.")
@click.option(
    "--frozen",
    multiple=True,
    type=FILE,
    help="An ONNX network (images to vectors) whose features label the corpus; repeatable.",
)
@click.option(
    "--input",
    "colours",
    default="ycbcr",
    show_default=True,
    type=click.Choice(["luma", "ycbcr"]),
    help="What the network sees.",
)
@click.option("--frames", type=click.IntRange(1, 12), help="Frames a clip  [default: teacher 1, student 2]")
@click.option("--crop", type=click.IntRange(32), help="Pixels across shown of a patch  [default: all]")
@click.option(
    "--teach",
    help="A,B of order, label, damage: what pairs are ranked by  [default: all there are]",
)
@click.option(
    "--pooling",
    default="stanet",
    show_default=True,
    type=click.Choice(["stanet", "mean"]),
    help="Teacher, stage two: learn what each place counts, or count all alike.",
)
@click.option(
    "--keep",
    default=1.0,
    show_default=True,
    type=values.Finite(0),
    help="Stage two: how strongly the readout's weights stay what stage one made them.",
)
@click.option(
    "--label-weight",
    default=0.0,
    show_default=True,
    type=values.Finite(0),
    help="Stage two: how strongly the corpus' labels of whole places are learned, too.",
)
@click.option("--leave-out", help="Stage two: a content that is only scored, into RUN/left_out.csv.")
@click.option("--cache", type=FOLDER, help="Where decoded pictures are kept  [default: RUN]")
@click.option("--steps", default=4000, show_default=True, type=click.IntRange(1))
@click.option("--rate", default=2e-3, show_default=True, type=values.Finite(0, 1, min_open=True))
@shared.SEED
@shared.GROUPS
@shared.FOLD
@shared.FOLDS
@click.option("--tiny", is_flag=True, help="A network of a few thousand parameters, to try the command.")
@shared.ACCUMULATE
@shared.SAVE_EVERY
@shared.CHECK_EVERY
@shared.DEVICE
@shared.PRECISION
@shared.THREADS
@ptm_options
@expert_options
def command(
    name: str,
    corpus: Path,
    out: Path,
    run: Path | None,
    scored: Path | None,
    start: Path | None,
    fresh_readout: bool,
    frozen: tuple[Path, ...],
    colours: str,
    frames: int | None,
    crop: int | None,
    teach: str | None,
    pooling: str,
    keep: float,
    label_weight: float,
    leave_out: str | None,
    cache: Path | None,
    steps: int,
    rate: float,
    seed: int,
    groups: int,
    fold: int,
    folds: int,
    tiny: bool,
    accumulate: int,
    save_every: int,
    check_every: int,
    device: str,
    precision: str,
    threads: int | None,
    ptm: PtmArguments,
    tasks: tuple[str, ...],
    half: bool,
    labels: Path | None,
    textures: tuple[FileAndMap, ...],
) -> None:
    """Train a full-reference student on ranked pairs of encodes, held-out contents measured on the way.

    The run's folder keeps a checkpoint and the curve; the same command goes on where it was broken off. Under torchrun,
    W processes with --accumulate A train what one process does with --accumulate W x A.

    \b
    Examples:
      vqa-score train --data corpus/ -o stage1.safetensors
      vqa-score train --data corpus/ --scored mos.csv --start stage1.safetensors -o mini.safetensors --steps 800
      torchrun --standalone --nproc-per-node 2 -m rankvqa_cli train --data corpus/ -o stage1.safetensors
    """
    refuse_foreign(name == PTM)
    if name == PTM:
        train_ptm(corpus, out, run, cache, steps, rate, seed, threads, labels, ptm)
        return
    require_task(name, tasks, half, labels, textures)
    teacher = name == TEACHER
    if scored is not None and start is None:
        raise click.UsageError("--scored needs --start: people's scores are the second stage")
    if scored is None and (leave_out is not None or cache is not None or label_weight > 0):
        raise click.UsageError("--leave-out, --cache and --label-weight need --scored")
    if crop is not None and crop % 2:
        raise click.UsageError("--crop is even: chroma has half the samples")
    if name not in (TEACHER, EXPERT) and start is not None and scored is None:
        raise click.UsageError("--start without --scored goes on with the teacher's first stage or an expert")
    import torch

    from rankvqa_cli.models.allocator import keep_pages
    from rankvqa_cli.models.compute import choose
    from rankvqa_cli.training.datasets import BatchOptions
    from rankvqa_cli.training.loop import LoopOptions
    from rankvqa_cli.training.parallel import local_device, processes
    from rankvqa_cli.training.taught import student_weights, teacher_weights

    keep_pages()
    if threads is not None:
        torch.set_num_threads(threads)
    where = choose(local_device(device), precision)
    batch = BatchOptions(groups=groups, frames=frames or (1 if teacher else 2), crop=crop)
    loop = LoopOptions(
        steps=steps,
        rate=rate,
        warmup=min(200, max(1, steps // 10)),
        check_every=check_every,
        save_every=save_every,
        seed=seed,
        accumulate=accumulate,
        device=str(where.device),
        precision=where.precision,
    )
    folder = run if run is not None else out.with_suffix(".run")

    with processes(where.device) as world:

        def say(line: str) -> None:
            if world.rank == 0:
                click.echo(line, err=True)

        if scored is not None and start is not None:
            from rankvqa_cli.training.pooling import PoolingData, PoolingOptions, train_pooling

            pooled = PoolingOptions(
                label=label_weight, pooling="mean" if pooling == "mean" else "stanet", keep=keep
            )
            data = PoolingData(scored, start, cache or folder, leave_out, fold, folds, pooled)
            sha256 = train_pooling(corpus, data, folder, out, name, loop, say)
        elif teacher:
            from rankvqa_cli.training.teacher import TeacherOptions, teacher_config, train_teacher

            first = TeacherOptions(
                model=teacher_config("luma" if colours == "luma" else "ycbcr", tiny=tiny),
                batch=batch,
                weights=teacher_weights(teach),
                loop=loop,
                frozen=frozen,
                start=start,
                fresh_readout=fresh_readout,
                fold=fold,
                folds=folds,
            )
            sha256 = train_teacher(corpus, folder, out, name, first, say)
        elif tasks:
            from rankvqa_cli.cli.train_expert import expert_settings
            from rankvqa_cli.training.expert import train_expert

            asked = expert_settings(
                tasks, labels, start, frozen, textures, loop, groups, crop, half=half, tiny=tiny
            )
            asked = replace(asked, fold=fold, folds=folds)
            sha256 = train_expert(corpus, folder, out, out.stem, asked, say)
        else:
            from rankvqa_cli.models.patchnet import TINY, PatchNetConfig
            from rankvqa_cli.training.student import StudentOptions, train_student

            options = StudentOptions(
                network=TINY if tiny else PatchNetConfig(),
                batch=batch,
                weights=student_weights(teach),
                loop=loop,
                frozen=frozen,
                fold=fold,
                folds=folds,
                colour=colours == "ycbcr",
            )
            sha256 = train_student(corpus, folder, out, name, options, say)
        if world.rank == 0:
            click.echo(f"{out}\t{sha256}")
