"""Bjøntegaard deltas: the mean distance of two rate-quality curves (Bjøntegaard, VCEG-M33, 2001, and VCEG-AI11, 2008).

A curve is interpolated between its points, quality over the logarithm of the bitrate or the other way round, and the
difference of two curves is averaged over the range that both cover. The interpolations are the piecewise cubic ones
that do not swing out: PCHIP, as in the common test conditions of JVET, and Akima's (Herglotz et al., 2022).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import Akima1DInterpolator, PchipInterpolator, make_interp_spline

from rankvqa_cli.results.comparison import Method

_Floats = NDArray[np.float64]


class NoOverlapError(ValueError):
    """Two ranges have nothing in common. ``low`` ends ``gap`` before ``high`` begins."""

    def __init__(self, low_end: float, high_start: float) -> None:
        super().__init__(f"{low_end:g} is below {high_start:g}")
        self.low_end = low_end
        self.high_start = high_start

    @property
    def gap(self) -> float:
        return self.high_start - self.low_end


def bd_rate(
    anchor_rates: Sequence[float],
    anchor_quality: Sequence[float],
    rates: Sequence[float],
    quality: Sequence[float],
    method: Method,
) -> float:
    """How much more bitrate, in percent, a curve takes than the anchor's for the same quality; less is negative.

    Rates are positive, in any unit; quality rises strictly along each curve, which has two points or more. Raises
    NoOverlapError where the two ranges of quality have nothing in common, ValueError for other curves.
    """
    difference = _mean_difference(
        _column(anchor_quality),
        np.log10(_column(anchor_rates)),
        _column(quality),
        np.log10(_column(rates)),
        method,
    )
    return float((10**difference - 1) * 100)


def bd_quality(
    anchor_rates: Sequence[float],
    anchor_quality: Sequence[float],
    rates: Sequence[float],
    quality: Sequence[float],
    method: Method,
) -> float:
    """How many points more quality a curve has than the anchor's at the same bitrate (BD-PSNR's counterpart).

    Bitrates rise strictly along each curve. Raises as ``bd_rate`` does, NoOverlapError with logarithms to base 10 of
    the rates.
    """
    return _mean_difference(
        np.log10(_column(anchor_rates)),
        _column(anchor_quality),
        np.log10(_column(rates)),
        _column(quality),
        method,
    )


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """The share, 0 to 1, of the range of all values that the ranges of both cover."""
    whole = max(*one, *other) - min(*one, *other)
    common = min(max(one), max(other)) - max(min(one), min(other))
    return max(0.0, common) / whole if whole > 0 else 1.0


def _mean_difference(x0: _Floats, y0: _Floats, x1: _Floats, y1: _Floats, method: Method) -> float:
    """Mean of curve 1 less curve 0 over the x that both cover."""
    curves = [_interpolated(x, y, method) for x, y in ((x0, y0), (x1, y1))]
    low, high = max(x0[0], x1[0]), min(x0[-1], x1[-1])
    if high <= low:
        raise NoOverlapError(float(high), float(low))
    areas = [float(curve.integrate(low, high)) for curve in curves]
    return (areas[1] - areas[0]) / float(high - low)


def _interpolated(x: _Floats, y: _Floats, method: Method) -> PchipInterpolator | Akima1DInterpolator:
    if len(x) < 2 or np.any(np.diff(x) <= 0):
        raise ValueError("a curve has two points or more, which rise strictly")
    if method == "pchip":
        return PchipInterpolator(x, y)
    if len(x) == 2:  # Akima's slopes need neighbours; between two points there is one line
        return make_interp_spline(x, y, k=1)
    return Akima1DInterpolator(x, y)


def _column(values: Sequence[float]) -> _Floats:
    return np.asarray(values, dtype=np.float64)
