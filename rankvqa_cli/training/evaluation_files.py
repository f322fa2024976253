"""An assessment as JSON, as TSV for programs, and the scores it is about as CSV. Rounding happens here."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from rankvqa_cli.results.formats import dump
from rankvqa_cli.results.report import JSON, TOOL, number, text
from rankvqa_cli.training.assessment import Assessed, Assessment, Comparison, Grouping, Interval
from rankvqa_cli.training.evaluation import Agreement
from rankvqa_cli.training.ratings import Ratings
from rankvqa_cli.version import version

SCHEMA_VERSION = "1.0"
DIGITS = 6
SHOWN = 4
MEASURES = ("srocc", "plcc", "krocc", "rmse", "outlier_ratio")


def json_text(
    assessment: Assessment,
    ratings: Ratings,
    argv: Sequence[str],
    identities: dict[str, str],
    size: tuple[int, int] | None,
) -> str:
    """The whole assessment. ``identities`` says of a metric what measured it, ``size`` at which (width, height)."""
    options = assessment.options
    return dump(
        {
            "schema_version": SCHEMA_VERSION,
            "tool": {"name": TOOL, "version": version(), "argv": [text(each) for each in argv]},
            "data": {
                "file": text(str(ratings.path)),
                "stimuli": assessment.stimuli,
                "contents": assessment.contents,
                "size": None if size is None else list(size),
            },
            "method": {
                "mapping": "VQEG four-parameter logistic, fitted to all stimuli of each figure",
                "intervals": "95 %, percentile, bootstrap over contents, the mapping kept",
                "significance": "paired bootstrap over contents; F-test of residual variances (ITU-T P.1401, 7.6.4)",
                "draws": options.draws,
                "seed": options.seed,
                "least": options.least,
            },
            "metrics": [_metric(each, identities.get(each.name, "")) for each in assessment.metrics],
            "comparisons": [_comparison(each) for each in assessment.comparisons],
        }
    )


def _metric(metric: Assessed, identity: str) -> dict[str, JSON]:
    return {
        "name": metric.name,
        "measured_by": identity,
        "pooled": _agreement(metric.pooled),
        "ci95": {name: _interval(ends) for name, ends in metric.ci95.items()},
        "mapping": {
            "kind": metric.mapping.kind,
            "parameters": [number(each, DIGITS) for each in metric.mapping.parameters],
        },
        "groupings": [_grouping(each) for each in metric.groupings],
    }


def _grouping(grouping: Grouping) -> dict[str, JSON]:
    return {
        "columns": list(grouping.columns),
        "within": {
            "srocc": None if grouping.within is None else number(grouping.within, DIGITS),
            "ci95": None if grouping.within_ci95 is None else _interval(grouping.within_ci95),
            "groups": len(grouping.measured),
            "stimuli": sum(group.count for group in grouping.measured),
        },
        "groups": [
            {
                "values": list(group.values),
                "count": group.count,
                "agreement": None if group.agreement is None else _agreement(group.agreement),
            }
            for group in grouping.groups
        ],
    }


def _agreement(found: Agreement) -> dict[str, JSON]:
    outliers = found.outlier_ratio
    return {
        "count": found.count,
        "srocc": number(found.srocc, DIGITS),
        "plcc": number(found.plcc, DIGITS),
        "krocc": number(found.krocc, DIGITS),
        "rmse": number(found.rmse, DIGITS),
        "outlier_ratio": None if outliers is None else number(outliers, DIGITS),
    }


def _comparison(pair: Comparison) -> dict[str, JSON]:
    return {
        "a": pair.a,
        "b": pair.b,
        "srocc_difference": number(pair.srocc_difference, DIGITS),
        "ci95": _interval(pair.ci95),
        "p": number(pair.p, DIGITS),
        "f": number(pair.f, DIGITS),
        "f_p": number(pair.f_p, DIGITS),
    }


def _interval(ends: Interval) -> list[JSON]:
    return [number(end, DIGITS) for end in ends]


def tsv_text(assessment: Assessment) -> str:
    """One line a metric and group; after an empty line, one line a pair of metrics."""
    lines = ["\t".join(("metric", "by", "group", "count", "srocc", "srocc_low", "srocc_high", *MEASURES[1:]))]
    for metric in assessment.metrics:
        lines.append(_line(metric.name, "", "all", metric.pooled, metric.ci95["srocc"]))
        for grouping in metric.groupings:
            by = ",".join(grouping.columns)
            lines += [
                _line(metric.name, by, ",".join(group.values), group.agreement, None)
                for group in grouping.groups
                if group.agreement is not None
            ]
            if grouping.within is not None and grouping.within_ci95 is not None:
                count = sum(group.count for group in grouping.measured)
                means = (grouping.within, *grouping.within_ci95)
                named = f"mean of {len(grouping.measured)} groups"
                cells = [metric.name, by, named, str(count), *map(_cell, means), *[""] * 4]
                lines.append("\t".join(cells))
    if assessment.comparisons:
        lines += ["", "\t".join(("a", "b", "srocc_difference", "low", "high", "p", "f", "f_p"))]
    for pair in assessment.comparisons:
        figures = (pair.srocc_difference, *pair.ci95, pair.p, pair.f, pair.f_p)
        lines.append("\t".join([pair.a, pair.b, *map(_cell, figures)]))
    return "\n".join(lines) + "\n"


def _line(name: str, by: str, group: str, found: Agreement, ends: Interval | None) -> str:
    srocc = [_cell(found.srocc), *(["", ""] if ends is None else map(_cell, ends))]
    rest = [_cell(getattr(found, measure)) for measure in MEASURES[1:]]
    return "\t".join([name, by, group, str(found.count), *srocc, *rest])


def _cell(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.{SHOWN}f}"


def csv_text(assessment: Assessment, ratings: Ratings) -> str:
    """One row a stimulus: its own columns, its files as absolute paths, its score by each metric, and each mapped.

    The file is a rated set again, whose columns ``--scores`` takes.
    """
    metrics = assessment.metrics
    added = [name for metric in metrics for name in (metric.name, f"{metric.name} mapped")]
    kept = [name for name in ratings.names if name not in added]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*kept, *added])
    for index, rating in enumerate(ratings.rows):
        files: dict[str, Path | None] = {"distorted": rating.distorted, "reference": rating.reference}
        cells = {
            name: str(file.resolve()) if (file := files.get(name)) is not None else rating.columns[name]
            for name in kept
        }
        figures = [
            number(value, DIGITS) for each in metrics for value in (each.scores[index], each.mapped[index])
        ]
        writer.writerow([*cells.values(), *figures])
    return out.getvalue()
