"""A comparison as JSON, schema 1.0. Rounding happens here."""

from __future__ import annotations

from rankvqa_cli.results.batch_files import RATE_DIGITS
from rankvqa_cli.results.comparison import METHODS, Average, Comparison, Curve, Delta
from rankvqa_cli.results.report import JSON, SCORE_DIGITS, TOOL, gate_json, number, text

COMPARISON_SCHEMA = "1.0"
COMPARISON_KIND = "comparison"
DELTA_DIGITS = 6


def comparison_json(comparison: Comparison) -> dict[str, JSON]:
    """The whole comparison: every number that any table or plot of it shows."""
    return {
        "schema_version": COMPARISON_SCHEMA,
        "kind": COMPARISON_KIND,
        "tool": {
            "name": TOOL,
            "version": comparison.tool_version,
            "argv": [text(each) for each in comparison.argv],
        },
        "source": text(comparison.source),
        "anchor": text(comparison.anchor),
        "pool": comparison.pool,
        "method": {
            "rates": comparison.rates,
            "interpolations": list(METHODS),
            "intervals": "95 %, percentile, bootstrap over contents",
            "test": "Wilcoxon signed ranks over contents, two-sided; BD-rates as logarithms of the rate ratio",
            "draws": comparison.draws,
            "seed": comparison.seed,
        },
        "models": [text(each) for each in comparison.models],
        "contents": [text(each) for each in comparison.contents],
        "codecs": [text(each) for each in comparison.codecs],
        "curves": [_curve(each) for each in comparison.curves],
        "deltas": [_delta(each) for each in comparison.deltas],
        "summaries": [
            {
                "model": text(each.model),
                "codec": text(each.codec),
                "method": each.method,
                "bd_rate": _average(each.bd_rate),
                "bd_quality": _average(each.bd_quality),
            }
            for each in comparison.summaries
        ],
        "warnings": [text(each) for each in comparison.warnings],
        "gates": [gate_json(gate) for gate in comparison.gates],
    }


def _curve(curve: Curve) -> dict[str, JSON]:
    return {
        "model": text(curve.model),
        "content": text(curve.content),
        "codec": text(curve.codec),
        "monotone": curve.monotone,
        "points": [
            {
                "bitrate_kbps": number(point.bitrate_kbps, RATE_DIGITS),
                "quality": number(point.quality, SCORE_DIGITS),
                "distorted": text(point.distorted),
                "row": point.row,
                "dominated": point.dominated,
            }
            for point in curve.points
        ],
    }


def _delta(delta: Delta) -> dict[str, JSON]:
    return {
        "model": text(delta.model),
        "content": text(delta.content),
        "codec": text(delta.codec),
        "method": delta.method,
        "bd_rate": _figure(delta.bd_rate),
        "bd_quality": _figure(delta.bd_quality),
        "quality_overlap": _figure(delta.quality_overlap),
        "rate_overlap": _figure(delta.rate_overlap),
        "refused_rate": delta.refused_rate,
        "refused_quality": delta.refused_quality,
    }


def _average(average: Average) -> dict[str, JSON]:
    return {
        "contents": average.contents,
        "mean": _figure(average.mean),
        "ci95": None if average.ci95 is None else [_figure(end) for end in average.ci95],
        "p": _figure(average.p),
    }


def _figure(value: float | None) -> float | None:
    return None if value is None else number(value, DELTA_DIGITS)
