"""The NDJSON that a batch grows: what is taken over from it, and what is not touched."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_reports import result

from rankvqa_cli.batch.journal import Journal
from rankvqa_cli.errors import OutputError
from rankvqa_cli.results.batch import ScoredJob
from rankvqa_cli.results.batch_files import job_line
from rankvqa_cli.types import Environment

DONE = ScoredJob(
    row=2,
    distorted="a.mp4",
    reference="ref.mp4",
    columns={"codec": "x264"},
    key="k1",
    results=(result("a.mp4", "tiny", 40.0),),
    bitrate_kbps=123.456,
    reference_decodes=1,
    plan={"reference": None, "inputs": []},
    environment=Environment("9.0", "2.13.0", "cpu", "fp32", 2),
)
LASTING = ScoredJob(3, "b.mp4", "ref.mp4", {}, "k2", exit_code=4, error="damaged")
PASSING = ScoredJob(4, "c.mp4", "ref.mp4", {}, "k3", exit_code=7, error="out of memory")


def test_what_was_added_is_found_again_but_what_another_try_could_mend(tmp_path: Path) -> None:
    path = str(tmp_path / "j.ndjson")
    with Journal(path) as journal:
        assert journal.finished == {}
        added = journal.add([DONE, LASTING])
        journal.add([PASSING])
    with Journal(path) as journal:
        assert set(journal.finished) == {"k1", "k2"}
        found = journal.finished["k1"]
        assert added == (found, journal.finished["k2"])
    assert job_line(found) == job_line(DONE)  # to the digits that are written
    assert found.results[0].warnings == DONE.results[0].warnings


def test_a_line_that_a_kill_left_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "j.ndjson"
    whole = job_line(DONE).encode()
    for data, left in ((whole + whole[:100], whole), (whole[:50], b""), (whole[:5], b"")):
        path.write_bytes(data)
        with Journal(str(path)) as journal:
            assert set(journal.finished) == ({"k1"} if left else set())
            journal.add([LASTING])
        assert path.read_bytes() == left + job_line(LASTING).encode()


@pytest.mark.parametrize(
    "data", ["distorted,reference\na,b\n", '{"distorted": "a", "reference": "b"}\n', "x"]
)
def test_a_file_of_something_else_is_not_touched(tmp_path: Path, data: str) -> None:
    path = tmp_path / "j.ndjson"
    path.write_text(data)
    with pytest.raises(OutputError, match="is not what a batch has written"), Journal(str(path)):
        pass
    assert path.read_text() == data


def test_two_runs_do_not_write_one_journal(tmp_path: Path) -> None:
    path = str(tmp_path / "j.ndjson")
    with Journal(path), pytest.raises(OutputError, match="another run is writing"), Journal(path):
        pass
    with Journal(path) as journal:
        journal.add([DONE])


def test_a_journal_that_cannot_be_written(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="no such file or directory"),
        Journal(str(tmp_path / "no" / "j.ndjson")),
    ):
        pass
