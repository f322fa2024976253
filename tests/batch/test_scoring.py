"""What scoring together takes over from the options, and what becomes of jobs after an error."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from fake_reports import report

from rankvqa_cli.batch.joblist import Job
from rankvqa_cli.batch.prepare import Prepared
from rankvqa_cli.batch.scoring import Task, make_tasks, score_task
from rankvqa_cli.errors import DamagedError, DeviceError, InputError, VqaError
from rankvqa_cli.scoring import engine
from rankvqa_cli.scoring.options import ScoreOptions
from rankvqa_cli.types import Report


def jobs(count: int) -> tuple[Prepared, ...]:
    return tuple(
        Prepared(Job(row, f"{row}.mp4", "ref.mp4", {}), f"key {row}", "group", 100.0)
        for row in range(2, 2 + count)
    )


class Engine:
    """Stands in for ``engine.score``: fails as it is told, and remembers what it was asked."""

    def __init__(self, *failures: VqaError | None) -> None:
        self.failures = list(failures)
        self.asked: list[list[str]] = []
        self.options: dict[str, Any] = {}

    def __call__(self, distorted: list[str], reference: str, **options: Any) -> Report:
        self.asked.append(list(distorted))
        self.options = options
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        return dataclasses.replace(report(tuple(distorted)), reference_decodes=1)


def test_every_option_reaches_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Engine()
    monkeypatch.setattr(engine, "score", fake)
    options = ScoreOptions()
    score_task(Task(jobs(1), options))
    asked = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    assert {name: fake.options[name] for name in asked} == asked


def test_who_is_blamed_fails_and_the_others_are_scored_together(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Engine(DamagedError("'3.mp4' is damaged"))
    monkeypatch.setattr(engine, "score", fake)
    done = score_task(Task(jobs(4), ScoreOptions()))
    assert fake.asked == [["2.mp4", "3.mp4", "4.mp4", "5.mp4"], ["2.mp4", "4.mp4", "5.mp4"]]
    assert [(job.row, job.exit_code, job.reference_decodes) for job in done] == [
        (2, 0, 1),
        (3, 4, None),
        (4, 0, 1),
        (5, 0, 1),
    ]


def test_a_reference_that_is_to_blame_fails_them_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Engine(InputError("'ref.mp4' is damaged\nindeed"))
    monkeypatch.setattr(engine, "score", fake)
    done = score_task(Task(jobs(3), ScoreOptions()))
    assert len(fake.asked) == 1
    assert {(job.exit_code, job.error) for job in done} == {(3, "'ref.mp4' is damaged indeed")}


def test_a_device_without_room_gets_fewer_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    full = DeviceError("out of memory")
    fake = Engine(full, None, full, None, full)
    monkeypatch.setattr(engine, "score", fake)
    done = score_task(Task(jobs(4), ScoreOptions()))
    assert [len(each) for each in fake.asked] == [4, 2, 2, 1, 1]
    assert [job.exit_code for job in done] == [0, 0, 0, 7]


def test_tasks_are_groups_in_the_order_of_their_first_jobs() -> None:
    one, two, three = jobs(3)
    other = dataclasses.replace(two, group="other")
    tasks = make_tasks([one, other, three], ScoreOptions())
    assert [[each.job.row for each in task.jobs] for task in tasks] == [[2, 4], [3]]
