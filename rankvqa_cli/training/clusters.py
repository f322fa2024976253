"""How well features tell qualities apart: clusters of MOS, and the Davies-Bouldin index of features over them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from rankvqa_cli.errors import InputError

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

#: Fewer samples than this have no clusters worth the name.
LEAST_SAMPLES = 6


def mos_clusters(mos: Sequence[float], count: int) -> Labels:
    """The cluster of each sample, 0 to ``count`` - 1: equal ranges of MOS from the lowest to the highest.

    Raises InputError for a MOS that is not finite, for fewer than LEAST_SAMPLES, and where fewer than two ranges hold
    two samples or more.
    """
    values = np.asarray(mos, np.float64)
    if not np.isfinite(values).all():
        raise InputError("a MOS is no finite number")
    if len(values) < LEAST_SAMPLES:
        raise InputError(f"{len(values)} rated samples say nothing: at least {LEAST_SAMPLES} are needed")
    low, high = float(values.min()), float(values.max())
    span = high - low
    labels = np.minimum(((values - low) / (span or 1.0) * count).astype(np.int64), count - 1)
    if sum(n >= 2 for n in np.bincount(labels)) < 2:
        raise InputError(
            f"of {count} equal ranges of the MOS ({low:g} to {high:g}), fewer than two hold two samples: features "
            "cannot be told apart by them"
        )
    return labels


def require_clusters(mos: Sequence[float], contents: Sequence[Hashable], count: int) -> None:
    """Raises InputError where the samples, or those that are left without one of the ``contents`` (or folds of them),
    make no clusters: known before anything is computed of them."""
    mos_clusters(mos, count)
    for content in dict.fromkeys(contents):
        rest = [value for value, name in zip(mos, contents, strict=True) if name != content]
        try:
            mos_clusters(rest, count)
        except InputError as error:
            raise InputError(f"without one of the contents, which is left out to judge: {error}") from error


def davies_bouldin(features: Array, labels: Labels) -> float:
    """Davies and Bouldin's index (1979), lower is better: (1 / K) sum_k max_{l != k} (s_k + s_l) / ||c_k - c_l||.

    ``features`` (N, D); c_k is a cluster's mean, s_k the mean distance of its samples from it. Clusters of one sample
    have no spread and are left out. Infinite where two centres coincide. Raises ValueError for fewer than two clusters.
    """
    kept = [features[labels == k] for k in np.unique(labels) if np.count_nonzero(labels == k) > 1]
    if len(kept) < 2:
        raise ValueError("at least two clusters of two samples are needed")
    centres = np.stack([each.mean(axis=0) for each in kept])
    spreads = np.array([np.linalg.norm(e - c, axis=1).mean() for e, c in zip(kept, centres, strict=True)])
    apart = np.linalg.norm(centres[:, None] - centres[None, :], axis=-1)
    np.fill_diagonal(apart, np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = (spreads[:, None] + spreads[None, :]) / apart
    ratios[np.isnan(ratios)] = np.inf
    return float(ratios.max(axis=1).mean())


def standardised(features: Array) -> Array:
    """(N, D) with each column's mean 0 and standard deviation 1; columns that are constant become 0."""
    spread = features.std(axis=0)
    return np.asarray((features - features.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0), np.float64)


def content_removed(features: Array, contents: Sequence[str]) -> Array:
    """(N, D) less each content's own mean: what is left is what the encodes of a content differ in."""
    left = features.copy()
    names = np.array(contents)
    for name in np.unique(names):
        left[names == name] -= features[names == name].mean(axis=0)
    return left
