"""Which frozen models make an ensemble: the Davies-Bouldin index of their features over clusters of MOS.

The index says whether a model's features keep qualities apart; it needs no training. Beside it stands what each model
is worth by itself (ridge regression, whole contents left out), so that one sees whether the index told the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from rankvqa_cli.training.clusters import content_removed, davies_bouldin, mos_clusters, standardised
from rankvqa_cli.training.ridge import left_out_predictions

Array = NDArray[np.float64]
Way = Literal["dbi", "forward"]
Weighting = Literal["dbi", "equal"]


@dataclass(frozen=True)
class SelectOptions:
    """``members`` is how many are chosen, None for as many as the rule finds good; see ``choose``.

    ``clusters`` are ranges of MOS. ``within`` takes each content's mean away before the index is computed: what is left
    is what the encodes of a content differ in. ``weighting`` is what members count.
    """

    members: int | None = None
    way: Way = "dbi"
    weighting: Weighting = "dbi"
    clusters: int = 6
    within: bool = False


@dataclass(frozen=True)
class Candidate:
    """One model of the pool: its index as such and ``within`` contents, its own SROCC, and in how many of the
    selections that leave one content out it was chosen. ``weight`` is 0 where it is not chosen."""

    name: str
    dbi: float
    dbi_within: float
    srocc: float
    chosen_without: int
    weight: float


@dataclass(frozen=True)
class Selection:
    """``order`` lists the chosen, first the best. ``rho`` is the rank correlation of the index used, negated, with the
    models' own SROCC: 1 where the index ranks them as their usefulness does. None for fewer than three models."""

    candidates: tuple[Candidate, ...]
    order: tuple[int, ...]
    contents: int
    rho: float | None


def select(
    names: Sequence[str],
    features: Sequence[Array],
    mos: Sequence[float],
    contents: Sequence[str],
    options: SelectOptions,
) -> Selection:
    """Choose among models with ``features`` (N, D) each. Raises InputError for MOS that make no clusters."""
    y = np.asarray(mos, np.float64)
    places = np.array(contents)
    plain = [_index(each, y, places, options.clusters, within=False) for each in features]
    within = [_index(each, y, places, options.clusters, within=True) for each in features]
    used = within if options.within else plain
    order = choose(features, y, places, used, options)
    kept = np.zeros(len(names), np.int64)
    for content in np.unique(places):
        rest = places != content
        some = [each[rest] for each in features]
        again = [
            _index(each, y[rest], places[rest], options.clusters, within=options.within) for each in some
        ]
        kept[list(choose(some, y[rest], places[rest], again, options))] += 1
    sroccs = [_srocc(left_out_predictions(each, y, contents), y) for each in features]
    weights = np.zeros(len(names))
    weights[list(order)] = member_weights([used[i] for i in order], options.weighting)
    rho = None
    if len(names) > 2 and np.ptp(used) > 0 and np.ptp(sroccs) > 0:
        rho = -float(spearmanr(used, sroccs).statistic)
    return Selection(
        tuple(
            Candidate(name, plain[i], within[i], sroccs[i], int(kept[i]), float(weights[i]))
            for i, name in enumerate(names)
        ),
        order,
        len(np.unique(places)),
        rho,
    )


def choose(
    features: Sequence[Array],
    mos: Array,
    contents: NDArray[np.str_],
    index: Sequence[float],
    options: SelectOptions,
) -> tuple[int, ...]:
    """Places of the chosen models, the best first.

    ``dbi``: the lowest indices; without a number, all that are not above the pool's median. ``forward``: beginning
    with the lowest, always the model that makes the index of the fused features (side by side, each model counting
    alike) lowest; without a number, as long as it falls.
    """
    ranked = [int(i) for i in np.argsort(index, kind="stable")]
    most = options.members if options.members is not None else len(ranked)
    if options.way == "dbi":
        if options.members is None:
            most = sum(bool(index[i] <= np.median(index)) for i in ranked)
        return tuple(ranked[:most])
    scaled = [standardised(each) / each.shape[1] ** 0.5 for each in features]
    chosen, rest = [ranked[0]], ranked[1:]
    reached = index[ranked[0]]
    while rest and len(chosen) < most:
        found = {}
        for i in rest:
            fused = np.concatenate([scaled[j] for j in (*chosen, i)], axis=1)
            found[i] = _index(fused, mos, contents, options.clusters, within=options.within, scaled=True)
        best = min(rest, key=lambda i: found[i])
        if options.members is None and found[best] >= reached:
            break
        chosen.append(best)
        rest.remove(best)
        reached = found[best]
    return tuple(chosen)


def member_weights(index: Sequence[float], weighting: Weighting) -> Array:
    """What members count, adding up to 1: alike, or as the inverse of their index."""
    if weighting == "equal" or not np.isfinite(index).all():
        return np.full(len(index), 1 / len(index))
    inverse = 1 / np.maximum(np.asarray(index, np.float64), 1e-9)
    return np.asarray(inverse / inverse.sum(), np.float64)


def dbi_weights(
    features: Sequence[Array], mos: Array, contents: Sequence[str], clusters: int, *, within: bool
) -> Array:
    """``member_weights`` by the index of each member's features on these samples alone."""
    places = np.array(contents)
    return member_weights([_index(f, mos, places, clusters, within=within) for f in features], "dbi")


def _index(
    features: Array,
    mos: Array,
    contents: NDArray[np.str_],
    clusters: int,
    *,
    within: bool,
    scaled: bool = False,
) -> float:
    x = np.asarray(features, np.float64)
    if not scaled:
        x = standardised(x)
    if within:
        x = content_removed(x, contents.tolist())
    return davies_bouldin(x, mos_clusters(mos.tolist(), clusters))


def _srocc(predicted: Array, mos: Array) -> float:
    return float(spearmanr(predicted, mos).statistic) if np.ptp(predicted) > 0 else 0.0
