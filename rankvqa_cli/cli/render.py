"""Results for eyes and for pipes: bare lines where stdout is read by a program, a table where it is a
terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rankvqa_cli.results import report as reports
from rankvqa_cli.results.formats import dump
from rankvqa_cli.results.gate import measured
from rankvqa_cli.results.report import pairing_name, range_name
from rankvqa_cli.types import Alignment, ComparisonPlan, GateResult, PlannedInput, Report, Result

if TYPE_CHECKING:
    from rich.box import Box
    from rich.text import Text

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def plain(report: Report) -> bytes:
    """The bare score of one input and one model, else ``lines``."""
    if len(report.results) == 1:
        return f"{report.results[0].score:.4f}\n".encode()
    return lines(report.results)


def lines(results: Iterable[Result]) -> bytes:
    """``input<TAB>model<TAB>score``, a line a result.

    Backslash, tab, newline and return in a name are written ``\\\\``, ``\\t``, ``\\n``, ``\\r``: a line
    stays a line.
    """
    written = (
        f"{result.input.translate(_ESCAPES)}\t{result.model.translate(_ESCAPES)}\t{result.score:.4f}\n"
        for result in results
    )
    return os.fsencode("".join(written))


def table(report: Report) -> bytes:
    """The same for a terminal, with interval, worst frames and gates."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=_box(), header_style="bold")
    drawn.add_column("input", overflow="fold")
    drawn.add_column("model", overflow="fold")
    drawn.add_column(report.results[0].pool if report.results else "score", justify="right")
    drawn.add_column("95 %", justify="right")
    for heading in ("p5", "min", "frames", "fps"):
        drawn.add_column(heading, justify="right")
    if report.gates:
        drawn.add_column("gates")
    for result in report.results:
        cells = [
            Text(visible(result.input)),
            Text(visible(result.model)),
            Text(f"{result.score:.4f}", style="bold"),
            Text("" if result.ci95 is None else "{:.2f} to {:.2f}".format(*result.ci95)),
            Text(f"{result.pooled['p5']:.2f}"),
            Text(f"{result.pooled['min']:.2f}"),
            Text(str(result.integrity.frames_scored)),
            Text(f"{result.fps:.1f}"),
        ]
        if report.gates:
            cells.append(_verdict(_gates_of(report, result)))
        drawn.add_row(*cells)
    return draw(drawn)


def explain_json(plan: ComparisonPlan, alignments: Sequence[Alignment]) -> bytes:
    """The comparison plan as JSON."""
    return dump(reports.explain_json(plan, alignments)).encode()


def explain_table(plan: ComparisonPlan, alignments: Sequence[Alignment]) -> bytes:
    """The comparison plan: a column for the reference and one for each input."""
    from rich.table import Table
    from rich.text import Text

    columns: list[tuple[str, PlannedInput, Alignment | None]] = []
    if plan.reference is not None:
        columns.append(("reference", plan.reference, None))
    for number, planned in enumerate(plan.inputs):
        heading = "input" if len(plan.inputs) == 1 else f"input {number + 1}"
        columns.append((heading, planned, alignments[number] if number < len(alignments) else None))
    facts = [_facts(planned, alignment, plan.reference is not None) for _, planned, alignment in columns]

    drawn = Table(box=_box(), header_style="bold", show_lines=False)
    drawn.add_column("", style="bold" if sys.stdout.isatty() else "")
    for heading, _, _ in columns:
        drawn.add_column(heading, overflow="fold")
    for name in facts[0]:
        drawn.add_row(name, *(Text(column[name]) for column in facts))
    return draw(drawn)


def _facts(planned: PlannedInput, alignment: Alignment | None, compared: bool) -> dict[str, str]:
    info, delivered = planned.info, planned.format
    frames = "not known before decoding" if info.frames is None else str(info.frames)
    size = f"{info.width}x{info.height}"
    if info.sample_aspect_ratio != 1:
        size += f", sample aspect {info.sample_aspect_ratio}"
    if info.rotation:
        size += f", rotated by {info.rotation}"
    rate = f"{float(info.frame_rate):g} fps"
    if info.variable_frame_rate:
        rate += ", variable"
    if info.interlaced:
        rate += ", interlaced"
    if alignment is None:
        offset = ""
    else:
        found = f"{alignment.offset:+d} frames" if alignment.offset else "none"
        offset = f"{found}, confidence {alignment.confidence:.2f}, {alignment.mode}"
        if alignment.suspected is not None:
            offset += f"; {alignment.suspected:+d} suspected"
    return {
        "file": visible(info.spec.path),
        "codec": f"{info.codec} in {info.container.partition(',')[0]}",
        "size": size,
        "pixel format": f"{info.pix_fmt}, {info.bit_depth} bit",
        "range": range_name(info.full_range),
        "matrix": info.matrix,
        "transfer": info.transfer,
        "rate": rate,
        "frames": frames,
        "compared as": f"{delivered.width}x{delivered.height} {delivered.pix_fmt}, "
        f"{range_name(delivered.full_range)}, {delivered.matrix}, {delivered.transfer}",
        "steps": "\n".join(visible(step) for step in planned.steps) or "none",
        "frames paired by": pairing_name(planned) if compared and alignment is not None else "",
        "offset": offset,
        "warnings": "\n".join(visible(said) for said in dict.fromkeys((*info.warnings, *planned.warnings))),
    }


def draw(renderable: object) -> bytes:
    """A rich renderable as bytes for stdout: coloured and as wide as the terminal, or plain and never cut."""
    from rich.console import Console

    terminal = sys.stdout.isatty()
    console = Console(file=sys.stdout, width=None if terminal else 200, soft_wrap=False, highlight=False)
    with console.capture() as capture:
        console.print(renderable)
    lines = capture.get().splitlines()
    return os.fsencode("".join(line.rstrip() + "\n" for line in lines))


def visible(name: str) -> str:
    """``name`` with control characters escaped: a file's name must not drive the terminal."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in name)


def failed_gate(gate: GateResult) -> str:
    """One line about a gate that failed."""
    return f"gate {gate.expression!r} failed: {gate.input!r} has {measured(gate)} by {gate.model!r}"


def _gates_of(report: Report, result: Result) -> list[GateResult]:
    return [gate for gate in report.gates if (gate.input, gate.model) == (result.input, result.model)]


def _verdict(gates: Sequence[GateResult]) -> Text:
    from rich.text import Text

    said = Text()
    for gate in gates:
        said.append(f"{gate.expression} ")
        said.append("passed " if gate.passed else "FAILED ", style="green" if gate.passed else "bold red")
    return said


def _box() -> Box | None:
    from rich import box

    return box.SIMPLE_HEAD if sys.stdout.isatty() else None
