"""Scores against MOS, a panel a metric, with the curve that maps one to the other."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np

from rankvqa_cli.training.assessment import Assessed, Assessment
from rankvqa_cli.training.ratings import Rating

FORMATS = {".png": "png", ".svg": "svg", ".pdf": "pdf"}
COLUMNS = 3
PANEL_INCHES = 4.0
DPI = 120


def scatter_plot(assessment: Assessment, rows: Sequence[Rating], form: str) -> bytes:
    """The picture, in one of the values of ``FORMATS``. Contents have colours, repeated after ten."""
    # Without pyplot: no window, no state that outlives the call.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count = len(assessment.metrics)
    wide = min(count, COLUMNS)
    high = math.ceil(count / wide)
    figure = Figure(figsize=(wide * PANEL_INCHES, high * PANEL_INCHES), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(high, wide, squeeze=False).ravel()
    contents = sorted({rating.content for rating in rows})
    mos = np.array([rating.mos for rating in rows])
    for panel, metric in zip(panels, assessment.metrics, strict=False):
        scores = np.array(metric.scores)
        for number, content in enumerate(contents):
            of_it = [i for i, rating in enumerate(rows) if rating.content == content]
            panel.scatter(scores[of_it], mos[of_it], s=9, alpha=0.7, color=f"C{number % 10}", linewidths=0)
        along = np.linspace(scores.min(), scores.max(), 200)
        panel.plot(along, metric.mapping(along), color="black", linewidth=1.2)
        panel.set_title(_title(metric), fontsize=9)
        panel.set_xlabel(metric.name)
        panel.set_ylabel("MOS")
        panel.grid(alpha=0.3)
    for panel in panels[count:]:
        panel.set_visible(False)
    out = io.BytesIO()
    figure.savefig(out, format=form, dpi=DPI)
    return out.getvalue()


def _title(metric: Assessed) -> str:
    low, high = metric.ci95["srocc"]
    pooled = metric.pooled
    return (
        f"SROCC {pooled.srocc:.3f} ({low:.3f} to {high:.3f})\nPLCC {pooled.plcc:.3f}, RMSE {pooled.rmse:.3f}"
    )
