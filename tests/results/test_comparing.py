"""From scored encodes to curves, deltas, averages and what has to be said about them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import wilcoxon

from rankvqa_cli.errors import InputError, UsageError
from rankvqa_cli.results.comparing import Encode, compare, make_curve

LADDER = ((100.0, 40.0), (200.0, 55.0), (400.0, 70.0), (800.0, 80.0))


def encodes(
    content: str, codec: str, points: tuple[tuple[float, float], ...] = LADDER, *, first_row: int = 2
) -> list[Encode]:
    return [
        Encode(first_row + i, f"{content}_{codec}_{i}.mp4", "tiny", content, codec, rate, quality)
        for i, (rate, quality) in enumerate(points)
    ]


def cheaper(share: float) -> tuple[tuple[float, float], ...]:
    return tuple((rate * share, quality) for rate, quality in LADDER)


def test_averages_over_contents_with_interval_and_test() -> None:
    shares = {"a": 0.9, "b": 0.8, "c": 0.85, "d": 0.7, "e": 0.95, "f": 0.75}
    jobs = [each for name, share in shares.items() for each in encodes(name, "new", cheaper(share))]
    jobs += [each for name in shares for each in encodes(name, "old")]
    found = compare(jobs, "old", draws=500, seed=1)
    assert (found.codecs, found.contents) == (("old", "new"), tuple(shares))
    assert len(found.curves) == 12
    by_content = {each.content: each.bd_rate for each in found.deltas if each.method == "pchip"}
    assert by_content == pytest.approx({name: (share - 1) * 100 for name, share in shares.items()})
    (pchip, akima) = found.summaries
    assert (pchip.method, akima.method) == ("pchip", "akima")
    average = pchip.bd_rate
    values = np.array(list(by_content.values()), dtype=float)
    assert (average.contents, average.mean) == (6, pytest.approx(values.mean()))
    assert average.p == pytest.approx(wilcoxon(values).pvalue)
    assert average.ci95 is not None
    assert values.min() < average.ci95[0] < values.mean() < average.ci95[1] < values.max()
    assert pchip.bd_quality.mean is not None
    assert pchip.bd_quality.mean > 0
    assert compare(jobs, "old", draws=500, seed=1) == found
    assert compare(jobs, "old", draws=500, seed=2).summaries != found.summaries


def test_one_content_has_a_mean_and_nothing_more() -> None:
    found = compare(encodes("a", "old") + encodes("a", "new", cheaper(0.5)), "old", draws=10, seed=1)
    average = found.summaries[0].bd_rate
    assert (average.mean, average.ci95, average.p) == (pytest.approx(-50.0), None, None)


def test_equal_codecs_do_not_differ() -> None:
    jobs = [each for name in "abc" for codec in ("old", "new") for each in encodes(name, codec)]
    average = compare(jobs, "old", draws=10, seed=1).summaries[0].bd_rate
    assert (average.mean, average.ci95, average.p) == (0.0, (0.0, 0.0), 1.0)


def test_a_curve_that_falls_is_flagged_and_bd_rate_does_without_its_dominated_points() -> None:
    glitch = (*LADDER[:2], (300.0, 54.0), *LADDER[2:])
    found = compare(encodes("a", "old") + encodes("a", "new", glitch), "old", draws=10, seed=1)
    curve = next(each for each in found.curves if each.codec == "new")
    assert not curve.monotone
    assert [point.dominated for point in curve.points] == [False, False, True, False, False]
    delta = found.deltas[0]
    assert delta.bd_rate == 0.0  # as without the point that costs more and is worse
    assert delta.bd_quality is not None
    assert delta.bd_quality < 0  # all points: at its bitrate the codec is worse
    (said,) = found.warnings
    assert said.startswith("a, new: quality by tiny does not rise with bitrate at row 4;")
    assert [each.monotone for each in found.curves if each.codec == "old"] == [True]


def test_equal_quality_at_more_bitrate_is_not_monotone() -> None:
    curve = make_curve("m", "a", "x", encodes("a", "x", ((1.0, 100.0), (2.0, 100.0))))
    assert (curve.monotone, [point.dominated for point in curve.points]) == (False, [False, True])


def test_no_common_quality_is_refused_by_how_much_and_the_rest_goes_on() -> None:
    far = tuple((rate, quality + 45.25) for rate, quality in LADDER)
    jobs = (
        encodes("a", "old")
        + encodes("a", "new", far)
        + encodes("b", "old")
        + encodes("b", "new", cheaper(0.9))
    )
    found = compare(jobs, "old", draws=10, seed=1)
    refused, also, kept, _ = found.deltas
    assert refused.bd_rate is None
    assert refused.refused_rate == (
        "no quality in common: old ends at 80.00, new begins at 85.25, 5.25 points apart"
    )
    assert also.refused_rate == refused.refused_rate
    assert refused.bd_quality == pytest.approx(45.25)
    assert kept.bd_rate == pytest.approx(-10.0)
    assert found.summaries[0].bd_rate.contents == 1
    assert f"a, new: no BD-rate, {refused.refused_rate}" in found.warnings
    other_way = compare(jobs, "new", draws=10, seed=1)
    assert other_way.deltas[0].refused_rate == refused.refused_rate


def test_no_common_bitrate_is_refused_by_how_much() -> None:
    dear = tuple((rate * 10, quality) for rate, quality in LADDER)
    found = compare(encodes("a", "old") + encodes("a", "new", dear), "old", draws=10, seed=1)
    delta = found.deltas[0]
    assert (delta.bd_quality, delta.rate_overlap) == (None, 0.0)
    assert delta.refused_quality == (
        "no bitrate in common: old ends at 800.0 kbit/s, new begins at 1000.0 kbit/s, 25.0 % more"
    )
    assert delta.bd_rate == pytest.approx(900.0)
    assert found.summaries[0].bd_quality.mean is None


def test_a_single_point_makes_no_curve() -> None:
    found = compare(encodes("a", "old") + encodes("a", "new", LADDER[:1]), "old", draws=10, seed=1)
    assert found.deltas[0].refused_rate == "new has a single point that counts: a curve needs two or more"
    assert found.deltas[0].bd_quality is None


def test_little_overlap_is_said_once() -> None:
    high = tuple((rate, quality + 30) for rate, quality in LADDER)
    found = compare(encodes("a", "old") + encodes("a", "new", high), "old", draws=10, seed=1)
    assert [said for said in found.warnings if "range" in said] == [
        "1 of 1 BD-rates are averages over less than 75% of the range of their two curves, the least over 14%"
    ]
    assert math.isclose(found.deltas[0].quality_overlap, 10 / 70)


def test_a_content_without_the_anchor_is_left_out_and_said() -> None:
    jobs = encodes("a", "old") + encodes("a", "new") + encodes("b", "new")
    found = compare(jobs, "old", draws=10, seed=1)
    assert {each.content for each in found.deltas} == {"a"}
    assert "b: no encode in old, so new is not compared on it" in found.warnings


def test_anchor_and_bitrates_must_make_sense() -> None:
    with pytest.raises(UsageError, match="no encode is in the anchor 'x264': there are 'old', 'new'"):
        compare(encodes("a", "old") + encodes("a", "new"), "x264", draws=10, seed=1)
    with pytest.raises(UsageError, match="nothing to compare it with"):
        compare(encodes("a", "old"), "old", draws=10, seed=1)
    with pytest.raises(InputError, match="rows 2 and 3: both are a in old at 100 kbit/s"):
        compare(
            encodes("a", "old", ((100.0, 40.0), (100.0, 41.0))) + encodes("a", "new"), "old", draws=10, seed=1
        )


def test_models_are_compared_apart() -> None:
    jobs = [
        Encode(2 + i, "f", model, "a", codec, rate, quality + (5 if model == "other" else 0))
        for model in ("tiny", "other")
        for codec, share in (("old", 1.0), ("new", 0.8 if model == "tiny" else 0.5))
        for i, (rate, quality) in enumerate(cheaper(share))
    ]
    found = compare(jobs, "old", draws=10, seed=1)
    means = {each.model: each.bd_rate.mean for each in found.summaries if each.method == "pchip"}
    assert means == {"tiny": pytest.approx(-20.0), "other": pytest.approx(-50.0)}
