"""On a terminal: a table instead of bare lines, progress while it runs, and a question before overwriting."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

# The command line around an engine that reports by hand, after some progress.
PROGRAM = """
import sys
from fake_reports import report
from rankvqa_cli.scoring import engine
from rankvqa_cli.types import Progress

def score(inputs, reference=None, *, progress, fail_under, **options):
    if progress is not None:
        for done in (0, 12, 24, 30):
            progress(Progress("dir/a.mp4", "tiny", done, 30, 24.5))
            progress(Progress("stream", "tiny", done, None, 24.5))
    return report(tuple(inputs), ("tiny",), fail_under)

engine.score = score
from rankvqa_cli.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def on_terminal(args: list[str], typed: bytes = b"", cwd: Path | None = None) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of the program with all three on terminals, two different ones."""
    out, out_child = pty.openpty()
    err, err_child = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}", "COLUMNS": "150", "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *args],
        stdin=err_child,
        stdout=out_child,
        stderr=err_child,
        env=environment,
        cwd=cwd,
    )
    os.close(out_child)
    os.close(err_child)
    if typed:
        time.sleep(0.1)
        os.write(err, typed)
    try:
        said = drain(err)
        shown = drain(out)
        return process.wait(timeout=60), plain(shown), plain(said)
    finally:
        process.kill()
        os.close(out)
        os.close(err)


def drain(descriptor: int) -> bytes:
    data = b""
    while True:
        try:
            more = os.read(descriptor, 65536)
        except OSError:  # how a terminal says that nobody has it open any more
            return data
        if not more:
            return data
        data += more


def plain(data: bytes) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", data.decode()).replace("\r\n", "\n")


def test_a_table_replaces_the_lines() -> None:
    code, out, _ = on_terminal(["a\x1b[31m.mp4", "b.mp4", "-ref", "r.mp4", "--fail-under", "p5=50"])
    assert code == 1
    heading, _, first, second = [line.rstrip() for line in out.splitlines() if line.strip()]
    assert heading.split() == ["input", "model", "mean", "95", "%", "p5", "min", "frames", "fps", "gates"]
    assert first.split()[:3] == ["a\\x1b[31m.mp4", "tiny", "45.0494"]
    assert first.endswith("p5=50 FAILED")
    assert second.split()[:3] == ["b.mp4", "tiny", "65.0494"]
    assert second.endswith("p5=50 passed")


def test_progress_has_frames_rate_and_time_left_and_leaves_a_clean_line() -> None:
    _, _, said = on_terminal(["a.mp4", "-ref", "r.mp4"])
    assert "a.mp4 tiny" in said
    assert "30/30 frames" in said
    assert "24.5 fps" in said
    assert "left" in said
    assert said.splitlines()[-1] == "info: 'a.mp4': aligned by -1 frames (confidence 0.91)"


@pytest.mark.parametrize("args", [["--no-progress"], ["-loglevel", "warning"]])
def test_no_progress(args: list[str]) -> None:
    _, _, said = on_terminal(["a.mp4", "-ref", "r.mp4", *args])
    assert "fps" not in said
    assert "warning: 'a.mp4'" in said


@pytest.mark.parametrize(("answer", "code"), [(b"y\n", 0), (b"n\n", 6), (b"\n", 6)])
def test_asks_before_overwriting(answer: bytes, code: int, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text("precious")
    got, _, said = on_terminal(["a.mp4", "-ref", "r.mp4", "-o", "s.json"], answer, tmp_path)
    assert got == code
    assert "s.json exists already. Overwrite?" in said
    assert (path.read_text() == "precious") == (code == 6)


def test_does_not_ask_with_n(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text("precious")
    code, _, said = on_terminal(["a.mp4", "-ref", "r.mp4", "-o", "s.json", "-n"], cwd=tmp_path)
    assert code == 6
    assert "Overwrite" not in said
