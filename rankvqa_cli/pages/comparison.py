"""The page of a comparison of codecs."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rankvqa_cli.pages import common, jobs
from rankvqa_cli.pages.axes import linear
from rankvqa_cli.pages.batch import SOURCE as BATCH
from rankvqa_cli.pages.batch import failed_note, parts
from rankvqa_cli.pages.charts import Plot
from rankvqa_cli.pages.html import Html, breakable, join, tag
from rankvqa_cli.pages.layout import Section, page
from rankvqa_cli.pages.nodes import NOTHING, Node, interval
from rankvqa_cli.pages.rates import in_order, rate_quality
from rankvqa_cli.pages.tables import bullets, table
from rankvqa_cli.results.batch import Batch
from rankvqa_cli.results.batch_files import batch_json
from rankvqa_cli.results.comparison import Comparison
from rankvqa_cli.results.comparison_json import comparison_json
from rankvqa_cli.types import Moment

SOURCE = "comparison"


def comparison_page(comparison: Comparison, batch: Batch | None, moments: Sequence[Moment] = ()) -> bytes:
    """The whole file. ``batch`` has the jobs that were compared, where their frames are known."""
    document = comparison_json(comparison)
    root = Node(document, SOURCE)
    documents = {SOURCE: document}
    anchor = root["anchor"].text
    sections = [
        Section("summary", f"Against {anchor}", join([summary_table(root), *deltas_plots(root)])),
        Section("rates", "Quality by rate", tag("div", *curves(root), class_="grids")),
        Section("contents", "Content by content", deltas_table(root)),
    ]
    lead = [
        tag("p", f"{', '.join(each.text for each in root['codecs'])} on {_contents(root)}", class_="subject")
    ]
    if root["warnings"].there:
        said = bullets([each.text for each in root["warnings"]], "warnings")
        lead.append(tag("div", tag("h2", "Warnings"), said, class_="said"))
    made = Section("method", "Method", method(root))
    if batch is None:
        return page(_title(root), lead, [*sections, made], documents)
    documents[BATCH] = batch_json(batch)
    beside = Node(documents[BATCH], BATCH)
    listed = list(beside["jobs"])
    lead[1:1] = [common.verdict(root["gates"]), *failed_note(listed)]
    every = join([*jobs.failures_table(listed), jobs.jobs_table(listed)])
    sections += [Section("jobs", "Jobs", every), *parts(beside, list(root["gates"]), moments), made]
    return page(_title(root), lead, sections, documents)


def _title(root: Node) -> str:
    return f"Codecs against {root['anchor'].text}"


def _contents(root: Node) -> str:
    return ", ".join(os.path.basename(each.text) for each in root["contents"])


def summary_table(root: Node) -> Html:
    """One row a codec, model and interpolation: means over contents with interval and test."""
    rows = []
    for each in root["summaries"]:
        rate, quality = each["bd_rate"], each["bd_quality"]
        rows.append(
            [
                each["codec"].text,
                breakable(each["model"].text),
                each["method"].text,
                tag("strong", rate["mean"].shown(2, signed=True)),
                interval(rate["ci95"], 2, signed=True),
                rate["p"].shown(3),
                rate["contents"].shown(),
                tag("strong", quality["mean"].shown(2, signed=True)),
                interval(quality["ci95"], 2, signed=True),
                quality["p"].shown(3),
                quality["contents"].shown(),
            ]
        )
    header = ["codec", "model", "interpolation", "BD-rate %", "95 % interval", "p", "contents"]
    header += ["BD-quality", "95 % interval", "p", "contents"]
    caption = "Means over contents: BD-rate below 0 saves bitrate, BD-quality above 0 gains score"
    return table(caption, header, rows, numeric=range(3, 11))


def deltas_plots(root: Node) -> list[Html]:
    """A plot for each model: every codec's BD-rates, a dot a content, with the mean and its interval."""
    first = root["method"]["interpolations"][0].text
    plots = []
    for model in root["models"]:
        summaries = [
            each
            for each in root["summaries"]
            if (each["model"].value, each["method"].text) == (model.value, first)
            and each["bd_rate"]["mean"].there
        ]
        values = {
            each["codec"].text: [
                delta["bd_rate"].number
                for delta in root["deltas"]
                if delta["bd_rate"].there
                and (delta["model"].value, delta["codec"].value, delta["method"].value)
                == (model.value, each["codec"].value, first)
            ]
            for each in summaries
        }
        if summaries:
            plots.append(_strips(model.text, summaries, values))
    return plots


def _strips(model: str, summaries: Sequence[Node], values: dict[str, list[float]]) -> Html:
    ends = [end.number for each in summaries for end in each["bd_rate"]["ci95"]]
    every = [0.0, *ends, *(value for found in values.values() for value in found)]
    x = linear("BD-rate in %", every, least=10.0, bounds=(-100.0, 1e6))
    strips = []
    for each in summaries:
        codec, rate = each["codec"].text, each["bd_rate"]
        plot = Plot(x, linear("", [0.0, 1.0], least=1.0, bounds=(0.0, 1.0)))
        layers = [plot.upright(0.0, "zero")]
        if rate["ci95"].there:
            low, high = (end.number for end in rate["ci95"])
            layers.append(plot.span(low, high, "belt"))
        layers += [plot.upright(rate["mean"].number, "mean"), plot.dots([(v, 0.5) for v in values[codec]], 0)]
        words = [tag("strong", codec), " ", rate["mean"].shown(1, signed=True), " %"]
        label = f"BD-rates of {codec} by {model}, a dot a content; the tables have the numbers."
        strips.append(tag("div", tag("div", *words), plot.drawn(layers, label), class_="strip"))
    title = f"BD-rate by {model}: a dot a content, a line for the mean, its 95 % interval shaded"
    return tag("figure", tag("figcaption", title), *strips, class_="chart strips")


def curves(root: Node) -> list[Html]:
    """A plot for each model and content."""
    styles = in_order([each.text for each in root["codecs"]])
    several = len(list(root["models"])) > 1
    plots = []
    for model in root["models"]:
        for content in root["contents"]:
            series = {
                curve["codec"].text: [
                    (point["bitrate_kbps"], point["quality"], os.path.basename(point["distorted"].text))
                    for point in curve["points"]
                ]
                for curve in root["curves"]
                if (curve["model"].value, curve["content"].value) == (model.value, content.value)
            }
            title = f"{content.text} by {model.text}" if several else content.text
            if series:
                plots.append(rate_quality(title, series, styles))
    return plots[: jobs.MOST_PLOTS]


def deltas_table(root: Node) -> Html:
    """One row a content, codec, model and interpolation; what was refused says why."""
    rows: list[list[str]] = []
    failed: list[int] = []
    for each in root["deltas"]:
        refused = [each[name].text for name in ("refused_rate", "refused_quality") if each[name].there]
        if refused:
            failed.append(len(rows))
        rows.append(
            [
                breakable(each["content"].text),
                each["codec"].text,
                breakable(each["model"].text),
                each["method"].text,
                each["bd_rate"].shown(2, signed=True),
                each["bd_quality"].shown(2, signed=True),
                each["quality_overlap"].shown(2),
                each["rate_overlap"].shown(2),
                bullets(list(dict.fromkeys(refused))) if refused else "",
            ]
        )
    header = ["content", "codec", "model", "interpolation", "BD-rate %", "BD-quality"]
    header += ["shared quality", "shared rate", "refused"]
    caption = "Every content; what two curves share is a part of what both cover together"
    return table(caption, header, rows, numeric=range(4, 8), sortable=True, failed=failed)


def method(root: Node) -> Html:
    """How the numbers came about."""
    rows = [[name, join(_words(each))] for name, each in root["method"].items()]
    rows.append(["pool", root["pool"].text])
    return join([table("Comparison", ["", ""], rows), common.made_with(root)])


def _words(node: Node) -> list[Html]:
    if isinstance(node.value, list):
        return [Html(", ".join(each.shown() for each in node))]
    return [node.shown()] if node.there else [NOTHING]
