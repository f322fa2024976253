"""Who gets how much: tasks in an order, and in parts, with which no worker waits long for the last one."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from rankvqa_cli.batch.scoring import Task

#: A cut has to let everybody end sooner by this much: every part decodes and describes the reference anew.
_WORTH_IT = 0.95
_FINEST = 4


def shared_out(tasks: Sequence[Task], workers: int) -> list[Task]:
    """``tasks``, the longest first, for ``workers`` of whom each takes the next one when it is done.

    Where some would wait long for the others, or there are fewer tasks than workers, tasks are cut into parts: jobs of
    one reference are then scored by several workers, and each of those decodes it.
    """
    best = _longest_first(tasks)
    total = sum(_load(task) for task in tasks)
    for rounds in range(1, _FINEST + 1):
        parts = _longest_first([part for task in tasks for part in _cut(task, total / (workers * rounds))])
        if _end(parts, workers) < _WORTH_IT * _end(best, workers):
            best = parts
    return best


def _load(task: Task) -> int:
    """How long a task takes, beside others: a reference takes about as long as one more encode."""
    return task.jobs[0].pixels * (len(task.jobs) + 1)


def _longest_first(tasks: Sequence[Task]) -> list[Task]:
    return sorted(tasks, key=_load, reverse=True)


def _cut(task: Task, most: float) -> list[Task]:
    """``task`` in as many equal parts as it takes for a part to be about ``most`` long."""
    jobs = len(task.jobs)
    count = min(jobs, math.ceil(_load(task) / most))
    bounds = [jobs * place // count for place in range(count + 1)]
    return [replace(task, jobs=task.jobs[start:end]) for start, end in pairwise(bounds)]


def _end(tasks: Sequence[Task], workers: int) -> int:
    """When the last of ``workers`` is done with ``tasks``, taken in this order."""
    busy = [0] * workers
    for task in tasks:
        heapq.heapreplace(busy, busy[0] + _load(task))
    return max(busy)
