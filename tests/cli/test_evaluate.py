"""``vqa-score evaluate``: what it prints and writes, its exit codes, and the published figures."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import MakeClip

from rankvqa_cli.cli.evaluate import Compute, command, model_instruments
from rankvqa_cli.cli.main import main
from rankvqa_cli.cli.talk import Talk

QUALITIES = (2, 6, 12, 20, 31)

# SROCC on the frames: tests 1, 2 and 3; pooled without water; within one coded height of one test.
PUBLISHED = {
    "frame_psnr_y": (0.571, 0.393, 0.348, 0.398, 0.197),
    "frame_msssim": (0.696, 0.588, 0.538, 0.602, 0.267),
    "frame_ssim": (0.769, 0.652, 0.610, 0.699, 0.338),
    "frame_vmaf_v0.6.1": (0.851, 0.741, 0.705, 0.785, 0.394),
    "frame_vmaf_v1.0.16_3d0h": (0.825, 0.701, 0.646, 0.756, 0.413),
}


def evaluate(*arguments: str) -> Result:
    """The command in this process; its failures are raised."""
    done = CliRunner().invoke(command, list(arguments), obj=Talk(), standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done


def code_of(*arguments: str) -> int:
    return main(["evaluate", *arguments])


@pytest.fixture(scope="module")
def stills(tmp_path_factory: pytest.TempPathFactory, ffmpeg: str) -> Path:
    """A rated set of two contents, JPEGs of five qualities each; the better the higher its MOS."""
    folder = tmp_path_factory.mktemp("stills")
    rows = [["distorted", "reference", "mos", "ci", "content", "half", "known"]]
    for content, source in (("a", "testsrc2"), ("b", "mandelbrot")):
        lavfi = f"{source}=size=64x48:rate=1,noise=alls=8"
        argv = [
            ffmpeg,
            "-v",
            "error",
            "-nostdin",
            "-f",
            "lavfi",
            "-i",
            lavfi,
            "-frames:v",
            "1",
            f"{content}.png",
        ]
        subprocess.run(argv, check=True, cwd=folder, timeout=60)
        for place, quality in enumerate(QUALITIES):
            name = f"{content}{quality}.jpg"
            argv = [ffmpeg, "-v", "error", "-nostdin", "-i", f"{content}.png", "-q:v", str(quality), name]
            subprocess.run(argv, check=True, cwd=folder, timeout=60)
            mos, known = 5 - 0.8 * place, [0.9, 0.7, 0.5, 0.6, 0.1][place]
            rows.append([name, f"{content}.png", f"{mos}", "0.3", content, str(place % 2), f"{known}"])
    with (folder / "set.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


def test_scores_that_the_csv_has(stills: Path) -> None:
    done = evaluate(
        "--data", str(stills / "set.csv"), "--scores", "known", "--group-by", "half", "--least", "5"
    )
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert lines[0][:5] == ["metric", "by", "group", "count", "srocc"]
    assert lines[1][:4] == ["known", "", "all", "10"]
    assert float(lines[1][4]) == pytest.approx(0.9)
    assert [line[:4] for line in lines[2:]] == [
        ["known", "half", "0", "6"],
        ["known", "half", "mean of 1 groups", "6"],
        ["known", "content", "a", "5"],
        ["known", "content", "b", "5"],
        ["known", "content", "mean of 2 groups", "10"],
    ]


def test_models_peers_and_columns_together(stills: Path, tiny_model: Path, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("out.json", "out.csv", "out.png")]
    cache = tmp_path / "cache"
    options = [
        "--data",
        str(stills / "set.csv"),
        "-m",
        str(tiny_model),
        "--peers",
        "psnr,ssim",
        "--scores",
        "known",
    ]
    options += ["--size", "96x64", "--draws", "100", "-threads", "1", "--cache", str(cache)]
    first = evaluate(*options, "-o", str(files[0]), "-o", str(files[1]), "--plot", str(files[2]))
    data = json.loads(files[0].read_text())
    assert [metric["name"] for metric in data["metrics"]] == ["tiny", "psnr", "ssim", "known"]
    by_name = {metric["name"]: metric for metric in data["metrics"]}
    assert "sha256" in by_name["tiny"]["measured_by"]
    assert "libvmaf" in by_name["psnr"]["measured_by"]
    assert by_name["psnr"]["groupings"][0]["columns"] == ["content"]
    assert data["data"]["size"] == [96, 64]
    assert len(data["comparisons"]) == 6
    with files[1].open(newline="") as file:
        rows = list(csv.DictReader(file))
    for rows_of_one in (rows[:5], rows[5:]):
        psnr = [float(row["psnr"]) for row in rows_of_one]
        assert psnr == sorted(psnr, reverse=True)
    assert files[2].read_bytes().startswith(b"\x89PNG")
    # From the cache, and from the CSV that was written: the same lines.
    kept = (cache / "scores.jsonl").read_text()
    assert evaluate(*options).stdout == first.stdout
    assert (cache / "scores.jsonl").read_text() == kept
    columns = [each for name in ("tiny", "psnr", "ssim", "known") for each in ("--scores", name)]
    again = evaluate("--data", str(files[1]), *columns, "--draws", "100")
    assert figures(again.stdout) == figures(first.stdout)


def test_a_model_scores_as_vqa_score_does(
    stills: Path, tiny_model: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    out = tmp_path / "out.csv"
    evaluate("--data", str(stills / "set.csv"), "-m", str(tiny_model), "-o", str(out), "-threads", "1")
    with out.open(newline="") as file:
        row = list(csv.DictReader(file))[4]
    pair = ["-i", row["distorted"], "-ref", row["reference"]]
    assert main([*pair, "-m", str(tiny_model), "-threads", "1", "-loglevel", "error"]) == 0
    assert float(capsysbinary.readouterr().out) == pytest.approx(float(row["tiny"]), abs=1e-3)


def test_a_shift_that_peers_do_not_undo_is_said(make_clip: MakeClip, ffmpeg: str, tiny_model: Path) -> None:
    reference = make_clip("r.mp4", "-crf", "10", frames=40, size="128x96")
    late = reference.with_name("late.mp4")
    argv = [ffmpeg, "-v", "error", "-nostdin", "-i", str(reference), "-vf", "tpad=start=3", "-frames:v", "40"]
    subprocess.run([*argv, "-crf", "10", str(late)], check=True, timeout=60)
    said: list[str] = []
    (instrument,) = model_instruments([str(tiny_model)], Compute("cpu", "fp32", 1), said.append)
    (found, shifted) = instrument.measure([reference, late], reference)
    assert found == {"tiny": 100.0}
    assert shifted["tiny"] < 100
    assert [line.partition(" files")[0] for line in said] == ["1"]


def test_json_on_stdout_is_all_there_is(stills: Path) -> None:
    done = evaluate("--data", str(stills / "set.csv"), "--scores", "known", "-o", "-")
    assert json.loads(done.stdout)["metrics"][0]["name"] == "known"


def test_existing_files_are_left_alone(
    stills: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--data", str(stills / "set.csv"), "--scores", "known"]
    for option, name in (("-o", "out.json"), ("--plot", "out.png")):
        out = tmp_path / name
        out.write_text("mine")
        assert code_of(*options, option, str(out)) == 6
        assert "exists" in capsys.readouterr().err
        assert out.read_text() == "mine"
        assert code_of(*options, option, str(out), "-y") == 0
        assert out.read_bytes() != b"mine"
        capsys.readouterr()
    shutil.copy(stills / "set.csv", tmp_path / "set.csv")
    assert (
        code_of(
            "--data", str(tmp_path / "set.csv"), "--scores", "known", "-o", str(tmp_path / "set.csv"), "-y"
        )
        == 2
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "nothing to evaluate"),
        (["--scores", "gone"], 2, "no column 'gone'"),
        (["--scores", "half", "--scores", "half"], 2, "two of the metrics are called 'half'"),
        (["--scores", "content"], 3, "row 2: the content 'a' is no number"),
        (["--scores", "known", "--group-by", "half,width"], 2, "no column 'width'"),
        (["--scores", "known", "--filter", "width=3"], 2, "no column 'width'"),
        (["--scores", "known", "--filter", "half"], 2, "is no filter"),
        (["--scores", "known", "--filter", "content=a"], 3, "fewer than two contents after content=a"),
        (["--scores", "known", "--content", "scene"], 2, "no column 'scene'"),
        (["--scores", "known", "-o", "out.vmaf"], 2, "written as .json or .csv"),
        (["--scores", "known", "--plot", "out.bmp"], 2, "says no picture format"),
        (["--scores", "known", "-o", "none/out.json"], 6, "cannot write 'none/out.json'"),
        (["--scores", "known", "--filter", "mos=5.0"], 3, "at least 5 pairs"),
        (["--scores", "ci"], 3, "metric 'ci' cannot be evaluated: all scores"),
        (["--peers", "vmaff"], 2, "no peer is called 'vmaff'"),
        (["--size", "big", "--peers", "psnr"], 2, "is no frame size"),
        (["-m", "gone.safetensors"], 5, "'gone.safetensors' does not exist"),
        (["-m", "rankvqa-minni"], 2, "did you mean"),
    ],
)
def test_faults_are_one_line_with_their_code(
    stills: Path, arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of("--data", str(stills / "set.csv"), *arguments) == code
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_no_file_and_no_picture(stills: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("--data", str(tmp_path / "none.csv"), "--scores", "known") == 3
    assert "none.csv" in capsys.readouterr().err
    for file in stills.iterdir():
        shutil.copy(file, tmp_path)
    (tmp_path / "b12.jpg").write_bytes(b"no picture")
    assert code_of("--data", str(tmp_path / "set.csv"), "--peers", "psnr", "--size", "64x48") == 3
    said = capsys.readouterr().err
    assert "b12.jpg" in said
    assert said.count("\n") == 1


def test_tables_on_a_terminal(stills: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    argv = [sys.executable, "-m", "rankvqa_cli", "evaluate", "--data", str(stills / "set.csv")]
    argv += ["--scores", "known", "--scores", "mos", "--least", "5"]
    environment = {**os.environ, "COLUMNS": "120", "TERM": "dumb"}
    with subprocess.Popen(argv, stdout=theirs, stdin=subprocess.DEVNULL, env=environment) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:
                break
            if not piece:
                break
            shown += piece
    os.close(ours)
    assert process.returncode == 0
    text = shown.decode()
    assert "10 stimuli of 2 contents" in text
    assert "SROCC within content" in text
    assert "mean of 2" in text
    assert "known - mos" in text
    assert "0.900" in text


def test_the_published_figures_from_the_published_measurements(shared: Path, tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    made = tmp_path / "avt.csv"
    argv = [
        sys.executable,
        str(root / "benchmarks" / "scored_csv.py"),
        str(shared / "data" / "avt"),
        str(made),
    ]
    subprocess.run(argv, check=True, timeout=60)
    options = ["--data", str(made), "--draws", "100"]
    options += [each for name in PUBLISHED for each in ("--scores", name)]
    every = figures(evaluate(*options, "--group-by", "test").stdout)
    no_water = figures(
        evaluate(*options, "--group-by", "test,height", "--filter", "content!=water_netflix*").stdout
    )
    for name, (one, two, three, pooled, within) in PUBLISHED.items():
        for test, count, srocc in (("test_1", "180", one), ("test_2", "192", two), ("test_3", "192", three)):
            assert every[name, "test", test] == (count, pytest.approx(srocc, abs=0.0005001))
        assert no_water[name, "", "all"] == ("470", pytest.approx(pooled, abs=0.0005001))
        assert no_water[name, "test,height", "mean of 12 groups"] == (
            "470",
            pytest.approx(within, abs=0.0005001),
        )


def figures(text: str) -> dict[tuple[str, str, str], tuple[str, float]]:
    """(count, SROCC) by metric, grouping and group."""
    lines = [line.split("\t") for line in text.partition("\n\n")[0].splitlines()[1:]]
    return {(line[0], line[1], line[2]): (line[3], float(line[4])) for line in lines}
