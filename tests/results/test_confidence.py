from __future__ import annotations

import math
import random
import time

import numpy as np
import pytest

from rankvqa_cli.errors import UsageError
from rankvqa_cli.results.confidence import bootstrap_interval, sampled_interval
from rankvqa_cli.results.pooling import POOLS, pool
from rankvqa_cli.types import ClipScore, FrameScore


def video(
    scores: list[float], length: int = 12, hop: int | None = None
) -> tuple[list[ClipScore], list[FrameScore]]:
    """Clips of ``length`` frames with these scores; each frame has the mean of the clips over it."""
    hop = hop or length
    clips = [ClipScore(i * hop, i * hop + length, score) for i, score in enumerate(scores)]
    frames = []
    for index in range(clips[-1].end):
        over = [clip.score for clip in clips if clip.start <= index < clip.end]
        frames.append(FrameScore(index, index / 25, sum(over) / len(over)))
    return clips, frames


def noisy(count: int, seed: int = 3) -> list[float]:
    rng = random.Random(seed)
    return [rng.uniform(30.0, 95.0) for _ in range(count)]


@pytest.mark.parametrize("name", POOLS)
def test_interval_holds_the_pooled_score(name: str) -> None:
    clips, frames = video(noisy(40))
    low, high = bootstrap_interval(clips, name, frames)
    value = pool([frame.score for frame in frames])[name]
    assert low <= value <= high
    assert low < high


def test_interval_of_a_mean_is_the_textbooks() -> None:
    # Independent clips: the spread of the mean is that of its standard error, stdev / sqrt(n).
    scores = noisy(400)
    clips, frames = video(scores)
    low, high = bootstrap_interval(clips, "mean", frames, resamples=4000)
    error = float(np.std(scores)) / 400**0.5
    assert low == pytest.approx(np.mean(scores) - 1.96 * error, abs=0.35 * error)
    assert high == pytest.approx(np.mean(scores) + 1.96 * error, abs=0.35 * error)


def test_blocks_widen_the_interval_of_a_drifting_score() -> None:
    # Neighbours alike: fewer independent draws than clips, so the interval must not pretend otherwise.
    drifting = sorted(noisy(125))
    shuffled = drifting[:]
    random.Random(5).shuffle(shuffled)
    width = {}
    for name, scores in (("drifting", drifting), ("shuffled", shuffled)):
        clips, frames = video(scores)
        low, high = bootstrap_interval(clips, "mean", frames)
        width[name] = high - low
    assert width["drifting"] > 1.5 * width["shuffled"]


def test_resampled_percentiles_are_those_of_the_frames() -> None:
    # Against the definition: draw, expand frame by frame, pool.
    from rankvqa_cli.results import confidence

    scores = np.sort(np.array([10.0, 20.0, 20.0, 35.0, 80.0]))
    counts = np.array([[1, 1, 1, 1, 1], [0, 3, 0, 2, 0], [4, 0, 0, 0, 1]])
    for name in POOLS:
        expected = [pool(np.repeat(scores, row).tolist())[name] for row in counts]
        assert confidence._pool_counts(name, scores, counts) == pytest.approx(expected), name


def test_one_clip_is_degenerate() -> None:
    clips, frames = video([71.5])
    assert bootstrap_interval(clips, "mean", frames) == (71.5, 71.5)
    assert bootstrap_interval(clips, "stdev", frames) == (0.0, 0.0)


@pytest.mark.parametrize("name", POOLS)
def test_identical_pairs_have_no_interval(name: str) -> None:
    clips, frames = video([100.0] * 9)
    top = 0.0 if name == "stdev" else 100.0
    assert bootstrap_interval(clips, name, frames) == (top, top)


def test_same_scores_same_interval_and_other_seed_other() -> None:
    clips, frames = video(noisy(30))
    first = bootstrap_interval(clips, "mean", frames)
    assert bootstrap_interval(clips, "mean", frames) == first
    assert bootstrap_interval(clips, "mean", frames, seed=1) != first


def test_last_clip_taken_back_and_offset_start() -> None:
    clips = [ClipScore(5, 17, 40.0), ClipScore(17, 29, 60.0), ClipScore(20, 32, 80.0)]
    frames = [FrameScore(i, i / 25, 40.0 if i < 17 else 60.0 if i < 20 else 70.0) for i in range(5, 32)]
    low, high = bootstrap_interval(clips, "mean", frames)
    assert 40.0 <= low < high <= 70.0


def test_overlapping_clips() -> None:
    clips, frames = video(noisy(60), hop=3)
    low, high = bootstrap_interval(clips, "p5", frames)
    assert 30.0 <= low <= high <= 95.0


def test_long_video_is_quick() -> None:
    clips, frames = video(noisy(834))
    start = time.perf_counter()
    for name in ("mean", "p5"):
        bootstrap_interval(clips, name, frames)
    assert time.perf_counter() - start < 5.0


def drifting(count: int, seed: int, length: float = 10.0) -> list[float]:
    """Scores of neighbouring clips that forget each other over some ``length`` clips (a first-order autoregression)."""
    rng = random.Random(seed)
    keep = math.exp(-1 / length)
    state, scores = rng.gauss(0, 1), []
    for _ in range(count):
        state = keep * state + math.sqrt(1 - keep**2) * rng.gauss(0, 1)
        scores.append(min(100.0, max(0.0, 70 + 8 * state)))
    return scores


def one_in(scores: list[float], stride: int, offset: int) -> tuple[list[ClipScore], list[FrameScore]]:
    """The clips at ``offset`` and every ``stride`` after it, with a frame each."""
    places = range(offset, len(scores), stride)
    clips = [ClipScore(i * 12, i * 12 + 12, scores[i]) for i in places]
    return clips, [FrameScore(i * 12, 0.0, scores[i]) for i in places]


@pytest.mark.parametrize(("count", "stride"), [(60, 20), (96, 24)])
def test_the_interval_of_a_sample_covers_the_mean_of_all(count: int, stride: int) -> None:
    """Slowly varying quality, every offset of the sample: the bootstrap alone is too sure, the widened one is not."""
    plain, wide = [], []
    for seed in range(24):
        scores = drifting(count, seed)
        whole = float(np.mean(scores))
        for offset in range(stride):
            clips, frames = one_in(scores, stride, offset)
            low, high = bootstrap_interval(clips, "mean", frames)
            plain.append(low <= whole <= high)
            interval = sampled_interval(clips, "mean", frames)
            assert interval is not None
            wide.append(interval[0] <= whole <= interval[1])
    assert np.mean(plain) < 0.9
    assert np.mean(wide) >= 0.94


def test_a_sample_says_more_the_denser_it_is() -> None:
    scores = drifting(96, 1)
    widths = []
    for stride in (2, 8, 24):
        clips, frames = one_in(scores, stride, 0)
        interval = sampled_interval(clips, "mean", frames)
        assert interval is not None
        widths.append(interval[1] - interval[0])
    assert widths == sorted(widths)


def test_what_was_not_seen_may_be_worse() -> None:
    clips, frames = one_in(drifting(96, 2), 12, 0)
    lowest = min(clip.score for clip in clips)
    assert bootstrap_interval(clips, "min", frames)[0] == lowest
    interval = sampled_interval(clips, "min", frames)
    assert interval is not None
    assert interval[0] < lowest


def test_a_sample_has_bounds() -> None:
    clips, frames = one_in([99.0, 50.0, 1.0, 100.0], 1, 0)
    assert sampled_interval(clips, "mean", frames) == (0.0, 100.0)
    clips, frames = one_in([71.5] * 9, 9, 0)
    assert sampled_interval(clips, "mean", frames) is None
    clips, frames = one_in([100.0] * 9, 3, 0)
    assert sampled_interval(clips, "mean", frames) == (100.0, 100.0)


def test_refuses_nonsense() -> None:
    clips, frames = video([50.0, 60.0])
    with pytest.raises(UsageError):
        bootstrap_interval(clips, "avg", frames)
    with pytest.raises(ValueError):
        bootstrap_interval([], "mean", frames)
    with pytest.raises(ValueError):
        bootstrap_interval(clips, "mean", frames, level=95.0)
