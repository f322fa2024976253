"""One result on a page: its frames over time, its worst clips with pictures, and how its frames are distributed."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rankvqa_cli.pages.axes import exact, linear
from rankvqa_cli.pages.charts import STYLES, Mark, Plot, legend
from rankvqa_cli.pages.html import Html, join, tag
from rankvqa_cli.pages.nodes import Node, interval
from rankvqa_cli.pages.tables import table
from rankvqa_cli.types import Moment

LETTERS = "ABCDEF"
WORST = 3
BOUNDS = (0.0, 100.0)
_SCORE_SPAN = 10.0  # points of the score that a plot shows at least


@dataclass(frozen=True)
class Pictures:
    """The moments that a page may show, by input and model."""

    moments: Mapping[tuple[str, str], Sequence[Moment]]

    @classmethod
    def of(cls, moments: Sequence[Moment], most_bytes: int) -> Pictures:
        """The worst of ``moments`` that together take no more than ``most_bytes`` in a page."""
        kept: dict[tuple[str, str], list[Moment]] = {}
        for moment in sorted(moments, key=lambda moment: moment.clip.score):
            files = (moment.distorted, moment.reference, moment.quality)
            most_bytes -= sum(4 * len(each) // 3 for each in files if each is not None)
            if most_bytes < 0:
                break
            kept.setdefault((moment.input, moment.model), []).append(moment)
        return cls(kept)

    def of_clip(self, result: Node, clip: Node) -> Moment | None:
        """What there is of a result's clip."""
        ends = (clip["start"].value, clip["end"].value)
        for moment in self.moments.get((result["input"].text, result["model"].text), ()):
            if (moment.clip.start, moment.clip.end) == ends:
                return moment
        return None


def worst_clips(result: Node) -> list[Node]:
    """The worst clip, and up to ``WORST`` in all that are below the mean and share no frame, by ascending score."""
    kept: list[Node] = []
    mean = result["pooled"]["mean"].number
    for clip in sorted(result["clips"], key=lambda clip: clip["score"].number):
        if (
            len(kept) < WORST
            and (not kept or clip["score"].number < mean)
            and all(
                clip["end"].number <= other["start"].number or other["end"].number <= clip["start"].number
                for other in kept
            )
        ):
            kept.append(clip)
    return kept


def detail(result: Node, pictures: Pictures, *heading: Html) -> Html:
    """Everything about one result's frames, under a ``heading`` where there is none already."""
    clips = worst_clips(result)
    return tag(
        "section",
        *heading,
        timeline(result, clips),
        worst_table(result, clips),
        *stills(result, clips, pictures),
        distribution(result),
        class_="result",
    )


def name_of(result: Node) -> str:
    return f"{os.path.basename(result['input'].text)} by {result['model'].text}"


def timeline(result: Node, clips: Sequence[Node]) -> Html:
    """The frames' scores by their time, with the worst clips marked."""
    frames = list(result["frames"])
    points = [(frame["pts_time"].number, frame["score"].number) for frame in frames]
    plot = Plot(
        exact("time in seconds", points[0][0], max(points[-1][0], points[0][0] + 1e-3)),
        linear("score", [score for _, score in points], least=_SCORE_SPAN, bounds=BOUNDS),
    )
    times = {int(frame["index"].number): frame["pts_time"].number for frame in frames}
    marks = [
        Mark(letter, *_times(clip, times, points[-1][0]))
        for letter, clip in zip(LETTERS, clips, strict=False)
    ]
    layers = [plot.span(mark.start, mark.end, "worst") for mark in marks]
    if result["ci95"].there:
        low, high = (end.number for end in result["ci95"])
        layers.append(plot.belt(low, high, "belt"))
    layers += [plot.across(result["score"].number, "level"), plot.line(points, 0)]
    if len(points) < 60:
        layers.append(plot.dots(points, 0))
    label = f"Scores of {name_of(result)} over time; the table below has its worst clips."
    keys = legend(
        [
            ("frame", "line s0"),
            (join([f"{result['pool'].text} ", result["score"].shown(2)]), "level"),
            (join(["95 % interval ", interval(result["ci95"], 2)]), "belt"),
            ("worst clips", "worst"),
        ]
    )
    return tag(
        "figure",
        tag("figcaption", "Score of every frame"),
        plot.drawn(layers, label, marks),
        tag("div", class_="scrub", data_frames=result["frames"].pointer, data_label="Frame"),
        keys,
        class_="chart wide",
    )


def _times(clip: Node, times: Mapping[int, float], last: float) -> tuple[float, float]:
    start, end = int(clip["start"].number), int(clip["end"].number)
    begin = times.get(start, 0.0)
    return begin, times.get(end, times.get(end - 1, last))


def worst_table(result: Node, clips: Sequence[Node]) -> Html:
    by_index = {frame["index"].value: frame for frame in result["frames"]}
    rows = []
    for letter, clip in zip(LETTERS, clips, strict=False):
        first = by_index.get(clip["start"].value)
        rows.append(
            [
                letter,
                clip["score"].shown(2),
                clip["start"].shown(),
                clip["end"].shown(),
                "" if first is None else join([first["pts_time"].shown(2), " s"]),
                "mirrored to a clip's length" if clip["padded"].value else "",
            ]
        )
    header = ["clip", "score", "from frame", "to before", "at", ""]
    return table(f"Worst clips of {name_of(result)}", header, rows, numeric=(1, 2, 3, 4))


def stills(result: Node, clips: Sequence[Node], pictures: Pictures) -> list[Html]:
    """Pictures of the worst clips that there are any of, and the scale of their colours."""
    by_index = {frame["index"].value: frame for frame in result["frames"]}
    figures = []
    mapped = False
    for letter, clip in zip(LETTERS, clips, strict=False):
        moment = pictures.of_clip(result, clip)
        frame = None if moment is None else by_index.get(moment.frame)
        if moment is None or frame is None:
            continue
        mapped = mapped or moment.quality is not None
        shown = [
            _picture(words, moment, file)
            for words, file in (
                ("distorted", moment.distorted),
                ("reference", moment.reference),
                ("quality by place", moment.quality),
            )
            if file is not None
        ]
        caption = [f"Clip {letter}, frame ", frame["index"].shown(), " at ", frame["pts_time"].shown(2), " s"]
        scores = [": the clip has ", clip["score"].shown(2)]
        figures.append(
            tag(
                "figure",
                tag("figcaption", *caption, *scores),
                tag("div", *shown, class_="triple"),
                class_="stills",
            )
        )
    return [*figures, *([heat_scale()] if mapped else [])]


def _picture(words: str, moment: Moment, file: bytes) -> Html:
    source = "data:image/jpeg;base64," + base64.b64encode(file).decode("ascii")
    name = os.path.basename(moment.input)
    alt = f"Frame {moment.frame} of {name}: {words}"
    return tag("div", tag("img", src=source, alt=alt), tag("span", words))


def heat_scale() -> Html:
    """What the colours of a map mean: the score that the video would have if it were everywhere as it is there."""
    ends = (tag("span", "100", class_="tick"), tag("span", class_="heat"), tag("span", "0", class_="tick"))
    return tag(
        "p",
        "Quality by place, the score if the whole frame were like it: ",
        tag("span", *ends, class_="scale"),
        class_="note",
    )


def distribution(result: Node) -> Html:
    """How many of the frames have which score, with its percentiles."""
    scores = [frame["score"].number for frame in result["frames"]]
    x = linear("score", scores, least=_SCORE_SPAN, bounds=BOUNDS)
    bins = 40
    edges = [x.low + (x.high - x.low) * place / bins for place in range(bins + 1)]
    counts = [0] * bins
    for score in scores:
        counts[min(bins - 1, int(x.place(score) * bins))] += 1
    shares = [100 * count / len(scores) for count in counts]
    plot = Plot(x, linear("% of frames", [0.0, *shares], least=1.0, bounds=BOUNDS))
    shown = ("p5", "median", "p95")
    pooled = result["pooled"]
    layers = [plot.bars(edges, shares)]
    layers += [plot.upright(pooled[name].number, f"rule r{place}") for place, name in enumerate(shown)]
    keys = legend(
        [(join([f"{name} ", pooled[name].shown(2)]), f"rule r{place}") for place, name in enumerate(shown)]
    )
    label = (
        f"Distribution of the frames' scores of {name_of(result)}; the table of results has its percentiles."
    )
    return tag(
        "figure",
        tag("figcaption", "Distribution of the frames' scores"),
        plot.drawn(layers, label),
        keys,
        class_="chart",
    )


def overlay(results: Sequence[Node]) -> Html:
    """Several results over time in one plot."""
    series = [[(f["pts_time"].number, f["score"].number) for f in result["frames"]] for result in results]
    every = [point for points in series for point in points]
    start, end = min(x for x, _ in every), max(x for x, _ in every)
    plot = Plot(
        exact("time in seconds", start, max(end, start + 1e-3)),
        linear("score", [y for _, y in every], least=_SCORE_SPAN, bounds=BOUNDS),
    )
    layers = [plot.line(points, style) for style, points in enumerate(series)]
    entries: list[tuple[Html | str, str]] = [
        (join([f"{name_of(result)}: ", result["score"].shown(2)]), f"line s{style % STYLES}")
        for style, result in enumerate(results)
    ]
    label = f"Scores over time of {', '.join(map(name_of, results))}."
    return tag(
        "figure",
        tag("figcaption", "All results over time"),
        plot.drawn(layers, label),
        legend(entries),
        class_="chart wide",
    )
