"""FFmpeg's way with options, for click: ``-ref x`` is one option with a value, never ``-r -e -f``.

An option of more than one letter takes one dash or two, and ``-`` or ``_`` between its words. A value is
the next argument, whatever it looks like (``-i -x.mp4``, ``--align -3``), or follows ``=``. Short options
are neither bundled nor glued to their values, so a misspelt option is an error and not another option with
a strange value.
"""

from __future__ import annotations

import difflib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from rankvqa_cli.errors import UsageError


class SectionOption(click.Option):
    """An option that knows under which heading of ``--help`` it stands."""

    def __init__(self, *args: Any, section: str = "Options", **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.section = section

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """What its type knows, or its metavar says: ``FILE`` is a file, ``auto|off|N`` one of two words."""
        found = super().shell_complete(ctx, incomplete)
        if found or self.metavar is None:
            return found
        if "FILE" in self.metavar:
            return [CompletionItem(incomplete, type="file")]
        words = [word.partition("[")[0] for word in self.metavar.split("|") if word[0].islower()]
        return [CompletionItem(word) for word in words if word.startswith(incomplete)]


class OptionalFileOption(SectionOption):
    """An option whose value, a file, may be left out: it is the next argument where that ends in ``suffix``, or
    follows ``=``. Left out, it is the empty string."""

    def __init__(self, *args: Any, suffix: str, **attributes: Any) -> None:
        super().__init__(*args, is_flag=False, flag_value="", **attributes)
        self.suffix = suffix


class FFmpegCommand(click.Command):
    """A command whose bare arguments are values of the option ``bare``, in the order they are given."""

    def __init__(self, *args: Any, bare: str = "-i", **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.bare = bare

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, list(self._normalised(ctx, args)))

    def _normalised(self, ctx: click.Context, args: Sequence[str]) -> Iterator[str]:
        """The same arguments, every option in its declared spelling and every bare argument behind its
        option."""
        known = {canonical(name): option for option in _options(self, ctx) for name in option.opts}
        queue = deque(args)
        while queue:
            token = queue.popleft()
            if token == "--":
                for rest in queue:
                    yield from (self.bare, rest)
                return
            if not token.startswith("-") or token == "-":
                yield from (self.bare, token)
                continue
            name, equals, value = token.partition("=")
            option = known.get(canonical(name)) if _is_spelt_right(name) else None
            if option is None and ctx.resilient_parsing:
                continue
            if option is None:
                raise UsageError(_unknown(token, name, known))
            spelling = option.opts[0]
            yield spelling
            if option.is_flag or option.count:
                if equals:
                    raise UsageError(f"option {name!r} takes no value: leave out {equals + value!r}")
            elif equals:
                yield value
            elif isinstance(option, OptionalFileOption):
                yield queue.popleft() if queue and queue[0].endswith(option.suffix) else ""
            elif queue:
                yield queue.popleft()
            elif not ctx.resilient_parsing:
                raise UsageError(f"option {name!r} needs a value: {_shape(option)}")

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [CompletionItem(incomplete, type="file")]

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage("vqa-score", "[options] -i DISTORTED [-i ...] -ref REFERENCE")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(parameter, "section", "Other"), []).append(record)
        for name, records in sections.items():
            with formatter.section(name):
                formatter.write_dl(records, col_max=34)


def canonical(name: str) -> str:
    """``--pix_fmt``, ``-pix-fmt`` and ``-pix_fmt`` are one option: ``pix-fmt``."""
    return name.lstrip("-").replace("_", "-")


def _is_spelt_right(name: str) -> bool:
    """One dash, or two before more than one letter."""
    stem = name[2:] if name.startswith("--") else name[1:]
    return not stem.startswith("-") and len(stem) >= (2 if name.startswith("--") else 1)


def _options(command: click.Command, ctx: click.Context) -> Iterator[click.Option]:
    for parameter in command.get_params(ctx):
        if isinstance(parameter, click.Option):
            yield parameter


def _shape(option: click.Option) -> str:
    choices = "|".join(map(str, option.type.choices)) if isinstance(option.type, click.Choice) else "VALUE"
    return f"{option.opts[0]} {option.metavar or choices}"


def _unknown(token: str, name: str, known: dict[str, click.Option]) -> str:
    if os.path.lexists(token):
        return f"no option is called {token!r}: to score the file of that name, write -i {token}"
    near = difflib.get_close_matches(canonical(name), known, n=1)
    if near:
        spellings = known[near[0]].opts
        spelling = next(each for each in spellings if canonical(each) == near[0])
        return f"no option is called {name!r}: did you mean {spelling}?"
    return f"no option is called {name!r}: see vqa-score --help"
