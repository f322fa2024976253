"""``vqa-score corpus``: sources to a training corpus."""

from __future__ import annotations

from pathlib import Path

import click

from rankvqa_cli.cli.options import given_parameters


@click.command(
    "corpus", short_help="Make a training corpus: versions of sources, cut into labelled patch clips."
)
@click.argument("sources", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", "out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder."
)
@click.option(
    "--join",
    "joined",
    multiple=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="A finished corpus to join with the finished corpus SOURCES, by links; repeatable.",
)
@click.option("--seed", default=1, show_default=True, help="Seed of every random choice.")
@click.option(
    "--frames",
    default=24,
    show_default=True,
    type=click.IntRange(12),
    help="Frames read from each source; clips of 12 are cut from them.",
)
@click.option(
    "--patches", default=5, show_default=True, type=click.IntRange(1), help="Places cut out of each source."
)
@click.option(
    "--patch",
    default=256,
    show_default=True,
    type=click.IntRange(192, 448),
    help="Width and height of a place, in pixels.",
)
@click.option(
    "--ladders", default=4, show_default=True, type=click.IntRange(1), help="Codec and size pairs a source."
)
@click.option("--rungs", default=4, show_default=True, type=click.IntRange(2), help="Qualities a ladder.")
@click.option("--codecs", metavar="A,B", help="Codecs of the ladders  [default: all six].")
@click.option(
    "--sizes",
    metavar="A,B",
    help="Coded sizes of the second half of the ladders, below 1  [default: 0.75,0.5,0.375,0.25].",
)
@click.option(
    "--degraded",
    default=10,
    show_default=True,
    type=click.IntRange(0),
    help="Other versions a source: noise, blur, lost frames, colour ...",
)
@click.option(
    "--tuples", default=10000, show_default=True, type=click.IntRange(0), help="Pairs listed in tuples.csv."
)
@click.option("--fold", default=0, show_default=True, help="Fold of contents held out; -1 holds out none.")
@click.option(
    "--folds", default=5, show_default=True, type=click.IntRange(2), help="Folds the contents fall into."
)
@click.option(
    "--jobs", default=2, show_default=True, type=click.IntRange(1), help="Sources worked on at a time."
)
def command(
    sources: Path,
    out: Path,
    joined: tuple[Path, ...],
    seed: int,
    frames: int,
    patches: int,
    patch: int,
    ladders: int,
    rungs: int,
    codecs: str | None,
    sizes: str | None,
    degraded: int,
    tuples: int,
    fold: int,
    folds: int,
    jobs: int,
) -> None:
    """Make versions of every source, cut 12-frame patch clips out of them, and label them.

    Versions are encodes at several codecs, rates and coded sizes, and what cameras and delivery do to a video. Each
    source keeps its own frame rate, which must be constant.

    SOURCES is a folder of videos and stills, or a CSV with the columns path, content, start_s, reduce. Sources of one
    content stay on one side of the split into training and held out. A run that was interrupted continues where it
    stopped.

    \b
    Examples:
      vqa-score corpus originals/ -o corpus/
      vqa-score corpus sources.csv -o corpus/ --codecs x264,svtav1 --degraded 0 --jobs 8
      vqa-score corpus corpus/ --join more/ -o both/
    """
    if joined:
        _require_nothing_else()
        from rankvqa_cli.training.joining import join_corpora

        click.echo(f"{out}\t{join_corpora((sources, *joined), out)} sources", err=True)
        return
    from rich.console import Console
    from rich.progress import Progress

    from rankvqa_cli.training.corpus import make_corpus
    from rankvqa_cli.training.encodes import LADDER_CODECS, SIZES
    from rankvqa_cli.training.manifest import CorpusOptions
    from rankvqa_cli.training.sources import list_sources

    listed = list_sources(sources)
    options = CorpusOptions(
        seed=seed,
        frames=frames,
        patch=patch,
        patches=patches,
        ladders=ladders,
        rungs=rungs,
        degraded=degraded,
        codecs=LADDER_CODECS if codecs is None else _codecs(codecs),
        sizes=SIZES if sizes is None else _sizes(sizes),
        tuples=tuples,
        fold=fold,
        folds=folds,
    )
    with Progress(console=Console(stderr=True), refresh_per_second=2) as bar:
        task = bar.add_task("sources", total=len(listed))
        make_corpus(listed, options, out, jobs, lambda _: bar.advance(task))


def _require_nothing_else() -> None:
    """UsageError for an option on the command line that is for making versions: joined corpora have theirs."""
    for name, option in given_parameters():
        if name not in ("sources", "out", "joined"):
            raise click.UsageError(f"{option.opts[-1]} is for making a corpus, and --join makes no versions")


def _codecs(text: str) -> tuple[str, ...]:
    from rankvqa_cli.training.encodes import CODECS

    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in CODECS:
            raise click.BadParameter(
                f"no codec {name!r}: choose from {', '.join(CODECS)}", param_hint="--codecs"
            )
    return names


def _sizes(text: str) -> tuple[float, ...]:
    try:
        sizes = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no list of numbers", param_hint="--sizes") from error
    if not all(0.05 <= size < 1 for size in sizes):
        raise click.BadParameter(f"{text!r}: give numbers from 0.05 to below 1", param_hint="--sizes")
    return sizes
