from __future__ import annotations

import random
import time

import numpy as np
import pytest

from rankvqa_cli.errors import UsageError
from rankvqa_cli.results.confidence import bootstrap_interval
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


def test_refuses_nonsense() -> None:
    clips, frames = video([50.0, 60.0])
    with pytest.raises(UsageError):
        bootstrap_interval(clips, "avg", frames)
    with pytest.raises(ValueError):
        bootstrap_interval([], "mean", frames)
    with pytest.raises(ValueError):
        bootstrap_interval(clips, "mean", frames, level=95.0)
