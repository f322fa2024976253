"""The scoring command around the engine: what is checked first, what is written where, and what is said."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from fake_reports import report

from rankvqa_cli.cli.main import main
from rankvqa_cli.cli.scoring_options import one_thread_for_numpy
from rankvqa_cli.errors import InputError
from rankvqa_cli.results.gate import evaluate, parse_gate
from rankvqa_cli.scoring import engine
from rankvqa_cli.scoring.options import MEMORY_SHARE, ScoreOptions
from rankvqa_cli.types import Alignment, ComparisonPlan, Heatmap, PlannedInput, Report

REAL_SCORE = engine.score


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Replaces the engine: it records how it was called and reports by hand, two models for ``-m a -m b``."""
    recorded: list[dict[str, Any]] = []

    def score(inputs: Sequence[str], reference: str | None = None, **options: Any) -> Report:
        recorded.append({"inputs": tuple(inputs), "reference": reference, **options})
        return report(tuple(inputs), options["models"] or ("tiny",), options["fail_under"])

    def explain(inputs: Sequence[str], reference: str | None, options: ScoreOptions) -> Any:
        recorded.append({"inputs": tuple(inputs), "reference": reference, **options.arguments})
        return report(tuple(inputs)).plan, tuple(Alignment(-2, 0.75) for _ in inputs)

    monkeypatch.setattr(engine, "score", score)
    monkeypatch.setattr(engine, "explain", explain)
    monkeypatch.setattr("rankvqa_cli.models.manifest.locate", lambda name: (Path(name), None))
    return recorded


def replace_engine(monkeypatch: pytest.MonkeyPatch, change: Callable[[Report], Report]) -> None:
    monkeypatch.setattr(
        engine, "score", lambda inputs, reference=None, **options: change(report(tuple(inputs)))
    )


def test_defaults_are_the_python_apis(calls: list[dict[str, Any]]) -> None:
    assert main(["a.mp4", "-ref", "r.mp4"]) == 0
    (call,) = calls
    assert (call["inputs"], call["reference"]) == (("a.mp4",), "r.mp4")
    for name, parameter in inspect.signature(REAL_SCORE).parameters.items():
        if name not in ("inputs", "reference", "argv"):
            assert call[name] == parameter.default, name


def test_options_reach_the_engine(calls: list[dict[str, Any]]) -> None:
    args = "-i a -i b -ref r -m x -m y -ss 1 -t 2 -frames 3 --align -4 --hop 5 --device cpu --precision fp32 -threads 6"
    more = "--clip-stride 3 --pool p5 --allow-short --allow-damaged --deinterlace --fail-under x:mean=1"
    assert main([*args.split(), *more.split()]) == 0
    (call,) = calls
    call.pop("argv")
    assert call == {
        "inputs": ("a", "b"),
        "reference": "r",
        "models": ("x", "y"),
        "raw": None,
        "ref_raw": None,
        "seek": 1.0,
        "duration": 2.0,
        "frames": 3,
        "align": -4,
        "hop": 5,
        "clip_stride": 3,
        "sample": 0.5,
        "device": "cpu",
        "precision": "fp32",
        "threads": 6,
        "pool": "p5",
        "allow_short": True,
        "allow_damaged": True,
        "deinterlace": True,
        "fail_under": ("x:mean=1",),
        "fail_drop": (),
        "memory_share": MEMORY_SHARE,
        "heatmap": None,
        "moments": 0,
        "overwrite": False,
        "progress": None,
    }


def test_one_score_is_a_bare_number(calls: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-i", "a.mp4", "-ref", "r.mp4"]) == 0
    out = capsys.readouterr().out
    assert out == "45.0494\n"
    assert float(out) == 45.0494


def test_score_command_by_name_is_the_same(
    calls: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["-i", "a.mp4", "-ref", "r.mp4"])
    by_default = capsys.readouterr()
    main(["score", "-i", "a.mp4", "-ref", "r.mp4"])
    assert capsys.readouterr() == by_default
    assert {**calls[0], "argv": ()} == {**calls[1], "argv": ()}


def test_several_scores_are_lines_that_stay_lines(
    calls: list[dict[str, Any]], capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    odd = "a\tb\nc\\d.mp4"
    undecodable = os.fsdecode(b"caf\xe9.mp4")
    assert main(["-i", odd, "-i", undecodable, "-ref", "r.mp4", "-m", "x", "-m", "y"]) == 0
    assert capsysbinary.readouterr().out == (
        b"a\\tb\\nc\\\\d.mp4\tx\t45.0494\n"
        b"a\\tb\\nc\\\\d.mp4\ty\t48.0494\n"
        b"caf\xe9.mp4\tx\t65.0494\n"
        b"caf\xe9.mp4\ty\t68.0494\n"
    )


def test_outputs(calls: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [str(tmp_path / name) for name in ("s.json", "s.csv", "s.ndjson", "s.vmaf")]
    args = [word for name in names for word in ("-o", name)]
    assert main(["a.mp4", "-ref", "r.mp4", *args]) == 0
    assert capsys.readouterr().out == "45.0494\n"
    assert json.loads((tmp_path / "s.json").read_text())["results"][0]["score"] == 45.049383
    assert (tmp_path / "s.csv").read_text().startswith("index,pts_time,tiny\n")
    assert len((tmp_path / "s.ndjson").read_text().splitlines()) == 1
    assert "pooled_metrics" in json.loads((tmp_path / "s.vmaf").read_text())
    assert sorted(os.listdir(tmp_path)) == sorted(Path(name).name for name in names)


@pytest.mark.parametrize("args", [["-o", "-"], ["--format", "json"], ["-o", "-", "--format", "json"]])
def test_a_format_on_stdout_replaces_the_lines(
    args: list[str], calls: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["a.mp4", "-ref", "r.mp4", *args]) == 0
    assert json.loads(capsys.readouterr().out)["schema_version"] == "1.0"


def test_format_outranks_suffix(calls: list[dict[str, Any]], tmp_path: Path) -> None:
    assert main(["a.mp4", "-ref", "r.mp4", "-o", str(tmp_path / "log.txt"), "--format", "csv"]) == 0
    assert (tmp_path / "log.txt").read_text().startswith("index,")


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        ([], 2, "no video to score"),
        (["-i", "-", "-ref", "-"], 2, "stdin (-) can be read only once"),
        (["-", "-", "-ref", "r"], 2, "stdin (-) can be read only once"),
        (["-i", "a", "-ref", "r", "-ref", "q"], 2, "-ref is given 2 times"),
        (["-i", "", "-ref", "r"], 2, "a file name is empty"),
        (["-i", "a", "-ref", ""], 2, "a file name is empty"),
        (["-i", "a", "-ref", "r", "-t", "0"], 2, "-t 0 leaves nothing to score"),
        (["-i", "a", "-ref", "r", "-frames", "0"], 2, "invalid value for '-frames'"),
        (["-i", "a", "-ref", "r", "-y", "-n"], 2, "-y and -n contradict"),
        (["-i", "a", "-ref", "r", "-o", "x.txt"], 2, "the suffix of 'x.txt' says no format"),
        (["-i", "a", "-ref", "r", "--format", "xml"], 2, "invalid value for '--format': 'xml' is not one of"),
        (["-i", "a", "-ref", "r", "-o", "-", "-o", "-"], 2, "the output '-' is given twice"),
        (["-i", "a", "-i", "b", "-ref", "r", "-o", "x.vmaf"], 2, "libvmaf's format holds one input"),
        (["-i", "a", "-ref", "r", "-o", "/no/where/x.json"], 6, "cannot write '/no/where/x.json'"),
        (
            ["-i", "a", "-ref", "r", "--fail-under", "meen=3"],
            2,
            "no pool is called 'meen': did you mean 'mean'?",
        ),
        (["-i", "a", "-ref", "r", "--fail-under", "mean=x"], 2, "'mean=x' is no quality gate"),
        (["-i", "a", "-ref", "r", "-f", "rawvideo"], 2, "raw video has no header"),
        (["-i", "a", "-ref", "r", "--explain", "-o", "x.json"], 2, "--explain prints the plan to stdout"),
        (
            ["-i", "a", "-ref", "r", "--explain", "--heatmap", "x.png"],
            2,
            "--explain prints the plan to stdout",
        ),
        (
            ["-i", "a", "-ref", "r", "--heatmap", "x.png", "--heatmap", "y.mp4"],
            2,
            "--heatmap is given 2 times",
        ),
        (["-i", "a", "-ref", "r", "--heatmap", "-"], 2, "a heatmap is a file"),
        (["-i", "a", "-ref", "r", "--heatmap", "none/x.png"], 6, "cannot write 'none/x.png'"),
        (["-i", "a", "-ref", "r", "--heatmap", "x.json", "-o", "x.json"], 2, "the output 'x.json' is given"),
        (["-i", "a", "-ref", "r", "--explain", "--format", "csv"], 2, "--explain prints a table, or json"),
        (["-i", "a", "-ref", "r", "--precision", "fp16"], 2, "invalid value for '--precision'"),
    ],
)
def test_found_before_any_work(
    args: list[str], code: int, said: str, calls: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(args) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: {said}")
    assert captured.err.count("\n") == 1
    assert calls == []


def test_unknown_model_name_is_usage_and_missing_file_is_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["a.mp4", "-ref", "r.mp4", "-m", "no-such-model"]) == 2
    assert main(["a.mp4", "-ref", "r.mp4", "-m", "./no-such-model.safetensors"]) == 5
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("error: unknown model 'no-such-model'")
    assert second.startswith("error: model file './no-such-model.safetensors' does not exist")


def test_existing_output_is_kept_without_y(
    calls: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "s.json"
    path.write_text("precious")
    for flags in ([], ["-n"]):
        assert main(["a.mp4", "-ref", "r.mp4", "-o", str(path), *flags]) == 6
        assert "file exists; -y overwrites it" in capsys.readouterr().err
    assert path.read_text() == "precious"
    assert calls == []
    assert main(["a.mp4", "-ref", "r.mp4", "-o", str(path), "-y"]) == 0
    assert path.read_text().startswith("{")


def test_an_input_is_never_overwritten(calls: list[dict[str, Any]], tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    video.write_bytes(b"video")
    assert main([str(video), "-ref", "r.mp4", "-o", str(video), "--format", "json", "-y"]) == 2
    assert main(["x.mp4", "-ref", str(video), "-o", str(video), "--format", "json", "-y"]) == 2
    assert video.read_bytes() == b"video"
    assert calls == []


def test_gates(calls: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    gates = [
        "--fail-under",
        "mean=45",
        "--fail-under",
        "p5=99",
        "--fail-under",
        "tiny:min=40.5",
        "--fail-under",
        "46",
    ]
    assert main(["a\n.mp4", "-ref", "r.mp4", *gates]) == 1
    captured = capsys.readouterr()
    assert captured.out == "45.0494\n"
    failed = [line for line in captured.err.splitlines() if line.startswith("error:")]
    assert failed == [
        "error: gate 'p5=99' failed: 'a\\n.mp4' has 40.0000 by 'tiny'",
        "error: gate 'tiny:min=40.5' failed: 'a\\n.mp4' has 40.0000 by 'tiny'",
        "error: gate '46' failed: 'a\\n.mp4' has 45.0494 by 'tiny'",
    ]
    assert main(["a.mp4", "-ref", "r.mp4", "--fail-under", "mean=45"]) == 0


def test_a_failed_gate_never_looks_passed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def almost(plain: Report) -> Report:
        (result,) = plain.results
        result = dataclasses.replace(result, pooled={**result.pooled, "mean": 79.999999})
        return dataclasses.replace(
            plain, results=(result,), gates=evaluate([parse_gate("mean=80")], [result])
        )

    replace_engine(monkeypatch, almost)
    assert main(["a.mp4", "-ref", "r.mp4", "--fail-under", "mean=80"]) == 1
    assert "has 79.999999 by" in capsys.readouterr().err


def test_steps_and_warnings_are_one_line_each(
    calls: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["a.mp4", "-ref", "r.mp4"])
    assert capsys.readouterr().err.splitlines() == [
        "warning: 'ref.mp4': no colour tags: bt709 is assumed",
        "warning: 'a.mp4': no colour tags: bt709 is assumed",
        "info: 'a.mp4': scale 32x24 -> 64x48",
        "warning: 'a.mp4': frames look shifted by -1: use --align auto",
        "info: 'a.mp4': aligned by -1 frames (confidence 0.91)",
    ]
    main(["a.mp4", "-ref", "r.mp4", "-loglevel", "warning"])
    assert {line.split(":")[0] for line in capsys.readouterr().err.splitlines()} == {"warning"}
    main(["a.mp4", "-ref", "r.mp4", "-loglevel", "error"])
    assert capsys.readouterr().err == ""


def test_one_output_that_fails_keeps_the_others(
    calls: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = tmp_path / "good.json"
    args = ["a.mp4", "-ref", "r.mp4", "--format", "json", "-o", "/dev/full", "-o", str(good)]
    assert main([*args, "--fail-under", "99", "-loglevel", "error"]) == 6
    captured = capsys.readouterr()
    assert captured.out == "45.0494\n"
    assert json.loads(good.read_text())["gates"] == [
        {
            "expression": "99",
            "input": "a.mp4",
            "model": "tiny",
            "value": 45.049383,
            "threshold": 99.0,
            "passed": False,
        }
    ]
    assert captured.err.splitlines() == [
        "error: gate '99' failed: 'a.mp4' has 45.0494 by 'tiny'",
        "error: cannot write '/dev/full': no space left on device; free some space or write somewhere else",
    ]


def test_nothing_is_written_when_scoring_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(plain: Report) -> Report:
        raise InputError("cannot read 'a.mp4'")

    replace_engine(monkeypatch, fail)
    assert main(["a.mp4", "-ref", "r.mp4", "-o", str(tmp_path / "s.json")]) == 3
    assert os.listdir(tmp_path) == []
    assert capsys.readouterr().out == ""


def test_explain_as_text_and_json(calls: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["a.mp4", "-ref", "ref.mp4", "--explain"]) == 0
    text = capsys.readouterr().out
    rows = {line[:18].strip(): line for line in text.splitlines()}
    assert "ref.mp4" in rows["file"]
    assert "a.mp4" in rows["file"]
    for name, value in {
        "size": "64x48",
        "pixel format": "yuv420p, 8 bit",
        "range": "limited",
        "matrix": "bt709",
        "transfer": "bt709",
        "rate": "29.97 fps",
        "frames": "30",
        "steps": "scale 32x24 -> 64x48",
        "offset": "-2 frames, confidence 0.75",
    }.items():
        assert value in rows[name], name
    assert main(["a.mp4", "-ref", "ref.mp4", "--explain", "--format", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["plan"]["inputs"][0]["steps"] == ["scale 32x24 -> 64x48"]
    assert data["alignments"] == [{"offset": -2, "confidence": 0.75}]


def test_explain_takes_the_media_options(calls: list[dict[str, Any]]) -> None:
    args = "a b -ref r -ss 1 -t 2 -frames 3 --align off -threads 2 --allow-short --deinterlace --explain"
    assert main(args.split()) == 0
    expected = ScoreOptions(
        seek=1.0, duration=2.0, frames=3, align="off", threads=2, allow_short=True, deinterlace=True
    )
    assert calls == [{"inputs": ("a", "b"), "reference": "r", **expected.arguments}]


def test_tags_that_both_lack_are_no_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    warning = "no colour tag for range and matrix: taken as limited, bt709"

    def lacking(plan: PlannedInput, assumed: tuple[str, ...]) -> PlannedInput:
        return dataclasses.replace(
            plan, info=dataclasses.replace(plan.info, warnings=(warning,), assumed=assumed)
        )

    def with_tags_of(reference: tuple[str, ...]) -> Callable[[Report], Report]:
        def change(report: Report) -> Report:
            assert report.plan.reference is not None
            plan = ComparisonPlan(
                lacking(report.plan.reference, reference),
                tuple(lacking(each, ("range", "matrix")) for each in report.plan.inputs),
            )
            return dataclasses.replace(report, plan=plan)

        return change

    replace_engine(monkeypatch, with_tags_of(("range", "matrix")))
    main(["a.mp4", "-ref", "r.mp4"])
    assert "no colour tag" not in capsys.readouterr().err
    replace_engine(monkeypatch, with_tags_of(()))
    main(["a.mp4", "-ref", "r.mp4"])
    assert f"warning: 'a.mp4': {warning}" in capsys.readouterr().err


def test_heatmaps_are_named_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    painted = (Heatmap("h.png", "a.mp4", "tiny", (36,)), Heatmap("h.mkv", "a.mp4", "tiny", (0, 1, 2)))
    replace_engine(monkeypatch, lambda made: dataclasses.replace(made, heatmaps=painted))
    assert main(["-i", "a.mp4", "-ref", "r.mp4"]) == 0
    said = capsys.readouterr().err
    assert "info: 'h.png' shows frame 36, the worst of 'a.mp4' by tiny\n" in said
    assert "info: 'h.mkv' shows 3 frames of 'a.mp4' by tiny\n" in said


def test_numpy_gets_one_thread_unless_the_user_has_said_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    one_thread_for_numpy()
    assert os.environ["OPENBLAS_NUM_THREADS"] == "3"
    monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    one_thread_for_numpy()
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
