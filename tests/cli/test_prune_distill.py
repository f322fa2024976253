"""``prune`` and ``distill`` end to end, and their bad input: one line and an exit code each."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rankvqa_cli.cli.main import main
from rankvqa_cli.cli.prune import amount
from rankvqa_cli.errors import UsageError

CORPUS = ("corpus", "sources", "-o", "corpus", "--ladders", "1", "--rungs", "3", "--patches", "1")
CORPUS += ("--codecs", "mpeg2", "--degraded", "2", "--fold", "-1")
SHORT = ["--groups", "1", "--slots", "2", "--fold", "-1", "--save-every", "2", "-threads", "1"]
PRUNE = ["prune", "--data", "corpus", "--steps", "4", "--finetune-steps", "2", "--multiple", "2", *SHORT]
DISTILL = ["distill", "--data", "corpus", "--student", "new.json", "--steps", "4", *SHORT]


@pytest.fixture(scope="module")
def folder(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of one source, a teacher of a few thousand random parameters, a configuration of a student."""
    import torch

    from rankvqa_cli.models.contract import Calibration
    from rankvqa_cli.models.pqanet import PQANet
    from rankvqa_cli.models.rankvqa_parts import parts_of
    from rankvqa_cli.training.teacher import teacher_config, write_teacher

    folder = tmp_path_factory.mktemp("pruning")
    (folder / "sources").mkdir()
    lavfi = ["-f", "lavfi", "-i", "testsrc2=size=272x264:rate=25", "-pix_fmt", "yuv420p"]
    argv = [ffmpeg, "-v", "error", "-nostdin", *lavfi, "-frames:v", "24", "-c:v", "ffv1", "sources/a.mkv"]
    subprocess.run(argv, cwd=folder, check=True, timeout=60)
    argv = [sys.executable, "-m", "rankvqa_cli", *CORPUS]
    subprocess.run(argv, cwd=folder, check=True, timeout=300, capture_output=True)
    config = teacher_config(tiny=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = PQANet(config.network)
        write_teacher(
            config, network, parts_of(config), Calibration(), folder / "t.safetensors", "t", "random"
        )
    student = {"luma": 4, "chroma": 2, "pyramid": [4, 6, 8], "mixed": 3}
    (folder / "new.json").write_text(json.dumps({"architecture": "patchnet", "config": student}))
    return folder


@pytest.fixture(autouse=True)
def _inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def test_pruned_distilled_and_scored(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = ["--target-params", "60%", "--target-flops", "0.9"]
    assert main([*PRUNE, "--model", "t.safetensors", "-o", "p.safetensors", *target]) == 0
    out = capsys.readouterr().out
    assert "moduleFirst.0" in out
    assert out.splitlines()[-1].startswith("p.safetensors\t")
    share = float(out.split("\n  all ")[1].split("(")[1].split("%")[0])
    assert 0 < share <= 60
    assert (folder / "p.run" / "layers.csv").is_file()
    student = ["distill", "--data", "corpus", "--student", "p.safetensors", "--steps", "2", *SHORT]
    assert main([*student, "--teacher", "t.safetensors", "-o", "d.safetensors", "--weight", "maps=0.5"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("d.safetensors\t")
    assert f"{share}%" in said.err
    assert main(["-m", "d.safetensors", "-i", "sources/a.mkv", "-ref", "sources/a.mkv", "-threads", "1"]) == 0
    assert capsys.readouterr().out == "100.0000\n"


def test_killed_command_goes_on_to_the_same_file(folder: Path) -> None:
    def argv(out: str) -> list[str]:
        return [*DISTILL, "--teacher", "t.safetensors", "-o", out, "--name", "same"]

    assert main(argv("unbroken.safetensors")) == 0
    checkpoint = folder / "killed.run" / "checkpoint.pt"
    command = [sys.executable, "-m", "rankvqa_cli", *argv("killed.safetensors")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not checkpoint.exists() and process.poll() is None:
            time.sleep(0.002)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not (folder / "killed.safetensors").exists()
    assert main(argv("killed.safetensors")) == 0
    there, here = (folder / f"{name}.safetensors" for name in ("unbroken", "killed"))
    assert here.read_bytes() == there.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            [*PRUNE, "--model", "t.safetensors", "--target-params", "1e9"],
            2,
            "--target-params 1e+09 is not below",
        ),
        ([*PRUNE, "--model", "t.safetensors", "--target-flops", "2"], 2, "below the smallest widths"),
        ([*PRUNE, "--model", "t.safetensors", "--target-flops", "nine"], 2, "'nine' is no target"),
        ([*PRUNE, "--model", "t.safetensors", "--data", "sources"], 3, "not a finished corpus"),
        ([*PRUNE, "--model", "absent.safetensors"], 5, "does not exist"),
        ([*PRUNE, "--model", "new.json"], 5, "not a readable safetensors file"),
        ([*DISTILL, "--teacher", "t.safetensors", "--data", "sources"], 3, "not a finished corpus"),
        ([*DISTILL, "--teacher", "t.safetensors", "--student", "t.safetensors"], 5, "the same model"),
        ([*DISTILL, "--teacher", "t.safetensors", "--student", "absent.json"], 5, "no configuration"),
        ([*DISTILL, "--teacher", "t.safetensors", "--weight", "map=1"], 2, "NAME one of maps"),
        ([*DISTILL, "--teacher", "t.safetensors", "--frames", "5"], 2, "--frames 5"),
    ],
)
def test_bad_input_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    assert main([*arguments, "-o", "x.safetensors"]) == code
    said = capsys.readouterr().err
    assert message in said
    assert len([line for line in said.splitlines() if line.startswith("error")]) == 1
    assert not (folder / "x.safetensors").exists()


def test_amounts() -> None:
    assert [amount(text) for text in ("0.08", "8%", "100%", "367000", "2.1e9")] == [
        0.08,
        0.08,
        1,
        367000,
        2.1e9,
    ]
    for wrong in ("", "0", "-1", "101%", "8%%", "inf", "nan", "8 percent"):
        with pytest.raises(UsageError, match="is no target"):
            amount(wrong)
