"""Processes and clusters: the same scores whoever does the work, and a worker that dies takes its own jobs only."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from rankvqa_cli.batch import cluster
from rankvqa_cli.batch.cluster import OnRay, require_cluster
from rankvqa_cli.batch.joblist import read_jobs
from rankvqa_cli.batch.run import run_batch
from rankvqa_cli.batch.scoring import Task
from rankvqa_cli.batch.workers import InProcesses, InTurn, Work
from rankvqa_cli.errors import DeviceError, ExitCode, UsageError
from rankvqa_cli.results.batch import Batch, ScoredJob
from rankvqa_cli.results.batch_files import RENDERERS
from rankvqa_cli.scoring.options import ScoreOptions

Rows = list[dict[str, str]]


@pytest.fixture
def run(rows: Rows, listing: Callable[[Rows], Path], tiny_model: Path) -> Callable[[str, Work], Batch]:
    """Runs the jobs with a journal of the given name."""
    listed = listing(rows)
    options = ScoreOptions(models=(str(tiny_model),), align=0, device="cpu", precision="fp32", threads=1)

    def batch(name: str, work: Work) -> Batch:
        return run_batch(read_jobs(str(listed)), options, str(listed.with_name(name)), work)

    return batch


def test_processes_give_the_same(run: Callable[[str, Work], Batch]) -> None:
    expected = RENDERERS["csv"](run("turn.ndjson", InTurn()))
    assert RENDERERS["csv"](run("processes.ndjson", InProcesses(2))) == expected
    assert not multiprocessing.active_children()


def test_a_process_that_dies_takes_its_own_jobs_only(run: Callable[[str, Work], Batch]) -> None:
    def kill() -> None:
        while not (children := multiprocessing.active_children()):
            time.sleep(0.01)
        os.kill(children[0].pid or 0, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    batch = run("killed.ndjson", InProcesses(1))
    killer.join()
    assert [job.exit_code for job in batch.jobs] == [ExitCode.DEVICE] * 4 + [ExitCode.OK] * 4
    assert "was ended by SIGKILL" in (batch.jobs[0].error or "")
    assert batch.exit_code == ExitCode.DEVICE
    mended = run("killed.ndjson", InTurn())
    assert mended.exit_code == ExitCode.OK


def test_a_ray_of_two_workers_gives_the_same(run: Callable[[str, Work], Batch]) -> None:
    pytest.importorskip("ray", reason="NOT TESTED: pip install 'vqa-score[ray]'")
    expected = RENDERERS["csv"](run("turn.ndjson", InTurn()))
    batch = run("ray.ndjson", OnRay(None, 2))
    assert RENDERERS["csv"](batch) == expected
    again = run("ray.ndjson", Nobody())
    assert RENDERERS["csv"](again) == expected


class Nobody(Work):
    """Must not be asked for anything."""

    def begin(self, options: ScoreOptions, jobs: int) -> None:
        raise AssertionError(f"asked for {jobs}")

    def __call__(self, tasks: Sequence[Task]) -> Iterator[tuple[ScoredJob, ...]]:
        assert not tasks
        return iter(())


@pytest.mark.parametrize("text", ["slurm", "ray:", "ray://", "ray://host:port", "rays://host:1", ""])
def test_what_is_no_cluster(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda name: name)
    with pytest.raises(UsageError, match="is no cluster: "):
        require_cluster(text)


def test_a_cluster_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda name: name)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert require_cluster(f"ray://127.0.0.1:{port}") == f"ray://127.0.0.1:{port}"
    with pytest.raises(DeviceError, match=f"no Ray answers at 'ray://127.0.0.1:{port}'"):
        require_cluster(f"ray://127.0.0.1:{port}")
    assert require_cluster("ray") is None


def test_a_cluster_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="needs the package ray"):
        require_cluster("ray")
