"""Results in a few lines of Markdown, for the summary of a CI job."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rankvqa_cli.results.gate import measured, needed
from rankvqa_cli.results.report import TURNING, text
from rankvqa_cli.types import GateResult, Report, Result

_SIGNS = re.compile(r"([\\`*_{}\[\]<>|~#&$])")


def report_markdown(report: Report) -> str:
    """The verdict, every result, every gate and every warning about a result."""
    warnings = [f"{result.input}: {each}" for result in report.results for each in result.warnings]
    return "\n".join(
        [
            heading("Video quality", report.gates),
            results_table(report.results),
            *gates_section(report.gates),
            *bullets(warnings),
        ]
    )


def heading(title: str, gates: Sequence[GateResult]) -> str:
    """A title that says how the gates ended, where there are any."""
    failed = sum(not gate.passed for gate in gates)
    if not gates:
        return f"## {title}\n"
    return f"## {title}: " + (f"{failed} of {len(gates)} gates failed\n" if failed else "every gate passed\n")


def results_table(results: Sequence[Result]) -> str:
    """One row a result; the score's column is named after its pool."""
    rows = []
    for result in results:
        worst = min(result.clips, key=lambda clip: clip.score, default=None)
        rows.append(
            [
                result.input,
                result.model,
                f"{result.score:.2f}",
                "" if result.ci95 is None else "{:.2f} to {:.2f}".format(*result.ci95),
                f"{result.pooled['p5']:.2f}",
                "" if worst is None else f"{worst.score:.2f} in frames {worst.start} to {worst.end - 1}",
            ]
        )
    pool = results[0].pool if results else "score"
    return table(["input", "model", pool, "95 %", "p5", "worst clip"], rows)


def gates_section(gates: Sequence[GateResult]) -> list[str]:
    """A table of the gates, those that failed first; nothing where there are none."""
    ordered = sorted(gates, key=lambda gate: gate.passed)
    rows = [
        [
            "passed" if gate.passed else "**failed**",
            escaped(gate.expression),
            escaped(gate.input),
            escaped(gate.model),
            measured(gate),
            needed(gate),
        ]
        for gate in ordered
    ]
    return [_table(["gate", "", "input", "model", "value", "needs"], rows)] if rows else []


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of plain words, with an empty line behind it."""
    return _table(header, [[escaped(cell) for cell in row] for row in rows])


def bullets(lines: Sequence[str]) -> list[str]:
    """A list of plain words, each once, with an empty line behind it; nothing where there are none."""
    said = [f"- {escaped(line)}\n" for line in dict.fromkeys(lines)]
    return ["".join(said)] if said else []


def escaped(words: str) -> str:
    """``words`` as Markdown that shows just them, on one line: a file's name must not write the summary."""
    return _SIGNS.sub(r"\\\1", TURNING.sub("\ufffd", " ".join(text(words).split())))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
