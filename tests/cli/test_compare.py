"""``vqa-score compare``: from a list of jobs or from scores to tables, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rankvqa_cli.cli.main import main
from rankvqa_cli.results.batch_files import LEADING, MEASURED
from rankvqa_cli.results.pooling import POOLS

Rows = list[dict[str, str]]
Listing = Callable[[Rows], Path]


@pytest.fixture
def scoring(tiny_model: Path) -> list[str]:
    return ["-m", str(tiny_model), "--device", "cpu", "--precision", "fp32", "-threads", "1", "--align", "0"]


def test_jobs_are_scored_first_and_only_once(
    rows: Rows,
    listing: Listing,
    scoring: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    jobs = str(listing([row | {"content": row["reference"][-7:-4]} for row in rows]))
    monkeypatch.chdir(tmp_path)
    argv = ["compare", jobs, "--anchor", "x264", *scoring]
    assert main([*argv, "-o", "bd.json", "-o", "bd.csv", "-o", "bd.md"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "8/8 row 9" in said.err
    document = json.loads(Path("bd.json").read_text())
    assert (document["schema_version"], document["kind"]) == ("1.0", "comparison")
    assert (document["codecs"], document["contents"]) == (["x264", "mpeg4"], ["one", "two"])
    assert len(document["curves"]) == 4
    assert Path("jobs.scored.ndjson").exists()
    with Path("bd.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["level"] for row in table] == ["content"] * 4 + ["overall"] * 2
    for row, delta in zip(table, document["deltas"], strict=False):
        assert row["bd_rate"] == ("" if delta["bd_rate"] is None else str(delta["bd_rate"]))
    markdown = Path("bd.md").read_text()
    assert markdown.startswith("# mpeg4 against x264\n")

    assert main(["batch", jobs, *scoring, "-o", "scores.csv", "-o", "scores.json"]) == 0
    capsys.readouterr()
    assert main(argv) == 0
    again = capsys.readouterr()
    assert again.out == markdown
    assert "info: " not in again.err  # nothing was scored
    for scores in ("scores.csv", "scores.json"):
        assert main(["compare", scores, "--anchor", "x264", "-threads", "1", "--device", "cpu"]) == 0
        assert capsys.readouterr().out == markdown


def scored(
    path: Path, ladders: dict[tuple[str, str], list[tuple[float, float]]], **changes: dict[int, str]
) -> str:
    """A batch's CSV by hand: (content, codec) to (kbit/s, quality); ``changes`` are cells by row number."""
    out = io.StringIO()
    writer = csv.DictWriter(out, [*LEADING, "codec", "content", "target", *MEASURED], restval="")
    writer.writeheader()
    row = 2
    for (content, codec), points in ladders.items():
        for rate, quality in points:
            cells: dict[str, object] = dict.fromkeys(POOLS, quality)
            cells |= {"row": row, "distorted": f"{row}.mp4", "reference": f"{content}.mp4", "codec": codec}
            cells |= {"content": content, "model": "tiny", "score": quality, "pool": "mean", "exit_code": 0}
            cells |= {"bitrate_kbps": rate, "target": rate * 2}
            writer.writerow(cells | {name: by_row[row] for name, by_row in changes.items() if row in by_row})
            row += 1
    path.write_text(out.getvalue(), newline="")
    return str(path)


LADDER = [(100.0, 40.0), (200.0, 55.0), (400.0, 70.0), (800.0, 80.0)]
CHEAPER = [(rate * 0.9, quality) for rate, quality in LADDER]
FAR = [(rate, quality + 45) for rate, quality in LADDER]


def test_tables_of_given_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ladders = {("a", "x264"): LADDER, ("a", "x265"): CHEAPER, ("b", "x264"): LADDER, ("b", "x265"): CHEAPER}
    path = scored(tmp_path / "s.csv", ladders)
    assert main(["compare", path, "--anchor", "x264"]) == 0
    assert "| x265 | pchip | -10.00 % | -10.00 % to -10.00 % | 0.5000 | 2 | +" in capsys.readouterr().out
    assert main(["compare", path, "--anchor", "x265", "--bitrate-column", "target", "-o", "-"]) == 0
    assert "| x264 | akima | +11.11 % |" in capsys.readouterr().out
    path = scored(tmp_path / "t.csv", {("a", "x264"): LADDER, ("a", "x265"): CHEAPER})
    assert main(["compare", path, "--anchor", "x264 a", "--codec-column", "codec,content"]) == 0
    assert "| x265 a | pchip | -10.00 % | - | - | 1 |" in capsys.readouterr().out


def test_without_a_common_range_nothing_is_made_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = scored(tmp_path / "s.csv", {("a", "x264"): LADDER, ("a", "x265"): FAR, ("b", "x265"): FAR})
    assert main(["compare", path, "--anchor", "x264"]) == 0
    said = capsys.readouterr()
    assert "x264 ends at 80.00, x265 begins at 85.00, 5.00 points apart" in said.out
    assert "warning: b: no encode in x264, so x265 is not compared on it" in said.err
    apart = [(rate * 100, quality + 45) for rate, quality in LADDER]
    path = scored(tmp_path / "t.csv", {("a", "x264"): LADDER, ("a", "x265"): apart})
    assert main(["compare", path, "--anchor", "x264"]) == 3
    said = capsys.readouterr()
    assert "nothing of 'x265' can be compared with 'x264'" in said.err
    assert "| x265 | pchip | - | - | - | 0 | - | - | - | 0 |" in said.out


def test_jobs_that_failed_are_left_out_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ladders = {("a", "x264"): LADDER, ("a", "x265"): [*CHEAPER, (900.0, 85.0)]}
    path = scored(tmp_path / "s.csv", ladders, exit_code={7: "4"}, error={7: "damaged"})
    assert main(["compare", path, "--anchor", "x264"]) == 4
    said = capsys.readouterr()
    assert "warning: row 7 was not scored and is left out: damaged" in said.err
    assert "BD-rate" in said.out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["SCORES", "--anchor", "vp9"], 2, "no encode is in the anchor 'vp9': there are 'x264', 'x265'"),
        (["SCORES", "--anchor", "x264", "--codec-column", "coder"], 2, "the jobs have no column 'coder'"),
        (["SCORES", "--anchor", "x264", "--bitrate-column", "rate"], 2, "name one with --bitrate-column"),
        (["SCORES", "--anchor", "x264", "-o", "bd.xml"], 2, "a comparison is written as .md"),
        (["SCORES", "--anchor", "x264", "-o", "SCORES"], 2, "is one of the inputs"),
        (["SCORES"], 2, "missing option '--anchor'"),
        (["SCORES", "--anchor", "x264", "-m", "ptm"], 2, "-m is for jobs that are scored here"),
        (["SCORES", "--anchor", "x264", "-frames", "3"], 2, "-frames is for jobs that are scored here"),
        (["SCORES", "--anchor", "x264", "--keep-going"], 2, "--keep-going is for jobs that are scored here"),
        (["SCORES", "--anchor", "x264", "--scores", "a.ndjson"], 2, "--scores is for jobs"),
        (["DOUBLE", "--anchor", "x264"], 3, "rows 2 and 3: both are a in x264 at 100 kbit/s"),
        (["NORATE", "--anchor", "x264"], 3, "row 3: the bitrate of '3.mp4' is not known"),
        (["TEXT", "--anchor", "x264"], 3, "row 4: the mean 'good' is no number"),
    ],
)
def test_bad_input(
    arguments: list[str], code: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ladders = {("a", "x264"): LADDER, ("a", "x265"): CHEAPER}
    doubled = {("a", "x264"): [LADDER[0], *LADDER], ("a", "x265"): CHEAPER}
    files = {
        "SCORES": scored(tmp_path / "s.csv", ladders),
        "DOUBLE": scored(tmp_path / "d.csv", doubled),
        "NORATE": scored(tmp_path / "n.csv", ladders, bitrate_kbps={3: ""}),
        "TEXT": scored(tmp_path / "t.csv", ladders, mean={4: "good"}),
    }
    assert main(["compare", *(files.get(word, word) for word in arguments)]) == code
    said = capsys.readouterr()
    assert (said.out, message in said.err) == ("", True), said.err


def test_a_wrong_anchor_or_column_is_said_before_any_job_is_scored(
    rows: Rows,
    listing: Listing,
    scoring: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    jobs = str(listing(rows))
    monkeypatch.chdir(tmp_path)
    assert main(["compare", jobs, "--anchor", "vp9", *scoring]) == 2
    assert main(["compare", jobs, "--anchor", "x264", "--content-column", "scene", *scoring]) == 2
    assert "the jobs have no column 'scene'" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.ndjson"))
