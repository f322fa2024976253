"""What pages of every kind have: results, gates, the comparison plan, integrity, and how it was all made."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from fractions import Fraction

from rankvqa_cli.pages.html import Html, breakable, join, tag
from rankvqa_cli.pages.nodes import NOTHING, Node, interval
from rankvqa_cli.pages.tables import bullets, facts, table

_PLAN = (
    "codec",
    "size",
    "pixel format",
    "range",
    "matrix",
    "transfer",
    "rate",
    "frames",
    "compared as",
    "steps",
    "warnings",
)


def results_table(results: Sequence[Node]) -> Html:
    """One row a result, with the interval and the lower pools."""
    rows = []
    for result in results:
        pooled = result["pooled"]
        rows.append(
            [
                breakable(result["input"].text),
                breakable(result["model"].text),
                tag("strong", result["score"].shown(2)),
                interval(result["ci95"], 2),
                *(pooled[name].shown(2) for name in ("p5", "median", "min", "stdev")),
            ]
        )
    pool = results[0]["pool"].text if results else "score"
    header = ["input", "model", pool, "95 % interval", "p5", "median", "min", "stdev"]
    return table("Every input by every model", header, rows, numeric=range(2, 8), sortable=True)


def gates_table(gates: Sequence[Node]) -> Html:
    """One row a gate, those that failed first."""
    ordered = sorted(gates, key=lambda gate: bool(gate["passed"].value))
    rows = [
        [
            "passed" if gate["passed"].value else "failed",
            tag("code", breakable(gate["expression"].text)),
            breakable(gate["input"].text),
            breakable(gate["model"].text),
            gate["value"].shown(4),
            gate["threshold"].shown(4),
            gate["baseline"].shown(4) if "baseline" in gate else "",
        ]
        for gate in ordered
    ]
    failed = [place for place, gate in enumerate(ordered) if not gate["passed"].value]
    header = ["verdict", "gate", "input", "model", "value", "needs", "was before"]
    return table(
        "Every result against every gate, those that failed first",
        header,
        rows,
        numeric=(4, 5, 6),
        failed=failed,
    )


def verdict(gates: Iterable[Node]) -> Html:
    """How the gates ended, in words."""
    passed = [bool(gate["passed"].value) for gate in gates]
    if not passed:
        return Html("")
    good = all(passed)
    words = "Every gate passed" if good else "A gate failed" if passed.count(False) == 1 else "Gates failed"
    return tag("p", words, class_=f"verdict {'good' if good else 'bad'}")


def plan_table(planned: Sequence[tuple[str, Node]]) -> Html:
    """What each file is and how it is compared: (role, place in a plan)."""
    columns = [
        (
            join([tag("span", role, class_="role"), " ", breakable(os.path.basename(each["path"].text))]),
            _planned(each),
        )
        for role, each in planned
    ]
    return facts("Comparison plan", _PLAN, columns)


def _planned(each: Node) -> list[Html | str]:
    to = each["delivered"]
    size = [each["width"].shown(), "\N{MULTIPLICATION SIGN}", each["height"].shown()]
    if each["rotation"].value:
        size += [", rotated by ", each["rotation"].shown()]
    return [
        f"{each['codec'].text} in {each['container'].text.partition(',')[0]}",
        join(size),
        join([each["pix_fmt"].text, ", ", each["bit_depth"].shown(), " bit"]),
        each["range"].text,
        each["matrix"].text,
        each["transfer"].text,
        join([ratio(each["frame_rate"]), " fps", ", variable" if each["variable_frame_rate"].value else ""]),
        each["frames"].shown(),
        join(
            [to["width"].shown(), "\N{MULTIPLICATION SIGN}", to["height"].shown(), f" {to['pix_fmt'].text}"]
        ),
        _lines(each["steps"]),
        _lines(each["warnings"]),
    ]


def ratio(node: Node) -> Html:
    """A rate such as ``30000/1001`` as a decimal number, and as it is for machines."""
    value = Fraction(node.text)
    return tag("data", f"{float(value):.6g}", value=node.text, data_from=node.pointer)


def _lines(node: Node) -> Html:
    return bullets([each.text for each in node]) if node.there else NOTHING


def integrity_table(results: Sequence[Node]) -> Html:
    """Whether everything that was to be decoded and scored was, and how inputs were aligned."""
    rows: list[list[str]] = []
    failed: list[int] = []
    for result in results:
        integrity, alignment = result["integrity"], result["alignment"]
        whole = not integrity["decode_errors"].there and integrity["ffmpeg_returncode"].value == 0
        if not whole:
            failed.append(len(rows))
        rows.append(
            [
                breakable(f"{result['input'].text} by {result['model'].text}"),
                integrity["frames_expected"].shown(),
                integrity["frames_decoded"].shown(),
                integrity["frames_scored"].shown(),
                "whole" if whole else "damaged",
                _lines(integrity["decode_errors"]),
                alignment["offset"].shown(signed=True),
                alignment["confidence"].shown(2),
            ]
        )
    header = ["input", "expected", "decoded", "scored", "decoding", "errors", "offset", "confidence"]
    return table("Frames and alignment", header, rows, numeric=(1, 2, 3, 6, 7), failed=failed)


def made_with(root: Node) -> Html:
    """Models, environment and command line."""
    rows = []
    for model in root["models"]:
        if not isinstance(model.value, dict):
            continue  # a comparison names its models only
        rows.append(
            [
                model["name"].text,
                model["kind"].text,
                model["clip_frames"].shown(),
                model["provenance"].text,
                tag("code", model["weights_sha256"].text[:16], title=model["weights_sha256"].text),
            ]
        )
    header = ["model", "kind", "frames a clip", "provenance", "sha256"]
    parts = [table("Models", header, rows, numeric=(2,))] if rows else []
    if "environment" in root and root["environment"].there:
        around = [[name, each.shown()] for name, each in root["environment"].items()]
        parts.append(table("Environment", ["", "used"], around))
    tool = root["tool"]
    line = shlex.join(word.text for word in tool["argv"])
    parts.append(tag("p", f"{tool['name'].text} {tool['version'].text}"))
    if line:
        parts.append(tag("p", "Command: ", tag("code", line), class_="command"))
    return join(parts)
