"""JUnit XML, which CI systems show as a list of tests: a case for each result, and one for each of its gates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from rankvqa_cli.results.gate import measured
from rankvqa_cli.results.report import TOOL, text
from rankvqa_cli.types import GateResult, Result

#: What XML 1.0 has no way to write.
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Case:
    """One line of a CI system's list. ``failure`` is why a gate failed, ``error`` why there is no result."""

    suite: str
    name: str
    seconds: float = 0.0
    failure: str | None = None
    error: str | None = None


def cases(results: Sequence[Result], gates: Sequence[GateResult]) -> Iterator[Case]:
    """Each result, followed by its gates; the suite is the input."""
    for result in results:
        yield Case(result.input, f"scored by {result.model}", result.wall_s)
        for gate in gates:
            if (gate.input, gate.model) == (result.input, result.model):
                name = f"{gate.expression} by {gate.model}"
                found = None if gate.passed else f"{gate.expression} is not kept: {measured(gate)}"
                yield Case(gate.input, name, failure=found)


def junit(cases: Sequence[Case]) -> bytes:
    """The whole file. Cases of one suite stand together, in the order of each one's first."""
    root = ElementTree.Element("testsuites", {"name": TOOL, **_counts(cases)})
    for suite in dict.fromkeys(case.suite for case in cases):
        own = [case for case in cases if case.suite == suite]
        element = ElementTree.SubElement(root, "testsuite", {"name": _fit(suite), **_counts(own)})
        for case in own:
            attributes = {"classname": _fit(suite), "name": _fit(case.name), "time": f"{case.seconds:.3f}"}
            test = ElementTree.SubElement(element, "testcase", attributes)
            for kind, why in (("failure", case.failure), ("error", case.error)):
                if why is not None:
                    ElementTree.SubElement(test, kind, {"message": _fit(why)}).text = _fit(why)
    ElementTree.indent(root)
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _counts(cases: Sequence[Case]) -> dict[str, str]:
    return {
        "tests": str(len(cases)),
        "failures": str(sum(case.failure is not None for case in cases)),
        "errors": str(sum(case.error is not None for case in cases)),
        "skipped": "0",
        "time": f"{sum(case.seconds for case in cases):.3f}",
    }


def _fit(value: str) -> str:
    return _UNWRITABLE.sub("\ufffd", text(value))
