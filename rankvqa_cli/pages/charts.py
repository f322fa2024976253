"""Charts as SVG that stretches to any width, with its words in HTML, so that they keep their size on any screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rankvqa_cli.pages.axes import Axis
from rankvqa_cli.pages.html import Html, join, tag

Points = Sequence[tuple[float, float]]

_SIZE = 1000  # the SVG's own units across and down
_MOST_POINTS = 900
STYLES = 8  # colours and dashes that the style sheet tells apart


@dataclass(frozen=True)
class Mark:
    """A letter above the plot, over the middle of the x values ``start`` to ``end``."""

    letter: str
    start: float
    end: float


@dataclass(frozen=True)
class Plot:
    """Two axes to draw in. Every method gives one layer for ``drawn``."""

    x: Axis
    y: Axis

    def line(self, points: Points, style: int) -> Html:
        """The points joined, thinned out where there are more than can be told apart."""
        return tag("polyline", points=self._path(thinned(points)), class_=f"line s{style % STYLES}")

    def dots(self, points: Points, style: int) -> Html:
        """A dot at each point; strokes of no length keep their shape however the plot is stretched."""
        path = "".join(f"M{self._x(x)} {self._y(y)}h0" for x, y in points)
        return tag("path", d=path, class_=f"dot s{style % STYLES}")

    def span(self, start: float, end: float, class_: str) -> Html:
        """All heights between two x values."""
        left, right = self.x.place(start) * _SIZE, self.x.place(end) * _SIZE
        return self._rect(left, 0, right - left, _SIZE, class_)

    def belt(self, low: float, high: float, class_: str) -> Html:
        """All widths between two y values."""
        top, bottom = (1 - self.y.place(high)) * _SIZE, (1 - self.y.place(low)) * _SIZE
        return self._rect(0, top, _SIZE, bottom - top, class_)

    def bars(self, edges: Sequence[float], heights: Sequence[float]) -> Html:
        """A bar from 0 between every two edges."""
        drawn = []
        for left, right, height in zip(edges, edges[1:], heights, strict=False):
            if height > 0:
                start, end, top = (
                    self.x.place(left) * _SIZE,
                    self.x.place(right) * _SIZE,
                    self.y.place(height),
                )
                drawn.append(self._rect(start, (1 - top) * _SIZE, end - start, top * _SIZE, "bar"))
        return join(drawn)

    def across(self, value: float, class_: str) -> Html:
        at = self._y(value)
        return tag("line", x1=0, x2=_SIZE, y1=at, y2=at, class_=class_)

    def upright(self, value: float, class_: str) -> Html:
        at = self._x(value)
        return tag("line", x1=at, x2=at, y1=0, y2=_SIZE, class_=class_)

    def drawn(self, layers: Sequence[Html], label: str, marks: Sequence[Mark] = ()) -> Html:
        """The whole plot; ``label`` says in words what is to be seen, for those who do not see it."""
        grid = join(self.across(tick, "grid") for tick in self.y.ticks)
        svg = tag(
            "svg",
            grid,
            *layers,
            viewBox=f"0 0 {_SIZE} {_SIZE}",
            preserveAspectRatio="none",
            focusable="false",
        )
        letters = [
            tag("span", mark.letter, class_="mark", style=f"left:{self._percent(mark)}%") for mark in marks
        ]
        ys = [
            tag("span", words(tick), class_="tick", style=f"bottom:{self.y.place(tick):.2%}")
            for tick in self.y.ticks
        ]
        xs = [
            tag("span", words(tick), class_="tick", style=f"left:{self.x.place(tick):.2%}")
            for tick in self.x.ticks
        ]
        hidden = tag(
            "div",
            tag("div", self.y.label, class_="ylabel"),
            tag("div", *ys, class_="ys"),
            tag("div", svg, *letters, class_="area"),
            tag("div", *xs, class_="xs"),
            tag("div", self.x.label, class_="xlabel"),
            class_="inner",
            aria_hidden="true",
        )
        return tag("div", hidden, class_="plot", role="img", aria_label=label)

    def _percent(self, mark: Mark) -> str:
        return f"{50 * (self.x.place(mark.start) + self.x.place(mark.end)):.2f}"

    def _path(self, points: Points) -> str:
        return " ".join(f"{self._x(x)},{self._y(y)}" for x, y in points)

    def _x(self, value: float) -> str:
        return _short(self.x.place(value) * _SIZE)

    def _y(self, value: float) -> str:
        return _short((1 - self.y.place(value)) * _SIZE)

    @staticmethod
    def _rect(x: float, y: float, width: float, height: float, class_: str) -> Html:
        return tag(
            "rect", x=_short(x), y=_short(y), width=_short(width), height=_short(height), class_=class_
        )


def legend(entries: Sequence[tuple[Html | str, str]]) -> Html:
    """What each class of line stands for: (words, class)."""
    items = [
        tag(
            "li",
            tag(
                "svg",
                tag("line", x1=0, x2=28, y1=6, y2=6, class_=class_),
                viewBox="0 0 28 12",
                class_="swatch",
                aria_hidden="true",
                focusable="false",
            ),
            words,
        )
        for words, class_ in entries
    ]
    return tag("ul", *items, class_="legend")


def thinned(points: Points) -> Points:
    """Of every stretch of points the lowest and the highest, in their order, so that no extreme is lost."""
    if len(points) <= _MOST_POINTS:
        return points
    size = -(-2 * len(points) // _MOST_POINTS)
    kept: list[tuple[float, float]] = []
    for start in range(0, len(points), size):
        stretch = range(start, min(start + size, len(points)))
        ends = {min(stretch, key=lambda at: points[at][1]), max(stretch, key=lambda at: points[at][1])}
        kept += [points[at] for at in sorted(ends)]
    return kept


def words(tick: float) -> str:
    """A tick's label."""
    if tick >= 10_000 and tick % 1000 == 0:
        return f"{tick / 1000:g}k"
    return f"{tick:g}".replace("-", "\N{MINUS SIGN}")


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
