"""The page of a batch."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rankvqa_cli.pages import common, jobs
from rankvqa_cli.pages.html import Html, join, tag
from rankvqa_cli.pages.layout import MOST_PICTURE_BYTES, Section, page
from rankvqa_cli.pages.nodes import Node
from rankvqa_cli.pages.result import Pictures
from rankvqa_cli.results.batch import Batch
from rankvqa_cli.results.batch_files import batch_json
from rankvqa_cli.types import Moment

SOURCE = "batch"


def batch_page(batch: Batch, moments: Sequence[Moment] = ()) -> bytes:
    """The whole file; ``moments`` are of the jobs that are worth a look."""
    document = batch_json(batch)
    root = Node(document, SOURCE)
    listed = list(root["jobs"])
    plots = jobs.curves(listed)
    sections = [Section("rates", "Quality by rate", tag("div", *plots, class_="grids"))] if plots else []
    every = join([*jobs.failures_table(listed), jobs.jobs_table(listed)])
    sections.append(Section("jobs", "Jobs", every))
    sections += parts(root, list(root["gates"]), moments)
    lead = [
        tag("p", f"{os.path.basename(root['source'].text)}", class_="subject"),
        common.verdict(root["gates"]),
        *failed_note(listed),
    ]
    return page("Video quality of a batch", lead, sections, {SOURCE: document})


def failed_note(listed: Sequence[Node]) -> list[Html]:
    """A line that says that jobs failed."""
    failed = any(not job["results"].there for job in listed)
    return [tag("p", "Some jobs failed", class_="verdict bad")] if failed else []


def parts(root: Node, gates: Sequence[Node], moments: Sequence[Moment]) -> list[Section]:
    """What a batch, or a comparison of one, says of its jobs behind its tables and curves."""
    listed = list(root["jobs"])
    results = jobs.results_of(listed)
    sections = [Section("gates", "Gates", common.gates_table(gates))] if gates else []
    if results:
        pictures = Pictures.of(moments, MOST_PICTURE_BYTES)
        sections += [
            Section("frames", "Frame by frame", jobs.details(listed, pictures)),
            Section("plan", "Comparison plan", jobs.plans(listed)),
            Section("integrity", "Integrity", common.integrity_table(results)),
        ]
    sections.append(Section("made", "How it was made", common.made_with(root)))
    return sections
