"""Agreement with people: exact on orders made by hand, indifferent to the scores' scale."""

from __future__ import annotations

import numpy as np
import pytest

from rankvqa_cli.training.evaluation import agreement, fit_logistic, logistic, srocc_within


def test_perfect_order_on_another_scale() -> None:
    mos = np.linspace(1, 5, 30)
    scores = 100 / (1 + np.exp(-(mos - 3)))
    measured = agreement(scores.tolist(), mos.tolist())
    assert measured.srocc == pytest.approx(1.0)
    assert measured.krocc == pytest.approx(1.0)
    assert measured.plcc > 0.99


def test_one_swap_costs_what_the_definition_says() -> None:
    # Spearman: 1 - 6 sum d^2 / (n (n^2 - 1)) with one neighbouring swap of 5; Kendall: (9 - 1) / 10.
    measured = agreement([1, 2, 3, 5, 4], [1, 2, 3, 4, 5])
    assert measured.srocc == pytest.approx(1 - 6 * 2 / (5 * 24))
    assert measured.krocc == pytest.approx(0.8)


def test_reversed_scores_disagree() -> None:
    assert agreement([5, 4, 3, 2, 1], [1, 2, 3, 4, 5]).srocc == pytest.approx(-1.0)


def test_logistic_recovers_its_own_curve() -> None:
    x = np.linspace(0, 100, 50)
    y = logistic(x, 4.8, 1.2, 55.0, 12.0)
    np.testing.assert_allclose(fit_logistic(x, y)(x), y, atol=1e-3)


def test_logistic_falls_where_lower_is_better() -> None:
    x = np.linspace(0, 100, 50)
    y = logistic(x, 1.2, 4.8, 55.0, 12.0)
    np.testing.assert_allclose(fit_logistic(x, y)(x), y, atol=1e-3)


def test_the_better_of_several_minima_is_found() -> None:
    # Two clusters: a search from one place alone ends in a step between or inside them.
    x = np.r_[np.linspace(0, 10, 30), np.linspace(60, 70, 30)]
    y = np.where(x < 30, 1.0, np.where(x < 65, 2.0, 5.0))
    assert fit_logistic(x, y)(x) == pytest.approx(y, abs=0.8)


def test_outliers_are_what_lies_outside_the_interval() -> None:
    mos = np.r_[np.linspace(1, 5, 20), 5.0]
    scores = np.r_[np.linspace(1, 5, 20), 1.0]
    assert agreement(scores, mos, [1.5] * 21).outlier_ratio == pytest.approx(1 / 21)
    assert agreement(scores, mos, [None] * 20 + [1.5]).outlier_ratio == 1.0
    assert agreement(scores, mos, [None] * 21).outlier_ratio is None
    assert agreement(scores, mos).outlier_ratio is None


@pytest.mark.parametrize(("scores", "mos"), [([1, 2, 3], [1, 2, 3]), ([1] * 6, [1, 2, 3, 4, 5, 6])])
def test_too_little_to_agree_with(scores: list[float], mos: list[float]) -> None:
    with pytest.raises(ValueError, match=r"pairs are needed|no order"):
        agreement(scores, mos)


def test_within_groups_ignores_what_lies_between_them() -> None:
    # Right within each group of five, wrong between them.
    scores = [1, 2, 3, 4, 5, 11, 12, 13, 14, 15]
    mos = [6, 7, 8, 9, 10, 1, 2, 3, 4, 5]
    assert agreement(scores, mos).srocc < 0
    assert srocc_within(scores, mos, ["a"] * 5 + ["b"] * 5) == (pytest.approx(1.0), 2)
