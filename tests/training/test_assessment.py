"""The whole assessment on sets made by hand: groups, who beats whom, and what the files say of it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from rankvqa_cli.errors import InputError
from rankvqa_cli.training import evaluation_files
from rankvqa_cli.training.assessment import Assessment, AssessmentOptions, assess
from rankvqa_cli.training.ratings import Rating, Ratings
from rankvqa_cli.training.scatter import scatter_plot

OPTIONS = AssessmentOptions(group_by=(("height",), ("height", "codec")), least=6, draws=300)


def made(contents: int = 6, each: int = 12) -> Ratings:
    """Stimuli whose MOS rises with their number inside each content."""
    rows = []
    for content in range(contents):
        for n in range(each):
            cells = {
                "distorted": f"{content}-{n}.png",
                "height": "1080" if n % 2 else "720",
                "codec": f"c{n // 6}",
            }
            mos = 1 + n / 3 + content / 50
            place = content * each + n
            rows.append(Rating(place + 2, Path(cells["distorted"]), None, mos, 0.25, f"s{content}", cells))
    return Ratings(Path("set.csv"), ("distorted", "height", "codec"), tuple(rows))


@pytest.fixture(scope="module")
def ratings() -> Ratings:
    return made()


@pytest.fixture(scope="module")
def assessment(ratings: Ratings) -> Assessment:
    rng = np.random.default_rng(1)
    mos = np.array([rating.mos for rating in ratings.rows])
    scores = {
        "good": mos + rng.normal(0, 0.1, len(mos)),
        "fair": mos + rng.normal(0, 1.0, len(mos)),
        "poor": mos + rng.normal(0, 1.0, len(mos)),
        "distance": -mos,
    }
    return assess(ratings.rows, {name: each.tolist() for name, each in scores.items()}, OPTIONS)


def test_groups_are_those_of_the_columns(assessment: Assessment) -> None:
    heights, both, contents = assessment.metrics[0].groupings
    assert [(group.values, group.count) for group in heights.groups] == [(("720",), 36), (("1080",), 36)]
    assert [group.values for group in both.groups][:2] == [("720", "c0"), ("720", "c1")]
    assert contents.columns == ("content",)
    assert [group.count for group in contents.groups] == [12] * 6
    measured = [group.agreement.srocc for group in contents.groups if group.agreement]
    assert contents.within == pytest.approx(np.mean(measured))


def test_groups_that_are_too_small_are_counted_only(ratings: Ratings) -> None:
    scores = {"m": [rating.mos for rating in ratings.rows]}
    found = assess(ratings.rows, scores, AssessmentOptions((("height",),), least=13, draws=100))
    heights, contents = found.metrics[0].groupings
    assert heights.within == pytest.approx(1.0)
    assert contents.within is None
    assert [group.count for group in contents.groups] == [12] * 6
    assert contents.measured == ()


def test_a_better_metric_is_found_better_and_equals_are_not(assessment: Assessment) -> None:
    by_pair = {(pair.a, pair.b): pair for pair in assessment.comparisons}
    assert len(by_pair) == 6
    clear, equal = by_pair["good", "fair"], by_pair["fair", "poor"]
    assert clear.ci95[0] > 0
    assert clear.p < 0.02
    assert clear.f > 10
    assert clear.f_p < 1e-6
    assert equal.ci95[0] < 0 < equal.ci95[1]
    assert equal.p > 0.05
    assert equal.f_p > 0.05


def test_falling_scores_are_mapped_by_a_falling_curve(assessment: Assessment) -> None:
    distance = assessment.metrics[-1]
    assert distance.pooled.srocc == pytest.approx(-1.0)
    assert distance.pooled.plcc > 0.99
    assert distance.pooled.outlier_ratio == 0.0


def test_intervals_hold_the_figure(assessment: Assessment) -> None:
    for metric in assessment.metrics[:3]:
        for measure, (low, high) in metric.ci95.items():
            assert low <= getattr(metric.pooled, measure) <= high


def test_a_constant_metric_is_refused_by_name(ratings: Ratings) -> None:
    with pytest.raises(InputError, match="metric 'flat' cannot be evaluated: all scores"):
        assess(ratings.rows, {"flat": [1.0] * len(ratings.rows)}, OPTIONS)


def test_json_is_finite_and_tsv_has_its_figures(assessment: Assessment, ratings: Ratings) -> None:
    text = evaluation_files.json_text(assessment, ratings, ["vqa-score"], {"good": "by hand"}, (64, 48))
    data = json.loads(text, parse_constant=pytest.fail)
    assert data["data"] == {"file": "set.csv", "stimuli": 72, "contents": 6, "size": [64, 48]}
    good = data["metrics"][0]
    assert good["measured_by"] == "by hand"
    assert good["groupings"][0]["within"]["stimuli"] == 72
    first, second = (part.splitlines() for part in evaluation_files.tsv_text(assessment).split("\n\n"))
    header, *lines = (line.split("\t") for line in first)
    assert {len(line) for line in lines} == {len(header)}
    pooled = dict(zip(header, lines[0], strict=True))
    assert pooled["group"] == "all"
    assert float(pooled["srocc"]) == pytest.approx(good["pooled"]["srocc"], abs=1e-4)
    assert len(second) == 1 + 6


def test_csv_is_a_rated_set_again(assessment: Assessment, ratings: Ratings) -> None:
    rows = list(csv.DictReader(io.StringIO(evaluation_files.csv_text(assessment, ratings))))
    assert len(rows) == 72
    assert rows[3]["distorted"] == str(Path("0-3.png").resolve())
    assert float(rows[3]["good"]) == pytest.approx(assessment.metrics[0].scores[3], abs=1e-6)
    assert float(rows[3]["good mapped"]) == pytest.approx(assessment.metrics[0].mapped[3], abs=1e-6)


@pytest.mark.parametrize(("form", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_plot(assessment: Assessment, ratings: Ratings, form: str, begins: bytes) -> None:
    assert scatter_plot(assessment, ratings.rows, form).startswith(begins)
