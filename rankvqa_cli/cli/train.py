"""``vqa-score train``: a corpus, and perhaps people's scores, to a model file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from rankvqa_cli.cli import train_expert, train_ptm, values
from rankvqa_cli.cli.train_expert import EXPERT, ExpertArguments, expert_options
from rankvqa_cli.cli.train_ptm import PTM, PtmArguments, ptm_options
from rankvqa_cli.cli.training_options import FILE, FOLDER, RunOptions, Started, as_one, run_options

TEACHER = "rankvqa"


@dataclass(frozen=True)
class Arguments:
    """The options of a training on a corpus, as given; some of them are for every training."""

    name: str
    scored: Path | None
    start: Path | None
    fresh_readout: bool
    frozen: tuple[Path, ...]
    colours: str
    frames: int | None
    crop: int | None
    teach: str | None
    pooling: str
    keep: float
    label_weight: float
    leave_out: str | None
    cache: Path | None
    steps: int
    rate: float
    tiny: bool


_MODEL = click.option(
    "--model",
    "name",
    default="rankvqa-mini",
    show_default=True,
    help="Name written into the model file. rankvqa trains the teacher, ptm a head, expert a network for "
    "ensembles, any other name a student.",
)
_DATA = click.option(
    "--data",
    "corpus",
    required=True,
    type=click.Path(path_type=Path),
    help="Corpus folder; ptm: a rated CSV.",
)
_options = as_one(
    "given",
    Arguments,
    click.option("--scored", type=FILE, help="Stage two: CSV with distorted, reference, mos, content."),
    click.option(
        "--start", type=FILE, help="A model file to go on from; stage two needs the stage-one file."
    ),
    click.option(
        "--fresh-readout", is_flag=True, help="Teacher: go on from --start with an untrained readout."
    ),
    click.option(
        "--frozen",
        multiple=True,
        type=FILE,
        help="An ONNX network (images to vectors) whose features label the corpus; repeatable.",
    ),
    click.option(
        "--input",
        "colours",
        default="ycbcr",
        show_default=True,
        type=click.Choice(["luma", "ycbcr"]),
        help="What the network sees.",
    ),
    click.option(
        "--frames", type=click.IntRange(1, 12), help="Frames a clip  [default: teacher 1, student 2]"
    ),
    click.option("--crop", type=click.IntRange(32), help="Pixels across shown of a patch  [default: all]"),
    click.option(
        "--teach",
        help="A,B of order, label, damage: what pairs are ranked by  [default: all there are]",
    ),
    click.option(
        "--pooling",
        default="stanet",
        show_default=True,
        type=click.Choice(["stanet", "mean"]),
        help="Teacher, stage two: learn what each place counts, or count all alike.",
    ),
    click.option(
        "--keep",
        default=1.0,
        show_default=True,
        type=values.Finite(0),
        help="Stage two: how strongly the readout's weights stay what stage one made them.",
    ),
    click.option(
        "--label-weight",
        default=0.0,
        show_default=True,
        type=values.Finite(0),
        help="Stage two: how strongly the corpus' labels of whole places are learned, too.",
    ),
    click.option("--leave-out", help="Stage two: a content that is only scored, into RUN/left_out.csv."),
    click.option("--cache", type=FOLDER, help="Where decoded pictures are kept  [default: RUN]"),
    click.option("--steps", default=4000, show_default=True, type=click.IntRange(1)),
    click.option("--rate", default=2e-3, show_default=True, type=values.Finite(0, 1, min_open=True)),
    click.option("--tiny", is_flag=True, help="A network of a few thousand parameters, to try the command."),
)


@click.command("train", short_help="Train a model on a corpus made by 'vqa-score corpus'.")
@run_options(_MODEL, _DATA)
@_options
@ptm_options
@expert_options
def command(given: Arguments, run: RunOptions, ptm: PtmArguments, expert: ExpertArguments) -> None:
    """Train a full-reference student on ranked pairs of encodes, held-out contents measured on the way.

    The run's folder keeps a checkpoint and the curve; the same command goes on where it was broken off. Under torchrun,
    W processes with --accumulate A train what one process does with --accumulate W x A.

    \b
    Examples:
      vqa-score train --data corpus/ -o stage1.safetensors
      vqa-score train --data corpus/ --scored mos.csv --start stage1.safetensors -o mini.safetensors --steps 800
      torchrun --standalone --nproc-per-node 2 -m rankvqa_cli train --data corpus/ -o stage1.safetensors
    """
    train_ptm.refuse_foreign(given.name == PTM)
    if given.name == PTM:
        train_ptm.train(run, ptm, expert.labels, given.cache, given.steps, given.rate)
        return
    train_expert.require_task(given.name, expert)
    _check(given)
    with run.started() as started:
        if given.scored is not None and given.start is not None:
            sha256 = _second_stage(run, given, given.scored, given.start, started)
        elif given.name == TEACHER:
            sha256 = _teacher(run, given, started)
        elif expert.tasks:
            loop = started.loop(given.steps, given.rate)
            sha256 = train_expert.train(
                run, expert, given.start, given.frozen, given.crop, loop, started.say, tiny=given.tiny
            )
        else:
            sha256 = _student(run, given, started)
        if started.first:
            click.echo(f"{run.out}\t{sha256}")


def _check(given: Arguments) -> None:
    """UsageError where options do not go together."""
    if given.scored is not None and given.start is None:
        raise click.UsageError("--scored needs --start: people's scores are the second stage")
    second = given.leave_out is not None or given.cache is not None or given.label_weight > 0
    if given.scored is None and second:
        raise click.UsageError("--leave-out, --cache and --label-weight need --scored")
    if given.crop is not None and given.crop % 2:
        raise click.UsageError("--crop is even: chroma has half the samples")
    if given.name not in (TEACHER, EXPERT) and given.start is not None and given.scored is None:
        raise click.UsageError("--start without --scored goes on with the teacher's first stage or an expert")


def _second_stage(run: RunOptions, given: Arguments, scored: Path, start: Path, started: Started) -> str:
    from rankvqa_cli.training.pooling import PoolingData, PoolingOptions, train_pooling

    pooling = PoolingOptions(
        label=given.label_weight, pooling="mean" if given.pooling == "mean" else "stanet", keep=given.keep
    )
    cache = given.cache or run.folder
    data = PoolingData(scored, start, cache, given.leave_out, run.fold, run.folds, pooling)
    loop = started.loop(given.steps, given.rate)
    return train_pooling(run.corpus, data, run.folder, run.out, given.name, loop, started.say)


def _teacher(run: RunOptions, given: Arguments, started: Started) -> str:
    from rankvqa_cli.training.datasets import BatchOptions
    from rankvqa_cli.training.taught import teacher_weights
    from rankvqa_cli.training.teacher import TeacherOptions, teacher_config, train_teacher

    options = TeacherOptions(
        model=teacher_config("luma" if given.colours == "luma" else "ycbcr", tiny=given.tiny),
        batch=BatchOptions(groups=run.groups, frames=given.frames or 1, crop=given.crop),
        weights=teacher_weights(given.teach),
        loop=started.loop(given.steps, given.rate),
        frozen=given.frozen,
        start=given.start,
        fresh_readout=given.fresh_readout,
        fold=run.fold,
        folds=run.folds,
    )
    return train_teacher(run.corpus, run.folder, run.out, given.name, options, started.say)


def _student(run: RunOptions, given: Arguments, started: Started) -> str:
    from rankvqa_cli.models.patchnet import TINY, PatchNetConfig
    from rankvqa_cli.training.datasets import BatchOptions
    from rankvqa_cli.training.student import StudentOptions, train_student
    from rankvqa_cli.training.taught import student_weights

    options = StudentOptions(
        network=TINY if given.tiny else PatchNetConfig(),
        batch=BatchOptions(groups=run.groups, frames=given.frames or 2, crop=given.crop),
        weights=student_weights(given.teach),
        loop=started.loop(given.steps, given.rate),
        frozen=given.frozen,
        fold=run.fold,
        folds=run.folds,
        colour=given.colours == "ycbcr",
    )
    return train_student(run.corpus, run.folder, run.out, given.name, options, started.say)
