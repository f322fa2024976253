"""``vqa-score [score]``: the default command. Check what is cheap to check, score, write, judge."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from rankvqa_cli.cli import options, render
from rankvqa_cli.cli.arguments import FFmpegCommand
from rankvqa_cli.cli.gating import Gating, gate_options, judge
from rankvqa_cli.cli.progress import progress_line
from rankvqa_cli.cli.scoring_options import Scoring, scoring_options
from rankvqa_cli.cli.talk import Talk
from rankvqa_cli.errors import ExitCode, OutputError, UsageError
from rankvqa_cli.media.wording import MISSING_TAG
from rankvqa_cli.results import writers
from rankvqa_cli.results.heatmap_targets import heatmap_targets
from rankvqa_cli.types import Report

STDIN = "-"

EPILOG = """\b
Examples:
  vqa-score -i encode.mp4 -ref source.mp4
  vqa-score -i 1M.mp4 -i 2M.mp4 -ref source.mov -o scores.json
  vqa-score -i encode.mp4 -ref source.mp4 --fail-under mean=80 --fail-under p5=70
  vqa-score -f rawvideo -s 1920x1080 -pix_fmt yuv420p10le -i a.yuv -ref b.yuv

\b
Exit codes:
  0  scored, every gate passed       5  model or weights
  1  a gate failed                   6  an output cannot be written
  2  usage                           7  device failure
  3  an input cannot be read         130  interrupted
     or compared
  4  decoding was damaged or incomplete
"""


@click.command(
    "score", cls=FFmpegCommand, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]}
)
@options.input_options
@options.comparison_options
@options.model_options
@options.result_options
@gate_options
@options.talk_options
@click.pass_obj
@scoring_options
def command(
    talk: Talk,
    inputs: tuple[str, ...],
    reference: tuple[str, ...],
    explain: bool,
    scoring: Scoring,
    outputs: tuple[str, ...],
    output_format: str | None,
    heatmaps: tuple[str, ...],
    overwrite: bool,
    never_overwrite: bool,
    gating: Gating,
    loglevel: str,
    no_progress: bool,
) -> ExitCode:
    """Score how much of a reference's quality its encodes have kept: 0 to 100, higher is better, identical
    is 100.

    The score goes to stdout, everything else to stderr. Options of more than one letter take one dash or two.
    """
    writers.require_stdout()
    ref = check_inputs(inputs, reference)
    asked = scoring.of(inputs, ref)
    check_models(asked.models)
    gating.check(talk, [(name, ref) for name in inputs])
    heatmap = only_heatmap(heatmaps)

    if explain:
        check_explain(bool(outputs) or heatmap is not None or gating.writes, output_format)
        from rankvqa_cli.scoring import engine

        plan, alignments = engine.explain(inputs, ref, asked)
        shown = render.explain_json if output_format == "json" else render.explain_table
        writers.write_stdout(shown(plan, alignments))
        return ExitCode.OK

    targets = output_targets(outputs, output_format)
    read = [*(name for name in (*inputs, *reference) if name != STDIN), *gating.baselines()]
    reads_stdin = STDIN in (*inputs, *reference)
    painted = [] if heatmap is None else list(heatmap_targets(heatmap, inputs, asked.models).values())
    written = [*targets, *painted, *gating.targets()]
    overwrite = settle_overwrite(written, overwrite, never_overwrite, may_ask=not reads_stdin)
    writers.check(written, read, inputs_scored=len(inputs), overwrite=overwrite)

    with progress_line(talk.says("info") and not no_progress) as listener:
        from rankvqa_cli.scoring import engine

        report = engine.score(
            inputs,
            ref,
            **asked.arguments,
            fail_under=gating.fail_under,
            fail_drop=gating.fail_drop,
            heatmap=heatmap,
            moments=gating.moments,
            overwrite=overwrite,
            argv=("vqa-score", *sys.argv[1:]),
            progress=listener,
        )
    say(talk, report)
    failures = deliver(report, targets, overwrite)
    if gating.writes:
        from rankvqa_cli.cli.outcomes import of_report

        failures += gating.deliver(of_report(report), overwrite=overwrite)
    verdict = judge(talk, report.gates)
    for failure in failures[1:]:
        talk.error(str(failure))
    if failures:
        raise failures[0]
    return verdict


def check_inputs(inputs: Sequence[str], reference: Sequence[str]) -> str | None:
    """The reference, if any. UsageError where nothing is to be scored, or a stream would be read twice."""
    if not inputs:
        raise UsageError("no video to score: write vqa-score -i DISTORTED -ref REFERENCE (see --help)")
    if len(reference) > 1:
        raise UsageError(f"-ref is given {len(reference)} times: one run has one reference")
    if "" in (*inputs, *reference):
        raise UsageError("a file name is empty: give a file (is a variable of your script unset?)")
    if [*inputs, *reference].count(STDIN) > 1:
        raise UsageError("stdin (-) can be read only once: give files for all videos but one")
    return reference[0] if reference else None


def check_models(models: Sequence[str]) -> None:
    """UsageError for a model's name that nobody knows, ModelError for a model file that is not there."""
    from rankvqa_cli.models.manifest import locate

    for model in models:
        locate(model)


def only_heatmap(heatmaps: Sequence[str]) -> str | None:
    """What --heatmap names, if it is given. UsageError where it is given twice."""
    if len(heatmaps) > 1:
        raise UsageError(f"--heatmap is given {len(heatmaps)} times: one run paints one kind of heatmap")
    return heatmaps[0] if heatmaps else None


def check_explain(writes: bool, output_format: str | None) -> None:
    """UsageError where files of results are asked for, which --explain does not make."""
    if writes:
        raise UsageError(
            "--explain prints the plan to stdout and writes no file: leave out all that would be"
        )
    if output_format not in (None, "json"):
        raise UsageError(f"--explain prints a table, or json with --format json, but not {output_format}")


def output_targets(outputs: Sequence[str], output_format: str | None) -> list[writers.Target]:
    """Where results go beside the bare scores; a format without a file means stdout."""
    if not outputs and output_format is not None:
        outputs = (writers.STDOUT,)
    return [writers.target(path, output_format) for path in outputs]


def settle_overwrite(targets: Sequence[writers.Target], yes: bool, never: bool, *, may_ask: bool) -> bool:
    """Whether existing files are overwritten: as -y and -n say, else as the user says who sits at a
    terminal."""
    if yes and never:
        raise UsageError("-y and -n contradict each other: give one of them")
    there = writers.existing(targets)
    if yes or never or not there or not may_ask or not sys.stdin.isatty() or not sys.stderr.isatty():
        return yes
    for path in there:
        if not click.confirm(f"{render.visible(path)} exists already. Overwrite?", err=True):
            raise OutputError(f"{path!r} is not overwritten: write to another file with -o")
    return True


def say(talk: Talk, report: Report) -> None:
    """What the user has to know beside the score: warnings, and what was done to the frames before
    comparing them."""
    planned = [*([report.plan.reference] if report.plan.reference else []), *report.plan.inputs]
    colours = {(each.info.assumed, each.info.full_range, each.info.matrix) for each in planned}
    for each in planned:
        for warning in dict.fromkeys((*each.info.warnings, *each.warnings)):
            # Most files have no colour tags. Where all lack the same ones, nothing is compared that was guessed apart.
            guess = len(colours) == 1 and warning.startswith(MISSING_TAG)
            (talk.debug if guess else talk.warning)(f"{each.info.spec.path!r}: {warning}")
        for step in each.steps:
            talk.info(f"{each.info.spec.path!r}: {step}")
    said = [f"{result.input!r}: {warning}" for result in report.results for warning in result.warnings]
    for each_once in dict.fromkeys(said):
        talk.warning(each_once)
    for result in report.results:
        if result.alignment.offset:
            talk.info(
                f"{result.input!r}: aligned by {result.alignment.offset:+d} frames "
                f"(confidence {result.alignment.confidence:.2f})"
            )
    for heatmap in report.heatmaps:
        frames = heatmap.frames
        shows = f"frame {frames[0]}, the worst" if len(frames) == 1 else f"{len(frames)} frames"
        talk.info(f"{heatmap.path!r} shows {shows} of {heatmap.input!r} by {heatmap.model}")
    talk.debug(f"ran with {report.environment}")


def deliver(report: Report, targets: Sequence[writers.Target], overwrite: bool) -> list[OutputError]:
    """Write every target and the scores; one that fails does not keep the others from being written."""
    failures: list[OutputError] = []
    for target in targets:
        try:
            writers.write(report, target.path, target.format, overwrite=overwrite)
        except OutputError as error:
            failures.append(error)
    if all(target.path != writers.STDOUT for target in targets):
        try:
            writers.write_stdout(render.table(report) if sys.stdout.isatty() else render.plain(report))
        except OutputError as error:
            failures.append(error)
    return failures
