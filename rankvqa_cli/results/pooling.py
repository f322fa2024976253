"""From per-frame scores to single numbers. Pure Python: checking a pool's name must cost nothing."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence

from rankvqa_cli.errors import UsageError

PERCENTILES: dict[str, float] = {
    "median": 50.0,
    "p1": 1.0,
    "p5": 5.0,
    "p10": 10.0,
    "p90": 90.0,
    "p95": 95.0,
    "p99": 99.0,
}
POOLS: tuple[str, ...] = (
    "mean",
    "harmonic_mean",
    "median",
    "min",
    "max",
    "p1",
    "p5",
    "p10",
    "p90",
    "p95",
    "p99",
    "stdev",
)


def require_pool(name: str) -> str:
    """Return ``name`` if it is a pool, else raise UsageError that names the nearest one."""
    if name in POOLS:
        return name
    near = difflib.get_close_matches(name.lower(), POOLS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(POOLS)}"
    raise UsageError(f"no pool is called {name!r}: {hint}")


def pool(scores: Sequence[float]) -> dict[str, float]:
    """Every pool of at least one finite per-frame score, in the order of ``POOLS``.

    ``harmonic_mean`` is libvmaf's, n / sum(1 / (s + 1)) - 1: the shift by one keeps a frame at 0 from
    swallowing the rest. Percentiles interpolate linearly between order statistics. ``stdev`` divides by n,
    since the frames are all the frames and not a sample of them; one frame gives 0.

    Raises ValueError where there is nothing to pool, or a score is not finite or below 0.
    """
    if not scores:
        raise ValueError("no scores to pool")
    ordered = sorted(float(score) for score in scores)
    low, high = ordered[0], ordered[-1]
    if not (math.isfinite(low) and math.isfinite(high)) or any(map(math.isnan, ordered)) or low < 0.0:
        raise ValueError("scores must be finite and not negative")
    count = len(ordered)
    mean = math.fsum(ordered) / count
    shifted = count / math.fsum(1.0 / (score + 1.0) for score in ordered) - 1.0
    values = {
        # Means lie between the extremes; holding them there keeps rounding from making 99.99... of a
        # hundred 100s, which a gate at 100 would fail.
        "mean": min(max(mean, low), high),
        "harmonic_mean": min(max(shifted, low), high),
        "min": low,
        "max": high,
        "stdev": math.sqrt(math.fsum((score - mean) ** 2 for score in ordered) / count),
    }
    for name, percent in PERCENTILES.items():
        values[name] = percentile(ordered, percent)
    return {name: values[name] for name in POOLS}


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The ``percent``-th percentile of ascending scores, linear between order statistics."""
    position = percent / 100.0 * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])
