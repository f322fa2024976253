"""What ``models pull`` and ``models import`` do: bring a model, whole and checked, into the user's own folder.

A list of models is a ``manifest.json``, on disk or on a server; what it says of a file is believed only as far as the
file bears it out. Lists of frozen networks may say less than ours do: name, file and sha256 are enough.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from rankvqa_cli.errors import ModelError, OutputError, UsageError
from rankvqa_cli.models.download import fetch, fetch_bytes
from rankvqa_cli.models.files import sha256_of
from rankvqa_cli.models.manifest import (
    NETWORKS,
    ManifestEntry,
    check_free,
    check_name,
    entry_from_json,
    home_folder,
    manifest,
    put_entry,
)
from rankvqa_cli.models.members import is_network, network_of
from rankvqa_cli.models.ptm.adapters import open_network
from rankvqa_cli.models.ptm.ensemble import Ensemble, read_ensemble
from rankvqa_cli.models.ptm.model import load_ptm
from rankvqa_cli.models.registry import is_ensemble
from rankvqa_cli.models.store import is_model_file, read_model

Advance = Callable[[str, int, int | None], None]
#: What a model may come as, by its suffix. A pickle under any of these names is refused when it is read.
SUFFIXES = (".onnx", ".safetensors", ".json")
_FIELDS = {field.name for field in dataclasses.fields(ManifestEntry)} - {"folder", "default_for", "card"}


@dataclass(frozen=True)
class Bring:
    """How a file comes from where its list or its ensemble is to a place in the user's folder. ``get`` takes the file's
    name there, where it is to be, its sha256 and what else it is checked by, and raises where it is not that file.
    ``goes_on`` says whether what came whole before a break is kept for the next try."""

    get: Callable[[str, Path, str, Callable[[Path], None]], None]
    overwrite: bool
    goes_on: bool


def pull(
    name: str,
    source: str | None = None,
    *,
    overwrite: bool = False,
    advance: Advance = lambda *_: None,
) -> ManifestEntry:
    """Fetch the model that ``source`` calls ``name``; without a source, one whose address is known here already.

    ``source`` is the file or the https address of a list. An ensemble comes with its members and its head. A file that
    is there already is not fetched again. Raises UsageError, ModelError and OutputError.
    """
    entry, url = _found(name, source)
    check_free(entry.name, overwrite)

    def get(file: str, target: Path, sha256: str, check: Callable[[Path], None]) -> None:
        fetch(urljoin(url, file), target, sha256, lambda done, total: advance(file, done, total), check)

    kept = dataclasses.replace(entry, url=url, folder=_folder(entry.kind))
    return _install(kept, url.rpartition("/")[2], Bring(get, overwrite, goes_on=True))


def import_file(
    path: Path, name: str | None = None, *, licence: str = "", overwrite: bool = False
) -> ManifestEntry:
    """Copy an ONNX network, a model file of this package or an ensemble with all of its files into the user's folder.

    Raises UsageError for a name that is taken or is none, ModelError for a file that cannot be used.
    """
    entry = _described(path, name, licence)
    check_free(entry.name, overwrite)

    def get(file: str, target: Path, sha256: str, check: Callable[[Path], None]) -> None:
        _copy(path.parent / file, target, sha256, check)

    return _install(entry, path.name, Bring(get, overwrite, goes_on=False))


def is_ours(path: Path) -> bool:
    """Whether ``import_file`` is for it, and not a checkpoint to be converted. Raises ModelError for a damaged file."""
    return path.suffix in (".onnx", ".json") or (
        path.suffix == ".safetensors" and path.is_file() and is_model_file(path)
    )


def _install(entry: ManifestEntry, file: str, bring: Bring) -> ManifestEntry:
    """All files of a model, then its entry: one that is listed is whole."""
    there = _is_there(entry.path, entry.sha256, bring.overwrite)
    if is_ensemble(entry.path):
        _install_ensemble(entry, file, bring, there)
    elif not there:
        bring.get(file, entry.path, entry.sha256, lambda path: _require_usable(path, entry))
    put_entry(entry)
    return entry


def _install_ensemble(entry: ManifestEntry, file: str, bring: Bring, there: bool) -> None:
    """Its own file, where it is not ``there``, waits under another name in the same folder until it has been loaded
    with everything it names; where it cannot be, what was brought goes again."""
    waiting = entry.path if there else entry.path.with_name(f".{entry.sha256[:16]}.{entry.file}")
    brought: list[Path] = []
    try:
        if not there:
            if not _is_there(waiting, entry.sha256, overwrite=True):
                bring.get(file, waiting, entry.sha256, lambda _: None)
            brought.append(waiting)
        ensemble, _ = read_ensemble(waiting)
        lacking = [
            (part, entry.folder / part, sha256)
            for part, sha256 in dict.fromkeys(_parts(waiting, ensemble))  # members may share a file
            if not _is_there(entry.folder / part, sha256, bring.overwrite)
        ]
        for part, target, sha256 in lacking:
            bring.get(part, target, sha256, lambda _: None)
            brought.append(target)
    except Exception:
        if not bring.goes_on:
            _remove(brought)
        raise
    try:
        load_ptm(waiting, entry.sha256)
        waiting.replace(entry.path)
    except Exception:
        _remove(brought)
        raise


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _parts(path: Path, ensemble: Ensemble) -> list[tuple[str, str]]:
    """Files that an ensemble names beside itself, with their sha256. Raises ModelError for one elsewhere."""
    parts = [(member.file, member.sha256) for member in ensemble.members]
    parts += [] if ensemble.head is None else [(ensemble.head.file, ensemble.head.sha256)]
    for file, _ in parts:
        steps = Path(file).parts
        if not steps or Path(file).is_absolute() or ".." in steps or Path(file).suffix not in SUFFIXES[:2]:
            raise ModelError(
                f"{str(path)!r} names {file!r}: only .onnx and .safetensors files beside an ensemble come with it"
            )
    return parts


def _found(name: str, source: str | None) -> tuple[ManifestEntry, str]:
    """The entry called ``name`` and its file's address."""
    if source is None:
        known = {entry.name: entry for entry in manifest()}
        if name not in known or not known[name].url:
            raise UsageError(
                f"nobody has said where {name!r} is: name the list that has it with --from (a file or https://...)"
            )
        return known[name], known[name].url
    items = _listed(source)
    if name not in items:
        raise UsageError(
            f"the list {source!r} has no {name!r}: it has {', '.join(sorted(items)) or 'nothing'}"
        )
    try:
        entry = entry_from_json(Path(), _completed(items[name]))
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(f"the list {source!r} is damaged ({type(error).__name__}: {error})") from error
    check_name(entry.name)
    _require_suffix(entry.file)
    return entry, urljoin(source, entry.url or entry.file)


def _listed(source: str) -> dict[str, dict[str, Any]]:
    try:
        data = fetch_bytes(source) if "://" in source else Path(source).read_bytes()
        return {str(item["name"]): dict(item) for item in json.loads(data)["models"]}
    except OSError as error:
        raise ModelError(f"cannot read the list of models {source!r}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ModelError(f"{source!r} is no list of models ({type(error).__name__}: {error})") from error


def _completed(item: dict[str, Any]) -> dict[str, Any]:
    """An item of anybody's list as one of ours: what is not known there is left out."""
    network = {
        "kind": "network",
        "architecture": Path(str(item["file"])).suffix.removeprefix("."),
        "clip_frames": 1,
    }
    return network | {key: value for key, value in item.items() if key in _FIELDS}


def _described(path: Path, name: str | None, licence: str) -> ManifestEntry:
    """What a file is, from the file itself."""
    _require_suffix(path.name)
    called = check_name(name or path.stem)
    description = f"imported from {path.name!r}"
    if is_ensemble(path):
        ensemble, sha256 = read_ensemble(path)
        _parts(path, ensemble)
        kind, architecture, frames = "no-reference", "ptm", load_ptm(path, sha256).clip_frames
    elif is_network(path):
        opened = network_of(path)
        kind, architecture, sha256, frames = "network", opened.adapter, opened.sha256, opened.frames
    else:
        header, _, sha256 = read_model(path)
        kind, architecture, frames = header.kind, header.architecture, header.clip_frames
    item = {
        "name": called,
        "file": f"{called}{path.suffix}",
        "sha256": sha256,
        "kind": kind,
        "architecture": architecture,
        "clip_frames": frames,
        "licence": licence,
        "description": description,
    }
    return dataclasses.replace(entry_from_json(Path(), item), folder=_folder(kind))


def _require_usable(path: Path, entry: ManifestEntry) -> None:
    """Raises ModelError where a file is not what its name says; nothing in it is executed."""
    suffix = Path(entry.file).suffix
    if entry.kind == "network":
        open_network("onnx" if suffix == ".onnx" else "native", path)
    else:
        read_model(path)


def _require_suffix(file: str) -> None:
    if Path(file).suffix not in SUFFIXES:
        raise UsageError(
            f"{file!r} is not taken: models come as .onnx, .safetensors or an ensemble's .json, never as pickles"
        )


def _folder(kind: str) -> Path:
    return home_folder() / NETWORKS if kind == "network" else home_folder()


def _is_there(target: Path, sha256: str, overwrite: bool) -> bool:
    """Whether that very file is in place. Raises UsageError where another one is, and may not be overwritten."""
    if not target.exists():
        return False
    same = sha256_of(target) == sha256
    if not same and not overwrite:
        raise UsageError(
            f"{str(target)!r} is another file: overwrite it with -y, or take another name with -o"
        )
    return same


def _copy(source: Path, target: Path, sha256: str, check: Callable[[Path], None]) -> None:
    check(source)
    temporary = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, temporary)
        found = sha256_of(temporary)
        if found != sha256:
            raise ModelError(
                f"{str(source)!r} is not the file that is meant (sha256 {found[:12]}..., expected {sha256[:12]}...)"
            )
        temporary.replace(target)
    except OSError as error:
        raise OutputError(
            f"cannot copy {str(source)!r} to {str(target)!r}: {error.strerror}; check the file, and VQA_SCORE_HOME"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
