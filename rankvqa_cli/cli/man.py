"""``vqa-score man``: a manual page, made of what the command says about itself in ``--help``."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from rankvqa_cli.cli.main import COMMANDS, DEFAULT_COMMAND, PROGRAM, cli

_HEADING = re.compile(r"([A-Z][a-z ]+):")
_NO_REWRAP = "\b"


@click.command("man", short_help="Print a manual page.")
@click.argument("name", metavar="[COMMAND]", required=False)
@click.pass_context
def command(ctx: click.Context, name: str | None) -> None:
    """Print the manual page of vqa-score, or of one of its commands, as roff.

    \b
    Examples:
      vqa-score man > ~/.local/share/man/man1/vqa-score.1
      vqa-score man train | man -l -
    """
    if name is not None and name not in COMMANDS:
        raise click.UsageError(f"no command is called {name!r}: one of {', '.join(COMMANDS)}", ctx)
    click.echo(page(name))


def page(name: str | None) -> str:
    """The manual page of the command ``name``, of the whole program where it is None."""
    from rankvqa_cli.version import version

    top = click.Context(cli, info_name=PROGRAM, **cli.context_settings)
    described = _command(top, name or DEFAULT_COMMAND)
    ctx = _context(described, top, name or "")
    title = PROGRAM if name is None else f"{PROGRAM}-{name}"
    summary = "quality of encoded video" if name is None else COMMANDS[name].summary.rstrip(".")
    lines = [
        f'.TH {_escaped(title.upper())} 1 "" "{_escaped(PROGRAM)} {_escaped(version())}" "{_escaped(PROGRAM)}"',
        ".SH NAME",
        f"{_escaped(title)} \\- {_escaped(summary)}",
        ".SH SYNOPSIS",
        *_synopsis(described, ctx),
        ".SH DESCRIPTION",
        *_prose(described.help or "", top=".SH"),
    ]
    if name is None:
        lines.append(".SH COMMANDS")
        for each, entry in COMMANDS.items():
            lines += _item(each, entry.summary)
    lines += [".SH OPTIONS", *_options(described, ctx)]
    if name is None:
        lines += [".SS Program", *_options(cli, top)]
    if isinstance(described, click.Group):
        lines.append(".SH COMMANDS")
        for each in described.list_commands(ctx):
            part = described.get_command(ctx, each)
            assert part is not None
            inner = _context(part, ctx, each)
            lines += [f".SS {_escaped(each)}", *_synopsis(part, inner), ".PP"]
            lines += [*_prose(part.help or "", top=".PP"), *_options(part, inner)]
    lines += _prose(described.epilog or "", top=".SH")
    if name is None:
        others = ", ".join(f"{PROGRAM}-{each}(1)" for each in COMMANDS)
        lines += [".SH SEE ALSO", _line(f"{others}, which {PROGRAM} man COMMAND prints.")]
    return "\n".join(lines)


def _command(top: click.Context, name: str) -> click.Command:
    found = cli.get_command(top, name)
    assert found is not None
    return found


def _context(command: click.Command, parent: click.Context, name: str) -> click.Context:
    return click.Context(command, parent=parent, info_name=name, **command.context_settings)


def _synopsis(command: click.Command, ctx: click.Context) -> Iterator[str]:
    """What ``--help`` prints after ``Usage:``."""
    usage = command.get_usage(ctx).partition(":")[2]
    program, *rest = usage.split()
    yield f".B {_escaped(program)}"
    yield _escaped(" ".join(rest))


def _options(command: click.Command, ctx: click.Context) -> Iterator[str]:
    """Every option with its help, under the headings that ``--help`` has."""
    heading = ""
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is None or not isinstance(parameter, click.Option):
            continue
        section = getattr(parameter, "section", heading)
        if section != heading:
            heading = section
            yield f".SS {_escaped(section)}"
        yield from _item(*record)


def _item(term: str, words: str) -> list[str]:
    return [".TP", f"\\fB{_escaped(term)}\\fR", _line(words)]


def _prose(text: str, *, top: str) -> Iterator[str]:
    """Paragraphs of a help text. Those that are not to be rewrapped keep their lines, and a first line such as
    ``Examples:`` makes a heading of the macro ``top``."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip("\n"))):
        lines = paragraph.splitlines()
        if not lines or lines[0].strip() != _NO_REWRAP:
            yield from () if number == 0 else (".PP",)
            yield _line(" ".join(paragraph.split()))
            continue
        lines = lines[1:]
        heading = _HEADING.fullmatch(lines[0].strip())
        if heading is not None:
            yield f".SH {heading[1].upper()}" if top == ".SH" else top
            yield from () if top == ".SH" else (_line(lines[0].strip()),)
            lines = lines[1:]
        yield ".nf"
        yield from map(_line, lines)
        yield ".fi"


def _line(words: str) -> str:
    """A line of text; a period or quote in front must not make a request of it."""
    escaped = _escaped(words)
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped


def _escaped(words: str) -> str:
    return words.replace("\\", "\\e").replace("-", "\\-")
