"""Results into files: checked before the work starts, written whole or not at all after it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rankvqa_cli.errors import OutputError, UsageError
from rankvqa_cli.results.files import check_file, reason, write_file
from rankvqa_cli.results.formats import FORMATS, render, require_one_input
from rankvqa_cli.results.report import report_json
from rankvqa_cli.types import Report

__all__ = [
    "FORMATS",
    "STDOUT",
    "Target",
    "check",
    "existing",
    "report_json",
    "require_stdout",
    "target",
    "write",
    "write_data",
    "write_stdout",
]

STDOUT = "-"
SUFFIXES: dict[str, str] = {
    ".json": "json",
    ".csv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".vmaf": "vmaf",
}


@dataclass(frozen=True)
class Target:
    """Where results go: a file's ``path``, or ``-`` for stdout, in one of ``FORMATS``."""

    path: str
    format: str


def target(path: str, chosen: str | None = None) -> Target:
    """The target that ``-o path`` means; ``chosen`` (``--format``) outranks the suffix, stdout alone is JSON.

    Raises UsageError where neither says which format.
    """
    if chosen is not None:
        if chosen not in FORMATS:
            raise UsageError(f"no format is called {chosen!r}: choose one of {', '.join(FORMATS)}")
        return Target(path, chosen)
    if path == STDOUT:
        return Target(path, "json")
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"the suffix of {path!r} says no format: use {', '.join(SUFFIXES)}, or name one with --format"
        )
    return Target(path, SUFFIXES[suffix])


def check(targets: Sequence[Target], inputs: Sequence[str], *, inputs_scored: int, overwrite: bool) -> None:
    """Find out before any work whether every target can be written.

    ``inputs`` are the files that are read, so that none of them is overwritten; ``inputs_scored`` is how
    many results' inputs a format must hold. Raises UsageError for targets that make no sense together and
    OutputError for one that cannot be written, or that exists where ``overwrite`` is not set.
    """
    seen: set[str] = set()
    for each in targets:
        require_one_input(each.format, inputs_scored)
        place = each.path if each.path == STDOUT else os.path.realpath(each.path)
        if place in seen:
            raise UsageError(f"the output {each.path!r} is given twice: give every -o a file of its own")
        seen.add(place)
        if each.path == STDOUT:
            require_stdout()
            continue
        for name in inputs:
            with contextlib.suppress(OSError):
                if os.path.samefile(name, each.path):
                    raise UsageError(f"the output {each.path!r} is one of the inputs: write to another file")
        check_file(each.path, overwrite=overwrite)


def write(report: Report, path: str, format: str, *, overwrite: bool = False) -> None:
    """Write ``report`` to the file ``path`` (``-`` is stdout).

    A file appears whole or not at all, through a temporary file in its folder; devices and pipes are
    written to directly. Raises OutputError, also where the file exists and ``overwrite`` is not set.
    """
    write_data(render(report, format).encode(), path, overwrite=overwrite)


def write_data(data: bytes, path: str, *, overwrite: bool = False) -> None:
    """Write ``data`` to the file ``path`` (``-`` is stdout) as ``write`` writes a report."""
    if path == STDOUT:
        write_stdout(data)
        return
    write_file(path, data, overwrite=overwrite)


def write_stdout(data: bytes) -> None:
    """Write to stdout and flush it, so that a closed pipe or a full disk is noticed. Raises OutputError."""
    require_stdout()
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    except OSError as error:
        raise OutputError(f"cannot write to stdout: {reason(error)}; nothing more is written") from error


def require_stdout() -> None:
    """Raise OutputError where the process was started without a stdout."""
    if sys.stdout is None:
        raise OutputError("cannot write to stdout: it is closed; redirect it to a file or to /dev/null")


def existing(targets: Iterable[Target]) -> tuple[str, ...]:
    """Paths of regular files among the targets that are there already."""
    return tuple(each.path for each in targets if each.path != STDOUT and os.path.isfile(each.path))
