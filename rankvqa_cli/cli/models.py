"""``vqa-score models``: which models there are, what one is, whether they are whole, and how one is imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rankvqa_cli.cli.talk import Talk
from rankvqa_cli.errors import ModelError

if TYPE_CHECKING:
    from rankvqa_cli.models.manifest import ManifestEntry


@click.group("models", short_help="List, inspect, verify and import models.")
def command() -> None:
    """List, inspect, verify and import models.

    Imported models are kept in $VQA_SCORE_HOME, or in vqa-score in the user's data folder.

    \b
    Example:
      vqa-score models list
    """


@command.command("list", short_help="One line a model.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def list_models(form: str) -> None:
    """One line a model: name, kind, architecture, frames a clip, what it is the default for, description.

    The columns are separated by tabs; with --format json, a list of objects.

    \b
    Example:
      vqa-score models list --format json
    """
    from rankvqa_cli.models.manifest import manifest

    entries = manifest()
    if form == "json":
        click.echo(json.dumps([_facts(entry) for entry in entries], indent=2))
        return
    for entry in entries:
        default = f"default for {entry.default_for}" if entry.default_for else "-"
        columns = (entry.name, entry.kind, entry.architecture, entry.clip_frames, default, entry.description)
        click.echo("\t".join(str(column) for column in columns))


@command.command("info", short_help="What a model is and where it comes from.")
@click.argument("model", metavar="NAME|FILE")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def info(model: str, form: str) -> None:
    """What a model is: its header, its size, its sha256, and its entry in the list where it has one.

    The file is read and checked on the way.

    \b
    Example:
      vqa-score models info rankvqa-mini
    """
    from dataclasses import asdict

    from rankvqa_cli.models.manifest import locate, manifest
    from rankvqa_cli.models.registry import is_ensemble, load
    from rankvqa_cli.models.store import read_model

    path, expected = locate(model)
    facts: dict[str, object]
    if is_ensemble(path):
        from rankvqa_cli.models.ptm.ensemble import read_ensemble

        sha256 = load(model).info.weights_sha256
        facts = {"kind": "no-reference", **asdict(read_ensemble(path)[0])}
    else:
        header, tensors, sha256 = read_model(path, expected)
        parameters = sum(t.numel() for t in tensors.values() if t.is_floating_point())
        facts = {**asdict(header), "parameters": parameters}
    listed = {} if expected is None else next(_facts(entry) for entry in manifest() if entry.name == model)
    facts |= {
        "file": str(path),
        "sha256": sha256,
        **{key: listed[key] for key in ("licence", "description", "card", "default_for") if listed.get(key)},
    }
    if form == "json":
        click.echo(json.dumps(facts, indent=2))
        return
    for key, value in facts.items():
        click.echo(f"{key}: {json.dumps(value) if isinstance(value, (dict, list)) else value}")


@command.command("verify", short_help="Check models against their sha256.")
@click.argument("models", metavar="[NAME|FILE]...", nargs=-1)
@click.pass_obj
def verify(talk: Talk, models: tuple[str, ...]) -> None:
    """Read models (all that are known by name, where none is given), check each against its sha256 and load it.

    Prints one line for each that is whole; exit code 5 where one is not.

    \b
    Example:
      vqa-score models verify
    """
    from rankvqa_cli.models.manifest import manifest
    from rankvqa_cli.models.registry import load

    names = models or tuple(entry.name for entry in manifest())
    failed = []
    for name in names:
        try:
            loaded = load(name)
        except ModelError as error:
            talk.error(str(error))
            failed.append(name)
        else:
            click.echo(f"{name}\tok\t{loaded.info.weights_sha256}")
    if failed:
        raise ModelError(
            f"{len(failed)} of {len(names)} models cannot be used: {', '.join(map(repr, failed))}"
        )


@command.command("import", short_help="Make a model of a released PQANet checkpoint.")
@click.argument("checkpoint", metavar="FILE", type=click.Path(path_type=Path))
@click.option("-o", "--output", "name", metavar="NAME", help="The model's name.  [default: the file's]")
@click.option("-y", "--overwrite", is_flag=True, help="Replace an imported model of that name.")
def import_model(checkpoint: Path, name: str | None, overwrite: bool) -> None:
    """Make a model of a released full-reference PQANet checkpoint, and print the name that -m then takes.

    FILE is safetensors, or a PyTorch file that holds nothing but tensors; anything else is refused, and
    nothing in it is executed.

    \b
    Example:
      vqa-score models import FR_model.pth -o pqanet
    """
    from rankvqa_cli.models.convert import import_checkpoint

    click.echo(import_checkpoint(checkpoint, name, overwrite=overwrite).name)


def _facts(entry: ManifestEntry) -> dict[str, object]:
    from dataclasses import asdict

    return {**asdict(entry), "folder": str(entry.folder)}
