"""What commands that score share for pipelines: quality gates, and their outcome in files that CI systems show."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from rankvqa_cli.cli import render
from rankvqa_cli.cli.arguments import OptionalFileOption
from rankvqa_cli.cli.options import Function, option, stack
from rankvqa_cli.cli.talk import Talk
from rankvqa_cli.errors import ExitCode, OutputError, UsageError
from rankvqa_cli.results.baseline import facts_in_plan
from rankvqa_cli.results.batch import ScoredJob
from rankvqa_cli.results.drop import (
    Pair,
    evaluate_drops,
    read_drops,
    require_facts,
    require_weights,
    taken_for,
)
from rankvqa_cli.results.files import append_file, check_append, write_file
from rankvqa_cli.results.gate import evaluate, parse_gate, require_models
from rankvqa_cli.results.writers import STDOUT, Target
from rankvqa_cli.types import GateResult, ModelInfo, Result

GITHUB_SUMMARY = "GITHUB_STEP_SUMMARY"
SUMMARY_SUFFIX = ".md"

_options = stack(
    "Gates",
    option(
        "--fail-under",
        metavar="[MODEL:]POOL=VALUE",
        multiple=True,
        help="Exit with 1 where a result's pool is below VALUE; repeatable. VALUE alone is the mean's.",
    ),
    option(
        "--fail-drop",
        metavar="FILE:[MODEL:]POOL=DELTA",
        multiple=True,
        help="Exit with 1 where it is more than DELTA points below what FILE, an earlier run's .json, has.",
    ),
    option("--report", metavar="FILE", help="Write results, curves and worst moments as one page of HTML."),
    option("--junit", metavar="FILE", help="Write results and gates as JUnit XML."),
    functools.partial(
        click.option,
        "--summary",
        cls=OptionalFileOption,
        suffix=SUMMARY_SUFFIX,
        metavar="[FILE.md]",
        help="Append results and gates as Markdown to FILE.md, or to what GITHUB_STEP_SUMMARY names.",
    ),
)


@dataclass(frozen=True)
class Outcome:
    """What the files are made of, when they are asked for."""

    report: Callable[[], bytes]
    junit: Callable[[], bytes]
    summary: Callable[[], str]


@dataclass(frozen=True)
class Gating:
    """The options as they were given. ``summary`` is empty where the environment is to name the file."""

    fail_under: tuple[str, ...]
    fail_drop: tuple[str, ...]
    report: str | None
    junit: str | None
    summary: str | None

    def check(self, talk: Talk, pairs: Sequence[Pair]) -> None:
        """Find out before any work what is wrong with gates and summary; ``pairs`` are what is to be scored.

        Raises UsageError, InputError for a baseline, and OutputError for the summary. The other files are ``targets``.
        """
        for words in self.fail_under:
            parse_gate(words)
        for each in taken_for(read_drops(self.fail_drop), pairs):
            talk.warning(each)
        for name, path in (("--report", self.report), ("--junit", self.junit)):
            if path == STDOUT:
                raise UsageError(f"{name} writes a file: stdout has the results")
        if (summary := self.summary_file()) is not None:
            check_append(summary)

    @property
    def holds(self) -> bool:
        """Whether there is any gate."""
        return bool(self.fail_under or self.fail_drop)

    def check_models(self, pairs: Sequence[Pair], models: Sequence[ModelInfo]) -> None:
        """The same, as soon as the models are known. Raises UsageError and InputError."""
        require_models([parse_gate(words) for words in self.fail_under], [model.name for model in models])
        require_weights(read_drops(self.fail_drop), pairs, models)

    def targets(self) -> list[Target]:
        """The files that are written, for ``writers.check``."""
        named = ((self.report, "html"), (self.junit, "junit"))
        return [Target(path, format) for path, format in named if path is not None]

    @property
    def moments(self) -> int:
        """Of how many worst clips of each result pictures are wanted."""
        if self.report is None:
            return 0
        from rankvqa_cli.pages.result import WORST

        return WORST

    @property
    def writes(self) -> bool:
        """Whether there is anything to ``deliver``."""
        return bool(self.targets()) or self.summary is not None

    def baselines(self) -> list[str]:
        """The files that are read."""
        return [drop.baseline.path for drop in read_drops(self.fail_drop)]

    def summary_file(self) -> str | None:
        """Where the summary goes, None where none is asked for. Raises UsageError where nothing says."""
        if self.summary is None:
            return None
        if not self.summary:
            named = os.environ.get(GITHUB_SUMMARY)
            if not named:
                raise UsageError(
                    f"--summary names no file, nor does {GITHUB_SUMMARY}: write --summary=FILE.md"
                )
            return named
        if not self.summary.endswith(SUMMARY_SUFFIX):
            raise UsageError(f"--summary is appended to a file, and {self.summary!r} does not end in .md")
        return self.summary

    def evaluate(self, results: Sequence[Result]) -> tuple[GateResult, ...]:
        """Every gate on every result that it applies to."""
        gates = [parse_gate(words) for words in self.fail_under]
        return (*evaluate(gates, results), *evaluate_drops(read_drops(self.fail_drop), results))

    def evaluate_jobs(self, jobs: Sequence[ScoredJob]) -> tuple[GateResult, ...]:
        """The same for the jobs of a batch that were scored. Raises InputError where a baseline saw other videos."""
        scored = [job for job in jobs if job.results]
        pairs = [(job.distorted, job.reference) for job in scored]
        require_facts(read_drops(self.fail_drop), pairs, [facts_in_plan(job.plan) for job in scored])
        return self.evaluate([result for job in scored for result in job.results])

    def deliver(self, outcome: Outcome, *, overwrite: bool) -> list[OutputError]:
        """Write what is asked for; what cannot be written does not keep the rest from it."""
        failures: list[OutputError] = []
        for path, made in ((self.report, outcome.report), (self.junit, outcome.junit)):
            try:
                if path is not None:
                    write_file(path, made(), overwrite=overwrite)
            except OutputError as error:
                failures.append(error)
        try:
            if (summary := self.summary_file()) is not None:
                append_file(summary, (outcome.summary() + "\n").encode())
        except OutputError as error:
            failures.append(error)
        return failures


def judge(talk: Talk, gates: Sequence[GateResult]) -> ExitCode:
    """One line a failed gate, and the exit code that the gates make."""
    failed = [gate for gate in gates if not gate.passed]
    for gate in failed:
        talk.error(render.failed_gate(gate))
    return ExitCode.GATE_FAILED if failed else ExitCode.OK


def gate_options(function: Function) -> Function:
    """Adds the options of this module, which the command gets as one argument, ``gating``."""

    @functools.wraps(function)
    def gathered(
        *args: Any,
        fail_under: tuple[str, ...],
        fail_drop: tuple[str, ...],
        report: str | None,
        junit: str | None,
        summary: str | None,
        **rest: Any,
    ) -> Any:
        return function(*args, gating=Gating(fail_under, fail_drop, report, junit, summary), **rest)

    return _options(gathered)  # type: ignore[return-value]
