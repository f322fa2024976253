"""Threads that each run their own operations alone: those of small networks are too short to be shared."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """As many as there are threads to compute with, ``most`` at most; with one thread, whoever submits does the
    work."""

    def __init__(self, name: str, most: int) -> None:
        self._name, self._most = name, most
        self._threads = 1
        self._pool: ThreadPoolExecutor | None = None

    @property
    def hired(self) -> bool:
        """Whether work is done beside whoever submits it."""
        return self._pool is not None

    def hire(self, device: torch.device) -> None:
        """Have as many as PyTorch has threads now, where the CPU is what computes, and else none."""
        threads = min(torch.get_num_threads(), self._most) if device.type == "cpu" else 1
        if threads == self._threads:
            return
        if self._pool is not None:
            self._pool.shutdown()
        self._threads = threads
        self._pool = None
        if threads > 1:
            self._pool = ThreadPoolExecutor(
                threads, self._name, initializer=torch.set_num_threads, initargs=(1,)
            )

    def submit(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        if self._pool is not None:
            return self._pool.submit(work, *args, **kwargs)
        done: Future[T] = Future()
        done.set_result(work(*args, **kwargs))
        return done
