"""The parts of pages: markup that escapes, axes, charts that lose no extreme, and what is worth a picture."""

from __future__ import annotations

import dataclasses
import math

import pytest
from made_pages import batch, moments, score_report, scored
from page_reader import Reader

from rankvqa_cli.pages.axes import exact, linear, logarithmic
from rankvqa_cli.pages.batch import batch_page
from rankvqa_cli.pages.charts import Plot, thinned, words
from rankvqa_cli.pages.html import Html, breakable, escaped, join, tag
from rankvqa_cli.pages.layout import Section, page
from rankvqa_cli.pages.nodes import NOTHING, Node, interval
from rankvqa_cli.pages.result import Pictures, worst_clips
from rankvqa_cli.pages.score import score_page
from rankvqa_cli.results.report import result_json


def test_words_are_escaped_and_markup_is_not() -> None:
    assert tag("p", "<b>&\"'", Html("<i>x</i>")) == "<p>&lt;b&gt;&amp;&quot;&#x27;<i>x</i></p>"
    assert tag("td", "x", class_="n", data_from='"', title=None) == '<td class="n" data-from="&quot;">x</td>'
    assert tag("details", open="") == "<details open></details>"
    assert tag("rect", stroke_width=2) == '<rect stroke-width="2"/>'
    assert join(["a&b", Html("<br>")]) == "a&amp;b<br>"
    assert escaped("a\x00\udcff\x1b\ufffe") == "a\ufffd\ufffd\ufffd\ufffd"


def test_long_names_may_break_behind_their_parts() -> None:
    assert breakable("short.mp4") == '<span class="whole">short.mp4</span>'
    assert breakable("some/long-er/path_of_a.mp4") == (
        "some/<wbr>long-<wbr>er/<wbr>path_<wbr>of_<wbr>a.<wbr>mp4"
    )
    assert "<script>" not in breakable("<script>" * 5)


def test_nodes_say_where_they_stand() -> None:
    root = Node({"a/b": [1.23456, None, True, "x<y", -0.001]}, "doc")
    values = list(root["a/b"])
    assert values[0].shown(2) == '<data value="1.23456" data-from="#doc/a~1b/0">1.23</data>'
    assert values[1].shown(2) == NOTHING
    assert values[2].shown() == "yes"
    assert values[3].shown() == "x&lt;y"
    assert ">0.00<" in values[4].shown(2)
    assert ">+1.2<" in values[0].shown(1, signed=True)
    assert Node(-2.5, "doc").shown(1).endswith(">\u22122.5</data>")
    assert interval(Node(None, "doc"), 2) == NOTHING
    with pytest.raises(TypeError, match="#doc/a~1b/3 is no number"):
        _ = values[3].number
    with pytest.raises(KeyError):
        _ = root["b"]


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        ([50.0], 44.0, 56.0),
        ([99.0], 90.0, 100.0),
        ([0.5], 0.0, 10.0),
        ([12.0, 88.0], 0.0, 100.0),
        ([], 0.0, 100.0),
    ],
)
def test_a_linear_axis_shows_all_and_ends_on_ticks(values: list[float], low: float, high: float) -> None:
    axis = linear("score", values, least=10.0, bounds=(0.0, 100.0))
    assert (axis.low, axis.high) == (low, high) == (axis.ticks[0], axis.ticks[-1])
    assert 3 <= len(axis.ticks) <= 8


def test_axes_place_values() -> None:
    assert [exact("t", 0.0, 8.0).place(value) for value in (-1, 0, 2, 8, 9)] == [0, 0, 0.25, 1, 1]
    rates = logarithmic("rate", [250, 500, 1000])
    assert rates.place(500) == pytest.approx(0.5)
    assert rates.place(500) - rates.place(250) == pytest.approx(rates.place(1000) - rates.place(500))
    assert rates.ticks == (500, 1000)
    assert len(logarithmic("rate", [731.0]).ticks) >= 1
    assert len(logarithmic("rate", [1, 1e9]).ticks) <= 11
    assert all(tick > 0 for tick in logarithmic("rate", []).ticks)


def test_ticks_are_short() -> None:
    assert [words(tick) for tick in (0.5, 20.0, -10.0, 2000.0, 50_000.0)] == [
        "0.5",
        "20",
        "\u221210",
        "2000",
        "50k",
    ]


def test_thinning_keeps_every_extreme() -> None:
    points = [(float(place), 50 + math.sin(place / 700)) for place in range(20_000)]
    points[12_345] = (12_345.0, 3.0)
    points[17_001] = (17_001.0, 97.0)
    kept = thinned(points)
    assert len(kept) < 1000
    assert kept == sorted(kept)
    assert {points[12_345], points[17_001]} <= set(kept)
    assert set(kept) <= set(points)
    assert thinned(points[:500]) == points[:500]


def test_a_plot_is_said_in_words_and_drawn_in_bounds() -> None:
    plot = Plot(exact("t", 0.0, 10.0), linear("s", [0, 100], least=1, bounds=(0, 100)))
    drawn = plot.drawn([plot.line([(0, 0), (10, 100)], 9), plot.dots([(5, 50)], 1)], "what is seen")
    assert 'role="img" aria-label="what is seen"' in drawn
    assert '<polyline points="0,1000 1000,0" class="line s1"/>' in drawn
    assert '<path d="M500 500h0" class="dot s1"/>' in drawn
    assert plot.bars([0, 5, 10], [50, 0]) == '<rect x="0" y="500" width="500" height="500" class="bar"/>'


def test_worst_clips_share_no_frame_and_are_below_the_mean() -> None:
    node = Node(result_json(scored("a.mp4", 50.0, frames=120)), "doc")
    clips = worst_clips(node)
    assert 1 < len(clips) <= 3
    scores = [clip["score"].number for clip in clips]
    assert scores == sorted(scores)
    assert max(scores) < node["pooled"]["mean"].number
    assert scores[0] == min(clip["score"].number for clip in node["clips"])


def test_the_worst_pictures_go_first_where_not_all_fit() -> None:
    made = score_report()
    every = Pictures.of(made.moments, 10**9)
    assert sum(map(len, every.moments.values())) == len(made.moments) == 6
    size = 4 * sum(len(part) for part in (made.moments[3].distorted,) * 3) // 3
    (few,) = Pictures.of(made.moments, size + 10).moments.values()
    assert few == [min(made.moments, key=lambda moment: moment.clip.score)]
    assert Pictures.of(made.moments, 0).moments == {}


def test_a_long_video_stays_a_small_page() -> None:
    """Frames are left out of what is embedded, and it says so; the plot keeps its size."""
    long = scored("film.mkv", 80.0, frames=30_000)
    made = score_report("film.mkv")
    data = score_page(dataclasses.replace(made, results=(long,), moments=moments(long)))
    assert len(data) < 500_000
    assert b"without frames" in data
    reader = Reader(data)
    (script,) = [given for name, given in reader.elements if given.get("type") == "application/json"]
    assert script["data-left-out"] == "frames"
    assert reader.documents["score"]["results"][0]["frames"] == []
    assert reader.documents["score"]["results"][0]["pooled"]["mean"] > 0


def test_what_is_embedded_cannot_end_its_script() -> None:
    data = page(
        "t", [], [Section("a", "A", Html(""))], {"doc": {"x": "</script><script>alert(1)</script><!--"}}
    )
    assert Reader(data).documents == {"doc": {"x": "</script><script>alert(1)</script><!--"}}
    assert data.count(b"<script") == 2


def test_a_big_batch_stays_a_small_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is most worth a look is shown, the rest is said to be in the JSON."""
    monkeypatch.setattr("rankvqa_cli.pages.jobs.MOST_JOBS", 9)
    monkeypatch.setattr("rankvqa_cli.pages.jobs.MOST_DETAILS", 4)
    monkeypatch.setattr("rankvqa_cli.pages.jobs.MOST_PLOTS", 2)
    monkeypatch.setattr("rankvqa_cli.pages.layout.MOST_DOCUMENT_BYTES", 40_000)
    jobs = batch()
    data = batch_page(jobs)
    reader = Reader(data)
    assert "Every job (the first rows; the JSON of the run has all)" in reader.texts
    (script,) = [given for name, given in reader.elements if given.get("type") == "application/json"]
    assert script["data-left-out"] == "frames clips plan"
    assert sum(given.get("class") == "job" for _, given in reader.elements) == 4
    lowest = sorted(result.score for result in jobs.results)[:4]
    shown = [float(value) for value, pointer, _ in reader.data if pointer.endswith("/score")]
    assert all(any(abs(score - value) < 1e-6 for value in shown) for score in lowest)
    figures = [given for name, given in reader.elements if given.get("class") == "grids"]
    assert len(figures) == 1
    assert reader.texts.count("bitrate in kbit/s") == 2
    monkeypatch.setattr("rankvqa_cli.pages.layout.MOST_DOCUMENT_BYTES", 8_000)
    reader = Reader(batch_page(jobs))
    (script,) = [given for name, given in reader.elements if given.get("type") == "application/json"]
    assert script["data-left-out"] == "frames clips plan pooled jobs"
    assert "frames and clips and plan and pooled and the last jobs, which the run writes" in " ".join(
        reader.texts
    )
    kept = reader.documents["batch"]["jobs"]
    assert 0 < len(kept) < len(jobs.jobs)
    assert [each["row"] for each in kept] == [each.row for each in jobs.jobs[: len(kept)]]
