"""Finds the offset between two series of small luma pictures. Pure arithmetic, no files.

What is compared is not the pictures but how they change from one to the next: a still background, which says
nothing about time, and whatever compression does to it drop out. The changes of the two series, correlated at
every offset, agree best at the true one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_OVERLAP = 6
"""Changes that have to be shared at an offset for it to be considered."""

_MIN_SHARE = 0.25
_CLEARLY = 0.95
_SOME_AGREEMENT = 0.1
_TIE = 0.002
_DECISIVE_COST = 0.5
_DECISIVE_RIVAL = 1.5
_NOISE_FLOOR = 0.05


@dataclass(frozen=True)
class Match:
    """``offset`` in frames (the distorted is late where positive), ``confidence`` 0 (nothing to go by) to 1.

    ``agreement`` is the correlation of the changes there, 0 to 1: near 0 nothing moved, or not alike.
    ``decisive`` says that more frames would not change the answer.
    """

    offset: int
    confidence: float
    agreement: float = 0.0
    decisive: bool = False


def best_offset(reference: NDArray[np.uint8], distorted: NDArray[np.uint8], reach: int) -> Match:
    """The offset within ``reach`` for which distorted[n + offset] shows reference[n]; both (T, h, w) uint8.

    The cost of an offset is 1 minus the correlation of the frame-to-frame changes over all that the series
    share there. Of equal costs the smallest offset counts, and an offset other than 0 has to cost
    clearly less than 0 and to agree at all. The confidence is how much less the chosen offset costs than any other,
    times how well the changes agree at all.
    """
    costs = offset_costs(reference, distorted, reach)
    if 0 not in costs:
        return Match(0, 0.0)
    lowest = min(costs.values())
    best = min((o for o, cost in costs.items() if cost <= lowest + _TIE), key=abs)
    if costs[best] > min(_CLEARLY * costs[0], 1.0 - _SOME_AGREEMENT):
        best = 0
    rival = min((cost for offset, cost in costs.items() if offset != best), default=1.0)
    agreement = max(0.0, 1.0 - costs[best])
    margin = max(0.0, 1.0 - costs[best] / rival) if rival > 0 else 0.0
    decisive = costs[best] <= _DECISIVE_COST and rival >= _DECISIVE_RIVAL * costs[best] and rival > 0
    confidence = margin * min(1.0, agreement / _DECISIVE_COST)
    return Match(best, confidence, agreement, decisive)


def offset_costs(reference: NDArray[np.uint8], distorted: NDArray[np.uint8], reach: int) -> dict[int, float]:
    """Cost (0 for the same movement, 1 for unrelated, 2 for opposite) of each offset that shares enough changes."""
    first, second = _changes(reference), _changes(distorted)
    products = first @ second.T
    energy_first = np.concatenate(([0.0], np.cumsum((first * first).sum(axis=1, dtype=np.float64))))
    energy_second = np.concatenate(([0.0], np.cumsum((second * second).sum(axis=1, dtype=np.float64))))
    needed = max(MIN_OVERLAP, round(_MIN_SHARE * min(len(first), len(second))))
    costs: dict[int, float] = {}
    for offset in range(-reach, reach + 1):
        shared = np.diagonal(products, offset)
        count = len(shared)
        if count < min(needed, len(first), len(second)) or count == 0:
            continue
        start_first, start_second = max(0, -offset), max(0, offset)
        energy = (energy_first[start_first + count] - energy_first[start_first]) * (
            energy_second[start_second + count] - energy_second[start_second]
        )
        floor = count * first.shape[1] * _NOISE_FLOOR**2
        costs[offset] = 1.0 - float(shared.sum(dtype=np.float64)) / (float(energy) ** 0.5 + floor)
    return costs


def _changes(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(T - 1, pixels): what each frame adds to the one before, brightness left out."""
    flat = frames.reshape(len(frames), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    return np.asarray(flat[1:] - flat[:-1])
