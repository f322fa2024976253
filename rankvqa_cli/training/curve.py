"""How a training went: rows of a CSV, and a picture of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rankvqa_cli.models.files import write_atomically

CSV_NAME, PICTURE_NAME = "curve.csv", "curve.png"


@dataclass(frozen=True)
class CurveRow:
    """``step`` optimiser steps are done. ``losses`` are means since the row before: each weighted term, the
    ``total``, the norm of the ``gradient`` before clipping. ``measured`` is what validation found, where it was due."""

    step: int
    rate: float
    losses: dict[str, float]
    measured: dict[str, float] = field(default_factory=dict)

    def flat(self) -> dict[str, float]:
        return {"step": self.step, "rate": self.rate, **self.losses, **self.measured}

    def __str__(self) -> str:
        return "  ".join(f"{key} {value:.5g}" for key, value in self.flat().items())


def write_curve(folder: Path, rows: Sequence[CurveRow]) -> None:
    """All of ``rows`` into ``folder / CSV_NAME``, replaced as a whole. Raises OutputError."""
    flat = [row.flat() for row in rows]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in flat for name in row)))
    writer.writeheader()
    writer.writerows(flat)
    write_atomically(folder / CSV_NAME, text.getvalue().encode())


def draw_curve(folder: Path, rows: Sequence[CurveRow]) -> None:
    """Losses and every validation measure against steps into ``folder / PICTURE_NAME``. Raises OutputError."""
    # Not at the top: matplotlib looks for fonts and keeps a cache in the user's home when it is imported.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    measures = list(dict.fromkeys(name for row in rows for name in row.measured))
    panels = 1 + len(measures)
    columns = 1 if panels == 1 else 2
    lines = -(-panels // columns)
    figure = Figure(figsize=(6 * columns, 3.2 * lines), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(lines, columns, squeeze=False).flat
    _draw(next(axes), "loss", {name: _series(rows, name) for name in rows[-1].losses if name != "gradient"})
    for name in measures:
        _draw(next(axes), name, {name: _series(rows, name)})
    for spare in axes:
        spare.set_axis_off()
    picture = io.BytesIO()
    canvas.print_png(picture)  # type: ignore[no-untyped-call]
    write_atomically(folder / PICTURE_NAME, picture.getvalue())


def _series(rows: Sequence[CurveRow], name: str) -> tuple[list[int], list[float]]:
    points = [(row.step, row.flat()[name]) for row in rows if name in row.flat()]
    return [step for step, _ in points], [value for _, value in points]


def _draw(axis: Any, title: str, lines: dict[str, tuple[list[int], list[float]]]) -> None:
    for name, (steps, values) in lines.items():
        axis.plot(steps, values, marker=".", markersize=3, linewidth=1.2, label=name)
    axis.set_title(title)
    axis.set_xlabel("step")
    axis.grid(alpha=0.3)
    if len(lines) > 1:
        axis.legend(fontsize="small")
