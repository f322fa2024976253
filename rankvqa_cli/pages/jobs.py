"""The jobs of a batch on a page: all of them in a table, those that failed, and the worst in detail."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rankvqa_cli.pages import common
from rankvqa_cli.pages.html import Html, breakable, join, tag
from rankvqa_cli.pages.nodes import Node, interval
from rankvqa_cli.pages.rates import Point, in_order, rate_quality
from rankvqa_cli.pages.result import Pictures, detail, name_of
from rankvqa_cli.pages.tables import table

#: Results that are shown frame by frame, the lowest scores first.
MOST_DETAILS = 40
MOST_JOBS = 700
MOST_PLOTS = 40
CODEC, CONTENT = "codec", "content"


def results_of(jobs: Sequence[Node]) -> list[Node]:
    return [result for job in jobs for result in job["results"]]


def jobs_table(jobs: Sequence[Node]) -> Html:
    """One row a job and model, with the job's own columns."""
    own = list(dict.fromkeys(name for job in jobs for name, _ in job["columns"].items()))
    rows: list[list[str]] = []
    failed: list[int] = []
    for job in jobs:
        leading: list[str] = [job["row"].shown(), breakable(os.path.basename(job["distorted"].text))]
        leading += [job["columns"][name].text if name in job["columns"] else "" for name in own]
        leading.append(job["bitrate_kbps"].shown(1))
        if not job["results"].there:
            failed.append(len(rows))
            rows.append([*leading, "failed", "", "", "", ""])
        for result in job["results"]:
            scores = [tag("strong", result["score"].shown(2)), interval(result["ci95"], 2)]
            lower = [result["pooled"][name].shown(2) for name in ("p5", "min")]
            rows.append([*leading, breakable(result["model"].text), *scores, *lower])
    header = ["row", "distorted", *own, "kbit/s", "model", "score", "95 % interval", "p5", "min"]
    first = 2 + len(own)
    numeric = (0, first, *range(first + 2, first + 6))
    return table("Every job", header, rows, numeric=numeric, sortable=True, failed=failed, most=MOST_JOBS)


def failures_table(jobs: Sequence[Node]) -> list[Html]:
    """The jobs that failed, if any."""
    rows = [
        [
            job["row"].shown(),
            breakable(job["distorted"].text),
            job["exit_code"].shown(),
            tag("div", job["error"].text, class_="long"),
        ]
        for job in jobs
        if not job["results"].there
    ]
    header = ["row", "distorted", "exit code", "error"]
    listed = table("Jobs that failed", header, rows, numeric=(0, 2), failed=range(len(rows)))
    return [listed] if rows else []


def curves(jobs: Sequence[Node]) -> list[Html]:
    """A plot for each model and content that has several encodes of known bitrate; the columns ``content`` and
    ``codec`` say which is which, else the reference, and one line for all."""
    plots: dict[tuple[str, str], dict[str, list[Point]]] = {}
    for job in jobs:
        if not job["bitrate_kbps"].there:
            continue
        columns = job["columns"]
        content = columns[CONTENT].text if CONTENT in columns else os.path.basename(job["reference"].text)
        codec = columns[CODEC].text if CODEC in columns else "encodes"
        for result in job["results"]:
            series = plots.setdefault((result["model"].text, content), {})
            name = os.path.basename(job["distorted"].text)
            series.setdefault(codec, []).append((job["bitrate_kbps"], result["score"], name))
    styles = in_order([codec for series in plots.values() for codec in series])
    models = {model for model, _ in plots}
    return [
        rate_quality(content if len(models) == 1 else f"{content} by {model}", series, styles)
        for (model, content), series in plots.items()
        if sum(map(len, series.values())) > 1
    ][:MOST_PLOTS]


def details(jobs: Sequence[Node], pictures: Pictures) -> Html:
    """The lowest scores frame by frame, folded away but for those with pictures."""
    each_once = {
        (result["input"].text, result["reference"].text, result["model"].text): (job, result)
        for job in jobs
        for result in job["results"]
    }
    found = sorted(each_once.values(), key=lambda pair: pair[1]["score"].number)
    shown = []
    for job, result in found[:MOST_DETAILS]:
        has_pictures = (result["input"].text, result["model"].text) in pictures.moments
        title = join(["row ", job["row"].shown(), f": {name_of(result)}: ", result["score"].shown(2)])
        inner = detail(result, pictures)
        shown.append(
            tag(
                "details",
                tag("summary", tag("h3", title)),
                inner,
                open="" if has_pictures else None,
                class_="job",
            )
        )
    rest = tag("p", "The lowest scores come first; all jobs stand in the table above.", class_="note")
    return join([rest, *shown])


def plans(jobs: Sequence[Node]) -> Html:
    """What each file is and how it is compared, every reference once."""
    files: list[tuple[str, Node]] = []
    seen: set[str] = set()
    for job in jobs:
        if not job["plan"].there:
            continue
        reference = job["plan"]["reference"]
        if reference.there and reference["path"].text not in seen:
            seen.add(reference["path"].text)
            files.append(("reference", reference))
        files += [("input", each) for each in job["plan"]["inputs"]]
    return common.plan_table(files)
