from __future__ import annotations

import csv
import dataclasses
import io
import json
import subprocess
from pathlib import Path

import pytest
from fake_reports import report

from rankvqa_cli.errors import UsageError
from rankvqa_cli.results.formats import render
from rankvqa_cli.results.report import explain_json, report_json
from rankvqa_cli.types import Alignment

RESULT_KEYS = [
    "input",
    "reference",
    "model",
    "score",
    "pool",
    "pooled",
    "ci95",
    "clips",
    "frames",
    "integrity",
    "alignment",
    "wall_s",
    "fps",
]


def strict(text: str) -> object:
    """JSON as a strict parser reads it: no NaN, no Infinity."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    return json.loads(text, parse_constant=refuse)


def test_json_has_exactly_the_promised_keys() -> None:
    data = strict(render(report(gates=("mean=80",)), "json"))
    assert isinstance(data, dict)
    assert list(data) == [
        "schema_version",
        "tool",
        "environment",
        "models",
        "plan",
        "results",
        "gates",
    ]
    assert data["schema_version"] == "1.0"
    assert list(data["tool"]) == ["name", "version", "argv"]
    assert list(data["environment"]) == ["ffmpeg", "torch", "device", "precision", "threads"]
    assert list(data["models"][0]) == ["name", "kind", "weights_sha256", "clip_frames", "scale", "provenance"]
    assert list(data["plan"]) == ["reference", "inputs"]
    (only,) = data["results"]
    assert list(only) == RESULT_KEYS
    assert list(only["clips"][0]) == ["start", "end", "score", "padded"]
    assert list(only["frames"][0]) == ["index", "pts_time", "score"]
    assert list(only["integrity"]) == [
        "frames_expected",
        "frames_decoded",
        "frames_scored",
        "ffmpeg_returncode",
        "decode_errors",
    ]
    assert list(only["alignment"]) == ["offset", "confidence"]
    assert list(data["gates"][0]) == ["expression", "input", "model", "value", "threshold", "passed"]


def test_json_values() -> None:
    data = report_json(report(gates=("p5=39", "tiny:min=99")))
    (only,) = data["results"]
    assert only["score"] == pytest.approx(45.049383)
    assert only["frames"][29] == {"index": 29, "pts_time": 0.967633, "score": 50.123457}
    assert only["clips"][2] == {"start": 18, "end": 30, "score": 50.0, "padded": True}
    assert only["alignment"] == {"offset": -1, "confidence": 0.9123}
    of = {"input": "a.mp4", "model": "tiny", "value": 40.0}
    assert data["gates"] == [
        {"expression": "p5=39", **of, "threshold": 39.0, "passed": True},
        {"expression": "tiny:min=99", **of, "threshold": 99.0, "passed": False},
    ]


def test_plan_says_what_is_done_and_takes_in_the_warnings() -> None:
    (planned,) = report_json(report())["plan"]["inputs"]
    assert planned["steps"] == ["scale 32x24 -> 64x48"]
    assert planned["frame_rate"] == "30000/1001"
    assert planned["range"] == "limited"
    assert planned["warnings"] == [
        "no colour tags: bt709 is assumed",
        "frames look shifted by -1: use --align auto",
    ]


def test_explain_has_plan_and_alignments() -> None:
    data = explain_json(report().plan, [Alignment(2, 0.5)])
    assert list(data) == ["schema_version", "plan", "alignments"]
    assert data["alignments"] == [{"offset": 2, "confidence": 0.5}]


def test_no_interval_is_null() -> None:
    plain = report()
    none = dataclasses.replace(plain, results=(dataclasses.replace(plain.results[0], ci95=None),))
    (result,) = strict(render(none, "json"))["results"]
    assert result["ci95"] is None
    assert list(result) == list(report_json(plain)["results"][0])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_number_is_infinite(value: float) -> None:
    plain = report()
    odd = dataclasses.replace(
        plain, results=(dataclasses.replace(plain.results[0], fps=value, ci95=(value, 1.0)),)
    )
    for name in ("json", "ndjson", "vmaf"):
        text = render(odd, name)
        assert "NaN" not in text
        assert "Infinity" not in text
    assert report_json(odd)["results"][0]["fps"] is None


@pytest.mark.parametrize("name", ["json", "csv", "ndjson", "vmaf"])
def test_names_that_are_no_text_stay_valid_utf8(name: str) -> None:
    undecodable = b"caf\xe9.mp4".decode("utf-8", "surrogateescape")
    render(report(inputs=(undecodable,)), name).encode("utf-8")


def test_csv_one_input() -> None:
    rows = list(csv.reader(io.StringIO(render(report(models=("tiny", "big")), "csv"))))
    assert rows[0] == ["index", "pts_time", "tiny", "big"]
    assert rows[1] == ["0", "0.0", "40.0", "43.0"]
    assert rows[30] == ["29", "0.967633", "50.123457", "53.123457"]
    assert len(rows) == 31


def test_csv_several_inputs_survive_odd_names() -> None:
    odd = 'a,"b\n\tc.mp4'
    rows = list(csv.reader(io.StringIO(render(report(inputs=("a.mp4", odd)), "csv"))))
    assert rows[0] == ["input", "index", "pts_time", "tiny"]
    assert [row[0] for row in rows[1:]] == ["a.mp4"] * 30 + [odd] * 30


def test_csv_leaves_a_frame_empty_that_a_model_did_not_score() -> None:
    both = report(models=("tiny", "big"))
    cut = dataclasses.replace(both.results[1], frames=both.results[1].frames[:29])
    rows = list(
        csv.reader(io.StringIO(render(dataclasses.replace(both, results=(both.results[0], cut)), "csv")))
    )
    assert rows[30] == ["29", "0.967633", "50.123457", ""]


def test_ndjson_is_one_result_a_line() -> None:
    lines = render(report(inputs=("a\n.mp4", "b.mp4"), models=("tiny", "big")), "ndjson").splitlines()
    parsed = [strict(line) for line in lines]
    assert [(line["input"], line["model"]) for line in parsed] == [
        ("a\n.mp4", "tiny"),
        ("a\n.mp4", "big"),
        ("b.mp4", "tiny"),
        ("b.mp4", "big"),
    ]
    assert list(parsed[0]) == ["schema_version", *RESULT_KEYS]


def test_vmaf_shape_is_libvmafs(ffmpeg: str, tmp_path: Path) -> None:
    source = "testsrc2=size=64x64:rate=5:duration=1"
    subprocess.run(
        [
            *(ffmpeg, "-v", "error", "-f", "lavfi", "-i", source, "-f", "lavfi", "-i", source),
            *("-lavfi", "libvmaf=log_fmt=json:log_path=log.json", "-f", "null", "-"),
        ],
        check=True,
        cwd=tmp_path,
    )
    theirs = json.loads((tmp_path / "log.json").read_text())
    ours = strict(render(report(models=("tiny", "big")), "vmaf"))
    assert isinstance(ours, dict)
    assert list(ours) == list(theirs)
    assert list(ours["frames"][0]) == list(theirs["frames"][0])
    assert [frame["frameNum"] for frame in ours["frames"]] == list(range(30))
    assert ours["frames"][3]["metrics"] == {"tiny": 40.0, "big": 43.0}
    assert list(ours["pooled_metrics"]["tiny"]) == list(theirs["pooled_metrics"]["vmaf"])
    assert ours["aggregate_metrics"] == theirs["aggregate_metrics"] == {}
    assert all(type(ours[key]) is type(theirs[key]) for key in theirs)


def test_vmaf_holds_one_input_only() -> None:
    with pytest.raises(UsageError, match="holds one input, and this run has 2"):
        render(report(inputs=("a.mp4", "b.mp4")), "vmaf")
