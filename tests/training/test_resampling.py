"""Resamples as weights: exactly the figures of the resample written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau, pearsonr, spearmanr

from rankvqa_cli.training import resampling
from rankvqa_cli.training.evaluation import srocc_within

CONTENTS = ["a"] * 7 + ["b"] * 4 + ["c"] * 9 + ["d"] * 5


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores and MOS with ties, and 30 resamples."""
    rng = np.random.default_rng(3)
    y = rng.integers(0, 12, len(CONTENTS)).astype(float)
    x = np.round(y + rng.normal(0, 3, len(y)))
    return x, y, resampling.draw_contents(CONTENTS, 30, seed=5)


def written_out(weights: np.ndarray) -> list[np.ndarray]:
    return [np.repeat(np.arange(len(each)), each.astype(int)) for each in weights]


def test_contents_are_drawn_whole() -> None:
    weights = resampling.draw_contents(CONTENTS, 200, seed=1)
    for content in set(CONTENTS):
        of_it = weights[:, [each == content for each in CONTENTS]]
        assert (of_it == of_it[:, :1]).all()
    first = [CONTENTS.index(content) for content in "abcd"]
    assert (weights[:, first].sum(axis=1) == 4).all()
    assert len(np.unique(weights, axis=0)) > 20
    assert (weights == resampling.draw_contents(CONTENTS, 200, seed=1)).all()
    assert (weights != resampling.draw_contents(CONTENTS, 200, seed=2)).any()


def test_measures_are_those_of_the_resample(data: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    x, y, weights = data
    drawn = written_out(weights)
    srocc = resampling.weighted_srocc(x, y, weights)
    krocc = resampling.weighted_krocc(x, y, CONTENTS, weights)
    plcc = resampling.weighted_correlation(x, y, weights)
    rmse = resampling.weighted_rmse(x - y, weights)
    for n, i in enumerate(drawn):
        assert srocc[n] == pytest.approx(spearmanr(x[i], y[i]).statistic)
        assert krocc[n] == pytest.approx(kendalltau(x[i], y[i]).statistic)
        assert plcc[n] == pytest.approx(pearsonr(x[i], y[i]).statistic)
        assert rmse[n] == pytest.approx(np.sqrt(np.mean((x[i] - y[i]) ** 2)))


def test_within_groups_too(data: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    x, y, weights = data
    groups = [n % 2 for n in range(len(CONTENTS))]
    within = resampling.weighted_srocc_within(x, y, groups, weights, least=3)
    for n, i in enumerate(written_out(weights)):
        assert within[n] == pytest.approx(srocc_within(x[i], y[i], [groups[k] for k in i], least=3)[0])
    assert np.isnan(resampling.weighted_srocc_within(x, y, groups, weights, least=14)).all()


def test_no_order_is_no_number() -> None:
    found = resampling.weighted_srocc(
        np.array([1.0, 1, 2]), np.arange(3.0), np.array([[1.0, 1, 0], [1, 0, 1]])
    )
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(1.0)
    assert all(np.isnan(end) for end in resampling.interval(np.array([np.nan])))


def test_interval_and_p() -> None:
    values = np.arange(1, 101) / 100
    assert resampling.interval(np.r_[values, np.nan]) == (pytest.approx(0.03475), pytest.approx(0.97525))
    assert resampling.two_sided_p(values) == pytest.approx(2 / 101)
    assert resampling.two_sided_p(np.r_[values, -values]) == 1.0
    assert resampling.two_sided_p(values - 0.1) == pytest.approx(2 * 11 / 101)
