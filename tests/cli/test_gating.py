"""Gates on the command line: exit code, what CI systems are given, and what is found before any work."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from conftest import MakeClip
from fake_reports import report

from rankvqa_cli.cli.main import main
from rankvqa_cli.results.drop import evaluate_drops, read_drops
from rankvqa_cli.results.report import report_json
from rankvqa_cli.scoring import engine
from rankvqa_cli.types import Report

Calls = list[dict[str, Any]]
SCORE = ("-i", "a.mp4", "-ref", "ref.mp4")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Replaces the engine: a report by hand, held against the gates."""
    recorded: Calls = []

    def score(inputs: Sequence[str], reference: str | None = None, **options: Any) -> Report:
        recorded.append(options)
        made = report(tuple(inputs), gates=options["fail_under"])
        drops = evaluate_drops(read_drops(options["fail_drop"]), made.results)
        return Report(**{**vars(made), "gates": (*made.gates, *drops)})

    monkeypatch.setattr(engine, "score", score)
    return recorded


def baseline(change: Callable[[dict[str, Any]], None] = lambda data: None) -> str:
    """An earlier run's file, of the report by hand with ``change`` applied."""
    data: dict[str, Any] = report_json(report())
    change(data)
    Path("base.json").write_text(json.dumps(data))
    return "base.json"


def better(data: dict[str, Any]) -> None:
    """As if everything had been two points better before."""
    for result in data["results"]:
        result["pooled"] = {name: value + 2 for name, value in result["pooled"].items()}


@pytest.mark.parametrize(
    ("options", "code", "failed"),
    [
        (["--fail-under", "mean=45"], 0, []),
        (["--fail-under", "mean=46"], 1, ["mean=46"]),
        (["--fail-drop", "base.json:mean=2"], 0, []),
        (["--fail-drop", "base.json:mean=1.9"], 1, ["base.json:mean=1.9"]),
        (["--fail-under", "1", "--fail-drop", "base.json:p5=1"], 1, ["base.json:p5=1"]),
        (["--fail-under", "99", "--fail-drop", "base.json:tiny:min=3"], 1, ["99"]),
        ([], 0, []),
    ],
)
def test_each_gate_passes_and_fails_everywhere(
    options: list[str], code: int, failed: list[str], calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    baseline(better)
    files = ["--junit", "gates.xml", "--summary", "summary.md", "-o", "s.json"]
    assert main([*SCORE, *options, *files, "-loglevel", "error"]) == code
    assert [line.split("'")[1] for line in capsys.readouterr().err.splitlines()] == failed

    gates = json.loads(Path("s.json").read_text())["gates"]
    assert [each["expression"] for each in gates if not each["passed"]] == failed
    assert len(gates) == len(options) // 2

    root = ElementTree.parse("gates.xml").getroot()
    assert root.get("failures") == str(len(failed))
    assert root.get("tests") == str(1 + len(gates))
    assert [case.get("name") for case in root.iter("testcase") if len(case)] == [
        f"{each} by tiny" for each in failed
    ]

    summary = Path("summary.md").read_text()
    assert summary.count("**failed**") == len(failed)
    assert summary.count("| passed |") == len(gates) - len(failed)
    assert "| a.mp4 | tiny | 45.05 |" in summary


def test_a_drop_says_what_it_was_before(calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    baseline(better)
    assert main([*SCORE, "--fail-drop", "base.json:mean=1", "-loglevel", "error"]) == 1
    said = "error: gate 'base.json:mean=1' failed: 'a.mp4' has 45.0494, 47.0494 before by 'tiny'\n"
    assert capsys.readouterr().err == said


def test_the_summary_is_appended_to_what_github_names(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "step.md")
    Path("step.md").write_text("before\n")
    assert main([*SCORE, "--summary"]) == main([*SCORE, "--summary"]) == 0
    text = Path("step.md").read_text()
    assert text.startswith("before\n## Video quality\n")
    assert text.count("## Video quality\n") == 2
    assert main([*SCORE, "--summary=own.md"]) == 0
    assert Path("step.md").read_text() == text
    assert Path("own.md").read_text().startswith("## Video quality\n")
    assert main([*SCORE]) == 0
    assert Path("step.md").read_text() == text


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--fail-drop", "none.json:mean=1"], 3, "there is no baseline 'none.json'"),
        (["--fail-drop", "base.json:meen=1"], 2, "no pool is called 'meen'"),
        (["--fail-drop", "mean=1"], 2, "'mean=1' names no baseline"),
        (["--fail-drop", "notes.txt:mean=1"], 3, "the baseline 'notes.txt' is no JSON"),
        (["--fail-drop", "future.json:mean=1"], 3, "the baseline 'future.json' has schema 9.1"),
        (["--fail-drop", "other.json:mean=1"], 3, "the baseline 'other.json' knows nothing of 'a.mp4'"),
        (["--fail-drop", "base.json:mean=1", "-o", "base.json", "-y"], 2, "the output 'base.json' is one of"),
        (["--junit", "none/gates.xml"], 6, "cannot write 'none/gates.xml'"),
        (["--junit", "notes.txt"], 6, "cannot write 'notes.txt': file exists"),
        (["--junit", "-"], 2, "--junit writes a file"),
        (["--junit", "x.json", "-o", "x.json"], 2, "the output 'x.json' is given twice"),
        (["--summary"], 2, "--summary names no file, nor does GITHUB_STEP_SUMMARY"),
        (["--summary", "none/s.md"], 6, "cannot write 'none/s.md'"),
        (["--summary=a.mp4"], 2, "--summary is appended to a file, and 'a.mp4' does not end in .md"),
        (["--summary=folder.md"], 6, "cannot write 'folder.md': is a directory"),
    ],
)
def test_found_before_any_work(
    options: list[str], code: int, said: str, calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    data = report_json(report())
    baseline()
    Path("notes.txt").write_text("no JSON")
    Path("future.json").write_text(json.dumps({**data, "schema_version": "9.1"}))
    Path("other.json").write_text(json.dumps(data).replace("ref.mp4", "another.mp4"))
    Path("folder.md").mkdir()
    before = sorted(Path().iterdir())
    assert main([*SCORE, *options]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: {said}")
    assert captured.err.count("\n") == 1
    assert calls == []
    assert sorted(Path().iterdir()) == before


def test_on_real_clips(make_clip: MakeClip, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A baseline by the real engine: nothing changed, worse than it was, another video, other weights."""
    for name, crf in (("ref.mp4", "1"), ("enc.mp4", "30")):
        make_clip(name, "-crf", crf)
    score = ["enc.mp4", "-ref", "ref.mp4", "-m", str(tiny_model), "-loglevel", "error", "-threads", "1"]
    gate = ["--fail-drop", "main.json:mean=0.5"]
    assert main([*score, "-o", "main.json"]) == 0
    assert main([*score, *gate]) == 0
    data = json.loads(Path("main.json").read_text())
    for points, code in ((0.4, 0), (0.6, 1)):
        changed = json.loads(json.dumps(data))
        changed["results"][0]["pooled"]["mean"] += points
        Path("main.json").write_text(json.dumps(changed))
        assert main([*score, *gate]) == code
    capsys.readouterr()

    data["models"][0]["weights_sha256"] = "0" * 64
    Path("main.json").write_text(json.dumps(data))
    assert main([*score, *gate]) == 3
    assert "other weights of 'tiny'" in capsys.readouterr().err
    data["plan"]["reference"]["frames"] = 11
    Path("main.json").write_text(json.dumps(data))
    assert main([*score, *gate]) == 3
    assert "saw another 'ref.mp4': 64x48, 11 frames at 25/1, now 64x48, 12 frames" in capsys.readouterr().err
