"""The entry: what is imported when, and how every kind of failure leaves the process."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import pytest

from rankvqa_cli.cli import main as entry
from rankvqa_cli.cli.main import COMMANDS, FAULT, LazyGroup, cli, main
from rankvqa_cli.errors import (
    DamagedError,
    DeviceError,
    ExitCode,
    InputError,
    ModelError,
    OutputError,
    VqaError,
)

HEAVY = ("torch", "numpy", "scipy", "av", "ffmpeg", "imageio_ffmpeg", "rich", "safetensors")


def vqa_score(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rankvqa_cli", *args],
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )


def imported(args: Sequence[str]) -> tuple[int, set[str]]:
    """Exit code of a command line, and which heavy modules it has imported."""
    code = (
        "import sys; from rankvqa_cli.cli.main import main; code = main(sys.argv[1:]); "
        f"sys.exit(f'{{code}} ' + ' '.join(m for m in {HEAVY!r} if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=120)
    status, *modules = done.stderr.splitlines()[-1].split(" ")
    return int(status), {module for module in modules if module}


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["--help"], 0),
        (["score", "-h"], 0),
        (["--version"], 0),
        ([], 2),
        (["-i", "x", "-reff", "y"], 2),
        (["-i", "x", "--pool", "meen"], 2),
        (["-i", "x", "--fail-under", "p55=3"], 2),
        (["-i", "x", "-m", "no-such-model"], 2),
        (["-i", "x", "-m", "missing.safetensors"], 5),
        (["-i", "x", "-o", "scores.txt"], 2),
        (["-i", "x", "-o", "/no/such/folder/scores.json"], 6),
    ],
)
def test_answers_without_the_heavy_modules(args: list[str], code: int) -> None:
    assert imported(args) == (code, set())


def test_help_is_quick() -> None:
    """In processor time, which a busy machine does not stretch; on an idle one it is what a user waits."""
    vqa_score("--help")  # byte-compile
    spent = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        vqa_score("--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert 0 < min(spent) < 0.4


def test_help_has_every_command_and_the_default_commands_options() -> None:
    done = vqa_score("--help")
    assert done.returncode == 0
    assert done.stderr == ""
    for word in (
        *COMMANDS,
        "-ref FILE",
        "--fail-under",
        "Exit codes:",
        "vqa-score -i encode.mp4 -ref source.mp4",
    ):
        assert word in done.stdout
    assert vqa_score("-h").stdout == done.stdout


def test_every_command_can_be_imported_and_shows_an_example() -> None:
    group = cli
    assert isinstance(group, LazyGroup)
    for name in COMMANDS:
        ctx = click.Context(group, info_name="vqa-score")
        command = group.get_command(ctx, name)
        assert command is not None
        text = command.get_help(click.Context(command, info_name=f"vqa-score {name}", parent=ctx))
        assert "vqa-score" in text.split("Example", 1)[-1], name


def test_version() -> None:
    done = vqa_score("--version")
    assert done.stdout.startswith("vqa-score ")
    assert done.stdout.split(" ")[1][0].isdigit()


def test_a_misspelt_command_is_not_taken_for_a_video() -> None:
    done = vqa_score("scroe")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: no command or file is called 'scroe': did you mean 'score'?\n"


def test_a_command_group_without_a_command_is_one_line() -> None:
    done = vqa_score("models")
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == "error: missing command: one of import, info, list, pull, verify (see vqa-score models --help)\n"
    )


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def command() -> None:
        raise error

    monkeypatch.setitem(COMMANDS, "fail", entry.Entry("nowhere:command", ""))
    monkeypatch.setattr(LazyGroup, "get_command", lambda self, ctx, name: command)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputError("cannot read 'a\nb'"), 3, "error: cannot read 'a b'\n"),
        (DamagedError("damaged"), 4, "error: damaged\n"),
        (ModelError("model"), 5, "error: model\n"),
        (OutputError("output"), 6, "error: output\n"),
        (DeviceError("device"), 7, "error: device\n"),
        (VqaError("other"), 2, "error: other\n"),
        (MemoryError(), 7, "error: out of memory: close other programs, or score with fewer -threads\n"),
        (KeyboardInterrupt(), 130, "error: interrupted: nothing is left half-written\n"),
        (click.Abort(), 130, "error: interrupted: nothing is left half-written\n"),
        (click.ClickException("Odd."), 2, "error: odd\n"),
    ],
)
def test_exit_codes(
    error: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fail_with(error, monkeypatch)
    assert main(["fail"]) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", said)


def test_a_traceback_only_with_debug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(InputError("cannot read"), monkeypatch)
    monkeypatch.setattr(entry, "level_in", lambda argv: "debug")
    assert main(["fail"]) == ExitCode.INPUT
    said = capsys.readouterr().err
    assert said.startswith("Traceback")
    assert said.endswith("error: cannot read\n")


def test_quiet_says_nothing_but_the_exit_code() -> None:
    done = vqa_score("-loglevel", "quiet", "-i", "x", "--pool", "meen")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


def test_an_unexpected_oserror_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(PermissionError(13, "denied", "x"), monkeypatch)
    with pytest.raises(PermissionError):
        main(["fail"])


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["score", "--help"]])
def test_stdout_that_cannot_be_written_is_an_error_without_a_traceback(args: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "rankvqa_cli", *args],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
    assert done.returncode == ExitCode.OUTPUT
    assert done.stderr == "error: cannot write to stdout: no space left on device; nothing more is written\n"


def test_closed_pipe_is_an_error_without_a_traceback() -> None:
    done = subprocess.run(
        ["bash", "-c", '"$0" -m rankvqa_cli --help | true; exit ${PIPESTATUS[0]}', sys.executable],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == ExitCode.OUTPUT
    assert done.stderr == "error: cannot write to stdout: broken pipe; nothing more is written\n"


def test_module_and_script_are_the_same_program() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert 'vqa-score = "rankvqa_cli.cli.main:run"' in project
    assert vqa_score("score", "--pool", "x").stderr == vqa_score("--pool", "x").stderr != ""


def test_a_fault_of_the_program_is_no_failed_gate() -> None:
    code = (
        "from rankvqa_cli.scoring import engine; from rankvqa_cli.cli.main import run\n"
        "def score(*args, **options): raise RuntimeError('odd')\n"
        "engine.score = score\n"
        "run()"
    )
    for level, lines in (("info", 1), ("quiet", 0)):
        done = subprocess.run(
            [sys.executable, "-c", code, "-i", "x", "-ref", "y", "-loglevel", level],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == FAULT
        assert (done.stdout, done.stderr.count("\n")) == ("", lines)
        assert (
            "error: a fault of vqa-score itself (RuntimeError: odd in <string>, line 2)" in done.stderr
        ) == lines
