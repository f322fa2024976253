"""Axes: what range a plot shows, where a value lies in it, and where its marks are."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_DECADE = (1.0, 2.0, 5.0)
_MOST_TICKS = 6


@dataclass(frozen=True)
class Axis:
    """``low`` to ``high``, with marks at ``ticks``; ``log``: equal ratios are equally far apart."""

    label: str
    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False

    def place(self, value: float) -> float:
        """Where ``value`` lies: 0 at ``low``, 1 at ``high``, clamped."""
        low, high, at = (math.log(each) if self.log else each for each in (self.low, self.high, value))
        return min(1.0, max(0.0, (at - low) / (high - low)))


def linear(label: str, values: Iterable[float], *, least: float, bounds: tuple[float, float]) -> Axis:
    """An axis that shows all ``values``, and at least ``least`` of what lies within ``bounds``; its ends are ticks."""
    found = list(values)
    low, high = min(found, default=bounds[0]), max(found, default=bounds[1])
    if high - low < least:
        middle = (low + high) / 2
        low, high = middle - least / 2, middle + least / 2
    below, above = bounds[0] - low, high - bounds[1]
    if below > 0:
        low, high = bounds[0], min(bounds[1], high + below)
    elif above > 0:
        low, high = max(bounds[0], low - above), bounds[1]
    step = _step((high - low) / (_MOST_TICKS - 1))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(round(number * step, 10) for number in range(first, last + 1))
    return Axis(label, ticks[0], ticks[-1], ticks)


def exact(label: str, low: float, high: float) -> Axis:
    """An axis from ``low`` to ``high`` (more than ``low``) and no further, with ticks between them."""
    step = _step((high - low) / (_MOST_TICKS - 1))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return Axis(label, low, high, tuple(round(number * step, 10) for number in range(first, last + 1)))


def logarithmic(label: str, values: Iterable[float]) -> Axis:
    """An axis for positive ``values`` with a little room at both ends."""
    found = [value for value in values if value > 0] or [1.0]
    low, high = min(found) / 1.15, max(found) * 1.15
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [lead * 10.0**decade for decade in decades for lead in _DECADE]
    ticks = [tick for tick in ticks if low <= tick <= high]
    if len(ticks) > _MOST_TICKS:
        ticks = [tick for tick in ticks if math.isclose(10.0 ** round(math.log10(tick)), tick)]
    if len(ticks) < 2:
        ticks = [float(f"{min(found):.2g}"), float(f"{max(found):.2g}")]
    return Axis(label, low, high, tuple(sorted(set(ticks))), log=True)


def _step(least: float) -> float:
    """The smallest round number that is not below ``least``."""
    scale = 10.0 ** math.floor(math.log10(least))
    return next(lead * scale for lead in _STEPS if lead * scale >= least * (1 - 1e-9))
