"""``vqa-score train`` killed and started again, and in two processes under torchrun."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

OPTIONS = [
    "--tiny",
    "--groups",
    "2",
    "--steps",
    "8",
    "--save-every",
    "2",
    "--check-every",
    "4",
    "--fold",
    "-1",
]
TORCHRUN = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]


def command(corpus: Path, out: Path, accumulate: int, before: tuple[str, ...] = ()) -> list[str]:
    given = ["--data", str(corpus), "-o", str(out), "--accumulate", str(accumulate), "-threads", "1"]
    return [sys.executable, "-m", *before, "rankvqa_cli", "train", *OPTIONS, *given]


def train(argv: list[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(out: Path) -> list[dict[str, float]]:
    with (out.with_suffix(".run") / "curve.csv").open(newline="") as file:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def unbroken(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("unbroken") / "m.safetensors"
    assert train(command(corpus, out, 2)).startswith(f"{out}\t")
    return out


def test_killed_command_goes_on_to_the_same_file(corpus: Path, unbroken: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    argv = command(corpus, out, 2)
    checkpoint = out.with_suffix(".run") / "checkpoint.pt"
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not checkpoint.exists() and process.poll() is None:
            time.sleep(0.002)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not out.exists()
    train(argv)
    assert out.read_bytes() == unbroken.read_bytes()
    for name in ("curve.csv", "curve.png"):
        there, here = (path.with_suffix(".run") / name for path in (unbroken, out))
        assert here.read_bytes() == there.read_bytes()


def test_two_processes_have_the_curve_of_one(corpus: Path, unbroken: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    assert train(command(corpus, out, 1, (*TORCHRUN,))).count("\t") == 1
    alone, together = rows(unbroken), rows(out)
    assert [row["step"] for row in alone] == [2, 4, 6, 8]
    for one, two in zip(alone, together, strict=True):
        assert two == pytest.approx(one, abs=1e-5)


@pytest.mark.parametrize(
    ("option", "message"), [(("--accumulate", "0"), "0"), (("--precision", "fp16"), "'fp16'")]
)
def test_bad_options(corpus: Path, tmp_path: Path, option: tuple[str, ...], message: str) -> None:
    argv = [*command(corpus, tmp_path / "m.safetensors", 1), *option]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert message in done.stderr
