"""Who gets how much: nobody waits long for the last one, and no reference is decoded twice without need."""

from __future__ import annotations

import pytest

from rankvqa_cli.batch.joblist import Job
from rankvqa_cli.batch.prepare import Prepared
from rankvqa_cli.batch.scoring import Task
from rankvqa_cli.batch.sharing import shared_out
from rankvqa_cli.scoring.options import ScoreOptions


def task(first: int, jobs: int, pixels: int = 1000) -> Task:
    rows = range(first, first + jobs)
    prepared = (
        Prepared(Job(row, f"{row}.mp4", f"{first}.mp4", {}), f"{row}", f"{first}", 1.0, pixels)
        for row in rows
    )
    return Task(tuple(prepared), ScoreOptions())


def rows(tasks: list[Task]) -> list[list[int]]:
    return [[each.job.row for each in task.jobs] for task in tasks]


def test_what_is_even_stays_whole_the_longest_first() -> None:
    tasks = [task(0, 3), task(10, 3, 3000), task(20, 3, 2000), task(30, 3, 2000)]
    assert shared_out(tasks, 1) == shared_out(tasks, 2) == [tasks[1], tasks[2], tasks[3], tasks[0]]


def test_one_reference_is_shared_by_all() -> None:
    tasks = [task(0, 15)]
    assert shared_out(tasks, 1) == tasks
    assert rows(shared_out(tasks, 3)) == [[*range(5)], [*range(5, 10)], [*range(10, 15)]]
    assert sorted(rows(shared_out(tasks, 100))) == [[row] for row in range(15)]


def test_what_would_be_waited_for_is_cut() -> None:
    shared = shared_out([task(0, 15), task(20, 15), task(40, 15)], 2)
    assert sorted(row for part in rows(shared) for row in part) == [
        *range(15),
        *range(20, 35),
        *range(40, 55),
    ]
    assert len(shared) == 6  # and not two for one worker and one for the other


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_nothing_is_nothing(workers: int) -> None:
    assert shared_out([], workers) == []


def test_a_small_gain_is_no_reason() -> None:
    tasks = [task(0, 15, 1000), task(20, 15, 1050)]
    assert shared_out(tasks, 2) == tasks[::-1]
