"""``vqa-score batch``: what it prints and writes, its exit codes, and a run that is killed."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rankvqa_cli.cli.main import main

ROOT = Path(__file__).parents[2]
Rows = list[dict[str, str]]
Listing = Callable[[Rows], Path]


@pytest.fixture
def scoring(tiny_model: Path) -> list[str]:
    return ["-m", str(tiny_model), "--device", "cpu", "--precision", "fp32", "-threads", "1", "--align", "0"]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_scores_on_stdout_in_a_csv_in_json_and_in_ndjson(
    rows: Rows, listing: Listing, scoring: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows[1] |= {"crf": 'a, "b"'}
    jobs = str(listing(rows[:3]))
    out = str(tmp_path / "out.csv")
    assert main(["batch", jobs, *scoring, "-o", out, "-o", str(tmp_path / "all.json")]) == 0
    said = capsys.readouterr()
    written = table(tmp_path / "out.csv")
    scores = [f"{row['distorted']}\ttiny\t{float(row['score']):.4f}" for row in written]
    assert said.out.splitlines() == scores
    assert "info: 3/3 row 4: " in said.err
    assert list(written[0])[:7] == ["row", "distorted", "reference", "codec", "crf", "model", "score"]
    assert [row["crf"] for row in written] == ["30", 'a, "b"', "30"]
    assert {row["reference_decodes"] for row in written} == {"1"}
    document = json.loads((tmp_path / "all.json").read_text())
    assert (document["schema_version"], document["kind"]) == ("1.0", "batch")
    assert [job["key"] for job in document["jobs"]] == [row["key"] for row in written]
    assert len(document["jobs"][0]["results"][0]["frames"]) == 14
    lines = (tmp_path / "out.ndjson").read_text().splitlines()
    assert [json.loads(line)["row"] for line in lines] == [2, 3, 4]
    assert main(["batch", jobs, *scoring, "-o", out]) == 6  # there is such a file
    assert main(["batch", jobs, *scoring, "-o", out, "-y"]) == 0
    assert table(tmp_path / "out.csv") == written


def test_killed_in_the_middle_and_resumed(
    rows: Rows, listing: Listing, scoring: list[str], tmp_path: Path
) -> None:
    argv = [sys.executable, "-m", "rankvqa_cli", "batch", str(listing(rows)), *scoring, "-loglevel", "error"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    journal = tmp_path / "cut.ndjson"
    killed = subprocess.Popen([*argv, "-o", str(tmp_path / "cut.csv")], env=environment)
    deadline = time.monotonic() + 300
    while not (journal.exists() and journal.stat().st_size):
        assert killed.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait(60) == -signal.SIGKILL
    first = journal.read_bytes()
    assert len(first.splitlines()) == 4
    assert not (tmp_path / "cut.csv").exists()
    subprocess.run([*argv, "-o", str(tmp_path / "cut.csv")], env=environment, check=True, timeout=300)
    assert journal.read_bytes().startswith(first)
    assert len(journal.read_bytes().splitlines()) == 8
    subprocess.run([*argv, "-o", str(tmp_path / "whole.csv")], env=environment, check=True, timeout=300)
    assert (tmp_path / "cut.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_failed_jobs_are_rows_and_make_the_exit_code(
    rows: Rows, listing: Listing, scoring: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = rows[:3]
    rows[1]["distorted"] = str(tmp_path / "none.mp4")
    jobs = str(listing(rows))
    out = ["-o", str(tmp_path / "out.csv")]
    assert main(["batch", jobs, *scoring, *out]) == 3
    said = capsys.readouterr().err
    assert f"error: {jobs!r} row 3: " in said
    assert not (tmp_path / "out.csv").exists()
    assert main(["batch", jobs, *scoring, *out, "--keep-going"]) == 3
    good, bad, other = table(tmp_path / "out.csv")
    assert (bad["exit_code"], bad["score"]) == ("3", "")
    assert "none.mp4" in bad["error"]
    assert float(good["score"]) > 0 < float(other["score"])


def test_a_folder_with_a_pattern(media: Path, scoring: list[str], tmp_path: Path) -> None:
    pattern = ["--pattern", "{content}_{codec}_{crf}.mp4", "-ref", f"{media}/{{content}}.mp4"]
    assert main(["batch", str(media), *pattern, *scoring, "-o", str(tmp_path / "out.csv")]) == 0
    written = table(tmp_path / "out.csv")
    assert len(written) == 8
    assert written[0] | {"content": "one", "codec": "mpeg4", "crf": "30"} == written[0]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["batch"], 2, "nothing to score: name a list of jobs"),
        (["batch", "JOBS", "-o", "out.txt"], 2, "a batch is written as .csv or .json"),
        (["batch", "JOBS", "-o", "a.ndjson", "-o", "b.ndjson"], 2, "a batch has one .ndjson"),
        (["batch", "JOBS", "-o", "JOBS"], 2, "is one of the inputs"),
        (["batch", "JOBS", "-o", "nowhere/out.csv"], 6, "cannot write 'nowhere/out.csv'"),
        (["batch", "JOBS", "-m", "nosuch"], 2, "unknown model 'nosuch'"),
        (["batch", "JOBS", "--idle", "3"], 2, "--idle goes with --watch"),
        (["batch", "JOBS", "--watch", "."], 2, "--watch is in place of JOBS"),
        (["batch", "--watch", "."], 2, "--watch needs a reference"),
        (["batch", "JOBS", "--jobs", "0"], 2, "0 is not in the range"),
        (["batch", "JOBS", "--cluster", "slurm"], 2, "'slurm' is no cluster"),
        (["batch", "nowhere.csv"], 3, "cannot read the list of jobs 'nowhere.csv'"),
        (["batch", "JOBS", "-t", "0"], 2, "-t 0 leaves nothing to score"),
    ],
)
def test_bad_input(
    arguments: list[str],
    code: int,
    message: str,
    rows: Rows,
    listing: Listing,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    jobs = str(listing(rows[:1]))
    monkeypatch.chdir(tmp_path)
    assert main([jobs if word == "JOBS" else word for word in arguments]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert message in said.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["jobs.csv"]


def test_a_cluster_that_does_not_answer_is_said_before_any_work(
    rows: Rows, listing: Listing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray", reason="NOT TESTED: pip install 'vqa-score[ray]'")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    jobs = str(listing(rows[:1]))
    out = str(tmp_path / "out.csv")
    assert main(["batch", jobs, "--cluster", f"ray://127.0.0.1:{port}", "-o", out]) == 7
    assert f"no Ray answers at 'ray://127.0.0.1:{port}'" in capsys.readouterr().err
    assert not (tmp_path / "out.ndjson").exists()


def test_a_watched_folder(media: Path, scoring: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "encodes"
    folder.mkdir()
    (folder / "a.mp4").write_bytes((media / "one_x264_30.mp4").read_bytes())
    ended = ["--settle", "200ms", "--idle", "500ms"]
    argv = ["batch", "--watch", str(folder), "-ref", str(media / "one.mp4"), *scoring, *ended]
    assert main([*argv, "-o", str(tmp_path / "out.csv")]) == 0
    (row,) = table(tmp_path / "out.csv")
    assert (Path(row["distorted"]).name, row["exit_code"]) == ("a.mp4", "0")
