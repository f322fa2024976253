"""Results into files: checked before the work starts, written whole or not at all after it."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rankvqa_cli.errors import OutputError, UsageError
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
        _check_file(each.path, overwrite)


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
    with _translated(path):
        if _is_special(path):
            with open(path, "wb", buffering=0) as device:
                _write_all(device.fileno(), data)
        else:
            _replace(os.path.realpath(path), data, overwrite)


def write_stdout(data: bytes) -> None:
    """Write to stdout and flush it, so that a closed pipe or a full disk is noticed. Raises OutputError."""
    require_stdout()
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    except OSError as error:
        raise OutputError(f"cannot write to stdout: {_reason(error)}; nothing more is written") from error


def require_stdout() -> None:
    """Raise OutputError where the process was started without a stdout."""
    if sys.stdout is None:
        raise OutputError("cannot write to stdout: it is closed; redirect it to a file or to /dev/null")


def _check_file(path: str, overwrite: bool) -> None:
    with _translated(path):
        if _is_special(path):
            if not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return
        path = os.path.realpath(path)
        with contextlib.suppress(FileNotFoundError):
            os.stat(path)  # speaks up where no file of this name can ever be
        if os.path.isdir(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if os.path.exists(path):
            if not overwrite:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            if not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        # Only making a file says whether one can be made: rights alone miss a read-only file system.
        with _temporary(os.path.dirname(path)):
            pass


def _is_special(path: str) -> bool:
    """A device, pipe or socket: nothing that could be replaced by a rename."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _replace(path: str, data: bytes, overwrite: bool) -> None:
    with _temporary(os.path.dirname(path)) as (temporary, descriptor):
        _write_all(descriptor, data)
        with contextlib.suppress(OSError):  # an overwritten file keeps its rights, where that can be
            os.fchmod(descriptor, stat.S_IMODE(os.stat(path).st_mode))
        os.fsync(descriptor)
        if overwrite:
            os.replace(temporary, path)
            return
        try:
            # Unlike a rename, a link never replaces what has come there since the check.
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            if os.path.lexists(path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
            os.replace(temporary, path)


@contextlib.contextmanager
def _temporary(folder: str) -> Iterator[tuple[str, int]]:
    """A new file in ``folder`` with the rights any new file gets; gone afterwards, unless renamed."""
    path = os.path.join(folder, f".vqa-score-{secrets.token_hex(8)}.tmp")
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_CLOEXEC", 0), 0o666)
    try:
        yield path, descriptor
    finally:
        os.close(descriptor)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


@contextlib.contextmanager
def _translated(path: str) -> Iterator[None]:
    """OSError as an OutputError that names the file and what to do about it."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {path!r}: {_reason(error)}{_advice(error)}") from error


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _advice(error: OSError) -> str:
    words = {
        errno.EEXIST: "-y overwrites it, another -o leaves it alone",
        errno.ENOENT: "create its folder first",
        errno.ENOTDIR: "part of its path is a file",
        errno.EISDIR: "give the name of a file",
        errno.EACCES: "check the rights of the file and its folder",
        errno.EROFS: "write somewhere else",
        errno.ENOSPC: "free some space or write somewhere else",
        errno.ENAMETOOLONG: "shorten the name",
    }
    said = words.get(error.errno or 0)
    return f"; {said}" if said else "; write somewhere else with -o"


def existing(targets: Iterable[Target]) -> tuple[str, ...]:
    """Paths of regular files among the targets that are there already."""
    return tuple(each.path for each in targets if each.path != STDOUT and os.path.isfile(each.path))
