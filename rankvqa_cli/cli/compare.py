"""``vqa-score compare``: codecs held against an anchor, by what a batch has scored or after scoring it."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rankvqa_cli.cli import options
from rankvqa_cli.cli.batch import check_outputs, output_files, raise_first, run_listed
from rankvqa_cli.cli.batch_options import Settings, batch_options, refuse_scoring
from rankvqa_cli.cli.gating import Gating, gate_options, judge
from rankvqa_cli.cli.options import option, stack
from rankvqa_cli.cli.score import check_models, settle_overwrite
from rankvqa_cli.cli.talk import Talk
from rankvqa_cli.errors import ExitCode, OutputError, UsageError
from rankvqa_cli.results import writers
from rankvqa_cli.results.writers import STDOUT, Target

if TYPE_CHECKING:
    from rankvqa_cli.results.batch import Batch
    from rankvqa_cli.results.comparison import Comparison
    from rankvqa_cli.results.measured import Columns, Measured
    from rankvqa_cli.types import Moment

SUFFIXES = {".md": "md", ".markdown": "md", ".csv": "csv", ".json": "json"}

EPILOG = """\b
Examples:
  vqa-score compare jobs.csv --anchor x264 -o bd.md
  vqa-score compare scores.csv --anchor x264 --codec-column codec,preset -o bd.json -o bd.csv

\b
Exit codes: those of 'vqa-score batch'; 3 also where nothing of a codec can be compared with the anchor.
"""


@click.command(
    "compare",
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
    short_help="Compare codecs.",
)
@click.argument("source", metavar="JOBS|SCORES", shell_complete=options.files)
@stack(
    "Comparing",
    option("--anchor", required=True, metavar="CODEC", help="The codec that the others are held against."),
    option(
        "--codec-column",
        "codec",
        default="codec",
        show_default=True,
        metavar="COL[,COL]",
        help="Columns that name the codec, with its preset perhaps.",
    ),
    option(
        "--content-column",
        "content",
        metavar="COL",
        help="Column of contents.  [default: content, or the reference]",
    ),
    option(
        "--bitrate-column",
        "bitrate",
        metavar="COL",
        help="Bitrates in kbit/s.  [default: those of the video streams]",
    ),
    option("--draws", default=2000, show_default=True, type=click.IntRange(100), help="Resamples."),
    option("--seed", default=1, show_default=True, type=click.IntRange(0), help="Seed of the resamples."),
)
@batch_options
@stack(
    "Output",
    option(
        "-o",
        "outputs",
        metavar="FILE",
        multiple=True,
        help="Write the comparison to FILE (.md, .csv, .json), repeatable; - is stdout.  [default: Markdown on stdout]",
    ),
    option(
        "--scores", metavar="FILE", help="Where scores of JOBS are kept.  [default: JOBS.scored.ndjson here]"
    ),
    option("-y", "overwrite", is_flag=True, help="Overwrite output files."),
    option("-n", "never_overwrite", is_flag=True, help="Never overwrite, never ask."),
)
@gate_options
@options.talk_options
@click.pass_obj
def command(
    talk: Talk,
    source: str,
    anchor: str,
    codec: str,
    content: str | None,
    bitrate: str | None,
    draws: int,
    seed: int,
    settings: Settings,
    outputs: tuple[str, ...],
    scores: str | None,
    overwrite: bool,
    never_overwrite: bool,
    gating: Gating,
    loglevel: str,
    no_progress: bool,
) -> int:
    """Rate-quality curves by content and codec, BD-rate and BD-quality (PCHIP and Akima) against an anchor, with
    intervals over contents and a paired test.

    SCORES is what 'vqa-score batch' has written (.csv or .json). JOBS, a list or a folder as for batch, is scored
    first, as far as it is not yet.
    """
    writers.require_stdout()
    check_models(settings.scoring.given.models)
    targets = [_target(path) for path in outputs or (STDOUT,)]
    gating.check(talk, [])
    written = [*targets, *gating.targets()]
    overwrite = settle_overwrite(written, overwrite, never_overwrite, may_ask=True)
    writers.check(written, [source, *gating.baselines()], inputs_scored=1, overwrite=overwrite)
    from rankvqa_cli.results.comparing import compare
    from rankvqa_cli.results.measured import Columns, encodes_of

    columns = Columns(tuple(name.strip() for name in codec.split(",")), content, bitrate)
    measured, batch, moments = _measured(talk, source, anchor, settings, gating, columns, scores)
    encodes, left_out, code = encodes_of(measured, columns, settings.scoring.given.pool)
    comparison = compare(
        encodes,
        anchor,
        draws=draws,
        seed=seed,
        source=source,
        argv=("vqa-score", *sys.argv[1:]),
        pool=settings.scoring.given.pool,
        rates=columns.rates,
        warnings=left_out,
    )
    if batch is not None:
        batch = dataclasses.replace(batch, gates=gating.evaluate_jobs(batch.jobs))
        comparison = dataclasses.replace(comparison, gates=batch.gates)
    from rankvqa_cli.cli.outcomes import of_comparison

    try:
        deliver(talk, comparison, targets, overwrite=overwrite)
    finally:
        failures = gating.deliver(of_comparison(comparison, batch, moments), overwrite=overwrite)
    gated = judge(talk, comparison.gates)
    raise_first(talk, failures)
    return max(code, verdict(talk, comparison)) or gated


def _measured(
    talk: Talk,
    source: str,
    anchor: str,
    settings: Settings,
    gating: Gating,
    columns: Columns,
    scores: str | None,
) -> tuple[list[Measured], Batch | None, Callable[[], Sequence[Moment]]]:
    """Every job of ``source`` by every model, the batch where there is one, and what gives pictures of its worst
    moments; jobs are scored first."""
    from rankvqa_cli.results.comparing import require_anchor
    from rankvqa_cli.results.measured import (
        codec_of,
        is_scored,
        measured_in,
        read_batch,
        read_measured,
        require_columns,
    )

    path = Path(source)
    if is_scored(path):
        refuse_scoring(source)
        if scores is not None:
            raise UsageError(f"--scores is for jobs that are scored here, and {source!r} holds scores")
        if path.suffix.lower() != ".json":
            if gating.holds or gating.junit is not None:
                raise UsageError(
                    f"gates and --junit need frames, which {source!r} has not: give the batch's .json"
                )
            return read_measured(path), None, tuple
        batch = read_batch(path)
        gating.check_models([(job.distorted, job.reference) for job in batch.jobs], batch.models)
        return measured_in(batch), batch, tuple
    from rankvqa_cli.batch.moments import worst_moments

    work = settings.work()
    listed = settings.read_jobs(source)
    require_columns(columns, listed.names)
    require_anchor(anchor, (codec_of(job.row, job.columns, columns) for job in listed.jobs))
    _, journal = output_files([] if scores is None else [scores], source)
    gating.check(talk, [(job.distorted, job.reference) for job in listed.jobs])
    check_outputs([], journal, listed, overwrite=True)
    batch, scoring = run_listed(talk, settings, listed, work, journal, gating)
    return measured_in(batch), batch, lambda: worst_moments(batch, scoring, talk.warning)


def _target(path: str) -> Target:
    """Where a comparison goes. Raises UsageError for a format that it has not."""
    if path == STDOUT:
        return Target(path, "md")
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"{path!r}: a comparison is written as {', '.join(SUFFIXES)}")
    return Target(path, SUFFIXES[suffix])


def deliver(talk: Talk, comparison: Comparison, targets: Sequence[Target], *, overwrite: bool) -> None:
    """Say the warnings and write every target. Raises the first failure after all."""
    from rankvqa_cli.results.comparison_files import RENDERERS

    for warning in comparison.warnings:
        talk.warning(warning)
    failures: list[OutputError] = []
    for target in targets:
        try:
            writers.write_data(
                RENDERERS[target.format](comparison).encode(), target.path, overwrite=overwrite
            )
        except OutputError as error:
            failures.append(error)
    raise_first(talk, failures)


def verdict(talk: Talk, comparison: Comparison) -> int:
    """The exit code that the comparison itself makes: a codec of which nothing could be compared is an error."""
    code = ExitCode.OK
    for codec in comparison.codecs[1:]:
        own = [each for each in comparison.summaries if each.codec == codec]
        if not any(each.bd_rate.contents or each.bd_quality.contents for each in own):
            talk.error(f"nothing of {codec!r} can be compared with {comparison.anchor!r}: see the warnings")
            code = ExitCode.INPUT
    return code
