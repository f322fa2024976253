"""The console entry. Commands are a table and are imported when they are run; errors become exit codes
here."""

from __future__ import annotations

import difflib
import errno
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import NoReturn

import click
from click.shell_completion import CompletionItem

from rankvqa_cli.cli.signals import ending_on_signals
from rankvqa_cli.cli.talk import Talk, level_in
from rankvqa_cli.errors import ExitCode, UsageError, VqaError

PROGRAM = "vqa-score"
DEFAULT_COMMAND = "score"
COMPLETE = "_VQA_SCORE_COMPLETE"  # set by the scripts of ``vqa-score completion``
FAULT = 70  # the BSDs' EX_SOFTWARE


@dataclass(frozen=True)
class Entry:
    """Where a command lives (``module:attribute``), and what it is for in one line."""

    target: str
    summary: str


COMMANDS: dict[str, Entry] = {
    "score": Entry("rankvqa_cli.cli.score:command", "Score videos (the default command)."),
    "batch": Entry(
        "rankvqa_cli.cli.batch:command", "Score many videos, and go on where a run was broken off."
    ),
    "compare": Entry(
        "rankvqa_cli.cli.compare:command", "Compare codecs: rate-quality curves, BD-rates, BD-qualities."
    ),
    "corpus": Entry("rankvqa_cli.cli.corpus:command", "Make a training corpus: labelled encodes of sources."),
    "train": Entry("rankvqa_cli.cli.train:command", "Train a model on a corpus."),
    "select-models": Entry(
        "rankvqa_cli.cli.select_models:command", "Choose pretrained models for a no-reference ensemble."
    ),
    "prune": Entry("rankvqa_cli.cli.prune:command", "Make a smaller model of one, on a corpus."),
    "distill": Entry("rankvqa_cli.cli.distill:command", "Train a student beside a teacher, on a corpus."),
    "evaluate": Entry(
        "rankvqa_cli.cli.evaluate:command", "Hold models and known metrics against people's scores."
    ),
    "models": Entry("rankvqa_cli.cli.models:command", "List, inspect, verify and import models."),
    "completion": Entry("rankvqa_cli.cli.completion:command", "Print a script that completes command lines."),
    "man": Entry("rankvqa_cli.cli.man:command", "Print a manual page."),
}


class LazyGroup(click.Group):
    """A group over ``COMMANDS`` that imports one only when it is asked for, and scores when none is."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        found = getattr(importlib.import_module(module), attribute)
        if not isinstance(found, click.Command):
            raise TypeError(f"{entry.target} is not a click command")
        return found

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            raise UsageError(f"no video to score: write {PROGRAM} -i DISTORTED -ref REFERENCE (see --help)")
        first = args[0] if args else DEFAULT_COMMAND
        own = {name for option in self.get_params(ctx) for name in option.opts}
        if first not in COMMANDS and first not in own:
            near = [] if ctx.resilient_parsing else difflib.get_close_matches(first, COMMANDS, n=1)
            if near and not os.path.lexists(first):
                raise UsageError(f"no command or file is called {first!r}: did you mean {near[0]!r}?")
            args = [DEFAULT_COMMAND, *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Commands and files, or the default command's options."""
        default = self.get_command(ctx, DEFAULT_COMMAND)
        assert default is not None
        found = default.shell_complete(click.Context(default, parent=ctx), incomplete)
        known = [
            CompletionItem(name, help=entry.summary)
            for name, entry in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        if incomplete.startswith("-"):
            there = {item.value for item in found}
            known += [
                item
                for item in click.Command.shell_complete(self, ctx, incomplete)
                if item.value not in there
            ]
        return [*found, *known]

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The default command's help, and the other commands."""
        default = self.get_command(ctx, DEFAULT_COMMAND)
        assert default is not None
        default.format_usage(ctx, formatter)
        default.format_help_text(ctx, formatter)
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])
        default.format_options(ctx, formatter)
        records = [option.get_help_record(ctx) for option in self.params]
        with formatter.section("Program"):
            formatter.write_dl([record for record in records if record is not None])
        default.format_epilog(ctx, formatter)


def _print_version(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from rankvqa_cli.version import version

        click.echo(f"{PROGRAM} {version()}")
        ctx.exit()


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """Score encoded video."""


def run(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    sys.excepthook = _fault
    code = main(sys.argv[1:] if argv is None else argv)
    # Everything has been unwound and flushed. Leave without taking the interpreter apart: with torch loaded that takes
    # longer than scoring a short clip, and after a signal it can wait for ever for a thread that was being started.
    os._exit(code)


def main(argv: Sequence[str]) -> int:
    """Run the command line; the exit code. An expected failure is one line on stderr."""
    if COMPLETE in os.environ:
        from rankvqa_cli.cli.completion import answer

        return answer(os.environ[COMPLETE])
    talk = Talk(level_in(argv))
    try:
        with ending_on_signals(), cli.make_context(PROGRAM, list(argv), obj=talk) as ctx:
            code = int(cli.invoke(ctx) or ExitCode.OK)
    except click.exceptions.Exit as done:
        code = done.exit_code
    except click.ClickException as error:
        talk.traceback(error)
        talk.error(_in_our_words(error))
        code = ExitCode.USAGE
    except VqaError as error:
        talk.traceback(error)
        talk.error(str(error))
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        talk.error("interrupted: nothing is left half-written")
        code = ExitCode.INTERRUPTED
    except OSError as error:
        # click prints help and listings itself; whatever else can fail has been translated on its way here.
        if error.filename is not None or error.errno not in (errno.EPIPE, errno.ENOSPC):
            raise
        talk.error(_stdout_failed(error))
        code = ExitCode.OUTPUT
    except SystemExit as ended:  # asked to end by a signal
        code = int(ended.code or 0)
    except MemoryError as error:
        talk.traceback(error)
        talk.error("out of memory: close other programs, or score with fewer -threads")
        code = ExitCode.DEVICE
    return _flushed(talk, code)


def _fault(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> NoReturn:
    """The end of an error that nobody foresaw: Python's own exit code, 1, would look like a failed gate."""
    talk = Talk(level_in(sys.argv))
    talk.traceback(error)
    where = traceback.extract_tb(trace)[-1:]
    place = "".join(f" in {os.path.basename(frame.filename)}, line {frame.lineno}" for frame in where)
    talk.error(
        f"a fault of {PROGRAM} itself ({kind.__name__}: {error}{place}): please report what -loglevel debug says"
    )
    os._exit(FAULT)


def _in_our_words(error: click.ClickException) -> str:
    message = error.format_message().strip().rstrip(".")
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    if ctx is not None and "\n" in message and isinstance(ctx.command, click.Group):
        # click answers a group without a command with its whole help
        message = f"missing command: one of {', '.join(ctx.command.list_commands(ctx))}"
    hint = f" (see {ctx.command_path} --help)" if ctx is not None else ""
    return f"{message[:1].lower()}{message[1:]}{hint}"


def _flushed(talk: Talk, code: int) -> int:
    """``code``, or that of an output failure where stdout does not take what is still buffered for it."""
    if sys.stdout is None:
        return code
    try:
        sys.stdout.flush()
    except OSError as error:
        if code != ExitCode.OUTPUT:
            talk.error(_stdout_failed(error))
        # What is still buffered would fail again, with a traceback, when the interpreter flushes it at exit.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return ExitCode.OUTPUT
    return code


def _stdout_failed(error: OSError) -> str:
    return f"cannot write to stdout: {(error.strerror or str(error)).lower()}; nothing more is written"
