from __future__ import annotations

import statistics

import numpy as np
import pytest

from rankvqa_cli.errors import UsageError
from rankvqa_cli.results.pooling import POOLS, pool, require_pool

SCORES = [12.5, 99.0, 40.0, 40.25, 77.0, 3.0, 68.5]


def test_pools_are_the_promised_ones_in_order() -> None:
    expected = "mean harmonic_mean median min max p1 p5 p10 p90 p95 p99 stdev"
    assert " ".join(POOLS) == expected
    assert " ".join(pool(SCORES)) == expected


def test_values_against_numpy() -> None:
    pooled = pool(SCORES)
    assert pooled["mean"] == pytest.approx(np.mean(SCORES))
    assert pooled["median"] == pytest.approx(np.median(SCORES))
    assert pooled["stdev"] == pytest.approx(np.std(SCORES))
    assert (pooled["min"], pooled["max"]) == (3.0, 99.0)
    for percent in (1, 5, 10, 90, 95, 99):
        assert pooled[f"p{percent}"] == pytest.approx(np.percentile(SCORES, percent))


def test_harmonic_mean_is_libvmafs() -> None:
    # From a libvmaf log: a frame at 0 does not swallow the others.
    assert pool([0.0, 100.0])["harmonic_mean"] == pytest.approx(2 / (1 + 1 / 101) - 1)
    shifted = statistics.harmonic_mean([score + 1 for score in SCORES]) - 1
    assert pool(SCORES)["harmonic_mean"] == pytest.approx(shifted)


@pytest.mark.parametrize("score", [100.0, 73.1, 0.1 + 0.2, 0.0])
@pytest.mark.parametrize("count", [1, 3, 7, 999])
def test_a_constant_pools_to_itself_exactly(score: float, count: int) -> None:
    pooled = pool([score] * count)
    assert all(pooled[name] == score for name in POOLS if name != "stdev")
    assert pooled["stdev"] == pytest.approx(0.0, abs=1e-12)


def test_one_frame_has_no_spread() -> None:
    assert pool([61.7])["stdev"] == 0.0


@pytest.mark.parametrize("scores", [[], [1.0, float("nan")], [float("inf")], [-0.5, 3.0]])
def test_nothing_that_is_no_score_is_pooled(scores: list[float]) -> None:
    with pytest.raises(ValueError):
        pool(scores)


def test_pool_names() -> None:
    assert require_pool("p5") == "p5"
    with pytest.raises(UsageError, match="did you mean 'harmonic_mean'"):
        require_pool("harmonic-mean")
    with pytest.raises(UsageError, match="did you mean 'median'"):
        require_pool("MEDIAM")
    with pytest.raises(UsageError, match="choose one of mean, harmonic_mean"):
        require_pool("zzz")
