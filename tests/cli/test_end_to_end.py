"""Real runs of the program on small clips, with a tiny model."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import MakeClip

import rankvqa_cli
from rankvqa_cli.results.pooling import POOLS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(make_clip: MakeClip) -> Path:
    """ref.mp4 and two encodes of the same 30 frames, one at half the size."""
    reference = make_clip("ref.mp4", "-crf", "10", frames=30)
    make_clip("low.mp4", "-crf", "45", frames=30)
    make_clip("half.mp4", "-crf", "30", "-vf", "scale=32:24", frames=30)
    return reference.parent


def run(folder: Path, *args: str | Path, stdin: bytes = b"") -> str:
    """stdout of a run that must go well."""
    done = subprocess.run(
        [sys.executable, "-m", "rankvqa_cli", *map(str, args), "-loglevel", "error"],
        input=stdin,
        capture_output=True,
        timeout=300,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    return done.stdout.decode()


def test_several_inputs_in_every_format(folder: Path, tiny_model: Path) -> None:
    inputs = ("-i", "low.mp4", "-i", "half.mp4", "-i", "ref.mp4")
    outputs = ("-o", "s.json", "-o", "s.csv", "-o", "s.ndjson")
    out = run(folder, "-m", tiny_model, *inputs, "-ref", "ref.mp4", *outputs)
    lines = [line.split("\t") for line in out.splitlines()]
    assert [line[:2] for line in lines] == [[name, "tiny"] for name in ("low.mp4", "half.mp4", "ref.mp4")]
    assert lines[2][2] == "100.0000"

    data = json.loads((folder / "s.json").read_text())
    assert [f"{each['score']:.4f}" for each in data["results"]] == [line[2] for line in lines]
    for result in data["results"]:
        assert list(result["pooled"]) == list(POOLS)
        assert result["score"] == result["pooled"]["mean"]
        assert result["ci95"][0] <= result["score"] <= result["ci95"][1]
        assert [frame["index"] for frame in result["frames"]] == list(range(30))
        assert [(clip["start"], clip["end"]) for clip in result["clips"]] == [(0, 12), (12, 24), (18, 30)]
        assert result["integrity"]["frames_scored"] == 30
        assert result["integrity"]["ffmpeg_returncode"] == 0
    assert data["plan"]["inputs"][1]["steps"] == ["scaled from 32x24 to 64x48 (bicubic)"]
    assert data["tool"]["argv"][:3] == ["vqa-score", "-m", str(tiny_model)]

    rows = list(csv.DictReader(io.StringIO((folder / "s.csv").read_text())))
    assert len(rows) == 90
    assert float(rows[0]["tiny"]) == data["results"][0]["frames"][0]["score"]
    parsed = [json.loads(line) for line in (folder / "s.ndjson").read_text().splitlines()]
    assert [{k: v for k, v in each.items() if k != "schema_version"} for each in parsed] == data["results"]


def test_python_says_the_same(folder: Path, tiny_model: Path) -> None:
    args = ("-frames", "13", "--hop", "3", "--pool", "p5", "--align", "off")
    out = run(folder, "-m", tiny_model, "low.mp4", "-ref", "ref.mp4", *args)
    report = rankvqa_cli.score(
        folder / "low.mp4",
        folder / "ref.mp4",
        models=[str(tiny_model)],
        frames=13,
        hop=3,
        pool="p5",
        align="off",
    )
    assert len(report.results[0].frames) == 13
    assert f"{report.results[0].score:.4f}\n" == out


def test_y4m_and_raw_on_stdin(folder: Path, tiny_model: Path, ffmpeg: str) -> None:
    def decoded(*options: str) -> bytes:
        argv = [ffmpeg, "-v", "error", "-nostdin", "-i", folder / "low.mp4", *options, "-"]
        return subprocess.run(argv, capture_output=True, check=True).stdout

    from_file = run(folder, "-m", tiny_model, "low.mp4", "-ref", "ref.mp4")
    y4m = run(folder, "-m", tiny_model, "-", "-ref", "ref.mp4", stdin=decoded("-f", "yuv4mpegpipe"))
    raw_options = ("-f", "rawvideo", "-s", "64x48", "-i", "-", "-ref", "ref.mp4")
    raw = run(folder, "-m", tiny_model, *raw_options, stdin=decoded("-f", "rawvideo"))
    assert y4m == raw == from_file


def test_explain(folder: Path) -> None:
    text = run(folder, "half.mp4", "low.mp4", "-ref", "ref.mp4", "--explain")
    rows = {line[:18].strip(): line[18:].split() for line in text.splitlines()}
    assert rows["file"] == ["ref.mp4", "half.mp4", "low.mp4"]
    assert rows["size"] == ["64x48", "32x24", "64x48"]
    assert rows["frames"] == ["30", "30", "30"]
    assert "scaled from 32x24 to 64x48 (bicubic)" in text
    data = json.loads(run(folder, "half.mp4", "-ref", "ref.mp4", "--explain", "--format", "json"))
    assert data["plan"]["reference"]["width"] == 64
    assert data["plan"]["inputs"][0]["steps"] == ["scaled from 32x24 to 64x48 (bicubic)"]
    assert data["alignments"][0]["offset"] == 0


def test_a_failed_gate_is_exit_1_and_the_results_are_written(folder: Path, tiny_model: Path) -> None:
    argv = [
        sys.executable,
        "-m",
        "rankvqa_cli",
        "-m",
        tiny_model,
        "low.mp4",
        "-ref",
        "ref.mp4",
        "-o",
        "s.vmaf",
    ]
    done = subprocess.run(
        [*map(str, argv), "--fail-under", "tiny:min=100", "--fail-under", "mean=0", "-loglevel", "error"],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 1
    assert float(done.stdout) < 100
    assert done.stderr.startswith("error: gate 'tiny:min=100' failed: 'low.mp4' has ")
    assert done.stderr.count("\n") == 1
    log = json.loads((folder / "s.vmaf").read_text())
    assert log["pooled_metrics"]["tiny"]["min"] < 100
    assert len(log["frames"]) == 30
