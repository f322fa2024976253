"""The README against the program: options, exit codes, pools, JSON keys, and the commands it shows."""

from __future__ import annotations

import importlib
import re
import shlex
from itertools import takewhile
from pathlib import Path

import click
import pytest
from fake_reports import report

from rankvqa_cli.cli.main import COMMANDS, FAULT, cli
from rankvqa_cli.cli.score import command
from rankvqa_cli.cli.talk import Talk
from rankvqa_cli.errors import ExitCode
from rankvqa_cli.results.pooling import POOLS
from rankvqa_cli.results.report import SCHEMA_VERSION, report_json

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    found = re.search(rf"^#+ {title}\n(.*?)(?=^#+ |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found, title
    return found.group(1)


def commands() -> list[list[str]]:
    """The arguments of every vqa-score command line shown."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if "vqa-score " in line]
    words = [shlex.split(line.split("vqa-score ", 1)[1], comments=True) for line in lines]
    return [list(takewhile(lambda word: word not in (">", "|"), each)) for each in words]


def test_option_table_is_what_the_command_has() -> None:
    rows = re.findall(r"^\| (`-.*?) \|[^|]*\|$", section("Options").replace(r"\|", "/"), re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`(--?[\w-]+)", row)}
    group = click.Context(cli, **cli.context_settings)
    context = command.make_context("score", ["x"], parent=group, obj=Talk())
    real = {name for each in (*command.get_params(context), *cli.params) for name in each.opts}
    assert told == real


def test_defaults_are_told_right() -> None:
    params = command.make_context("score", ["x"], obj=Talk()).params
    text = section("Options")
    assert f"default `{params['pool']}`" in text
    assert f"`{params['loglevel']}` (default)" in text


def test_exit_codes() -> None:
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", section("Exit codes"), re.MULTILINE)}
    assert told == {*map(int, ExitCode), FAULT}


def test_pools() -> None:
    told = section("Pools")
    assert all(f"`{name}`" in told for name in POOLS)


def test_json_keys() -> None:
    told = section("Files")
    assert f"schema {SCHEMA_VERSION}" in told
    data = report_json(report(gates=("mean=1",)))
    keys = set(data)
    for part in ("tool", "environment"):
        keys |= set(data[part])
    for part in ("models", "results", "gates"):
        keys |= set(data[part][0])
    (result,) = data["results"]
    keys |= (
        set(result["integrity"])
        | set(result["alignment"])
        | set(result["clips"][0])
        | set(result["frames"][0])
    )
    missing = {key for key in keys if not re.search(rf"\b{key}\b", told)}
    assert missing == set()


@pytest.mark.parametrize("args", commands(), ids=" ".join)
def test_commands_shown_are_valid(args: list[str]) -> None:
    name, rest = (args[0], args[1:]) if args[0] in COMMANDS else ("score", args)
    shown: click.Command = importlib.import_module(COMMANDS[name].target.partition(":")[0]).command
    while isinstance(shown, click.Group):
        shown, rest = shown.commands[rest[0]], rest[1:]
    params = shown.make_context(name, rest, obj=Talk()).params
    if name == "score":
        assert params["inputs"]


def test_every_command_is_told() -> None:
    shown = {args[0] if args[0] in COMMANDS else "score" for args in commands()}
    assert {"score", "models"} <= shown


def test_first_screen_sets_up_scores_and_tests() -> None:
    first = README.splitlines()[:20]
    lines = [line for line in first if line.startswith("python3 -m venv")]
    assert len(lines) == 2
    assert all("pip install -q -c constraints.txt" in line for line in lines)
    assert lines[0].endswith("python examples/quickstart.py")
    assert lines[1].endswith("python -m pytest -q")


def test_files_named_in_the_readme_exist() -> None:
    local = [target for target in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in target]
    absent = [target for target in local if not (ROOT / target).exists()]
    assert absent in ([], [name for name in ("benchmarks/README.md", "weights/LOG.md") if name in absent])
