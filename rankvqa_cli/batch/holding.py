"""A worker keeps to as many CPUs as it has claimed: a node that is shared is not asked for more than it was told."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path

#: Open as long as the process lives: what it holds is free again when it has ended, however it ends.
_HELD: list[int] = []


def hold(count: int, folder: Path | None = None) -> frozenset[int]:
    """Keep this thread, and every thread and process that it starts from now on, to ``count`` CPUs that no other
    worker of this user on this machine holds. Returns them.

    They are the lowest free ones of those that the thread may use. Where fewer are free, or the system (any but Linux)
    cannot be asked for it, nothing is held, and the answer is empty. ``folder`` has the locks, by default one for
    temporary files.
    """
    if sys.platform != "linux":
        return frozenset()
    place = folder or Path(tempfile.gettempdir())
    held: dict[int, int] = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        if len(held) == count:
            break
        lock = _locked(place / f"vqa-score-{os.getuid()}-cpu{cpu}.lock")
        if lock is not None:
            held[cpu] = lock
    if len(held) < count:
        for lock in held.values():
            os.close(lock)
        return frozenset()
    _HELD.extend(held.values())
    os.sched_setaffinity(0, held)
    return frozenset(held)


def _locked(path: Path) -> int | None:
    """A lock on the file, open, or None where another has it or there can be none."""
    import fcntl

    with contextlib.suppress(OSError):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(opened)
            return None
        return opened
    return None
