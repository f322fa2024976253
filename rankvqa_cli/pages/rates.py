"""Quality by bitrate: one plot a content, one line a codec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rankvqa_cli.pages.axes import linear, logarithmic
from rankvqa_cli.pages.charts import STYLES, Plot, legend
from rankvqa_cli.pages.html import Html, tag
from rankvqa_cli.pages.nodes import Node
from rankvqa_cli.pages.result import BOUNDS
from rankvqa_cli.pages.tables import table

_SCORE_SPAN = 20.0  # points of the score that a plot shows at least

#: The bitrate in kbit/s and the quality of one encode, and what it is called.
Point = tuple[Node, Node, str]


def rate_quality(title: str, series: Mapping[str, Sequence[Point]], styles: Mapping[str, int]) -> Html:
    """One plot with a line for each of ``series``; ``styles`` keep a name's colour the same in all plots."""
    drawn = {
        name: sorted((rate.number, quality.number) for rate, quality, _ in points)
        for name, points in series.items()
    }
    every = [point for points in drawn.values() for point in points]
    plot = Plot(
        logarithmic("bitrate in kbit/s", [rate for rate, _ in every]),
        linear("score", [quality for _, quality in every], least=_SCORE_SPAN, bounds=BOUNDS),
    )
    layers = []
    for name, points in drawn.items():
        layers += [plot.line(points, styles[name]), plot.dots(points, styles[name])]
    label = f"Score by bitrate of {title}, a line each for {', '.join(series)}; its points are listed below."
    keys = legend([(name, f"line s{styles[name] % STYLES}") for name in series])
    return tag(
        "figure",
        tag("figcaption", title),
        plot.drawn(layers, label),
        keys,
        points_of(title, series),
        class_="chart",
    )


def points_of(title: str, series: Mapping[str, Sequence[Point]]) -> Html:
    """The plot's numbers, folded away."""
    rows = [
        [name, what, rate.shown(1), quality.shown(2)]
        for name, points in series.items()
        for rate, quality, what in sorted(points, key=lambda point: point[0].number)
    ]
    listed = table(f"Points of {title}", ["codec", "encode", "kbit/s", "score"], rows, numeric=(2, 3))
    return tag("details", tag("summary", "Points"), listed)


def in_order(names: Sequence[str]) -> dict[str, int]:
    """A style for each name."""
    return {name: place for place, name in enumerate(dict.fromkeys(names))}
