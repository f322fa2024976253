"""``vqa-score train --model ptm``: its own options, and what is done with them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import click

from rankvqa_cli.cli import rated_options, values
from rankvqa_cli.cli.options import given_parameters
from rankvqa_cli.cli.training_options import FILE, FOLDER, RunOptions, as_one

PTM = "ptm"

#: Options of ``train`` that mean something here too; the others are for training on a corpus.
SHARED = frozenset({"name", "corpus", "out", "run", "cache", "steps", "rate", "seed", "threads", "labels"})


@dataclass(frozen=True)
class PtmArguments:
    """The options of ``ptm_options``, as given."""

    ensemble: Path | None
    pseudo: Path | None
    pseudo_weight: float
    size: tuple[int, int] | None
    sample: float
    seeds: int
    weighting: str
    icid: tuple[float, float, float]
    ablate: bool
    components: int
    mean: bool
    joint: bool
    joint_penalty: float
    people: float
    drawn_from: tuple[Path, ...]
    draws: int


OWN = frozenset(each.name for each in fields(PtmArguments))


_POSITIVE = values.Finite(0)
ptm_options = as_one(
    "ptm",
    PtmArguments,
    click.option("--ensemble", type=FILE, help="ptm: the ensemble that 'vqa-score select-models' wrote."),
    click.option("--pseudo", type=FILE, help="ptm: also learn from these labels, a CSV like --data."),
    click.option("--pseudo-weight", default=0.3, show_default=True, type=_POSITIVE, help="What each counts."),
    rated_options.SIZE,
    rated_options.SAMPLE,
    click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="ptm: heads a fold."),
    rated_options.WEIGHTS,
    click.option(
        "--icid",
        nargs=3,
        type=_POSITIVE,
        default=(0.1, 0.1, 0.2),
        show_default=True,
        metavar="INTRA INTER MARGIN",
        help="ptm: weights of intra-consistency and inter-divisibility, and the margin of its triplets.",
    ),
    click.option("--ablate", is_flag=True, help="ptm: also measure what each term of the loss is worth."),
    click.option(
        "--components",
        default=4,
        show_default=True,
        type=click.IntRange(0, 4),
        help="ptm: ridge regressions that a member's view is reduced to.",
    ),
    click.option("--mean", is_flag=True, help="ptm: reduce it to the plain mean of its features as well."),
    click.option(
        "--joint",
        is_flag=True,
        help="ptm: add one ridge regression on all members to what the head says.",
    ),
    click.option(
        "--joint-penalty",
        default=0.3,
        show_default=True,
        type=values.Finite(1e-6),
        help="ptm: how strongly that one is shrunk, against features whose variances add up to 1.",
    ),
    click.option(
        "--people",
        default=0.0,
        show_default=True,
        type=_POSITIVE,
        help="ptm: fit what members say to people's scores, too, each as so many of the teacher's labels.",
    ),
    click.option(
        "--corpus",
        "drawn_from",
        multiple=True,
        type=FOLDER,
        help="ptm: also learn from patches of this corpus, as scored by --labels; repeatable.",
    ),
    click.option(
        "--draws",
        default=100,
        show_default=True,
        type=click.IntRange(1),
        help="ptm: from each corpus, of 36 patches or fewer.",
    ),
)


def refuse_foreign(ptm: bool) -> None:
    """UsageError for an option on the command line that is for the other kind of training."""
    for name, option in given_parameters():
        if name not in SHARED | OWN if ptm else name in OWN:
            whose = "training on a corpus" if ptm else f"--model {PTM}"
            raise click.UsageError(f"{option.opts[-1]} is for {whose}")


def train(
    run: RunOptions, arguments: PtmArguments, labels: Path | None, cache: Path | None, steps: int, rate: float
) -> None:
    """Train a head, and print the ensemble's file and the head's sha256."""
    out = run.out
    if arguments.ensemble is None:
        raise click.UsageError(
            f"--model {PTM} needs --ensemble: the members that 'vqa-score select-models' chose"
        )
    if arguments.components == 0 and not arguments.mean:
        raise click.UsageError("--components 0 leaves nothing of the features: give --mean with it")
    if arguments.joint and arguments.components == 0:
        raise click.UsageError(
            "--joint needs --components of at least 1: members are regressed by themselves, too"
        )
    if "joint_penalty" in dict(given_parameters()) and not arguments.joint:
        raise click.UsageError("--joint-penalty is for --joint")
    if arguments.people > 0 and not arguments.drawn_from and arguments.pseudo is None:
        raise click.UsageError("--people needs a teacher's labels beside people's: --corpus or --pseudo")
    if bool(arguments.drawn_from) != (labels is not None):
        raise click.UsageError(
            "--corpus and --labels belong together: patches, and the network that scores them"
        )
    if out.suffix != ".json":
        raise click.UsageError(f"{str(out)!r}: an ensemble is written as .json, with its head beside it")
    import torch

    from rankvqa_cli.training.features_cache import Sampling
    from rankvqa_cli.training.fusing import FusingOptions
    from rankvqa_cli.training.icid import IcidOptions
    from rankvqa_cli.training.pseudo import PseudoOptions
    from rankvqa_cli.training.ptm_train import PtmData, PtmOptions, train_ptm

    if run.threads is not None:
        torch.set_num_threads(run.threads)
    intra, inter, margin = arguments.icid
    default = FusingOptions()
    source = click.get_current_context().get_parameter_source
    given = click.core.ParameterSource.COMMANDLINE
    fusing = FusingOptions(
        steps=steps if source("steps") is given else default.steps,
        rate=rate if source("rate") is given else default.rate,
        weighting="dbi" if arguments.weighting == "dbi" else "equal",
        icid=IcidOptions(intra=intra, inter=inter, margin=margin),
        components=arguments.components,
        mean=arguments.mean,
        joint=arguments.joint,
        joint_penalty=arguments.joint_penalty,
        people=arguments.people,
    )
    sampling = Sampling(arguments.size, arguments.sample)
    drawn: tuple[PseudoOptions, ...] = ()
    if labels is not None:
        drawn = tuple(
            PseudoOptions(folder, labels, arguments.draws, run.seed) for folder in arguments.drawn_from
        )
    rated = PtmData(
        run.corpus, arguments.pseudo, arguments.pseudo_weight, sampling=sampling, cache=cache, drawn=drawn
    )
    seeds = tuple(range(run.seed, run.seed + arguments.seeds))
    options = PtmOptions(fusing, seeds, arguments.ablate)

    def say(line: str) -> None:
        click.echo(line, err=True)

    sha256 = train_ptm(arguments.ensemble, rated, run.folder, out, out.stem, options, say)
    click.echo(f"{out}\t{sha256}")
