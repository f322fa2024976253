"""``vqa-score select-models``: a rated set and a pool of pretrained models to an ensemble without a head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rankvqa_cli.cli import options, rated_options, values
from rankvqa_cli.cli.score import settle_overwrite
from rankvqa_cli.cli.talk import Talk
from rankvqa_cli.cli.training_options import FILE, FOLDER
from rankvqa_cli.errors import InputError, UsageError
from rankvqa_cli.results import writers

if TYPE_CHECKING:
    from rankvqa_cli.models.ptm.contract import FrozenNetwork
    from rankvqa_cli.training.select import Selection

VIEWS = ("crops", "detail", "whole", "half", "half-detail", "quarter", "quarter-detail")


def members_number(text: str) -> int | None:
    """``auto`` or a number from 1 up; UsageError for anything else."""
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--members is auto or a number from 1 up, not {text!r}")
    return int(text)


def views_named(text: str) -> tuple[str, ...]:
    """Some of VIEWS, separated by commas; UsageError for anything else."""
    named = tuple(name.strip() for name in text.split(","))
    if not set(named) <= set(VIEWS) or len(set(named)) < len(named):
        raise UsageError(f"--see takes some of {', '.join(VIEWS)}, not {text!r}")
    return named


@click.command("select-models", short_help="Choose pretrained models for a no-reference ensemble.")
@click.option(
    "--data", required=True, type=FILE, metavar="CSV", help="Rated set: distorted, mos, content, shown (WxH)."
)
@click.option(
    "--pool",
    "pools",
    required=True,
    multiple=True,
    metavar="POOL",
    help="Folder of .onnx, .safetensors and Hugging Face folders, one of these, or hub:ID; repeatable. FILE#LAYER "
    "reads one layer of a network, of ONNX also some elements of it: net.onnx#features[0:64]. @LIST behind it is what "
    "these see, in the place of --see: net.onnx@half.",
)
@click.option("-o", "--output", "out", required=True, type=FILE, help="Ensemble to write (.json).")
@click.option(
    "--members", default="auto", show_default=True, type=members_number, metavar="N|auto", help="How many."
)
@click.option(
    "--by",
    "way",
    default="dbi",
    show_default=True,
    type=click.Choice(["dbi", "forward"]),
    help="By each model's own index, or forward by that of the fused features.",
)
@click.option(
    "--index",
    default="plain",
    show_default=True,
    type=click.Choice(["within", "plain"]),
    help="Whether each content's mean is taken away before the index.",
)
@rated_options.WEIGHTS
@click.option("--clusters", default=6, show_default=True, type=click.IntRange(2), help="Ranges of MOS.")
@click.option(
    "--see",
    default="crops,detail",
    show_default=True,
    type=views_named,
    metavar="LIST",
    help=f"What members see: {', '.join(VIEWS)}.",
)
@click.option(
    "--screen",
    "lines",
    default=0,
    show_default=True,
    metavar="LINES",
    type=click.IntRange(0, 4320),
    help="Bring pictures to so many lines first, as a player does that fills a screen; 0 leaves them.",
)
@click.option("--crop", default=448, show_default=True, type=click.IntRange(224), help="Pixels a side.")
@rated_options.SIZE
@rated_options.SAMPLE
@click.option("--content", metavar="COL", help="Column of contents  [default: content, or the reference]")
@click.option("--filter", "filters", multiple=True, metavar="COL[!]=VALUE", help="Only these rows.")
@click.option("--leave-out", multiple=True, metavar="CONTENT", help="A content that has no say; repeatable.")
@click.option("--cache", type=FOLDER, help="Where features are kept  [default: OUTPUT.features]")
@click.option("--plot", type=FILE, help="The index against each model's own SROCC (.png, .svg, .pdf).")
@click.option("-y", "overwrite", is_flag=True, help="Overwrite output files.")
@click.option("-n", "never_overwrite", is_flag=True, help="Never overwrite, never ask.")
@click.option("--device", type=values.device, default="auto", show_default=True)
@click.option("-threads", "--threads", type=click.IntRange(1), help="CPU threads  [default: all cores]")
@options.talk_options
@click.pass_obj
def command(
    talk: Talk,
    data: Path,
    pools: tuple[str, ...],
    out: Path,
    members: int | None,
    way: str,
    index: str,
    weighting: str,
    clusters: int,
    see: tuple[str, ...],
    lines: int,
    crop: int,
    size: tuple[int, int] | None,
    sample: float,
    content: str | None,
    filters: tuple[str, ...],
    leave_out: tuple[str, ...],
    cache: Path | None,
    plot: Path | None,
    overwrite: bool,
    never_overwrite: bool,
    device: str,
    threads: int | None,
    loglevel: str,
    no_progress: bool,
) -> None:
    """Features of every model of the pool on a rated set, the Davies-Bouldin index of each over clusters of MOS, and
    the models that it chooses. The table goes to stdout; 'vqa-score train --model ptm' then trains a head.

    \b
    Examples:
      vqa-score select-models --data rated.csv --pool networks/ -o ensemble.json --plot dbi.png
      vqa-score select-models --data rated.csv --pool a/ --pool hub:facebook/dinov2-small --members 4 -o four.json
    """
    targets = _targets(out, plot)
    overwrite = settle_overwrite(targets, overwrite, never_overwrite, may_ask=True)
    writers.check(targets, [str(data)], inputs_scored=1, overwrite=overwrite)
    from dataclasses import replace

    import torch

    from rankvqa_cli.models.compute import choose
    from rankvqa_cli.models.ptm.views import Views
    from rankvqa_cli.training.clusters import require_clusters
    from rankvqa_cli.training.features_cache import FeatureCache, Sampling, shown_sizes
    from rankvqa_cli.training.ratings import read_ratings
    from rankvqa_cli.training.select import SelectOptions, select

    if threads is not None:
        torch.set_num_threads(threads)
    rated = read_ratings(data, scale=(1, 5), content=content, filters=filters)
    rated.weights()  # the ratings are for training, too, where they would be refused
    rows = [each for each in rated.rows if each.content not in leave_out]
    for name in leave_out:
        if all(each.content != name for each in rated.rows):
            raise UsageError(f"--leave-out: {str(data)!r} has no content {name!r}")
    if len({each.content for each in rows}) < 2:
        raise InputError(f"{str(data)!r}: fewer than two contents are left")
    require_clusters([each.mos for each in rows], [each.content for each in rows], clusters)
    where = choose(device)
    networks = {
        name: network.to(where.device, where.dtype) for name, network in open_pools(pools, threads).items()
    }
    try:
        views = Views(crop=crop, lines=lines, seen=see)  # type: ignore[arg-type]
    except ValueError as error:
        raise UsageError(f"--see, --crop or --screen: {error}") from error
    if len({len(views.of(network).seen) for network in networks.values()}) > 1:
        raise UsageError("every network of the pools must see equally many views, by --see or behind its @")
    features = FeatureCache(cache or out.with_suffix(".features"), views, Sampling(size, sample)).matrices(
        list(networks.values()),
        [each.distorted for each in rows],
        _counter(talk, len(rows)),
        shown_sizes(replace(rated, rows=tuple(rows))),
    )
    chosen = SelectOptions(members, way, weighting, clusters, index == "within")  # type: ignore[arg-type]
    selection = select(
        list(networks),
        [each.astype("float64") for each in features],
        [each.mos for each in rows],
        [each.content for each in rows],
        chosen,
    )
    _write(out, networks, selection, views, f"chosen by vqa-score on {data.name}: {chosen}")
    if plot is not None:
        from rankvqa_cli.training.select_plot import select_plot

        picture = select_plot(selection, index == "within", plot.suffix.lower().removeprefix("."))
        writers.write_data(picture, str(plot), overwrite=True)
    writers.write_stdout(_table(selection).encode("utf-8", "surrogateescape"))


def open_pools(pools: Sequence[str], threads: int | None) -> dict[str, FrozenNetwork]:
    """Every network of the pools, by its name. Raises ModelError for one that cannot be used, UsageError for two of one
    name."""
    from rankvqa_cli.models.ptm.adapters import candidates, members, pooled

    networks: dict[str, FrozenNetwork] = {}
    opened: dict[Path, FrozenNetwork] = {}
    for pool in pools:
        named = pooled(pool)
        views = f"@{','.join(named.seen)}" if named.seen else ""
        for adapter, path in candidates(named.place):
            for name, network in members(adapter, path, threads, named.layer, opened.get(path)).items():
                opened[path] = network
                if name + views in networks:
                    raise UsageError(f"two networks of the pools are called {name + views!r}: rename one")
                networks[name + views] = network.shown(named.seen)
    return networks


def _targets(out: Path, plot: Path | None) -> list[writers.Target]:
    if out.suffix != ".json":
        raise UsageError(f"{str(out)!r}: an ensemble is written as .json")
    targets = [writers.Target(str(out), "json")]
    if plot is not None:
        if plot.suffix.lower() not in (".png", ".svg", ".pdf"):
            raise UsageError(f"the suffix of {str(plot)!r} says no picture format: use .png, .svg or .pdf")
        targets.append(writers.Target(str(plot), plot.suffix.lower().removeprefix(".")))
    return targets


def _write(
    out: Path, networks: dict[str, FrozenNetwork], selection: Selection, views: object, provenance: str
) -> None:
    from rankvqa_cli.models.ptm.ensemble import Ensemble, Member, relative_file, write_ensemble
    from rankvqa_cli.models.ptm.views import Views

    assert isinstance(views, Views)
    found = list(networks.values())
    members = tuple(
        Member(
            name=candidate.name,
            adapter=network.adapter,
            file=relative_file(out, network.file),
            sha256=network.sha256,
            layer=network.layer,
            dimension=network.dimension,
            frames=network.frames,
            weight=candidate.weight,
            dbi=candidate.dbi,
            srocc=candidate.srocc,
            seen=network.seen or None,
        )
        for candidate, network in ((selection.candidates[i], found[i]) for i in selection.order)
    )
    write_ensemble(out, Ensemble(out.stem, members, views, None, provenance))


def _table(selection: Selection) -> str:
    """Tab-separated, best index first, and the index's agreement with usefulness."""
    lines = ["model\tDBI\tDBI within contents\town SROCC\tchosen\tchosen without one content\tweight"]
    lines += [
        f"{each.name}\t{each.dbi:.3f}\t{each.dbi_within:.3f}\t{each.srocc:.3f}\t{'yes' if each.weight else 'no'}\t"
        f"{each.chosen_without} of {selection.contents}\t{each.weight:.3f}"
        for each in sorted(selection.candidates, key=lambda candidate: candidate.dbi)
    ]
    if selection.rho is not None:
        lines.append(f"rank correlation of the index with the models' own SROCC\t{selection.rho:.3f}")
    return "\n".join(lines) + "\n"


def _counter(talk: Talk, total: int) -> Callable[[int], None]:
    done = 0

    def advance(finished: int) -> None:
        nonlocal done
        done += finished
        if done % 50 == 0 or done == total:
            talk.info(f"features of {done} of {total} files")

    return advance
