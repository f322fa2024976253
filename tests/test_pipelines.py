"""The GitHub action and the container recipe: what they name exists, what they call works, and inputs run nothing."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from conftest import MakeClip

from rankvqa_cli.cli.main import COMMANDS
from rankvqa_cli.cli.score import command
from rankvqa_cli.cli.talk import Talk
from rankvqa_cli.errors import ExitCode

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / ".ci" / "action"


@pytest.fixture(scope="module")
def action() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
    return loaded


def test_every_input_is_told_and_used(action: dict[str, Any]) -> None:
    assert action["runs"]["using"] == "composite"
    assert all(each["description"] for each in (*action["inputs"].values(), *action["outputs"].values()))
    given = {key: value for step in action["runs"]["steps"] for key, value in step["env"].items()}
    assert given == {
        f"INPUT_{name.upper().replace('-', '_')}": f"${{{{ inputs.{name} }}}}" for name in action["inputs"]
    }
    assert set(given) == set(re.findall(r"INPUT_[A-Z_]+", SCRIPT.read_text()))


def test_inputs_are_no_part_of_any_command_text(action: dict[str, Any]) -> None:
    for step in action["runs"]["steps"]:
        assert step["shell"] == "bash"
        assert "${{" not in step["run"]
        program, step_name = shlex.split(step["run"].replace("$GITHUB_ACTION_PATH", str(ROOT)))
        assert os.access(program, os.X_OK)
        assert f"{step_name}()" in SCRIPT.read_text()


def test_the_options_it_gives_exist() -> None:
    context = command.make_context("score", ["x"], obj=Talk())
    real = {name for each in command.get_params(context) for name in each.opts}
    text = SCRIPT.read_text()
    score = text[text.index("score() {") :]
    told = set(re.findall(r"(?:add |command\+=\(|\()(-[\w-]+)", score)) | {"--no-progress"}
    assert {"-i", "-ref", "--fail-drop", "--report", "--summary", "-y"} <= told <= real


@pytest.fixture
def encodes(make_clip: MakeClip) -> Path:
    folder = make_clip("source file.mp4", "-crf", "1").parent
    for crf in (25, 45):
        make_clip(f"enc {crf}.mp4", "-crf", str(crf))
    return folder


def run(step: str, folder: Path, **given: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("INPUT_", "GITHUB_"))}
    paths = {"GITHUB_OUTPUT": "out.txt", "GITHUB_STEP_SUMMARY": "step.md", "RUNNER_TEMP": str(folder)}
    return subprocess.run(
        [str(SCRIPT), step],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=folder,
        env={**kept, **paths, "PYTHONPATH": str(ROOT), **given},
    )


def test_it_scores_and_stops_where_a_gate_fails(encodes: Path, tiny_model: Path) -> None:
    given = {
        "VQA_SCORE": shlex.join([sys.executable, "-m", "rankvqa_cli"]),
        "INPUT_DISTORTED": "  enc *.mp4\n\n",
        "INPUT_REFERENCE": "source file.mp4",
        "INPUT_MODEL": str(tiny_model),
        "INPUT_FAIL_UNDER": "mean=0\n  p5=0 \n",
        "INPUT_RESULTS": "s.json",
        "INPUT_REPORT": "r.html",
        "INPUT_JUNIT": "g.xml",
        "INPUT_OPTIONS": "-threads\n1",
    }
    good = run("score", encodes, **given)
    assert good.returncode == 0, good.stderr
    data = json.loads((encodes / "s.json").read_text())
    assert [each["input"] for each in data["results"]] == ["enc 25.mp4", "enc 45.mp4"]
    assert [each["expression"] for each in data["gates"]] == ["mean=0", "p5=0"] * 2
    assert (encodes / "r.html").read_bytes().startswith(b"<!DOCTYPE html>")
    assert (encodes / "g.xml").exists()
    assert "every gate passed" in (encodes / "step.md").read_text()
    bad = run("score", encodes, **given, INPUT_FAIL_DROP="s.json:mean=0\ns.json:p5=1")
    assert bad.returncode == ExitCode.USAGE  # the results would be written over the baseline
    failed = run("score", encodes, **{**given, "INPUT_FAIL_UNDER": "100", "INPUT_SUMMARY": "false"})
    assert failed.returncode == ExitCode.GATE_FAILED
    codes = (encodes / "out.txt").read_text().split()
    assert codes == ["exit-code=0", "exit-code=2", "exit-code=1"]
    assert (encodes / "step.md").read_text().count("## ") == 1


def test_inputs_run_nothing(tmp_path: Path) -> None:
    recorder = tmp_path / "record.sh"
    recorder.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    recorder.chmod(0o755)
    evil = "$(touch evil) `touch evil` ; touch evil | \"'&.mp4"
    given = {f"INPUT_{name}": evil for name in ("DISTORTED", "REFERENCE", "MODEL", "FAIL_UNDER", "OPTIONS")}
    done = run("score", tmp_path, VQA_SCORE=str(recorder), **given)
    assert done.returncode == 0, done.stderr
    words = done.stdout.splitlines()
    assert words[:2] == ["-i", evil]
    assert words[-1] == evil
    assert not (tmp_path / "evil").exists()


def test_it_installs_into_an_environment_of_its_own(tmp_path: Path) -> None:
    """A python that writes down what it is asked for, in place of minutes of downloads."""
    fake = tmp_path / "python"
    fake.write_text(
        '#!/bin/sh\nprintf "%s " "$@" >>"$RUNNER_TEMP/asked"; echo >>"$RUNNER_TEMP/asked"\n'
        'if [ "$2" = venv ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; cp "$0" "$3/bin/vqa-score"; fi\n'
    )
    fake.chmod(0o755)
    done = run("install", tmp_path, INPUT_PYTHON=str(fake), INPUT_PIP_OPTIONS="--index-url\n  a b  ")
    assert done.returncode == 0, done.stderr
    place = tmp_path / "vqa-score"
    assert (tmp_path / "asked").read_text().splitlines() == [
        f"-m venv {place} ",
        f"-m pip install --quiet --index-url a b -c {ROOT / 'constraints.txt'} {ROOT} ",
        "--version ",
    ]
    assert run("deploy", tmp_path).returncode == 2


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n\s*", " ", (ROOT / "Containerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def ignored(name: str) -> bool:
    """Whether .dockerignore keeps a path at the top of the tree from the build."""
    verdict = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if fnmatch.fnmatch(name, line.removeprefix("!")):
            verdict = not line.startswith("!")
    return verdict


def test_the_image_has_what_the_package_is_built_from() -> None:
    given = instructions()
    assert [rest for name, rest in given if name == "FROM"] == ["python:3.12-slim"]
    copied = [path for name, rest in given if name == "COPY" for path in rest.split()[:-1]]
    assert all((ROOT / path).exists() and not ignored(path) for path in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*included["packages"], *included["force-include"], project["project"]["readme"]}
    assert needed | {*project["project"]["license-files"], "pyproject.toml", "constraints.txt"} == set(copied)
    assert ignored("tests")
    assert ignored(".git")
    (entry,) = [json.loads(rest) for name, rest in given if name == "ENTRYPOINT"]
    assert entry == list(project["project"]["scripts"])
    users = [rest for name, rest in given if name == "USER"]
    assert users not in ([], ["root"])


def test_what_the_image_checks_can_be_run() -> None:
    """Weights whole, FFmpeg there: the last steps of the build, here."""
    (build,) = [rest for name, rest in instructions() if name == "RUN" and "pip install" in rest]
    words = [shlex.split(part) for part in build.split("&&")]
    assert words[0][:2] == ["pip", "install"]
    (check,) = [each for each in words if each[0] == "vqa-score"]
    assert check[1] in COMMANDS
    assert isinstance(command, click.Command)
    (probe,) = [each for each in words if each[0] == "python"]
    done = subprocess.run([sys.executable, *probe[1:]], capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("FFmpeg ")


def test_no_registry_or_index_is_named() -> None:
    for name in ("action.yml", "Containerfile", ".ci/action"):
        assert not re.search(r"https?://|\.io/|\.com/", (ROOT / name).read_text()), name
