"""Gates, lists, summaries and pages of batches and comparisons, on real clips and on a batch by hand."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from conftest import MakeClip

from rankvqa_cli.cli.main import main
from rankvqa_cli.results.batch_files import RENDERERS

sys.path.insert(0, str(Path(__file__).parents[1] / "pages"))
from made_pages import batch as made_batch
from page_reader import Reader, faults


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


@pytest.fixture
def jobs(make_clip: MakeClip, tiny_model: Path) -> list[str]:
    """The arguments of a batch of two encodes of one source."""
    make_clip("ref.mkv", "-c:v", "ffv1")
    for crf in (20, 50):
        make_clip(f"x264_{crf}.mp4", "-crf", str(crf))
    rows = ["distorted,reference,codec", *(f"x264_{crf}.mp4,ref.mkv,x264" for crf in (20, 50))]
    Path("jobs.csv").write_text("\n".join(rows) + "\n")
    return ["batch", "jobs.csv", "-m", str(tiny_model), "-threads", "1", "-loglevel", "error"]


FILES = ["--junit", "g.xml", "--summary", "s.md", "--report", "r.html", "-o", "b.json", "-y"]


def written() -> tuple[ElementTree.Element, str, bytes, dict[str, Any]]:
    root = ElementTree.parse("g.xml").getroot()
    data = json.loads(Path("b.json").read_text())
    return root, Path("s.md").read_text(), Path("r.html").read_bytes(), data


def test_a_batch_passes_and_fails(jobs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*jobs, *FILES, "--fail-under", "0"]) == 0
    root, summary, page, data = written()
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("4", "0", "0")
    assert summary.startswith("## Video quality of a batch: every gate passed\n")
    assert [each["passed"] for each in data["gates"]] == [True, True]
    assert faults(page) == []
    reader = Reader(page)
    assert reader.documents == {"batch": data}
    pictures = [given["alt"] for name, given in reader.elements if name == "img"]
    assert len(pictures) == 6
    assert any("x264_50.mp4: quality by place" in alt for alt in pictures)
    capsys.readouterr()

    assert main([*jobs, *FILES, "--fail-under", "100"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert [line.split(":")[1] for line in said] == [" gate '100' failed"] * 2
    root, summary, page, data = written()
    assert root.get("failures") == "2"
    assert "## Video quality of a batch: 2 of 2 gates failed\n" in summary
    assert [each["passed"] for each in data["gates"]] == [False, False]
    assert b"Gates failed" in page


def test_a_batch_against_an_earlier_one(jobs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*jobs, "-o", "main.json"]) == 0
    gate = ["-o", "new.json", "-y", "--fail-drop", "main.json:mean=0"]
    assert main([*jobs, *gate]) == 0
    data = json.loads(Path("main.json").read_text())
    data["jobs"][1]["results"][0]["pooled"]["mean"] += 1
    Path("main.json").write_text(json.dumps(data))
    assert main([*jobs, *gate]) == 1
    assert "x264_50.mp4" in capsys.readouterr().err
    data["jobs"][0]["plan"]["reference"]["frames"] = 3
    Path("main.json").write_text(json.dumps(data))
    assert main([*jobs, *gate]) == 3
    assert "saw another 'ref.mkv': 64x48, 3 frames" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--report", "none/r.html"], 6, "cannot write 'none/r.html'"),
        (["--report", "-"], 2, "--report writes a file"),
        (["--report", "jobs.csv", "-y"], 2, "the output 'jobs.csv' is one of the inputs"),
        (["--fail-drop", "main.json:mean=1"], 3, "the baseline 'main.json' knows nothing of"),
        (
            ["--fail-drop", "sha.json:mean=1"],
            3,
            "the baseline 'sha.json' was scored by other weights of 'tiny'",
        ),
        (["--fail-under", "other:mean=1"], 2, "the gate 'other:mean=1' names a model that is not run"),
        (["--summary"], 2, "--summary names no file"),
    ],
)
def test_found_before_any_work(
    options: list[str],
    code: int,
    said: str,
    jobs: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = RENDERERS["json"](made_batch())
    Path("main.json").write_text(text)
    for old, new in (
        ("src/bmx.y4m", "ref.mkv"),
        ("enc/bmx_x264_250.", "x264_20."),
        ("enc/bmx_x264_500.", "x264_50."),
    ):
        text = text.replace(old, new)
    Path("sha.json").write_text(text)

    def never(*args: object, **options: object) -> None:
        raise AssertionError("something was scored")

    monkeypatch.setattr("rankvqa_cli.scoring.engine.score", never)
    assert main([*jobs, *options]) == code
    assert capsys.readouterr().err.startswith(f"error: {said}")


def test_a_job_that_fails_is_told_everywhere(jobs: list[str], make_clip: MakeClip) -> None:
    make_clip("x264_50.mp4", "-crf", "50", frames=9)
    assert main([*jobs, *FILES, "--keep-going", "--fail-under", "0"]) == 3
    root, summary, page, data = written()
    assert (root.get("errors"), root.get("failures")) == ("1", "0")
    assert "- row 3: " in summary
    assert b"Some jobs failed" in page
    assert len(data["gates"]) == 1


@pytest.fixture
def scored() -> str:
    """What a batch has written, by hand: two codecs at four rates of three contents, one job failed."""
    for form in ("json", "csv"):
        Path(f"b.{form}").write_text(RENDERERS[form](made_batch()))
    return "b.json"


COMPARE = ["--anchor", "x264", "--draws", "100", "-loglevel", "error"]


def test_a_comparison(scored: str, capsys: pytest.CaptureFixture[str]) -> None:
    files = ["--junit", "g.xml", "--summary=s.md", "--report", "r.html", "-o", "c.json"]
    main(["compare", scored, *COMPARE, *files, "--fail-under", "1"])
    assert ElementTree.parse("g.xml").getroot().get("errors") == "1"
    summary = Path("s.md").read_text()
    assert "x265 against x264" in summary
    assert "## Gates: every gate passed\n" in summary
    page = Path("r.html").read_bytes()
    assert faults(page) == []
    documents = Reader(page).documents
    assert documents["comparison"] == json.loads(Path("c.json").read_text())
    assert documents["batch"]["jobs"] == json.loads(Path("b.json").read_text())["jobs"]
    assert all(gate["passed"] for gate in documents["comparison"]["gates"])
    capsys.readouterr()

    assert main(["compare", scored, *COMPARE, "-o", "d.json"]) == 3  # one job failed
    assert main(["compare", scored, *COMPARE, "--fail-under", "99", "--junit", "h.xml", "-o", "e.json"]) == 3
    assert ElementTree.parse("h.xml").getroot().get("failures") == "23"
    assert capsys.readouterr().err.count("gate '99' failed") == 23


def test_a_comparison_of_a_table(scored: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["compare", "b.csv", *COMPARE, "--report", "r.html", "-o", "c.json"])
    page = Path("r.html").read_bytes()
    assert faults(page) == []
    assert list(Reader(page).documents) == ["comparison"]
    capsys.readouterr()
    for option in (["--fail-under", "1"], ["--junit", "g.xml"]):
        assert main(["compare", "b.csv", *COMPARE, *option]) == 2
        assert "gates and --junit need frames, which 'b.csv' has not" in capsys.readouterr().err
