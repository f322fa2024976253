"""``vqa-score corpus``: sources to a training corpus."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(
    "corpus", short_help="Make a training corpus: encodes of sources, cut into labelled patch clips."
)
@click.argument("sources", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", "out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder."
)
@click.option("--seed", default=1, show_default=True, help="Seed of every random choice.")
@click.option(
    "--patches", default=5, show_default=True, type=click.IntRange(1), help="Places cut out of each source."
)
@click.option(
    "--ladders", default=4, show_default=True, type=click.IntRange(1), help="Codec and size pairs a source."
)
@click.option("--rungs", default=4, show_default=True, type=click.IntRange(2), help="Qualities a ladder.")
@click.option(
    "--jobs", default=2, show_default=True, type=click.IntRange(1), help="Sources worked on at a time."
)
def command(sources: Path, out: Path, seed: int, patches: int, ladders: int, rungs: int, jobs: int) -> None:
    """Encode every source at several codecs, rates and coded sizes, cut 12-frame patch clips, and label them.

    SOURCES is a folder of videos and stills, or a CSV with the columns path, content, start_s, reduce. A run that was
    interrupted continues where it stopped.

    \b
    Example:
      vqa-score corpus originals/ -o corpus/
    """
    from rich.console import Console
    from rich.progress import Progress

    from rankvqa_cli.training.corpus import CorpusOptions, list_sources, make_corpus

    listed = list_sources(sources)
    options = CorpusOptions(seed=seed, patches=patches, ladders=ladders, rungs=rungs)
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("sources", total=len(listed))
        make_corpus(listed, options, out, jobs, lambda _: bar.advance(task))
