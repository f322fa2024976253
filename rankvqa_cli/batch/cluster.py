"""The same tasks on a Ray cluster. Ray is an optional dependency and is imported when it is asked for."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
import os
import socket
from collections import deque
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

from rankvqa_cli.batch.scoring import Task, failed, score_task
from rankvqa_cli.errors import DeviceError, ExitCode, UsageError
from rankvqa_cli.results.batch import ScoredJob

SCHEME = "ray"
_PORT = 10001
_PATIENCE_S = 5.0


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


def on_ray(tasks: Iterable[Task], address: str | None, count: int | None) -> Iterator[tuple[ScoredJob, ...]]:
    """Up to ``count`` tasks at a time (None: as many as there are CPUs for), each by an actor of its own with as many
    CPUs as it has threads.

    Files are read where the actors are, under the same names; the package has to be installed there. Where an actor
    dies, its jobs have failed and another takes its place. Raises DeviceError where the cluster cannot be joined.
    """
    waiting = deque(tasks)
    if not waiting:
        return
    threads = waiting[0].options.threads or 1
    with _joined(address, None if count is None else count * threads) as ray:
        scorer = ray.remote(num_cpus=threads)(Scorer)
        most = count or max(1, int(ray.cluster_resources().get("CPU", 1)) // threads)
        idle = [scorer.remote(os.getcwd()) for _ in range(min(most, len(waiting)))]
        busy: dict[Any, tuple[Any, Task]] = {}
        while waiting or busy:
            while idle and waiting:
                actor, task = idle.pop(), waiting.popleft()
                busy[actor.score.remote(task)] = (actor, task)
            (ready, *_), _ = ray.wait(list(busy), num_returns=1)
            actor, task = busy.pop(ready)
            try:
                done: tuple[ScoredJob, ...] = ray.get(ready)
            except ray.exceptions.RayError as error:
                said = str(error).strip().splitlines()
                lost = f"the cluster lost it ({said[-1] if said else type(error).__name__}): run again"
                done = tuple(failed(each, ExitCode.DEVICE, lost) for each in task.jobs)
                actor = scorer.remote(os.getcwd())
            idle.append(actor)
            yield done


class Scorer:
    """What runs on the cluster: scores tasks whose relative paths start from ``folder``."""

    def __init__(self, folder: str) -> None:
        os.chdir(folder)

    def score(self, task: Task) -> tuple[ScoredJob, ...]:
        return score_task(task)


@contextlib.contextmanager
def _joined(address: str | None, cpus: int | None) -> Iterator[Any]:
    """Ray, connected; a Ray of our own has ``cpus`` (None: those of this machine) and ends with the block."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = importlib.import_module("ray")
    own = address is None and not os.environ.get("RAY_ADDRESS")
    resources: dict[str, Any] = {"num_cpus": cpus, "include_dashboard": False} if own else {}
    with _Joining():
        ray.init(
            address="local" if own else address, log_to_driver=False, logging_level=logging.ERROR, **resources
        )
    try:
        yield ray
    finally:
        ray.shutdown()


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
