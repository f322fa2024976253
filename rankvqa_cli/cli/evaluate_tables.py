"""An assessment for eyes: a table of metrics, one of every grouping, one of who beats whom."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rankvqa_cli.cli.render import draw, visible

if TYPE_CHECKING:
    from rich.table import Table

    from rankvqa_cli.training.assessment import Assessment, Interval

SIGNIFICANT = 0.05
MOST_GROUPS = 40


def tables(assessment: Assessment) -> bytes:
    """Everything but what the JSON alone holds."""
    parts = [_metrics(assessment)]
    parts += [_groups(assessment, index) for index in range(len(assessment.metrics[0].groupings))]
    if assessment.comparisons:
        parts.append(_comparisons(assessment))
    return b"".join(parts)


def _metrics(assessment: Assessment) -> bytes:
    drawn = _table(f"{assessment.stimuli} stimuli of {assessment.contents} contents")
    drawn.add_column("metric", overflow="fold")
    for heading in ("SROCC", "95 %", "PLCC", "KROCC", "RMSE", "outliers"):
        drawn.add_column(heading, justify="right")
    for metric in assessment.metrics:
        found = metric.pooled
        figures = (found.plcc, found.krocc, found.rmse, found.outlier_ratio)
        drawn.add_row(
            visible(metric.name), _figure(found.srocc), _ends(metric.ci95["srocc"]), *map(_figure, figures)
        )
    return draw(drawn)


def _groups(assessment: Assessment, index: int) -> bytes:
    """SROCC by group and metric, and the mean; of very many groups the mean only."""
    first = assessment.metrics[0].groupings[index]
    found = [metric.groupings[index] for metric in assessment.metrics]
    drawn = _table(f"SROCC within {', '.join(map(visible, first.columns))}")
    drawn.add_column("group", overflow="fold")
    drawn.add_column("count", justify="right")
    for metric in assessment.metrics:
        drawn.add_column(visible(metric.name), justify="right", overflow="fold")
    for number, group in enumerate(first.groups if len(first.groups) <= MOST_GROUPS else ()):
        agreements = [each.groups[number].agreement for each in found]
        cells = [_figure(None if each is None else each.srocc) for each in agreements]
        drawn.add_row(visible(", ".join(group.values)), str(group.count), *cells)
    drawn.add_section()
    counted = str(sum(group.count for group in first.measured))
    drawn.add_row(
        f"mean of {len(first.measured)}", counted, *(_figure(each.within) for each in found), style="bold"
    )
    drawn.add_row("95 %", "", *(_ends(each.within_ci95) for each in found))
    return draw(drawn)


def _comparisons(assessment: Assessment) -> bytes:
    drawn = _table("differences (bold: p below 0.05 over contents, no correction for their number)")
    drawn.add_column("metrics", overflow="fold")
    for heading in ("SROCC", "95 % over contents", "p", "F of residuals", "p"):
        drawn.add_column(heading, justify="right")
    for pair in assessment.comparisons:
        drawn.add_row(
            f"{visible(pair.a)} - {visible(pair.b)}",
            f"{pair.srocc_difference:+.3f}",
            _ends(pair.ci95),
            _figure(pair.p),
            _figure(pair.f),
            _figure(pair.f_p),
            style="bold" if pair.p < SIGNIFICANT else "",
        )
    return draw(drawn)


def _table(title: str) -> Table:
    from rich import box
    from rich.table import Table

    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, header_style="bold")


def _figure(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.3f}"


def _ends(ends: Interval | None) -> str:
    return "-" if ends is None else f"{_figure(ends[0])} to {_figure(ends[1])}"
