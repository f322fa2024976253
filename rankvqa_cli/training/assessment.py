"""Everything that is said of metrics against a rated set: agreement, groups, intervals, and who beats whom."""

from __future__ import annotations

from collections.abc import Mapping as Named
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import f as f_distribution

from rankvqa_cli.errors import InputError
from rankvqa_cli.training import resampling
from rankvqa_cli.training.evaluation import (
    Agreement,
    Array,
    Mapping,
    agreement,
    fit_logistic,
    members_of,
    srocc_within,
)
from rankvqa_cli.training.ratings import Rating

Interval = tuple[float, float]


@dataclass(frozen=True)
class AssessmentOptions:
    """``group_by`` lists columns, each entry one grouping; groups of fewer than ``least`` stimuli are not measured.

    ``draws`` resamples of contents, drawn from ``seed``, give the intervals.
    """

    group_by: tuple[tuple[str, ...], ...] = ()
    least: int = 10
    draws: int = 2000
    seed: int = 1


@dataclass(frozen=True)
class Group:
    """The stimuli with ``values`` in the columns of a grouping; ``agreement`` is None for too few or equal ones."""

    values: tuple[str, ...]
    count: int
    agreement: Agreement | None


@dataclass(frozen=True)
class Grouping:
    """One way to group: its columns (``content`` for the contents) and its groups.

    ``within`` is the mean SROCC of the groups that are measured, weighted by their size, with its interval; None where
    none is.
    """

    columns: tuple[str, ...]
    groups: tuple[Group, ...]
    within: float | None
    within_ci95: Interval | None

    @property
    def measured(self) -> tuple[Group, ...]:
        return tuple(group for group in self.groups if group.agreement is not None)


@dataclass(frozen=True)
class Assessed:
    """One metric. ``ci95`` holds the intervals of srocc, plcc, krocc and rmse; the mapping is not fitted anew in them.

    ``mapped`` are its scores on the scale of the MOS.
    """

    name: str
    scores: tuple[float, ...]
    mapping: Mapping
    mapped: tuple[float, ...]
    pooled: Agreement
    ci95: dict[str, Interval]
    groupings: tuple[Grouping, ...]


@dataclass(frozen=True)
class Comparison:
    """``a`` less ``b``: the SROCC's difference, its interval and p over resampled contents (the same for both).

    ``f`` is the ratio of the larger to the smaller variance of the residuals after the mapping, and ``f_p`` its
    two-sided p with N - 4 degrees of freedom each (ITU-T P.1401, 7.6.4; N - 2 for a line). It takes stimuli for
    independent, which those of one content are not: where the two disagree, believe the resamples.
    """

    a: str
    b: str
    srocc_difference: float
    ci95: Interval
    p: float
    f: float
    f_p: float


@dataclass(frozen=True)
class Assessment:
    """``contents`` counts the contents, ``comparisons`` holds every pair of metrics."""

    metrics: tuple[Assessed, ...]
    comparisons: tuple[Comparison, ...]
    stimuli: int
    contents: int
    options: AssessmentOptions


def assess(
    rows: Sequence[Rating], scores: Named[str, Sequence[float]], options: AssessmentOptions
) -> Assessment:
    """Hold every metric of ``scores`` (one score a row) against the rows' MOS. Raises InputError for too few stimuli
    or a metric that gives all of them the same score."""
    contents = [rating.content for rating in rows]
    weights = resampling.draw_contents(contents, options.draws, options.seed)
    labels = {columns: [tuple(r.columns[c] for c in columns) for r in rows] for columns in options.group_by}
    labels[("content",)] = [(content,) for content in contents]
    metrics = tuple(_assessed(name, rows, given, labels, weights, options) for name, given in scores.items())
    mos = np.array([rating.mos for rating in rows])
    resampled = {
        each.name: resampling.weighted_srocc(np.array(each.scores), mos, weights) for each in metrics
    }
    comparisons = tuple(
        _compared(a, b, resampled[a.name] - resampled[b.name], mos) for a, b in combinations(metrics, 2)
    )
    return Assessment(metrics, comparisons, len(rows), len(set(contents)), options)


def _assessed(
    name: str,
    rows: Sequence[Rating],
    scores: Sequence[float],
    labels: dict[tuple[str, ...], list[tuple[str, ...]]],
    weights: Array,
    options: AssessmentOptions,
) -> Assessed:
    x, y = np.asarray(scores, np.float64), np.array([rating.mos for rating in rows])
    try:
        pooled = agreement(x.tolist(), y.tolist(), [rating.ci for rating in rows])
    except ValueError as error:
        raise InputError(f"the metric {name!r} cannot be evaluated: {error}") from error
    mapping = fit_logistic(x, y)
    mapped = mapping(x)
    contents = [rating.content for rating in rows]
    ci95 = {
        "srocc": resampling.interval(resampling.weighted_srocc(x, y, weights)),
        "plcc": resampling.interval(resampling.weighted_correlation(mapped, y, weights)),
        "krocc": resampling.interval(resampling.weighted_krocc(x, y, contents, weights)),
        "rmse": resampling.interval(resampling.weighted_rmse(mapped - y, weights)),
    }
    groupings = tuple(
        _grouping(columns, label, rows, x, y, weights, options.least) for columns, label in labels.items()
    )
    return Assessed(name, tuple(x.tolist()), mapping, tuple(mapped.tolist()), pooled, ci95, groupings)


def _grouping(
    columns: tuple[str, ...],
    labels: Sequence[tuple[str, ...]],
    rows: Sequence[Rating],
    x: Array,
    y: Array,
    weights: Array,
    least: int,
) -> Grouping:
    groups = []
    for values, indices in sorted(members_of(labels).items(), key=lambda item: _natural(item[0])):
        found = None
        if len(indices) >= least and np.ptp(x[indices]) > 0 and np.ptp(y[indices]) > 0:
            found = agreement(x[indices].tolist(), y[indices].tolist(), [rows[i].ci for i in indices])
        groups.append(Group(values, len(indices), found))
    if all(group.agreement is None for group in groups):
        return Grouping(columns, tuple(groups), None, None)
    within, _ = srocc_within(x.tolist(), y.tolist(), labels, least)
    resampled = resampling.weighted_srocc_within(x, y, labels, weights, least)
    return Grouping(columns, tuple(groups), within, resampling.interval(resampled))


def _natural(values: tuple[str, ...]) -> list[tuple[bool, float, str]]:
    """Sorts 720 before 1080, and words after numbers."""
    return [(not v.isdecimal(), float(v) if v.isdecimal() else 0.0, v) for v in values]


def _compared(a: Assessed, b: Assessed, differences: Array, mos: Array) -> Comparison:
    residuals = [(np.array(each.mapped) - mos, len(mos) - len(each.mapping.parameters)) for each in (a, b)]
    (larger, df_larger), (smaller, df_smaller) = sorted(
        ((float((errors**2).sum()) / df, df) for errors, df in residuals), reverse=True
    )
    ratio = larger / smaller if smaller > 0 else float("inf") if larger > 0 else 1.0
    return Comparison(
        a.name,
        b.name,
        a.pooled.srocc - b.pooled.srocc,
        resampling.interval(differences),
        resampling.two_sided_p(differences),
        ratio,
        min(1.0, 2 * float(f_distribution.sf(ratio, df_larger, df_smaller))),
    )
