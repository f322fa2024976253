"""Completion as the shells ask for it, and in the shells themselves where they are installed."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rankvqa_cli.cli.completion import SHELLS
from rankvqa_cli.cli.main import COMMANDS, COMPLETE, main
from rankvqa_cli.results.pooling import POOLS

ROOT = Path(__file__).parents[2]


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


def answers(line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """What bash is told can stand at the end of ``line``."""
    monkeypatch.setenv(COMPLETE, "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len((line + ".").split()) - 1))
    assert main([]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return set(captured.out.split())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("vqa-score tr", {"file,tr", "plain,train"}),
        ("vqa-score --fail", {"plain,--fail-under", "plain,--fail-drop"}),
        ("vqa-score --vers", {"plain,--version"}),
        (
            "vqa-score -i a.mp4 -re",
            {f"plain,-ref{each}" for each in ("", "_f", "_s", "_pix_fmt", "_framerate")},
        ),
        ("vqa-score -ref ", {"file,"}),
        ("vqa-score -i ref.m", {"file,ref.m"}),
        ("vqa-score a.mp4 b", {"file,b"}),
        ("vqa-score a.mp4 -o s", {"file,s"}),
        ("vqa-score --junit ", {"file,"}),
        ("vqa-score --pool ", {f"plain,{name}" for name in POOLS}),
        ("vqa-score --align ", {"plain,auto", "plain,off"}),
        ("vqa-score --device c", {"plain,cpu", "plain,cuda"}),
        ("vqa-score a.mp4 --format=js", {"plain,json"}),
        ("vqa-score score -loglevel w", {"plain,warning"}),
        ("vqa-score -m rankvqa-m", {"file,rankvqa-m", "plain,rankvqa-mini"}),
        ("vqa-score --no-such -loglevel w", {"plain,warning"}),
        ("vqa-score train --input ", {"plain,luma", "plain,ycbcr"}),
        ("vqa-score batch jo", {"file,jo"}),
        ("vqa-score compare jobs.csv --fail-d", {"plain,--fail-drop"}),
        ("vqa-score models info rankvqa-m", {"file,rankvqa-m", "plain,rankvqa-mini"}),
        ("vqa-score completion ", {f"plain,{shell}" for shell in SHELLS}),
    ],
)
def test_what_can_follow(
    line: str,
    expected: set[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert answers(line, monkeypatch, capsys) == expected


def test_commands_and_every_option_of_the_default_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answers("vqa-score ", monkeypatch, capsys) == {"file,", *(f"plain,{name}" for name in COMMANDS)}
    options = answers("vqa-score -", monkeypatch, capsys)
    assert {"plain,-i", "plain,--pool", "plain,--help", "plain,--version"} <= options


def test_an_answer_imports_nothing_heavy() -> None:
    code = (
        "import sys; from rankvqa_cli.cli.main import main; main([]); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'rich')))"
    )
    words = {COMPLETE: "bash_complete", "COMP_WORDS": "vqa-score -", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **words}, stdout=subprocess.DEVNULL, timeout=120
    )
    assert done.returncode == 0


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH on which vqa-score is found."""
    program = tmp_path / "bin" / "vqa-score"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m rankvqa_cli "$@"\n')
    program.chmod(0o755)
    return f"{program.parent}{os.pathsep}{os.environ['PATH']}"


ASKING = {
    "bash": "source {script}; COMP_WORDS=(vqa-score --fail-); COMP_CWORD=1; "
    '_vqa_score_completion vqa-score; printf "%s\\n" "${{COMPREPLY[@]}}"',
    "zsh": "compdef() {{}}; _describe() {{ print -rl -- ${{${{(P)3}}%%:*}} }}; "
    "source {script}; words=(vqa-score --fail-); CURRENT=2; _vqa_score_completion",
    "fish": 'source {script}; complete -C "vqa-score --fail-" | string split -f 1 \\t',
}


@pytest.mark.parametrize("shell", SHELLS)
def test_in_the_shell(shell: str, path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"NOT TESTED: there is no {shell}")
    file = tmp_path / "script"
    file.write_text(script(shell, capsys))
    bare = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    done = subprocess.run(
        [found, *bare, "-c", ASKING[shell].format(script=shlex.quote(str(file)))],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == ["--fail-drop", "--fail-under"], done.stderr
