"""Bjøntegaard deltas against the ``bjontegaard`` package: on its published examples and on random curves."""

from __future__ import annotations

import numpy as np
import pytest

from rankvqa_cli.results.bdrate import NoOverlapError, bd_quality, bd_rate, overlap
from rankvqa_cli.results.comparison import METHODS, Method

# The measured curves of the package's own example_usage.py: libx265, several presets, rates in kbit/s and PSNR in dB.
PUBLISHED = (
    (
        ([9487.76, 4593.60, 2486.44, 1358.24], [40.037, 38.615, 36.845, 34.851]),
        ([9787.80, 4469.00, 2451.52, 1356.24], [40.121, 38.651, 36.970, 34.987]),
    ),
    (
        ([82472.76, 26875.24, 9487.76, 4593.6], [43.825, 41.404, 40.037, 38.615]),
        ([99896.96, 33952.04, 9787.8, 4469.0], [44.731, 41.875, 40.121, 38.651]),
    ),
    (
        ([82472.76, 26875.24, 9487.76, 4593.6, 3600, 2900], [43.825, 41.404, 40.037, 38.615, 36.5, 35.1]),
        ([99896.96, 33952.04, 9787.8, 4469.0, 4040, 3300], [44.731, 41.875, 40.121, 38.651, 37, 36.5]),
    ),
)
Curve = tuple[list[float], list[float]]


def random_curve(rng: np.random.Generator) -> Curve:
    """A strictly rising curve of 2 to 8 points; ranges overlap with those of any other one."""
    count = int(rng.integers(2, 9))
    inner = np.sort(rng.uniform(2.9, 3.6, count - 2))
    rates = 10 ** np.r_[rng.uniform(2.0, 2.8), inner, rng.uniform(3.7, 4.5)]
    steps = rng.uniform(0.2, 5.0, count - 1)
    low, high = rng.uniform(20, 40), rng.uniform(70, 99)
    quality = low + np.r_[0, np.cumsum(steps)] / steps.sum() * (high - low)
    return [float(each) for each in rates], [float(each) for each in quality]


def pairs() -> list[tuple[Curve, Curve]]:
    rng = np.random.default_rng(6)
    published = [tuple((rates[::-1], quality[::-1]) for rates, quality in pair) for pair in PUBLISHED]
    return [*published, *((random_curve(rng), random_curve(rng)) for _ in range(50))]  # type: ignore[list-item]


@pytest.mark.parametrize("method", METHODS)
def test_values_are_those_of_the_bjontegaard_package(method: Method) -> None:
    package = pytest.importorskip("bjontegaard", reason="NOT TESTED: pip install bjontegaard")
    assert len(pairs()) == 53
    for anchor, test in pairs():
        rate = package.bd_rate(*anchor, *test, method=method, require_matching_points=False, min_overlap=0)
        assert bd_rate(*anchor, *test, method) == pytest.approx(rate, abs=0.01)
        gain = package.bd_psnr(*anchor, *test, method=method, require_matching_points=False, min_overlap=0)
        assert bd_quality(*anchor, *test, method) == pytest.approx(gain, abs=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_what_must_hold_without_any_other_program(method: Method) -> None:
    rates, quality = [100.0, 200.0, 400.0, 800.0], [40.0, 55.0, 70.0, 80.0]
    cheaper = [rate * 0.8 for rate in rates]
    better = [value + 3.0 for value in quality]
    assert bd_rate(rates, quality, rates, quality, method) == 0.0
    assert bd_rate(rates, quality, cheaper, quality, method) == pytest.approx(-20.0)
    assert bd_quality(rates, quality, rates, better, method) == pytest.approx(3.0)
    there, back = (bd_rate(*one, *two, method) for one, two in (PUBLISHED_RISING, PUBLISHED_RISING[::-1]))
    assert (1 + there / 100) * (1 + back / 100) == pytest.approx(1.0)


PUBLISHED_RISING = tuple((rates[::-1], quality[::-1]) for rates, quality in PUBLISHED[0])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shift", [0.0, 4.0])
def test_ranges_without_overlap_are_refused_by_how_much(method: Method, shift: float) -> None:
    low, high = [10.0, 20.0, 30.0], [30.0 + shift, 40.0, 50.0]
    rates = [1.0, 2.0, 3.0]
    for one, other in ((low, high), (high, low)):
        with pytest.raises(NoOverlapError) as refused:
            bd_rate(rates, one, rates, other, method)
        assert refused.value.gap == shift
        assert (refused.value.low_end, refused.value.high_start) == (30.0, 30.0 + shift)
    with pytest.raises(NoOverlapError) as refused:
        bd_quality([1.0, 10.0], [1.0, 2.0], [100.0, 200.0], [1.0, 2.0], method)
    assert refused.value.gap == pytest.approx(1.0)  # a factor of ten


@pytest.mark.parametrize("method", METHODS)
def test_curves_that_do_not_rise_are_refused(method: Method) -> None:
    good = ([1.0, 2.0, 3.0], [10.0, 20.0, 30.0])
    for bad in (([1.0], [10.0]), ([1.0, 2.0, 3.0], [10.0, 30.0, 20.0])):
        with pytest.raises(ValueError, match="rise"):
            bd_rate(*good, *bad, method)
    with pytest.raises(ValueError, match="rise"):
        bd_quality(*good, [1.0, 1.0], [10.0, 20.0], method)


def test_overlap() -> None:
    assert overlap([0.0, 10.0], [5.0, 15.0]) == pytest.approx(1 / 3)
    assert overlap([0.0, 10.0], [2.0, 4.0]) == pytest.approx(0.2)
    assert overlap([0.0, 1.0], [2.0, 3.0]) == 0.0
    assert overlap([1.0, 1.0], [1.0, 1.0]) == 1.0
