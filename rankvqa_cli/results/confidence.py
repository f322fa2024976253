"""How sure a pooled score is: a block bootstrap over clips.

The clips of a video are drawn again, with replacement, in runs of neighbours (Politis and Romano's circular
block bootstrap, 1992: quality changes slowly, so single clips are not independent draws), and the pool is
taken over the frames that the drawn clips bring. The interval says how much the pooled score depends on
which parts of this video were seen; it does not cover the model's own error.

Where only one clip in several was scored, few clips stand for the video, and the unseen ones may lie
outside of what was seen: the interval is widened by Student's t and by what the bootstrap lacks with few draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rankvqa_cli.results.pooling import PERCENTILES, pool, require_pool
from rankvqa_cli.types import ClipScore, FrameScore

_Floats = NDArray[np.float64]
_Counts = NDArray[np.int64]

# Bounds the working set: rows x frames integers at a time.
_CHUNK_ELEMENTS = 2_000_000


def bootstrap_interval(
    clips: Sequence[ClipScore],
    pool_name: str,
    frames: Sequence[FrameScore],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval (low, high) of the pool ``pool_name``, 0 to 100, by default at 95 %.

    Each frame belongs to the last clip that starts at or before it, so a frame that several clips cover
    counts once. The draw is seeded: the same scores give the same interval. One clip gives (score, score):
    a single clip carries no evidence about its own spread.

    Raises UsageError for an unknown pool, ValueError where there are no clips or no frames.
    """
    require_pool(pool_name)
    if not clips or not frames:
        raise ValueError("an interval needs clips and frames")
    if resamples < 1 or not 0.0 < level < 1.0:
        raise ValueError("resamples must be positive and level between 0 and 1")
    frames = sorted(frames, key=lambda frame: frame.score)
    scores: _Floats = np.array([frame.score for frame in frames], dtype=np.float64)
    starts = np.unique(np.array([clip.start for clip in clips], dtype=np.int64))
    index = np.array([frame.index for frame in frames], dtype=np.int64)
    owner = np.maximum(np.searchsorted(starts, index, side="right") - 1, 0)
    # Only clips that own frames are drawn, so that no draw is empty.
    owned, owner = np.unique(owner, return_inverse=True)
    if len(owned) == 1:
        score = pool(scores.tolist())[pool_name]
        return (score, score)

    block = _block_length(clips, starts[owned])
    generator = np.random.default_rng(seed)
    rows = max(1, _CHUNK_ELEMENTS // len(scores))
    values = []
    for done in range(0, resamples, rows):
        drawn = _draw(generator, min(rows, resamples - done), len(owned), block)
        values.append(_pool_counts(pool_name, scores, drawn[:, owner]))
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(np.concatenate(values), [tail, 100.0 - tail])
    return (float(low), float(high))


def sampled_interval(
    clips: Sequence[ClipScore], pool_name: str, frames: Sequence[FrameScore]
) -> tuple[float, float] | None:
    """The 95 % interval where ``clips`` are some of a video's, evenly spaced, to cover the pool over all of them; None
    for a single one, which says nothing of the others.

    The larger half-width of ``bootstrap_interval`` goes to both sides (a low percentile of the clips that were seen is
    not below any of them, that of all clips may well be), times t(n - 1) / t(inf), times sqrt(n / (n - b)) for n clips
    in blocks of b: the variance of a mean of blocks that are drawn from n clips lacks a share of b / n. It stays within
    0 to 100. How far percentiles and extremes lie from those of the sample is no question of variance alone: they are
    covered less often than 95 times in 100. Raises as ``bootstrap_interval`` does.
    """
    low, high = bootstrap_interval(clips, pool_name, frames)
    starts = np.unique(np.array([clip.start for clip in clips], dtype=np.int64))
    count = len(starts)
    if count == 1:
        return None
    from scipy.special import stdtrit

    score = pool([frame.score for frame in frames])[pool_name]
    few = float(stdtrit(count - 1, 0.975) / stdtrit(math.inf, 0.975))
    half = max(score - low, high - score) * few * math.sqrt(count / (count - _block_length(clips, starts)))
    return (max(0.0, score - half), min(100.0, score + half))


def _block_length(clips: Sequence[ClipScore], starts: _Counts) -> int:
    """Clips a block: the usual cube root of their number, and at least what shares frames with one clip."""
    hop = max(1, int(np.median(np.diff(starts))))
    overlapping = -(-max(clip.end - clip.start for clip in clips) // hop)
    usual = round(math.pow(len(starts), 1 / 3))
    return min(max(usual, overlapping), max(1, len(starts) // 2))


def _draw(generator: np.random.Generator, rows: int, clips: int, block: int) -> _Counts:
    """How often each clip is drawn, (rows, clips); every row sums to ``clips``."""
    blocks = -(-clips // block)
    first = generator.integers(0, clips, size=(rows, blocks, 1))
    drawn = ((first + np.arange(block)) % clips).reshape(rows, -1)[:, :clips]
    flat = np.bincount((drawn + clips * np.arange(rows)[:, None]).ravel(), minlength=rows * clips)
    return flat.reshape(rows, clips)


def _pool_counts(name: str, scores: _Floats, counts: _Counts) -> _Floats:
    """Pools (R,) of ``scores`` (F, ascending), each repeated as often as a row of ``counts`` (R, F) says."""
    total = counts.sum(axis=1)
    if name == "harmonic_mean":
        shifted: _Floats = total / (counts @ (1.0 / (scores + 1.0))) - 1.0
        return np.clip(shifted, scores[0], scores[-1])
    if name in ("mean", "stdev"):
        mean: _Floats = counts @ scores / total
        if name == "mean":
            return np.clip(mean, scores[0], scores[-1])
        # Around the overall mean first: the plain difference of squares would cancel.
        centre = scores - scores.mean()
        variance: _Floats = counts @ centre**2 / total - (counts @ centre / total) ** 2
        return np.sqrt(np.maximum(variance, 0.0))
    upto = np.cumsum(counts, axis=1)
    percent = {"min": 0.0, "max": 100.0}.get(name, PERCENTILES.get(name, 0.0))
    position = percent / 100.0 * (total - 1)
    below = np.floor(position).astype(np.int64)
    above = np.minimum(below + 1, total - 1)
    # The k-th order statistic (from 0) is the first score whose running count exceeds k.
    low: _Floats = scores[np.argmax(upto > below[:, None], axis=1)]
    high: _Floats = scores[np.argmax(upto > above[:, None], axis=1)]
    between: _Floats = low + (position - below) * (high - low)
    return between
