"""A comparison as Markdown for people and as CSV for tables; ``comparison_json`` is the whole of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence

from rankvqa_cli.results.comparison import METHODS, Average, Comparison, Delta, Summary
from rankvqa_cli.results.comparison_json import DELTA_DIGITS, comparison_json
from rankvqa_cli.results.formats import dump
from rankvqa_cli.results.report import number, text

_CSV = (
    *("level", "model", "content", "codec", "method", "contents"),
    *("bd_rate", "bd_rate_low", "bd_rate_high", "bd_rate_p"),
    *("bd_quality", "bd_quality_low", "bd_quality_high", "bd_quality_p"),
    *("quality_overlap", "rate_overlap", "refused_rate", "refused_quality"),
)


def markdown(comparison: Comparison) -> str:
    """The averages, then content by content, then the curves, then what has to be said about them."""
    anchor = _cell(comparison.anchor)
    parts = [
        f"# {', '.join(map(_cell, comparison.codecs[1:]))} against {anchor}",
        f"Quality is the {comparison.pool} of the frames' scores, 0 to 100; bitrates are those of {comparison.rates}. "
        f"A BD-rate below 0 saves bitrate against {anchor} at the same quality; a BD-quality above 0 is better at the "
        "same bitrate. Intervals are 95 % by bootstrap over contents, p by Wilcoxon's signed ranks.",
    ]
    for model in comparison.models:
        title = f" by {_cell(model)}" if len(comparison.models) > 1 else ""
        parts += [f"## Over all contents{title}", _averages(comparison, model)]
        parts += [f"## Content by content{title}", _contents(comparison, model)]
        parts += [f"## Curves{title}", _curves(comparison, model)]
    if comparison.warnings:
        parts += ["## Warnings", "\n".join(f"- {_cell(each)}" for each in comparison.warnings)]
    return "\n\n".join(parts) + "\n"


def _averages(comparison: Comparison, model: str) -> str:
    own = [each for each in comparison.summaries if each.model == model]
    rows = [
        [
            _cell(each.codec),
            each.method,
            *_average(each.bd_rate, "{:+.2f} %"),
            *_average(each.bd_quality, "{:+.3f}"),
        ]
        for each in own
    ]
    heading = ["codec", "method", "BD-rate", "95 %", "p", "contents", "BD-quality", "95 %", "p", "contents"]
    return _table(heading, rows, left=2)


def _average(average: Average, form: str) -> list[str]:
    if average.mean is None:
        return ["-", "-", "-", "0"]
    ends = "-" if average.ci95 is None else " to ".join(form.format(end) for end in average.ci95)
    p = "-" if average.p is None else f"{average.p:.4f}"
    return [form.format(average.mean), ends, p, str(average.contents)]


def _contents(comparison: Comparison, model: str) -> str:
    rows = []
    for content in comparison.contents:
        for codec in comparison.codecs[1:]:
            own = [
                each
                for each in comparison.deltas
                if (each.model, each.content, each.codec) == (model, content, codec)
            ]
            if not own:
                continue
            rates = [_figure(each.bd_rate, "{:+.2f} %") for each in own]
            gains = [_figure(each.bd_quality, "{:+.3f}") for each in own]
            reasons = dict.fromkeys(
                reason for each in own for reason in (each.refused_rate, each.refused_quality) if reason
            )
            shares = [f"{share:.0%}" for share in (own[0].quality_overlap, own[0].rate_overlap)]
            rows.append([_cell(content), _cell(codec), *rates, *gains, *shares, _cell("; ".join(reasons))])
    figures = [f"{what}, {method}" for what in ("BD-rate", "BD-quality") for method in METHODS]
    heading = ["content", "codec", *figures, "common quality", "common rates", "refused"]
    return _table(heading, rows, left=2)


def _curves(comparison: Comparison, model: str) -> str:
    rows = []
    for curve in comparison.curves:
        if curve.model != model:
            continue
        points = ", ".join(
            f"{point.bitrate_kbps:.0f}: {point.quality:.2f}{'*' if point.dominated else ''}"
            for point in curve.points
        )
        rows.append([_cell(curve.content), _cell(curve.codec), "yes" if curve.monotone else "**no**", points])
    table = _table(["content", "codec", "monotone", "kbit/s: quality"], rows, left=4)
    starred = any(point.dominated for curve in comparison.curves for point in curve.points)
    return f"{table}\n\n\\* costs more than another point and is no better" if starred else table


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]], *, left: int) -> str:
    """A Markdown table; the first ``left`` columns are words."""
    rule = ["---" if place < left else "---:" for place in range(len(heading))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heading, rule, *rows))


def _cell(words: str) -> str:
    """``words`` on one line, with what would end a cell or begin a tag taken literally."""
    plain = " ".join(text(words).split())
    return plain.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _csv(comparison: Comparison) -> str:
    """A row for each content, codec, interpolation and model, and one for each average over contents."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(_CSV)
    rows.writerows(_content_row(each) for each in comparison.deltas)
    rows.writerows(_overall_row(each) for each in comparison.summaries)
    return out.getvalue()


def _content_row(delta: Delta) -> list[object]:
    shares = [_rounded(delta.quality_overlap), _rounded(delta.rate_overlap)]
    return [
        *("content", text(delta.model), text(delta.content), text(delta.codec), delta.method, 1),
        *(_rounded(delta.bd_rate), None, None, None),
        *(_rounded(delta.bd_quality), None, None, None),
        *(*shares, delta.refused_rate, delta.refused_quality),
    ]


def _overall_row(summary: Summary) -> list[object]:
    figures = [
        _rounded(figure)
        for each in (summary.bd_rate, summary.bd_quality)
        for figure in (each.mean, *(each.ci95 or (None, None)), each.p)
    ]
    counted = max(summary.bd_rate.contents, summary.bd_quality.contents)
    names = ("overall", text(summary.model), "", text(summary.codec), summary.method, counted)
    return [*names, *figures, None, None, None, None]


def _rounded(value: float | None) -> float | None:
    return None if value is None else number(value, DELTA_DIGITS)


RENDERERS: dict[str, Callable[[Comparison], str]] = {
    "md": markdown,
    "csv": _csv,
    "json": lambda comparison: dump(comparison_json(comparison)),
}
