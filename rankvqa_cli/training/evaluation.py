"""How well scores agree with people: SROCC, KROCC, and PLCC and RMSE after the logistic that VQEG prescribes."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeWarning, curve_fit
from scipy.stats import kendalltau, pearsonr, spearmanr

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """``count`` stimuli. ``srocc``, ``krocc`` and ``plcc`` are -1 to 1 (1: perfect), ``rmse`` in units of the MOS."""

    count: int
    srocc: float
    plcc: float
    krocc: float
    rmse: float


def logistic(x: Array, high: float, low: float, centre: float, width: float) -> Array:
    """VQEG's monotone map from scores to MOS (FRTV phase II report, 2003): low + (high - low) / (1 + e^-u)."""
    u = np.clip((x - centre) / abs(width), -500.0, 500.0)
    return np.asarray(low + (high - low) / (1 + np.exp(-u)), dtype=np.float64)


def fit_logistic(scores: Array, mos: Array) -> Array:
    """Scores mapped to the MOS scale by the four-parameter logistic; the straight line where that cannot be fitted."""
    spread = float(np.std(scores)) or 1.0
    start = (float(mos.max()), float(mos.min()), float(np.mean(scores)), spread / 4)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OptimizeWarning)
            parameters, _ = curve_fit(logistic, scores, mos, p0=start, maxfev=20000)
        return logistic(scores, *parameters)
    except RuntimeError:
        return np.asarray(np.polyval(np.polyfit(scores, mos, 1), scores), dtype=np.float64)


def agreement(scores: Sequence[float], mos: Sequence[float]) -> Agreement:
    """Agreement of ``scores`` (higher is better) with ``mos``. Raises ValueError for fewer than 5 or constant data."""
    x, y = np.asarray(scores, np.float64), np.asarray(mos, np.float64)
    if len(x) != len(y) or len(x) < 5:
        raise ValueError(f"{len(x)} scores and {len(y)} MOS: at least 5 pairs are needed")
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        raise ValueError("all scores, or all MOS, are equal: there is no order to agree with")
    mapped = fit_logistic(x, y)
    return Agreement(
        count=len(x),
        srocc=float(spearmanr(x, y).statistic),
        plcc=float(pearsonr(mapped, y).statistic),
        krocc=float(kendalltau(x, y).statistic),
        rmse=float(np.sqrt(np.mean((mapped - y) ** 2))),
    )


def srocc_within(
    scores: Sequence[float], mos: Sequence[float], groups: Sequence[Hashable], least: int = 5
) -> tuple[float, int]:
    """Mean SROCC inside groups of at least ``least`` stimuli, weighted by their size, and the number of groups."""
    members: dict[Hashable, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    x, y = np.asarray(scores, np.float64), np.asarray(mos, np.float64)
    total = weight = count = 0.0
    for indices in members.values():
        if len(indices) < least or np.ptp(x[indices]) == 0 or np.ptp(y[indices]) == 0:
            continue
        total += len(indices) * float(spearmanr(x[indices], y[indices]).statistic)
        weight += len(indices)
        count += 1
    if not weight:
        raise ValueError(f"no group of at least {least} stimuli that differ")
    return total / weight, int(count)
