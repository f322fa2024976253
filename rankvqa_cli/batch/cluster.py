"""The same tasks on a Ray cluster. Ray is an optional dependency and is imported when it is asked for."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import socket
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

from rankvqa_cli.batch.scoring import Task, failed, score_task
from rankvqa_cli.batch.sharing import shared_out
from rankvqa_cli.batch.workers import Work
from rankvqa_cli.errors import DeviceError, ExitCode, UsageError
from rankvqa_cli.results.batch import ScoredJob
from rankvqa_cli.scoring.loading import warm_up
from rankvqa_cli.scoring.options import ScoreOptions

SCHEME = "ray"
_PORT = 10001
_PATIENCE_S = 5.0
#: What goes through Ray is results; by default it takes a third of the memory.
_STORE_BYTES = 128 << 20


def require_cluster(text: str) -> str | None:
    """The address of ``ray`` (None: what RAY_ADDRESS names, else a Ray of this run's own) or ``ray://HOST[:PORT]``.

    Nothing is started. Raises UsageError for anything else or without the package, and DeviceError where nobody answers
    at the address.
    """
    scheme, separator, address = text.partition("://")
    if scheme != SCHEME or (separator and not address):
        raise UsageError(f"{text!r} is no cluster: write ray, or ray://HOST:PORT")
    if importlib.util.find_spec("ray") is None:
        raise UsageError("a cluster needs the package ray: pip install 'vqa-score[ray]'")
    if not separator:
        return None
    host, _, port = address.partition(":")
    if port and not port.isdecimal():
        raise UsageError(f"{text!r} is no cluster: {port!r} is no port")
    try:
        with socket.create_connection((host, int(port or _PORT)), _PATIENCE_S):
            return f"{SCHEME}://{host}:{port or _PORT}"
    except (OSError, OverflowError) as error:
        raise DeviceError(
            f"no Ray answers at {text!r} ({str(error).lower()}): check the address, and that its client port is open"
        ) from error


class OnRay(Work):
    """Up to ``count`` tasks at a time (None: as many as there are CPUs for), each by an actor of its own with as many
    CPUs as it has threads.

    Files are read where the actors are, under the same names; the package has to be installed there. Where an actor
    dies, its jobs have failed and another takes its place. Ray and the actors start in the background; DeviceError is
    raised by the first call where the cluster cannot be joined.
    """

    def __init__(self, address: str | None, count: int | None) -> None:
        self._address = address
        self._count = count
        # The processes of a Ray of our own end with the thread that has started them.
        self._thread = ThreadPoolExecutor(1)
        self._joining: Future[_Actors] | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._joining is not None:
            self._thread.submit(_leave)
        self._thread.shutdown()

    def begin(self, options: ScoreOptions, jobs: int) -> None:
        """See Work."""
        if self._joining is None:
            self._joining = self._thread.submit(
                _Actors, self._address, self._count, options.threads or 1, jobs
            )

    def __call__(self, tasks: Sequence[Task]) -> Iterator[tuple[ScoredJob, ...]]:
        """See Work."""
        if not tasks:
            return
        self.begin(tasks[0].options, sum(len(task.jobs) for task in tasks))
        assert self._joining is not None
        actors = self._joining.result()
        waiting = deque(shared_out(tasks, actors.most))
        busy: dict[Any, tuple[Any, Task]] = {}
        while waiting or busy:
            while waiting and len(busy) < actors.most:
                actor, task = actors.take(), waiting.popleft()
                busy[actor.score.remote(task)] = (actor, task)
            (ready, *_), _ = actors.ray.wait(list(busy), num_returns=1)
            actor, task = busy.pop(ready)
            try:
                done: tuple[ScoredJob, ...] = actors.ray.get(ready)
            except actors.ray.exceptions.RayError as error:
                said = str(error).strip().splitlines()
                lost = f"the cluster lost it ({said[-1] if said else type(error).__name__}): run again"
                done = tuple(failed(each, ExitCode.DEVICE, lost) for each in task.jobs)
            else:
                actors.idle.append(actor)
            yield done


class _Actors:
    """A Ray that is joined, and up to ``most`` actors of it. A Ray of our own has as many CPUs as they need."""

    def __init__(self, address: str | None, count: int | None, threads: int, jobs: int) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        with _Joining():
            self.ray = importlib.import_module("ray")
            own = address is None and not os.environ.get("RAY_ADDRESS")
            resources: dict[str, Any] = {"include_dashboard": False, "object_store_memory": _STORE_BYTES}
            if count is not None:
                resources["num_cpus"] = count * threads
            self.ray.init(
                address="local" if own else address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **(resources if own else {}),
            )
        self.most = count or max(1, int(self.ray.cluster_resources().get("CPU", 1)) // threads)
        self._scorer = self.ray.remote(num_cpus=threads)(Scorer)
        self.idle = [self._start() for _ in range(min(self.most, jobs))]

    def take(self) -> Any:
        """An actor that has nothing to do, a new one where there is none."""
        return self.idle.pop() if self.idle else self._start()

    def _start(self) -> Any:
        return self._scorer.remote(os.getcwd())


class Scorer:
    """What runs on the cluster: scores tasks whose relative paths start from ``folder``."""

    def __init__(self, folder: str) -> None:
        os.chdir(folder)
        warm_up()

    def score(self, task: Task) -> tuple[ScoredJob, ...]:
        return score_task(task)


def _leave() -> None:
    importlib.import_module("ray").shutdown()


class _Joining:
    """Whatever keeps Ray from being joined, and it raises plain Exceptions too, as a DeviceError."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            said = " ".join(str(error).split())[:200]
            raise DeviceError(
                f"the Ray cluster cannot be joined ({said}): check its address, version and load"
            ) from error
