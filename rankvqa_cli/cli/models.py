"""``vqa-score models``: which models there are, what one is, whether they are whole, and how one comes in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rankvqa_cli.cli import options
from rankvqa_cli.cli.talk import Talk
from rankvqa_cli.errors import ModelError

if TYPE_CHECKING:
    from rankvqa_cli.models.manifest import ManifestEntry


@click.group("models", short_help="List, inspect, verify, import and fetch models.")
def command() -> None:
    """List, inspect, verify, import and fetch models. Nothing is ever fetched but by pull.

    What comes in is kept in $VQA_SCORE_HOME, or in vqa-score in the user's data folder; frozen networks, which
    are for ensembles, in networks inside it.

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
@click.argument("model", metavar="NAME|FILE", shell_complete=options.models)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def info(model: str, form: str) -> None:
    """What a model is: its header, its size, its sha256, and its entry in the list where it has one.

    The file is read and checked on the way.

    \b
    Example:
      vqa-score models info rankvqa-mini
    """
    from rankvqa_cli.models.manifest import locate, manifest

    path, expected = locate(model)
    facts = _described(path, model, expected)
    listed = {} if expected is None else next(_facts(entry) for entry in manifest() if entry.name == model)
    facts |= {
        "file": str(path),
        **{
            key: listed[key]
            for key in ("licence", "description", "card", "default_for", "url")
            if listed.get(key)
        },
    }
    if form == "json":
        click.echo(json.dumps(facts, indent=2))
        return
    for key, value in facts.items():
        click.echo(f"{key}: {value if isinstance(value, str) else json.dumps(value)}")


@command.command("verify", short_help="Check models against their sha256.")
@click.argument("models", metavar="[NAME|FILE]...", nargs=-1, shell_complete=options.models)
@click.pass_obj
def verify(talk: Talk, models: tuple[str, ...]) -> None:
    """Read models (all that are known by name, where none is given), check each against its sha256 and load it.

    Prints one line for each that is whole; exit code 5 where one is not.

    \b
    Example:
      vqa-score models verify
    """
    from rankvqa_cli.models.manifest import manifest
    from rankvqa_cli.models.members import checked

    names = models or tuple(entry.name for entry in manifest())
    failed = []
    for name in names:
        try:
            sha256 = checked(name)
        except ModelError as error:
            talk.error(str(error))
            failed.append(name)
        else:
            click.echo(f"{name}\tok\t{sha256}")
    if failed:
        raise ModelError(
            f"{len(failed)} of {len(names)} models cannot be used: {', '.join(map(repr, failed))}"
        )


@command.command("import", short_help="Take a model from a file.")
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path))
@click.option("-o", "--output", "name", metavar="NAME", help="The model's name.  [default: the file's]")
@click.option("-y", "--overwrite", is_flag=True, help="Replace an imported model of that name.")
@click.option("--licence", default="", help="What is noted as its licence.")
def import_model(source: Path, name: str | None, overwrite: bool, licence: str) -> None:
    """Take a model from a file into the user's own folder, and print the name that -m then takes.

    FILE is a model file of vqa-score; an ensemble (.json), which comes with the files it names; an ONNX network or a
    network trained here, for ensembles; or a released full-reference PQANet checkpoint, as safetensors or a PyTorch
    file that holds nothing but tensors. Anything else is refused, and nothing in a file is executed.

    \b
    Examples:
      vqa-score models import FR_model.pth -o pqanet
      vqa-score models import mobilenetv2.onnx
    """
    from rankvqa_cli.models.convert import import_checkpoint
    from rankvqa_cli.models.installing import import_file, is_ours

    if is_ours(source):
        entry = import_file(source, name, licence=licence, overwrite=overwrite)
    else:
        entry = import_checkpoint(source, name, overwrite=overwrite)
    click.echo(entry.name)


@command.command("pull", short_help="Fetch a model that a list names.")
@click.argument("name", metavar="NAME")
@click.option(
    "--from",
    "source",
    metavar="LIST",
    help="A manifest.json that has it: a file, or https://...  [default: ours]",
)
@click.option("-y", "--overwrite", is_flag=True, help="Replace a model of that name.")
@click.pass_obj
def pull(talk: Talk, name: str, source: str | None, overwrite: bool) -> None:
    """Fetch NAME, check it, and print its name: the only command that uses a network.

    The list gives the file, relative to itself or as an url, and its sha256. What was broken off goes on where it was;
    the file appears when it is whole. Only ONNX, safetensors and ensembles of them are taken; only https is asked, and
    http of this machine itself.

    \b
    Example:
      vqa-score models pull mobilenetv2 --from https://example.org/models/manifest.json
    """
    from rankvqa_cli.models.installing import pull as fetch

    told = 0

    def advance(file: str, done: int, total: int | None) -> None:
        nonlocal told
        if done - told >= 1 << 23 or done < told or done == total:
            told = done
            talk.info(f"{file}: {done / 1e6:.1f} of {'?' if total is None else f'{total / 1e6:.1f}'} MB")

    click.echo(fetch(name, source, overwrite=overwrite, advance=advance).name)


def _described(path: Path, model: str, expected: str | None) -> dict[str, object]:
    """What a file says of itself. Raises ModelError where it is damaged, or not the one that is meant."""
    from dataclasses import asdict

    from rankvqa_cli.models.members import is_onnx
    from rankvqa_cli.models.registry import is_ensemble, load
    from rankvqa_cli.models.store import read_model

    if is_ensemble(path):
        from rankvqa_cli.models.ptm.ensemble import read_ensemble

        sha256 = load(model).info.weights_sha256
        return {"kind": "no-reference", **asdict(read_ensemble(path)[0]), "sha256": sha256}
    if is_onnx(path):
        from rankvqa_cli.models.members import network_of

        network = network_of(path, expected)
        return {
            "kind": "network",
            "layer": network.layer,
            "dimension": network.dimension,
            "frames": network.frames,
            "side": network.side,
            "sha256": network.sha256,
        }
    header, tensors, sha256 = read_model(path, expected)
    parameters = sum(t.numel() for t in tensors.values() if t.is_floating_point())
    return {**asdict(header), "parameters": parameters, "sha256": sha256}


def _facts(entry: ManifestEntry) -> dict[str, object]:
    from dataclasses import asdict

    return {**asdict(entry), "folder": str(entry.folder)}
