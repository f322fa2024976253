"""What a run says beside its results: a page to look at, and lists and summaries for CI systems."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from rankvqa_cli.cli.gating import Outcome
from rankvqa_cli.results.junit import Case, cases, junit
from rankvqa_cli.results.markdown import bullets, gates_section, heading, report_markdown, results_table
from rankvqa_cli.types import Moment, Report

if TYPE_CHECKING:
    from rankvqa_cli.results.batch import Batch
    from rankvqa_cli.results.comparison import Comparison


def of_report(report: Report) -> Outcome:
    def page() -> bytes:
        from rankvqa_cli.pages.score import score_page

        return score_page(report)

    return Outcome(
        report=page,
        junit=lambda: junit(list(cases(report.results, report.gates))),
        summary=lambda: report_markdown(report),
    )


def of_batch(batch: Batch, moments: Callable[[], Sequence[Moment]]) -> Outcome:
    """``moments`` gives pictures of the worst jobs when they are needed."""

    def page() -> bytes:
        from rankvqa_cli.pages.batch import batch_page

        return batch_page(batch, moments())

    return Outcome(
        report=page,
        junit=lambda: junit(list(_cases(batch))),
        summary=lambda: "\n".join(
            [
                heading("Video quality of a batch", batch.gates),
                *bullets(_failures(batch)),
                results_table(batch.results),
                *gates_section(batch.gates),
            ]
        ),
    )


def of_comparison(
    comparison: Comparison, batch: Batch | None, moments: Callable[[], Sequence[Moment]]
) -> Outcome:
    """``batch`` has the jobs that were compared, where their frames are known; so that they can have gates."""

    def page() -> bytes:
        from rankvqa_cli.pages.comparison import comparison_page

        return comparison_page(comparison, batch, moments())

    def summary() -> str:
        from rankvqa_cli.results.comparison_files import markdown

        failures = [] if batch is None else _failures(batch)
        gates = comparison.gates
        judged = [heading("Gates", gates), *gates_section(gates)] if gates else []
        return "\n".join([markdown(comparison), *bullets(failures), *judged])

    return Outcome(
        report=page,
        junit=lambda: junit([] if batch is None else list(_cases(batch))),
        summary=summary,
    )


def _cases(batch: Batch) -> Iterator[Case]:
    for job in batch.jobs:
        if job.failed:
            yield Case(job.distorted, "scored", error=job.error)
        yield from cases(job.results, batch.gates)


def _failures(batch: Batch) -> list[str]:
    return [f"row {job.row}: {job.error}" for job in batch.jobs if job.failed]
