"""One function a file format, behind one table: a report in, the whole file's text out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

from rankvqa_cli.errors import UsageError
from rankvqa_cli.results.report import (
    JSON,
    SCHEMA_VERSION,
    SCORE_DIGITS,
    TIME_DIGITS,
    number,
    report_json,
    result_json,
    text,
)
from rankvqa_cli.types import Report, Result

# libvmaf writes its per-frame and pooled numbers to this many decimals.
_VMAF_DIGITS = 6
_VMAF_POOLS = ("min", "max", "mean", "harmonic_mean")


def render(report: Report, name: str) -> str:
    """The report as a file of the format ``name``; UsageError where that format cannot hold the report."""
    return _RENDERERS[name](report)


def dump(value: JSON) -> str:
    """JSON as it is written everywhere here: indented, finite, one newline at the end."""
    return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _json(report: Report) -> str:
    return dump(report_json(report))


def _ndjson(report: Report) -> str:
    lines = []
    for result in report.results:
        line: dict[str, JSON] = {"schema_version": SCHEMA_VERSION, **result_json(result)}
        lines.append(json.dumps(line, allow_nan=False, ensure_ascii=False) + "\n")
    return "".join(lines)


def _csv(report: Report) -> str:
    """One row a frame, one column a model; with several inputs, which one stands in the first column.

    A model that did not score a frame leaves its cell empty.
    """
    models = [text(model.name) for model in report.models]
    by_input: dict[str, list[Result]] = {}
    for result in report.results:
        by_input.setdefault(result.input, []).append(result)
    several = len(by_input) > 1
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow([*(["input"] if several else []), "index", "pts_time", *models])
    for name, results in by_input.items():
        times = {frame.index: frame.pts_time for result in results for frame in result.frames}
        cells = {
            (text(result.model), frame.index): number(frame.score, SCORE_DIGITS)
            for result in results
            for frame in result.frames
        }
        for index in sorted(times):
            scores = [cells.get((model, index)) for model in models]
            prefix = [text(name)] if several else []
            rows.writerow([*prefix, index, number(times[index], TIME_DIGITS), *scores])
    return out.getvalue()


def _vmaf(report: Report) -> str:
    """The shape of libvmaf's JSON log (``log_fmt=json``), with each model as a metric of its own name.

    As in libvmaf's, ``frameNum`` counts the compared frames and nothing names the input: it holds one input
    only.
    """
    require_one_input("vmaf", len({result.input for result in report.results}))
    by_frame: dict[int, dict[str, JSON]] = {}
    pooled: dict[str, JSON] = {}
    for result in report.results:
        metric = text(result.model)
        for frame in result.frames:
            by_frame.setdefault(frame.index, {})[metric] = number(frame.score, _VMAF_DIGITS)
        pooled[metric] = {name: number(result.pooled[name], _VMAF_DIGITS) for name in _VMAF_POOLS}
    rates = [result.fps for result in report.results]
    return dump(
        {
            "version": report.tool_version,
            "fps": number(min(rates, default=0.0), 2),
            "frames": [{"frameNum": index, "metrics": by_frame[index]} for index in sorted(by_frame)],
            "pooled_metrics": pooled,
            "aggregate_metrics": {},
        }
    )


def require_one_input(name: str, inputs: int) -> None:
    """Raise UsageError where the format ``name`` cannot hold the results of ``inputs`` inputs."""
    if name == "vmaf" and inputs > 1:
        raise UsageError(
            f"libvmaf's format holds one input, and this run has {inputs}: run once per input, or write json"
        )


_RENDERERS: dict[str, Callable[[Report], str]] = {
    "json": _json,
    "csv": _csv,
    "ndjson": _ndjson,
    "vmaf": _vmaf,
}
FORMATS: tuple[str, ...] = tuple(_RENDERERS)
