"""A folder in which encodes appear: each is scored once it is finished."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from rankvqa_cli.batch.joblist import Job, JobList
from rankvqa_cli.batch.journal import Journal
from rankvqa_cli.batch.naming import files_in, fill, parse_pattern
from rankvqa_cli.batch.prepare import Preparing, load_infos
from rankvqa_cli.batch.run import Say, make_batch, score_listed
from rankvqa_cli.batch.workers import Work
from rankvqa_cli.errors import InputError
from rankvqa_cli.results.batch import Batch, ScoredJob
from rankvqa_cli.scoring.options import ScoreOptions

_LOOK_EVERY_S = 0.25

#: What tells one state of a file from another: its size, and when it was changed (ns).
State = tuple[int, int]


@dataclass(frozen=True)
class Watch:
    """What is watched; ``pattern`` and ``reference`` are as for a folder of jobs.

    A file is finished that nobody has open for writing and that has not changed for ``settle_s`` seconds. ``idle_s``
    seconds without a new one are the end; None: there is none.
    """

    folder: str
    pattern: str | None
    reference: str | None
    idle_s: float | None
    settle_s: float


def watch(
    watched: Watch,
    options: ScoreOptions,
    journal: str,
    work: Work,
    *,
    argv: Sequence[str] = (),
    say: Say = lambda job, done, total: None,
) -> Batch:
    """Score what is in the folder and what comes there, until the end or Ctrl-C (KeyboardInterrupt, which ends here).

    A file that cannot be scored is a failed job. One that changes after it was scored is scored again. Jobs are
    numbered as they are finished. Raises InputError where there is no such folder, else as ``run_batch`` does.
    """
    if not os.path.isdir(watched.folder):
        raise InputError(f"{watched.folder!r} is no folder: make it before it is watched")
    with Journal(journal) as written, work:
        models = load_infos(options.models, has_reference=watched.reference is not None)
        arrivals = Arrivals(watched)
        outcome: dict[str, ScoredJob] = {}

        def note(job: ScoredJob, done: int, total: int) -> None:
            outcome[job.distorted] = job
            say(job, len(outcome), len(outcome))

        with contextlib.suppress(KeyboardInterrupt):
            while not arrivals.over():
                ready = arrivals.finished()
                if not ready:
                    time.sleep(_LOOK_EVERY_S)
                    continue
                # Anew each time: what is known of a file's contents may be of an earlier state.
                preparing = Preparing(models, options)
                listed = JobList(watched.folder, (), tuple(ready))
                for job in score_listed(listed, preparing, written, work, keep_going=True, say=note):
                    outcome[job.distorted] = job  # those too that an earlier run has scored
                arrivals.worked()
    return make_batch(watched.folder, list(outcome.values()), models, options, argv)


class Arrivals:
    """Which files of the folder are finished and were not given out yet."""

    def __init__(self, watched: Watch) -> None:
        self._watched = watched
        self._pattern = None if watched.pattern is None else parse_pattern(watched.pattern)
        self._seen: dict[str, tuple[State, float]] = {}
        self._given: dict[str, tuple[State, int]] = {}
        self._last = time.monotonic()
        self._coming = True
        """Whether a file has to settle, as far as anybody has looked."""

    def over(self) -> bool:
        """Whether nothing new has come for as long as is waited, and nothing has to settle."""
        idle = self._watched.idle_s
        return idle is not None and not self._coming and time.monotonic() - self._last > idle

    def worked(self) -> None:
        """Time that went into scoring is no time of waiting."""
        self._last = time.monotonic()

    def finished(self) -> list[Job]:
        """Jobs that can be scored now; each state of a file is given out once."""
        jobs = []
        self._coming = False
        for name, fields in files_in(self._watched.folder, self._pattern):
            path = os.path.join(self._watched.folder, name)
            reference = None if self._watched.reference is None else fill(self._watched.reference, fields)
            if reference is not None and os.path.realpath(reference) == os.path.realpath(path):
                continue
            state = self._settled(path)
            if state is None:
                continue
            row = self._given[path][1] if path in self._given else len(self._given) + 1
            self._given[path] = (state, row)
            jobs.append(Job(row, path, reference, fields))
        return jobs

    def _settled(self, path: str) -> State | None:
        """The state of a file that is finished and new, None for any other."""
        try:
            status = os.stat(path)
        except OSError:  # gone again: encoders rename
            return None
        state = (status.st_size, status.st_mtime_ns)
        if path in self._given and self._given[path][0] == state:
            return None
        before, since = self._seen.get(path, (None, 0.0))
        now = time.monotonic()
        if before != state:
            self._seen[path] = (state, now)
            self._last = since = now
        if status.st_size > 0 and now - since < self._watched.settle_s:
            self._coming = True
            return None
        return None if status.st_size == 0 or is_being_written(path) else state


def is_being_written(path: str) -> bool:
    """Whether a process that we may look at has ``path`` open for writing. False where the system does not say."""
    try:
        place = os.path.realpath(path)
        processes = [name for name in os.listdir("/proc") if name.isdecimal()]
    except OSError:
        return False
    return any(_writes(process, place) for process in processes)


def _writes(process: str, place: str) -> bool:
    folder = f"/proc/{process}/fd"
    try:
        descriptors = os.listdir(folder)
    except OSError:
        return False
    for each in descriptors:
        with contextlib.suppress(OSError, ValueError, IndexError):
            if os.readlink(f"{folder}/{each}") != place:
                continue
            with open(f"/proc/{process}/fdinfo/{each}", encoding="ascii") as file:
                flags = next(line.split()[1] for line in file if line.startswith("flags:"))
            if int(flags, 8) & (os.O_WRONLY | os.O_RDWR):
                return True
    return False
