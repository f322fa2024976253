"""Finds the offset between two series of small luma pictures. Pure arithmetic, no files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MIN_OVERLAP = 3
_CLEARLY = 0.8


@dataclass(frozen=True)
class Match:
    """``confidence`` is 0 (nothing to go by) to 1."""

    offset: int
    confidence: float


def best_offset(reference: NDArray[np.uint8], distorted: NDArray[np.uint8], reach: int) -> Match:
    """The offset within ``reach`` for which distorted[n + offset] looks like reference[n]; both are (T, h,
    w) uint8.
    """
    first, second = _normalised(reference), _normalised(distorted)
    reach = min(reach, min(len(first), len(second)) - _MIN_OVERLAP)
    costs = {offset: _cost(first, second, offset) for offset in sorted(range(-reach, reach + 1), key=abs)}
    best = min(costs, key=lambda offset: (costs[offset], abs(offset)))
    if best and costs[best] > _CLEARLY * costs[0]:
        best = 0
    others = [cost for offset, cost in costs.items() if offset != best]
    rival = min(others, default=0.0)
    confidence = 0.0 if rival <= 0 else max(0.0, 1.0 - costs[best] / rival)
    return Match(best, confidence)


def _normalised(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    flat = frames.reshape(len(frames), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    return flat


def _cost(first: NDArray[np.float32], second: NDArray[np.float32], offset: int) -> float:
    count = min(len(first) - max(0, -offset), len(second) - max(0, offset))
    a = first[max(0, -offset) :][:count]
    b = second[max(0, offset) :][:count]
    return float(np.abs(a - b).mean())
