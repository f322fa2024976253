"""Ridge regression with whole contents left out: the plain way from features to MOS, and the yardstick of others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

Array = NDArray[np.float64]

#: Penalties tried, on standardised features.
PENALTIES = (1e1, 3e1, 1e2, 3e2, 1e3, 3e3, 1e4, 3e4, 1e5)


def left_out_predictions(
    features: Array, mos: Array, folds: Sequence[str], penalties: Sequence[float] = PENALTIES
) -> Array:
    """MOS (N,) of every sample as predicted by the others of other ``folds`` from ``features`` (N, D).

    One penalty serves all folds: the one whose pooled predictions have the highest SROCC. That choice has seen all
    folds, so the figure flatters a little, by the same way for all that is compared with it.
    """
    names = np.array(folds)
    predicted = np.zeros((len(penalties), len(mos)))
    for name in np.unique(names):
        held = names == name
        predicted[:, held] = _fitted(features[~held], mos[~held], features[held], penalties)
    scores = [
        spearmanr(each, mos).statistic if np.ptp(each) > 0 and np.ptp(mos) > 0 else -1.0 for each in predicted
    ]
    return np.asarray(predicted[int(np.argmax(scores))], np.float64)


def _fitted(features: Array, mos: Array, unseen: Array, penalties: Sequence[float]) -> Array:
    """Predictions (P, M) for ``unseen`` (M, D), one row a penalty."""
    centre, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.where(spread > 1e-9, spread, 1.0)
    seen, new = (features - centre) / spread, (unseen - centre) / spread
    short = seen.shape[1] < seen.shape[0]  # the smaller of the two matrices says the same
    values, vectors = np.linalg.eigh(seen.T @ seen if short else seen @ seen.T)
    target = vectors.T @ (seen.T @ (mos - mos.mean()) if short else mos - mos.mean())
    bridge = new @ vectors if short else new @ seen.T @ vectors
    return np.stack([bridge @ (target / (np.maximum(values, 0) + p)) + mos.mean() for p in penalties])
