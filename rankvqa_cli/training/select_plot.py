"""The index of every model against what the model is worth by itself: does the one predict the other?"""

from __future__ import annotations

import io

from rankvqa_cli.training.select import Selection

INCHES, DPI = (6.4, 4.8), 120


def select_plot(selection: Selection, within: bool, form: str) -> bytes:
    """The picture in matplotlib's format ``form``; the chosen are filled."""
    # Without pyplot: no window, no state that outlives the call.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, layout="constrained")
    FigureCanvasAgg(figure)
    panel = figure.subplots()
    for each in selection.candidates:
        x = each.dbi_within if within else each.dbi
        panel.plot(x, each.srocc, "o", color="C0", fillstyle="full" if each.weight else "none")
        panel.annotate(each.name, (x, each.srocc), fontsize=7, xytext=(4, 3), textcoords="offset points")
    panel.set_xlabel("Davies-Bouldin index" + (" within contents" if within else "") + " (lower is better)")
    panel.set_ylabel("own SROCC, contents left out")
    if selection.rho is not None:
        panel.set_title(f"rank correlation {selection.rho:.2f}, lower index with higher SROCC", fontsize=9)
    panel.grid(alpha=0.3)
    out = io.BytesIO()
    figure.savefig(out, format=form, dpi=DPI)
    return out.getvalue()
