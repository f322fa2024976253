"""``vqa-score models``: its four commands, their output and their exit codes."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from click.testing import CliRunner, Result

from rankvqa_cli.cli.models import command
from rankvqa_cli.cli.talk import Talk
from rankvqa_cli.errors import ExitCode, ModelError, UsageError, VqaError
from rankvqa_cli.models import store
from rankvqa_cli.models.pqanet import PQANet, PQANetConfig


def call(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments), obj=Talk(), standalone_mode=False)


def failure(result: Result) -> VqaError:
    assert isinstance(result.exception, VqaError)
    return result.exception


@pytest.fixture
def mine(tiny_model: Path) -> Path:
    """The tiny model, registered under the name ``mine``."""
    header, tensors, _ = store.read_model(tiny_model)
    path = store.home_folder() / "mine.safetensors"
    store.write_model(path, dataclasses.replace(header, name="mine"), tensors)
    store.write_manifest_entry(path, licence="MIT", description="a tiny one")
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("released") / "FR_model.pth"
    torch.save(PQANet(PQANetConfig()).state_dict(), path)
    return path


def test_list_is_one_line_a_model(mine: Path) -> None:
    lines = call("list").stdout.splitlines()
    assert len(lines) == len(store.manifest())
    assert lines[-1].split("\t") == ["mine", "full-reference", "patchnet", "12", "-", "a tiny one"]
    listed = json.loads(call("list", "--format", "json").stdout)
    assert listed[-1]["name"] == "mine"
    assert listed[-1]["sha256"] == store.read_model(mine)[2]


def test_list_does_not_import_torch(mine: Path) -> None:
    code = (
        "import sys; from rankvqa_cli.cli.models import command; command(['list'], standalone_mode=False); "
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "mine" in done.stdout


def test_info_of_a_name_and_of_a_file(mine: Path, tiny_model: Path) -> None:
    facts = json.loads(call("info", "mine", "--format", "json").stdout)
    assert facts["licence"] == "MIT"
    assert facts["parameters"] > 1000
    assert facts["calibration"] == {"midpoint": 1.0, "slope": 1.0}
    text = call("info", str(tiny_model)).stdout
    assert "name: tiny\n" in text
    assert f"sha256: {store.read_model(tiny_model)[2]}\n" in text
    assert "licence" not in text


def test_verify_names_what_is_whole_and_fails_for_the_rest(
    mine: Path, tiny_model: Path, tmp_path: Path
) -> None:
    whole = call("verify", "mine", str(tiny_model))
    assert whole.exception is None
    assert [line.split("\t")[:2] for line in whole.stdout.splitlines()] == [
        ["mine", "ok"],
        [str(tiny_model), "ok"],
    ]
    shutil.copy(tiny_model, mine)
    broken = call("verify")
    assert failure(broken).exit_code == ExitCode.MODEL
    assert "'mine'" in str(broken.exception)
    assert "replaced" in broken.stderr
    assert "mine" not in broken.stdout
    assert isinstance(failure(call("verify", "mien")), UsageError)


def test_import_prints_the_name_that_m_takes(checkpoint: Path) -> None:
    assert call("import", str(checkpoint)).stdout == "FR_model\n"
    assert call("verify", "FR_model").exception is None
    taken = failure(call("import", str(checkpoint)))
    assert taken.exit_code == ExitCode.USAGE
    assert call("import", str(checkpoint), "-y").stdout == "FR_model\n"
    assert call("import", str(checkpoint), "-o", "other").stdout == "other\n"


def test_import_refuses_what_is_no_checkpoint(tmp_path: Path) -> None:
    text = tmp_path / "text\n.pth"
    text.write_text("no model")
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_bytes(safetensors.torch.save({"a": torch.ones(2)}))
    for path in (text, foreign, tmp_path / "absent.pth", tmp_path):
        error = failure(call("import", str(path), "-o", "new"))
        assert isinstance(error, ModelError)
        assert "\n" not in str(error)
        assert repr(str(path)) in str(error)


def test_every_command_has_an_example() -> None:
    for name in command.commands:
        shown = call(name, "--help").stdout
        assert f"vqa-score models {name}" in shown
