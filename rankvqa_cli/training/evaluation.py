"""How well scores agree with people: SROCC, KROCC, and PLCC and RMSE after the logistic that VQEG prescribes."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeWarning, curve_fit
from scipy.stats import kendalltau, pearsonr, spearmanr

Array = NDArray[np.float64]
Label = TypeVar("Label", bound=Hashable)


@dataclass(frozen=True)
class Agreement:
    """``count`` stimuli. ``srocc``, ``krocc`` and ``plcc`` are -1 to 1 (1: perfect), ``rmse`` in units of the MOS.

    ``outlier_ratio`` is the share of stimuli whose mapped score lies outside the 95 % interval of the MOS (ITU-T
    P.1401, 7.5.2.2), None where no intervals are known.
    """

    count: int
    srocc: float
    plcc: float
    krocc: float
    rmse: float
    outlier_ratio: float | None = None


@dataclass(frozen=True)
class Mapping:
    """From scores to MOS: a logistic with (high, low, centre, width), or a line with (slope, intercept)."""

    parameters: tuple[float, ...]

    @property
    def kind(self) -> str:
        return "logistic" if len(self.parameters) == 4 else "line"

    def __call__(self, scores: Array) -> Array:
        """MOS of ``scores``, in the same shape."""
        if self.kind == "logistic":
            return logistic(scores, *self.parameters)
        return np.asarray(np.polyval(self.parameters, scores), dtype=np.float64)


def logistic(x: Array, high: float, low: float, centre: float, width: float) -> Array:
    """VQEG's monotone map from scores to MOS (FRTV phase II report, 2003): low + (high - low) / (1 + e^-u)."""
    u = np.clip((x - centre) / abs(width), -500.0, 500.0)
    return np.asarray(low + (high - low) / (1 + np.exp(-u)), dtype=np.float64)


def fit_logistic(scores: Array, mos: Array) -> Mapping:
    """The four-parameter logistic from scores to MOS with the least squared error, rising or falling as the ranks do.

    The search begins in several places, since the error has more than one minimum. The straight line where no search
    ends, or where all of them end in a curve of the wrong direction.
    """
    rising = bool(spearmanr(scores, mos).statistic >= 0)
    ends = (float(mos.max()), float(mos.min())) if rising else (float(mos.min()), float(mos.max()))
    spread = float(np.std(scores)) or 1.0
    centres = (float(np.mean(scores)), *np.percentile(scores, (25, 75)).tolist())
    best, least = np.polyfit(scores, mos, 1), np.inf
    for centre, width in product(centres, (spread / 4, spread)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", OptimizeWarning)
                found, _ = curve_fit(logistic, scores, mos, p0=(*ends, centre, width), maxfev=5000)
        except RuntimeError:
            continue
        error = float(np.sum((logistic(scores, *found) - mos) ** 2))
        if (found[0] >= found[1]) == rising and error < least:
            best, least = found, error
    return Mapping(tuple(float(each) for each in best))


def agreement(
    scores: Sequence[float], mos: Sequence[float], ci: Sequence[float | None] | None = None
) -> Agreement:
    """Agreement of ``scores`` with ``mos``; ``ci`` holds the half widths of the MOS' 95 % intervals, where known.

    Raises ValueError for fewer than 5 or constant data.
    """
    x, y = np.asarray(scores, np.float64), np.asarray(mos, np.float64)
    if len(x) != len(y) or len(x) < 5:
        raise ValueError(f"{len(x)} scores and {len(y)} MOS: at least 5 pairs are needed")
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        raise ValueError("all scores, or all MOS, are equal: there is no order to agree with")
    mapped = fit_logistic(x, y)(x)
    # A curve that is flat where the scores are explains nothing.
    plcc = float(pearsonr(mapped, y).statistic) if np.ptp(mapped) > 0 else 0.0
    return Agreement(
        count=len(x),
        srocc=float(spearmanr(x, y).statistic),
        plcc=plcc,
        krocc=float(kendalltau(x, y).statistic),
        rmse=float(np.sqrt(np.mean((mapped - y) ** 2))),
        outlier_ratio=_outlier_ratio(mapped - y, ci),
    )


def _outlier_ratio(errors: Array, ci: Sequence[float | None] | None) -> float | None:
    outside = [abs(error) > half for error, half in zip(errors, ci or (), strict=False) if half is not None]
    return float(np.mean(outside)) if outside else None


def members_of(groups: Sequence[Label]) -> dict[Label, list[int]]:
    """The places of each group, groups in the order of their first member."""
    members: dict[Label, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    return members


def srocc_within(
    scores: Sequence[float], mos: Sequence[float], groups: Sequence[Hashable], least: int = 5
) -> tuple[float, int]:
    """Mean SROCC inside groups of at least ``least`` stimuli, weighted by their size, and the number of groups."""
    x, y = np.asarray(scores, np.float64), np.asarray(mos, np.float64)
    total = weight = count = 0.0
    for indices in members_of(groups).values():
        if len(indices) < least or np.ptp(x[indices]) == 0 or np.ptp(y[indices]) == 0:
            continue
        total += len(indices) * float(spearmanr(x[indices], y[indices]).statistic)
        weight += len(indices)
        count += 1
    if not weight:
        raise ValueError(f"no group of at least {least} stimuli that differ")
    return total / weight, int(count)
