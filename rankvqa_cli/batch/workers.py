"""Who does the work: this process, several processes on this machine, or a cluster (``cluster``).

None of them changes what a job scores.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Self

from rankvqa_cli.batch.scoring import Task, failed, score_task
from rankvqa_cli.batch.sharing import shared_out
from rankvqa_cli.errors import ExitCode
from rankvqa_cli.results.batch import ScoredJob
from rankvqa_cli.scoring.options import ScoreOptions

#: What a fault of the program itself counts as, where its process says nothing else.
_FAULT = 70


class Work(ABC):
    """Who does the work, entered with ``with`` around all that is asked of it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """By default there is nothing to end."""
        return None

    def begin(self, options: ScoreOptions, jobs: int) -> None:
        """Tasks of up to ``jobs`` jobs will come: whatever takes long to start may start now, in the background."""
        return None

    @abstractmethod
    def __call__(self, tasks: Sequence[Task]) -> Iterator[tuple[ScoredJob, ...]]:
        """The jobs of each task, in the order in which they are finished; tasks may be cut into parts."""


class InTurn(Work):
    """One task after the other, in this process."""

    def __call__(self, tasks: Sequence[Task]) -> Iterator[tuple[ScoredJob, ...]]:
        return map(score_task, tasks)


class InProcesses(Work):
    """Up to ``count`` tasks at a time, each in a process of its own kind that lives on for the next.

    Where a process dies (out of memory, a fault), its jobs have failed and another process takes its place. All of
    them end with this one, however it ends.
    """

    def __init__(self, count: int) -> None:
        self._count = count

    def __call__(self, tasks: Sequence[Task]) -> Iterator[tuple[ScoredJob, ...]]:
        waiting = deque(shared_out(tasks, self._count))
        busy: dict[Connection, tuple[_Worker, Task]] = {}
        with contextlib.ExitStack() as stack:
            idle = [_Worker(stack) for _ in range(min(self._count, len(waiting)))]
            while waiting or busy:
                while idle and waiting:
                    worker, task = idle.pop(), waiting.popleft()
                    with contextlib.suppress(OSError):  # a process that is dead already is found so below
                        worker.connection.send(task)
                    busy[worker.connection] = (worker, task)
                for ready in wait(list(busy)):
                    assert isinstance(ready, Connection)
                    worker, task = busy.pop(ready)
                    try:
                        done: tuple[ScoredJob, ...] = ready.recv()
                    except (EOFError, OSError):
                        done = _lost(task, worker.exit_status())
                        worker = _Worker(stack)
                    idle.append(worker)
                    yield done


class _Worker:
    """A process that scores tasks; ended when ``stack`` is left."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        spawning = multiprocessing.get_context(
            "spawn"
        )  # a fork would copy threads' locks, of torch among others
        self.connection, theirs = spawning.Pipe()
        self._process: BaseProcess = spawning.Process(target=serve, args=(theirs,), name="vqa-score batch")
        self._process.start()
        theirs.close()
        stack.callback(self._end)

    def exit_status(self) -> int:
        """How a process that has hung up ended: its exit code, or the signal as a negative number."""
        self._process.join()
        return self._process.exitcode or 0

    def _end(self) -> None:
        self.connection.close()
        self._process.kill()
        self._process.join()


def serve(connection: Connection) -> None:
    """The life of a process: tasks from ``connection``, their jobs back, until it hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and ends us
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        connection.send(score_task(task))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(int(ExitCode.INTERRUPTED))


def _lost(task: Task, status: int) -> tuple[ScoredJob, ...]:
    """The jobs of a task whose process has died with ``status``."""
    if status < 0:
        name = signal.Signals(-status).name
        error = f"the process that scored it was ended by {name} (out of memory?): try fewer --jobs"
        return tuple(failed(each, ExitCode.DEVICE, error) for each in task.jobs)
    error = f"the process that scored it ended with status {status}: a fault of vqa-score; see what it said"
    return tuple(failed(each, _FAULT, error) for each in task.jobs)
