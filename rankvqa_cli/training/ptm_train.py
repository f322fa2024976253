"""``vqa-score train --model ptm``: a rated set and an ensemble's members to a head, and what it does on unseen
contents."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from rankvqa_cli.models.contract import Calibration
from rankvqa_cli.models.files import write_atomically
from rankvqa_cli.models.ptm.ensemble import (
    Ensemble,
    Head,
    member_path,
    open_members,
    read_ensemble,
    relative_file,
    write_ensemble,
)
from rankvqa_cli.models.ptm.fusion import Fusion
from rankvqa_cli.models.ptm.model import HEAD
from rankvqa_cli.models.store import ModelFile, write_model
from rankvqa_cli.training.clusters import require_clusters
from rankvqa_cli.training.curve import CurveRow, write_curve
from rankvqa_cli.training.features_cache import FeatureCache, Sampling, shown_sizes
from rankvqa_cli.training.fusing import FusingOptions, Samples, ablations, fit, folds_of, leave_out
from rankvqa_cli.training.icid import IcidLoss
from rankvqa_cli.training.pseudo import PseudoOptions, PseudoSamples, pseudo_samples
from rankvqa_cli.training.ratings import Ratings, read_ratings
from rankvqa_cli.training.ridge import left_out_predictions

Array = NDArray[np.float64]
LEFT_OUT = "left_out.csv"
CURVE_EVERY = 10


@dataclass(frozen=True)
class PtmData:
    """The rated set, MOS of 1 to 5 (columns distorted, mos, content, ``weight`` where samples count unlike, ``shown``
    where they were shown at a size of their own); a teacher's labels, of the same form in the file ``pseudo`` or of
    patches ``drawn`` from corpora, which each count ``pseudo_weight`` times theirs."""

    ratings: Path
    pseudo: Path | None = None
    pseudo_weight: float = 0.3
    content: str | None = None
    filters: tuple[str, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    cache: Path | None = None
    drawn: tuple[PseudoOptions, ...] = ()


@dataclass(frozen=True)
class PtmOptions:
    """``seeds`` heads are trained for every content that is left out; the first one's seed makes the head that is
    written. ``ablate`` also measures what each term is worth."""

    fusing: FusingOptions = field(default_factory=FusingOptions)
    seeds: tuple[int, ...] = (1, 2, 3)
    ablate: bool = False


@dataclass(frozen=True)
class Row:
    """One way to predict: SROCC of the pooled predictions (of the seeds' mean), its mean and standard deviation over
    seeds, and its mean and standard deviation over the contents left out."""

    name: str
    srocc: float
    seeds: tuple[float, float] | None
    folds: tuple[float, float]


def train_ptm(
    ensemble_path: Path,
    data: PtmData,
    folder: Path,
    out: Path,
    name: str,
    options: PtmOptions,
    say: Callable[[str], None],
) -> str:
    """Train a head for the ensemble in ``ensemble_path`` and write ``out`` (an ensemble) with its head beside it.

    ``folder`` gets the curve and ``left_out.csv``: the rated rows with what heads said that never saw their content.
    Returns the sha256 of the head. Raises InputError, ModelError, OutputError.
    """
    ensemble, _ = read_ensemble(ensemble_path)
    networks = open_members(ensemble_path, ensemble)
    cache = FeatureCache(data.cache or folder, ensemble.views, data.sampling)
    blocks = ensemble.blocks
    ratings, samples = _samples(
        data,
        blocks,
        options.fusing,
        lambda files, sizes: cache.matrices(networks, files, _counted(len(files), say), sizes),
    )
    for each in data.drawn:
        drawn = pseudo_samples(each, networks, ensemble.views, cache)
        say(f"features of {len(drawn.mos)} patches of {str(each.corpus)!r}")
        samples = _joined(samples, drawn, data.pseudo_weight)
    folder.mkdir(parents=True, exist_ok=True)

    predicted, rows = measure(samples, [member.name for member in ensemble.members], options)
    for line in table(rows):
        say(line)
    _write_left_out(folder / LEFT_OUT, ratings, predicted)

    curve: list[CurveRow] = []

    def listen(step: int, rate: float, loss: IcidLoss) -> None:
        if step % CURVE_EVERY == 0:
            terms = {each.name: float(getattr(loss, each.name).detach()) for each in dataclasses.fields(loss)}
            curve.append(CurveRow(step, rate, terms))

    fusion = fit(samples, options.fusing, options.seeds[0], listen)
    write_curve(folder, curve)
    say(str(curve[-1]) if curve else "")
    return _write(ensemble_path, ensemble, out, name, fusion, options, _provenance(data, samples, rows))


def measure(
    samples: Samples, members: Sequence[str], options: PtmOptions
) -> tuple[dict[str, Array], list[Row]]:
    """What each way to predict says of unseen contents, 0 to 100, NaN for rows that are not judged; and how good it
    is."""
    judged, folds = samples.judged, folds_of(samples.contents)
    ways = {"ptm": options.fusing, **(ablations(options.fusing) if options.ablate else {})}
    predicted: dict[str, Array] = {}
    rows = []
    for name, fusing in ways.items():
        found = leave_out(samples, fusing, options.seeds)
        predicted[name] = found.quality.mean(axis=0)
        rows.append(_row(name, predicted[name], samples, folds, found.quality))
        if name == "ptm":
            for i, member in enumerate(members):
                predicted[f"ptm:{member}"] = found.own[:, i]
    people = samples.rows(judged)
    ridges = {"ridge": np.concatenate(people.features, axis=1)}
    ridges |= {f"ridge:{member}": each for member, each in zip(members, people.features, strict=True)}
    for name, features in ridges.items():
        whole = np.full(len(judged), np.nan)
        by_fold = [str(fold) for fold in folds[judged]]
        whole[judged] = 25 * (left_out_predictions(np.asarray(features, np.float64), people.mos, by_fold) - 1)
        predicted[name] = whole
    rows += [_row(n, p, samples, folds, None) for n, p in predicted.items() if n not in ways]
    return predicted, rows


def table(rows: Sequence[Row]) -> list[str]:
    """Lines for eyes, tab-separated."""
    lines = ["left out\tSROCC\tover seeds\tover contents"]
    for row in rows:
        seeds = "-" if row.seeds is None else f"{row.seeds[0]:.4f} +- {row.seeds[1]:.4f}"
        lines.append(f"{row.name}\t{row.srocc:.4f}\t{seeds}\t{row.folds[0]:.3f} +- {row.folds[1]:.3f}")
    return lines


def _row(
    name: str, predicted: Array, samples: Samples, folds: NDArray[np.int64], quality: Array | None
) -> Row:
    kept = samples.judged
    mos = samples.mos
    inside = [
        _srocc(predicted[at], mos[at])
        for fold in np.unique(folds)
        if np.count_nonzero(at := (folds == fold) & kept) > 2
    ]
    seeds = None
    if quality is not None:
        each = [_srocc(one[kept], mos[kept]) for one in quality]
        seeds = (float(np.mean(each)), float(np.std(each)))
    spread = (float(np.mean(inside)), float(np.std(inside))) if inside else (0.0, 0.0)
    return Row(name, _srocc(predicted[kept], mos[kept]), seeds, spread)


def _srocc(predicted: Array, mos: Array) -> float:
    if np.ptp(predicted) == 0 or np.ptp(mos) == 0:
        return 0.0
    return float(spearmanr(predicted, mos).statistic)


def _samples(
    data: PtmData,
    blocks: int,
    fusing: FusingOptions,
    measure: Callable[[Sequence[Path], Sequence[tuple[int, int] | None]], list[NDArray[np.float32]]],
) -> tuple[Ratings, Samples]:
    """People's ratings, and all samples: theirs first, then a teacher's. What can be known of the ratings without
    features is, before they are computed."""
    ratings = read_ratings(data.ratings, scale=(1, 5), content=data.content, filters=data.filters)
    rows, counts = list(ratings.rows), ratings.weights()
    people = len(rows)
    if fusing.weighting == "dbi" or (data.pseudo is None and not data.drawn):
        folds = folds_of([rating.content for rating in rows])
        require_clusters([rating.mos for rating in rows], folds.tolist(), fusing.clusters)
    sizes = shown_sizes(ratings)
    if data.pseudo is not None:
        labelled = read_ratings(data.pseudo, scale=(1, 5), content=data.content)
        rows += labelled.rows
        sizes += shown_sizes(labelled)
        counts += [weight * data.pseudo_weight for weight in labelled.weights()]
    return ratings, Samples(
        features=tuple(measure([rating.distorted for rating in rows], sizes)),
        mos=np.array([rating.mos for rating in rows]),
        contents=tuple(rating.content for rating in rows),
        weight=np.array(counts),
        judged=np.arange(len(rows)) < people,
        blocks=blocks,
    )


def _joined(samples: Samples, drawn: PseudoSamples, weight: float) -> Samples:
    """``samples`` and then what was drawn from a corpus, each of which counts ``weight``."""
    count = len(drawn.mos)
    return Samples(
        tuple(np.concatenate(both) for both in zip(samples.features, drawn.features, strict=True)),
        np.concatenate([samples.mos, drawn.mos]),
        (*samples.contents, *drawn.contents),
        np.concatenate([samples.weight, np.full(count, weight)]),
        np.concatenate([samples.judged, np.zeros(count, np.bool_)]),
        samples.blocks,
    )


def _counted(total: int, say: Callable[[str], None]) -> Callable[[int], None]:
    done = 0

    def advance(finished: int) -> None:
        nonlocal done
        done += finished
        if done % 100 == 0 or done == total:
            say(f"features of {done} of {total} files")

    return advance


def _write_left_out(path: Path, ratings: Ratings, predicted: dict[str, Array]) -> None:
    """A CSV that ``vqa-score evaluate --scores`` takes: the rated rows, with a column for each way to predict."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    kept = [name for name in ratings.names if name not in predicted and name not in ("distorted", "content")]
    writer.writerow(["distorted", "content", *kept, *predicted])
    for i, rating in enumerate(ratings.rows):
        cells = [rating.columns[name] for name in kept]
        scores = [f"{values[i]:.5f}" for values in predicted.values()]
        writer.writerow([rating.distorted.resolve(), rating.content, *cells, *scores])
    write_atomically(path, text.getvalue().encode("utf-8", "surrogateescape"))


def _provenance(data: PtmData, samples: Samples, rows: Sequence[Row]) -> str:
    people = int(samples.judged.sum())
    taught = len(samples.mos) - people
    also = f" and {taught} labels of a teacher" if taught else ""
    return (
        f"trained by vqa-score on {people} stimuli of {len(set(samples.contents))} contents "
        f"({data.ratings.name}){also}; "
        f"SROCC {rows[0].srocc:.3f} on contents left out"
    )


def _write(
    source: Path,
    ensemble: Ensemble,
    out: Path,
    name: str,
    fusion: Fusion,
    options: PtmOptions,
    provenance: str,
) -> str:
    head = out.with_suffix(".safetensors")
    header = ModelFile(
        name=name,
        kind="no-reference",
        architecture=HEAD,
        config=dataclasses.asdict(fusion.config),
        calibration=Calibration(),
        clip_frames=ensemble.clip_frames,
        provenance=f"{provenance}; {options.fusing}",
    )
    sha256 = write_model(head, header, fusion.state_dict())
    members = tuple(
        dataclasses.replace(
            member, file=relative_file(out, member_path(source, member.file)), weight=float(weight)
        )
        for member, weight in zip(ensemble.members, fusion.config.weights, strict=True)
    )
    trained = dataclasses.replace(
        ensemble, name=name, members=members, head=Head(head.name, sha256), provenance=provenance
    )
    write_ensemble(out, trained)
    return sha256
