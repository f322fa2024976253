"""How much a figure depends on which contents were seen: a cluster bootstrap over contents.

A resample draws as many contents as there are, with replacement, and all stimuli of each. Every measure is computed
with the stimuli's multiplicities as weights, which gives exactly what it would be on the resample written out.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from rankvqa_cli.training.evaluation import Array, members_of


def draw_contents(contents: Sequence[Hashable], draws: int, seed: int) -> Array:
    """How often each stimulus is in each resample: (draws, stimuli), the same for the same seed."""
    members = list(members_of(contents).values())
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(members), [1 / len(members)] * len(members), size=draws)
    weights = np.empty((draws, len(contents)))
    for content, indices in enumerate(members):
        weights[:, indices] = counts[:, [content]]
    return weights


def weighted_srocc(x: Array, y: Array, weights: Array) -> Array:
    """Spearman's correlation in each resample: (draws,), NaN where there is no order. ``x``, ``y``: (stimuli,)."""
    return weighted_correlation(_ranks(x, weights), _ranks(y, weights), weights)


def _ranks(values: Array, weights: Array) -> Array:
    """Ranks within each resample, the mean rank among equals: (draws, stimuli)."""
    order = np.argsort(values, kind="stable")
    first = np.flatnonzero(np.r_[True, np.diff(values[order]) != 0])  # where a new value begins
    tied = np.add.reduceat(weights[:, order], first, axis=1)
    ranks = np.cumsum(tied, axis=1) - (tied - 1) / 2
    which = np.empty(len(values), np.intp)
    which[order] = np.repeat(np.arange(len(first)), np.diff(np.r_[first, len(values)]))
    return np.asarray(ranks[:, which])


def weighted_correlation(x: Array, y: Array, weights: Array) -> Array:
    """Pearson's correlation in each resample: (draws,). ``x`` and ``y`` are (stimuli,) or (draws, stimuli)."""
    total = weights.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        dx = x - (weights * x).sum(axis=1, keepdims=True) / total
        dy = y - (weights * y).sum(axis=1, keepdims=True) / total
        xx, yy, xy = ((weights * a * b).sum(axis=1) for a, b in ((dx, dx), (dy, dy), (dx, dy)))
        defined = (xx > 1e-9 * total[:, 0]) & (yy > 1e-9 * total[:, 0])
        return np.where(defined, xy / np.sqrt(xx * yy), np.nan)


def weighted_krocc(x: Array, y: Array, contents: Sequence[Hashable], weights: Array) -> Array:
    """Kendall's tau-b in each resample: (draws,). ``weights`` is what ``draw_contents`` gives for ``contents``."""
    members = list(members_of(contents).values())
    sums = np.zeros(
        (3, len(members), len(members))
    )  # concordant less discordant; pairs that differ in x; in y
    for a, one in enumerate(members):
        for b, other in enumerate(members):
            dx = np.sign(x[one][:, None] - x[other][None, :])
            dy = np.sign(y[one][:, None] - y[other][None, :])
            sums[:, a, b] = (dx * dy).sum(), np.abs(dx).sum(), np.abs(dy).sum()
    counts = weights[:, [indices[0] for indices in members]]
    s, differ_x, differ_y = (np.einsum("da,ab,db->d", counts, matrix, counts) for matrix in sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((differ_x > 0) & (differ_y > 0), s / np.sqrt(differ_x * differ_y), np.nan)


def weighted_rmse(errors: Array, weights: Array) -> Array:
    """Root of the mean squared error in each resample: (draws,)."""
    return np.asarray(np.sqrt((weights * errors**2).sum(axis=1) / weights.sum(axis=1)))


def weighted_srocc_within(
    x: Array, y: Array, groups: Sequence[Hashable], weights: Array, least: int = 5
) -> Array:
    """``evaluation.srocc_within`` in each resample: (draws,). ``least`` is asked of the groups as they are."""
    total, size = np.zeros(len(weights)), np.zeros(len(weights))
    for indices in members_of(groups).values():
        if len(indices) < least:
            continue
        inside = weights[:, indices]
        found = weighted_srocc(x[indices], y[indices], inside)
        counted = np.where(np.isnan(found), 0.0, inside.sum(axis=1))
        total += counted * np.nan_to_num(found)
        size += counted
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(size > 0, total / size, np.nan)


def interval(values: Array) -> tuple[float, float]:
    """The percentile interval of 95 %; NaN where no resample has a value."""
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def two_sided_p(differences: Array) -> float:
    """How rarely resampled differences lie on the other side of zero, twice; never below 2 / (draws + 1)."""
    known = differences[~np.isnan(differences)]
    beyond = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return min(1.0, 2 * (beyond + 1) / (len(known) + 1))
