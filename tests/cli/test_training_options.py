"""What means the same in several commands is the same option: name, default, type and help."""

from __future__ import annotations

import click
import pytest

from rankvqa_cli.cli import distill, prune, select_models, train

TRAINING = ["out", "run", "seed", "groups", "fold", "folds", "accumulate", "save_every", "check_every"]
TRAINING += ["device", "precision", "threads"]


def declared(command: click.Command) -> dict[str, dict[str, object]]:
    context = click.Context(command)
    return {each.name or "": each.to_info_dict() | {"help": _help(each, context)} for each in command.params}


def _help(parameter: click.Parameter, context: click.Context) -> object:
    return parameter.get_help_record(context)


@pytest.mark.parametrize(
    ("other", "names"),
    [
        (distill.command, TRAINING),
        (prune.command, TRAINING),
        (select_models.command, ["size", "sample", "weighting"]),
    ],
)
def test_options_are_declared_alike(other: click.Command, names: list[str]) -> None:
    ours, theirs = declared(train.command), declared(other)
    assert {name: ours[name] for name in names} == {name: theirs[name] for name in names}
