"""CPUs that a worker holds: as many as were asked for, nobody else's, and free again when it has ended."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rankvqa_cli.batch.holding import hold

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="NOT TESTED: no affinity of CPUs here")

WORKER = """
import os, subprocess, sys
from pathlib import Path
from rankvqa_cli.batch.holding import hold
hold(int(sys.argv[1]), Path(sys.argv[2]))
child = [sys.executable, "-c", "import os; print(sorted(os.sched_getaffinity(0)))"]
print(subprocess.run(child, capture_output=True, text=True, check=True).stdout.strip(), flush=True)
sys.stdin.read()
"""


class Worker:
    """A process that holds CPUs and says which its own child may use."""

    def __init__(self, count: int, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(count), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.cpus = self._process.stdout.readline().strip()

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


def test_workers_hold_cpus_of_their_own_and_leave_them_when_they_end(tmp_path: Path) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        pytest.skip("NOT TESTED: one CPU")
    workers = [Worker(1, tmp_path), Worker(1, tmp_path)]
    try:
        assert [worker.cpus for worker in workers] == [f"[{cpus[0]}]", f"[{cpus[1]}]"]
        workers.pop(0).end()
        workers.append(Worker(1, tmp_path))
        assert workers[-1].cpus == f"[{cpus[0]}]"
    finally:
        for worker in workers:
            worker.end()


@pytest.mark.parametrize("place", [".", "nowhere"])
def test_where_too_few_are_free_none_is_held(tmp_path: Path, place: str) -> None:
    before, found = os.sched_getaffinity(0), []

    def ask() -> None:  # what a thread holds is its own
        found.append((hold(len(before) + 1, tmp_path / place), os.sched_getaffinity(0)))

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join()
    assert found == [(frozenset(), before)]
    if place == ".":  # none was kept
        worker = Worker(len(before), tmp_path)
        assert worker.cpus == str(sorted(before))
        worker.end()
