"""A comparison as Markdown, CSV and JSON: every number of the tables is in the JSON, and names break no table."""

from __future__ import annotations

import csv
import io
import json
import math
import re

from rankvqa_cli.results.comparing import Encode, compare
from rankvqa_cli.results.comparison import Comparison
from rankvqa_cli.results.comparison_files import RENDERERS

LADDER = ((100.0, 40.0), (200.0, 55.0), (400.0, 70.0), (800.0, 80.0))
GLITCH = ((90.0, 41.0), (180.0, 56.0), (300.0, 54.0), (700.0, 82.0))
FAR = tuple((rate, quality + 50) for rate, quality in LADDER)


def comparison() -> Comparison:
    curves = {
        ("a|b", "x264"): LADDER,
        ("a|b", "new <i>*"): GLITCH,
        ("c\nd", "x264"): LADDER,
        ("c\nd", "new <i>*"): FAR,
        ("e", "x264"): LADDER,
        ("e", "new <i>*"): tuple((rate * 0.8, quality) for rate, quality in LADDER),
    }
    encodes = [
        Encode(2 + i, f"{content}.mp4", "tiny", content, codec, rate, quality)
        for i, ((content, codec), (rate, quality)) in enumerate(
            (name, point) for name, points in curves.items() for point in points
        )
    ]
    return compare(
        encodes, "x264", draws=200, seed=1, source="jobs.csv", argv=("vqa-score", "compare"), rates="r"
    )


def test_markdown_tables_hold_together() -> None:
    text = RENDERERS["md"](comparison())
    tables = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    assert len(tables) == 3
    for table in tables:
        cells = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(cells) == 1  # a name with a bar or a line break in it adds no cell and no line
    assert "<i>" not in text
    assert "| a\\|b | new &lt;i>\\* | **no** | 90: 41.00, 180: 56.00, 300: 54.00*, 700: 82.00 |" in text
    assert "\\* costs more than another point and is no better" in text
    assert "| c d | new &lt;i>\\* | - | - |" in text
    assert "x264 ends at 80.00" in text


def test_csv_and_json_say_the_same_and_nothing_is_infinite() -> None:
    found = comparison()
    rows = list(csv.DictReader(io.StringIO(RENDERERS["csv"](found))))
    document = json.loads(RENDERERS["json"](found), parse_constant=float)
    assert [row["level"] for row in rows] == ["content"] * 6 + ["overall"] * 2
    for row, delta in zip(rows, document["deltas"], strict=False):
        for name in ("bd_rate", "bd_quality", "quality_overlap", "rate_overlap"):
            assert row[name] == ("" if delta[name] is None else repr(delta[name]))
        assert row["refused_rate"] == (delta["refused_rate"] or "")
    for row, summary in zip(rows[6:], document["summaries"], strict=True):
        for name in ("bd_rate", "bd_quality"):
            figures = summary[name]
            assert math.isfinite(float(row[name]))
            assert [row[name], row[f"{name}_low"], row[f"{name}_high"], row[f"{name}_p"]] == [
                repr(each) for each in (figures["mean"], *figures["ci95"], figures["p"])
            ]
        assert (summary["bd_rate"]["contents"], summary["bd_quality"]["contents"]) == (2, 3)
    assert document["anchor"] == "x264"
    assert [curve["monotone"] for curve in document["curves"]] == [True, False, True, True, True, True]
    assert any("no quality in common" in said for said in document["warnings"])
