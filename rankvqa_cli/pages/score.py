"""The page of one run: every input by every model."""

from __future__ import annotations

import os

from rankvqa_cli.pages import common
from rankvqa_cli.pages.html import join, tag
from rankvqa_cli.pages.jobs import MOST_DETAILS
from rankvqa_cli.pages.layout import MOST_PICTURE_BYTES, Section, page
from rankvqa_cli.pages.nodes import Node
from rankvqa_cli.pages.result import Pictures, detail, name_of, overlay
from rankvqa_cli.pages.tables import bullets
from rankvqa_cli.results.report import report_json
from rankvqa_cli.types import Report

SOURCE = "score"
_MOST_OVERLAID = 6


def score_page(report: Report) -> bytes:
    """The whole file."""
    document = report_json(report)
    root = Node(document, SOURCE)
    results, gates = list(root["results"]), list(root["gates"])
    pictures = Pictures.of(report.moments, MOST_PICTURE_BYTES)
    sections = [Section("results", "Results", common.results_table(results))]
    if gates:
        sections.append(Section("gates", "Gates", common.gates_table(gates)))
    lowest = sorted(results, key=lambda result: result["score"].number)[:MOST_DETAILS]
    details = [detail(result, pictures, tag("h3", name_of(result))) for result in results if result in lowest]
    if 1 < len(results) <= _MOST_OVERLAID:
        details.insert(0, overlay(results))
    sections.append(Section("frames", "Frame by frame", join(details)))
    plan = root["plan"]
    files = [("reference", plan["reference"])] if plan["reference"].there else []
    files += [("input", each) for each in plan["inputs"]]
    sections += [
        Section("plan", "Comparison plan", common.plan_table(files)),
        Section("integrity", "Integrity", common.integrity_table(results)),
        Section("made", "How it was made", common.made_with(root)),
    ]
    names = ", ".join(os.path.basename(each["path"].text) for each in plan["inputs"])
    against = (
        "" if not plan["reference"].there else f" against {os.path.basename(plan['reference']['path'].text)}"
    )
    lead = [tag("p", f"{names}{against}", class_="subject"), common.verdict(gates)]
    said = [warning for _, each in files for warning in each["warnings"]]
    if said:
        warnings = bullets(list(dict.fromkeys(each.text for each in said)), "warnings")
        lead.append(tag("div", tag("h2", "Warnings"), warnings, class_="said"))
    return page("Video quality", lead, sections, {SOURCE: document})
