"""``vqa-score evaluate``: how well models, known metrics and given scores agree with people."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rankvqa_cli.cli import options, values
from rankvqa_cli.cli.score import settle_overwrite
from rankvqa_cli.cli.talk import Talk
from rankvqa_cli.errors import InputError, UsageError
from rankvqa_cli.results import writers

if TYPE_CHECKING:
    from rankvqa_cli.training.assessment import Assessment
    from rankvqa_cli.training.measuring import Instrument
    from rankvqa_cli.training.ratings import Ratings

FILE = click.Path(dir_okay=False, path_type=Path)
FORMATS = ("json", "csv")


@dataclass(frozen=True)
class Compute:
    """Where and how models compute, in the options' words."""

    device: str
    precision: str
    threads: int | None


@click.command("evaluate", short_help="Hold models and known metrics against people's scores.")
@click.option("--data", required=True, type=FILE, metavar="CSV", help="The rated set; see above.")
@click.option(
    "-m", "--model", "models", multiple=True, metavar="NAME", help="A model's name or file; repeatable."
)
@click.option("--peers", default="", metavar="LIST", help="Any of psnr,ssim,ms-ssim,vmaf,vmaf_v1: libvmaf's.")
@click.option(
    "--scores", "columns", multiple=True, metavar="COL", help="Scores that the CSV has; repeatable."
)
@click.option("--size", type=values.size, metavar="WxH", help="Bring both files to this size first, bicubic.")
@click.option(
    "--filter", "filters", multiple=True, metavar="COL[!]=VALUE", help="Only these rows; all must hold."
)
@click.option("--group-by", multiple=True, metavar="COL[,COL]", help="Also within these groups; repeatable.")
@click.option("--least", default=10, show_default=True, type=click.IntRange(5), help="Stimuli of a group.")
@click.option("--content", metavar="COL", help="Column of contents  [default: content, or the reference]")
@click.option("--draws", default=2000, show_default=True, type=click.IntRange(100), help="Resamples.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0), help="Seed of the resamples.")
@click.option("-o", "outputs", multiple=True, metavar="FILE", help=".json: everything; .csv: every stimulus.")
@click.option("--plot", metavar="FILE", help="Scatter plots with the fitted curves (.png, .svg, .pdf).")
@click.option("-y", "overwrite", is_flag=True, help="Overwrite output files.")
@click.option("-n", "never_overwrite", is_flag=True, help="Never overwrite, never ask.")
@click.option("--cache", type=click.Path(file_okay=False, path_type=Path), help="Folder that keeps scores.")
@click.option("--device", type=values.device, default="auto", show_default=True)
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), default="auto", show_default=True)
@click.option("-threads", "--threads", type=click.IntRange(1), help="CPU threads  [default: all cores]")
@options.talk_options
@click.pass_obj
def command(
    talk: Talk,
    data: Path,
    models: tuple[str, ...],
    peers: str,
    columns: tuple[str, ...],
    size: tuple[int, int] | None,
    filters: tuple[str, ...],
    group_by: tuple[str, ...],
    least: int,
    content: str | None,
    draws: int,
    seed: int,
    outputs: tuple[str, ...],
    plot: str | None,
    overwrite: bool,
    never_overwrite: bool,
    cache: Path | None,
    device: str,
    precision: str,
    threads: int | None,
    loglevel: str,
    no_progress: bool,
) -> None:
    """SROCC, PLCC, KROCC, RMSE and outlier ratio against people's scores, with intervals over contents.

    The CSV has the columns distorted and mos (any scale, higher is better), and may have reference, ci (half
    width of the 95 % interval of the MOS), content and others. PLCC and RMSE are after the four-parameter
    logistic of VQEG. Two metrics are compared by resampling contents and by the F-test of their residuals
    (ITU-T P.1401). Peers pair frames from the first on.

    \b
    Examples:
      vqa-score evaluate --data set.csv -m rankvqa-mini --peers psnr,vmaf -o report.json --plot report.png
      vqa-score evaluate --data set.csv --scores vmaf --group-by test,height --filter 'content!=water*'
    """
    writers.require_stdout()
    from rankvqa_cli.training.assessment import AssessmentOptions, assess
    from rankvqa_cli.training.ratings import read_ratings

    targets, plot_target = output_targets(outputs, plot)
    ratings = read_ratings(data, content=content, filters=filters, need_files=bool(models or peers))
    groupings = tuple(tuple(name.strip() for name in each.split(",")) for each in group_by)
    for column in (name for grouping in groupings for name in grouping):
        ratings.require_column(column)
    given = {name: ratings.numbers(name) for name in columns}
    compute = Compute(device, precision, threads)
    instruments = model_instruments(models, compute, talk.warning if peers else talk.debug)
    instruments += peer_instruments(peers, threads)
    identities = {name: what for each in instruments for name, what in each.identities.items()}
    require_names([*(n for each in instruments for n in each.identities), *columns])
    every = [*targets, *([plot_target] if plot_target else [])]
    overwrite = settle_overwrite(every, overwrite, never_overwrite, may_ask=True)
    read = {
        str(file) for each in ratings.rows for file in (each.distorted, each.reference) if file is not None
    }
    writers.check(every, [str(data), *read], inputs_scored=1, overwrite=overwrite)

    measured = measure(talk, ratings, instruments, size, cache, not no_progress)
    chosen = AssessmentOptions(groupings, least, draws, seed)
    assessment = assess(ratings.rows, measured | given, chosen)
    identities |= {name: f"column {name} of the data" for name in columns}
    deliver(assessment, ratings, identities, size, targets, plot_target, overwrite)


def output_targets(
    outputs: Sequence[str], plot: str | None
) -> tuple[list[writers.Target], writers.Target | None]:
    """Where results go. UsageError for a suffix that names no format of theirs."""
    targets = [writers.target(path) for path in outputs]
    for target in targets:
        if target.format not in FORMATS:
            raise UsageError(f"{target.path!r}: an evaluation is written as .json or .csv")
    if plot is None:
        return targets, None
    from rankvqa_cli.training.scatter import FORMATS as PICTURES

    suffix = Path(plot).suffix.lower()
    if suffix not in PICTURES:
        raise UsageError(f"the suffix of {plot!r} says no picture format: use {', '.join(PICTURES)}")
    return targets, writers.Target(plot, PICTURES[suffix])


def require_names(names: Sequence[str]) -> None:
    """UsageError where there is nothing to evaluate, or two metrics have one name."""
    if not names:
        raise UsageError("nothing to evaluate: name a model with --model, or use --peers or --scores")
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two of the metrics are called {name!r}: name each once")


def model_instruments(
    models: Sequence[str], compute: Compute, say: Callable[[str], None]
) -> list[Instrument]:
    """One instrument for the models that need a reference and one for those that do not. Raises ModelError, UsageError
    and DeviceError before anything is scored."""
    if not models:
        return []
    from rankvqa_cli.models.registry import load
    from rankvqa_cli.training.measuring import Instrument
    from rankvqa_cli.version import version

    infos = {name: load(name).info for name in models}
    require_names([infos[name].name for name in models])
    instruments = []
    for kind in ("full-reference", "no-reference"):
        chosen = [name for name in models if infos[name].kind == kind]
        if chosen:
            identities = {
                infos[
                    name
                ].name: f"sha256 {infos[name].weights_sha256}, {compute.precision}, vqa-score {version()}"
                for name in chosen
            }
            measure = _scorer(chosen, list(identities), compute, say)
            instruments.append(Instrument(identities, kind == "full-reference", measure))
    return instruments


def _scorer(
    models: Sequence[str], names: Sequence[str], compute: Compute, say: Callable[[str], None]
) -> Callable[[Sequence[Path], Path | None], list[dict[str, float]]]:
    def measure(files: Sequence[Path], reference: Path | None) -> list[dict[str, float]]:
        from rankvqa_cli.scoring import engine

        report = engine.score(
            files,
            reference,
            models=models,
            device=compute.device,
            precision=compute.precision,
            threads=compute.threads,
        )
        shifted = sum(bool(result.alignment.offset) for result in report.results) // len(names)
        if shifted:
            say(
                f"{shifted} files are shifted in time against their reference: models undo that, peers do not"
            )
        scores = [result.score for result in report.results]  # input by input, each by every model
        rows = [scores[start : start + len(names)] for start in range(0, len(scores), len(names))]
        return [dict(zip(names, row, strict=True)) for row in rows]

    return measure


def peer_instruments(peers: str, threads: int | None) -> list[Instrument]:
    """The instrument of ``--peers``, if any. Raises UsageError for an unknown one, InputError without libvmaf."""
    if not peers:
        return []
    from rankvqa_cli.training.measuring import Instrument
    from rankvqa_cli.training.peers import measure_peers, peer_identities, require_peers

    names = require_peers(peers)

    def measure(files: Sequence[Path], reference: Path | None) -> list[dict[str, float]]:
        if reference is None:
            raise InputError("peers need a reference")
        return measure_peers(files, reference, names, threads)

    return [Instrument(peer_identities(names), True, measure)]


def measure(
    talk: Talk,
    ratings: Ratings,
    instruments: Sequence[Instrument],
    size: tuple[int, int] | None,
    cache: Path | None,
    progress: bool,
) -> dict[str, list[float]]:
    """Scores by metric, in the order of the rows, with a progress line on a terminal."""
    if not instruments:
        return {}
    from rankvqa_cli.training.measuring import measure_set
    from rankvqa_cli.training.score_cache import ScoreCache

    with progress_bar(progress and talk.says("info"), len(ratings.rows)) as advance:
        return measure_set(ratings, instruments, size, ScoreCache(cache), advance)


@contextmanager
def progress_bar(wanted: bool, total: int) -> Iterator[Callable[[int], None]]:
    """A function that is told how many more stimuli are finished."""
    if not wanted or sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("stimuli", total=total)
        yield lambda finished: bar.advance(task, finished)


def deliver(
    assessment: Assessment,
    ratings: Ratings,
    identities: dict[str, str],
    size: tuple[int, int] | None,
    targets: Sequence[writers.Target],
    plot: writers.Target | None,
    overwrite: bool,
) -> None:
    """Write every file, and the tables to stdout where no file is stdout."""
    from rankvqa_cli.training import evaluation_files

    for target in targets:
        if target.format == "json":
            argv = ("vqa-score", *sys.argv[1:])
            text = evaluation_files.json_text(assessment, ratings, argv, identities, size)
        else:
            text = evaluation_files.csv_text(assessment, ratings)
        writers.write_data(text.encode("utf-8", "surrogateescape"), target.path, overwrite=overwrite)
    if plot is not None:
        from rankvqa_cli.training.scatter import scatter_plot

        picture = scatter_plot(assessment, ratings.rows, plot.format)
        writers.write_data(picture, plot.path, overwrite=overwrite)
    if all(target.path != writers.STDOUT for target in targets):
        if sys.stdout.isatty():
            from rankvqa_cli.cli.evaluate_tables import tables

            writers.write_stdout(tables(assessment))
        else:
            writers.write_stdout(evaluation_files.tsv_text(assessment).encode("utf-8", "surrogateescape"))
