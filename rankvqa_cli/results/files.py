"""Files that appear whole or not at all: written under another name in the same folder, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from rankvqa_cli.errors import OutputError


class PendingFile:
    """A file on its way to ``path``: fill ``temporary``, or ``descriptor``, then ``publish`` it; ``drop`` it always.

    The temporary file lies beside ``path`` and has the rights that any new file gets. Raises OSError where it cannot be
    made.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.realpath(path)
        self.temporary = os.path.join(os.path.dirname(self.path), f".vqa-score-{os.urandom(8).hex()}.tmp")
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_CLOEXEC", 0)
        self.descriptor = os.open(self.temporary, flags, 0o666)

    def publish(self, *, overwrite: bool) -> None:
        """Give the file its name. Raises OSError, also where there is such a file and ``overwrite`` is not set."""
        with contextlib.suppress(OSError):  # an overwritten file keeps its rights, where that can be
            os.fchmod(self.descriptor, stat.S_IMODE(os.stat(self.path).st_mode))
        os.fsync(self.descriptor)
        if overwrite:
            os.replace(self.temporary, self.path)
            return
        try:
            # Unlike a rename, a link never replaces what has come there since the check.
            os.link(self.temporary, self.path)
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            if os.path.lexists(self.path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
            os.replace(self.temporary, self.path)

    def drop(self) -> None:
        """Remove what is left under the temporary name."""
        os.close(self.descriptor)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.temporary)


def write_file(path: str, data: bytes, *, overwrite: bool) -> None:
    """Write ``data`` to ``path``; devices and pipes are written to directly. Raises OutputError."""
    with translated(path):
        if is_special(path):
            with open(path, "wb", buffering=0) as device:
                _write_all(device.fileno(), data)
            return
        pending = PendingFile(path)
        try:
            _write_all(pending.descriptor, data)
            pending.publish(overwrite=overwrite)
        finally:
            pending.drop()


def check_file(path: str, *, overwrite: bool) -> None:
    """Raise OutputError where ``path`` could not be written now, or exists and ``overwrite`` is not set."""
    with translated(path):
        if is_special(path):
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
        PendingFile(path).drop()


def check_append(path: str) -> None:
    """Raise OutputError where nothing could be appended to ``path`` now, nor a file of that name be made."""
    if not os.path.isfile(path):
        check_file(path, overwrite=False)
        return
    with translated(path):
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND))


def append_file(path: str, data: bytes) -> None:
    """Append ``data`` to ``path``, which is made where there is none. Raises OutputError."""
    with translated(path), open(path, "ab", buffering=0) as file:
        _write_all(file.fileno(), data)


def is_special(path: str) -> bool:
    """A device, pipe or socket: nothing that could be replaced by a rename."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


@contextlib.contextmanager
def translated(path: str) -> Iterator[None]:
    """OSError as an OutputError that names the file and what to do about it."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {path!r}: {reason(error)}{_advice(error)}") from error


def reason(error: OSError) -> str:
    """What the system says, in small letters."""
    return (error.strerror or str(error)).lower()


def _advice(error: OSError) -> str:
    words = {
        errno.EEXIST: "-y overwrites it, another name leaves it alone",
        errno.ENOENT: "create its folder first",
        errno.ENOTDIR: "part of its path is a file",
        errno.EISDIR: "give the name of a file",
        errno.EACCES: "check the rights of the file and its folder",
        errno.EROFS: "write somewhere else",
        errno.ENOSPC: "free some space or write somewhere else",
        errno.ENAMETOOLONG: "shorten the name",
    }
    said = words.get(error.errno or 0)
    return f"; {said}" if said else "; write somewhere else"
