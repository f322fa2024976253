"""Which models there are: folders, each with a ``manifest.json`` that pins every file by sha256. Knows no torch.

One folder is shipped with the package (``_weights`` inside the wheel, ``weights/`` beside a checkout); another,
``$VQA_SCORE_HOME`` (``$XDG_DATA_HOME/vqa-score`` by default), holds what ``models import`` and ``models pull`` wrote.
``networks`` in each of them holds frozen networks, which score nothing by themselves but can be members of an ensemble.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from rankvqa_cli.errors import ModelError, UsageError
from rankvqa_cli.models.files import write_atomically
from rankvqa_cli.types import ModelKind

MANIFEST = "manifest.json"
#: The folder of frozen networks inside a folder of models: a pool for ``select-models``.
NETWORKS = "networks"
SCHEMA = 1
_PATH_LIKE = (".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".onnx", ".json")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


Kind = ModelKind | Literal["network"]
KINDS: tuple[str, ...] = (*get_args(ModelKind), "network")


@dataclass(frozen=True)
class ManifestEntry:
    """One model that can be asked for by ``name``. ``file`` and ``card`` are plain names inside ``folder``.

    ``sha256`` is of the whole file, in hex; ``default_for`` says for which kind of scoring the model is taken
    when none is named. ``url`` is where the file can be had, or where it was.
    """

    name: str
    file: str
    sha256: str
    kind: Kind
    architecture: str
    clip_frames: int
    licence: str = ""
    description: str = ""
    card: str = ""
    default_for: ModelKind | None = None
    url: str = ""
    folder: Path = Path()

    @property
    def path(self) -> Path:
        return self.folder / self.file


def shipped_folder() -> Path:
    """The folder of the models that come with the package."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "_weights"
    return inside if inside.is_dir() else package.parent / "weights"


def home_folder() -> Path:
    """The user's own folder of models: ``$VQA_SCORE_HOME``, else ``vqa-score`` in the XDG data directory."""
    named = os.environ.get("VQA_SCORE_HOME")
    if named:
        return Path(named)
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return Path(data) / "vqa-score"


def check_name(name: str) -> str:
    """Return ``name`` where it can name a model; UsageError where it could be taken for a path or an option."""
    if not _NAME.fullmatch(name) or name.endswith(_PATH_LIKE):
        raise UsageError(
            f"{name!r} cannot be a model's name: use up to 64 letters, digits, '.', '_' and '-', starting "
            "with a letter or digit, without a file's suffix"
        )
    return name


def check_free(name: str, overwrite: bool) -> None:
    """Raises UsageError where a model may not be called ``name``."""
    for entry in manifest():
        if entry.name == name and entry.folder.is_relative_to(shipped_folder()):
            raise UsageError(f"a shipped model is called {name!r}; choose another name with -o")
        if entry.name == name and entry.path.is_file() and not overwrite:
            raise UsageError(
                f"there is a model called {name!r}; choose another name with -o, or overwrite it with -y"
            )


def manifest() -> tuple[ManifestEntry, ...]:
    """Every model known by name, the shipped ones first; a name in the first folder hides one in the second.

    Raises ModelError where a manifest is there but cannot be read.
    """
    entries: dict[str, ManifestEntry] = {}
    for folder in (shipped_folder(), home_folder()):
        for place in (folder, folder / NETWORKS):
            for entry in read_manifest(place):
                entries.setdefault(entry.name, entry)
    return tuple(entries.values())


def default_entry(kind: ModelKind) -> ManifestEntry | None:
    """What is taken where no model of a ``kind`` is named."""
    return next((entry for entry in manifest() if entry.default_for == kind), None)


def clip_frames_of(names: Sequence[str], kind: ModelKind) -> int | None:
    """Frames of the longest clips of the models with these names, or of the default one of a ``kind``, as manifests
    have them; None where one of them is in none. Raises ModelError as ``manifest`` does."""
    if not names:
        chosen = [default_entry(kind)]
    else:
        known = {entry.name: entry for entry in manifest()}
        chosen = [known.get(name) for name in names]
    frames = [entry.clip_frames for entry in chosen if entry is not None]
    return max(frames) if len(frames) == len(chosen) else None


def locate(name_or_path: str) -> tuple[Path, str | None]:
    """Find a model's file, and the sha256 it must have (None for a file that no manifest names).

    Raises UsageError for a name nobody knows, ModelError for a file that ought to be there and is not.
    """
    entries = manifest()
    for entry in entries:
        if entry.name == name_or_path:
            if not entry.path.is_file():
                again = "install the package again, or import the model again with 'vqa-score models import'"
                if entry.url:
                    again = f"fetch it with 'vqa-score models pull {entry.name}'"
                raise ModelError(f"model {entry.name!r}: its file {str(entry.path)!r} is missing; {again}")
            return entry.path, entry.sha256
    path = Path(name_or_path)
    try:
        if path.is_file():
            return path, None
    except (OSError, ValueError):  # a name too long for the file system, or with a NUL in it, is no path
        raise UsageError(f"{name_or_path[:80]!r} is neither a model's name nor a file") from None
    if path.name != name_or_path or name_or_path.endswith(_PATH_LIKE):
        raise ModelError(
            f"model file {name_or_path!r} does not exist or is not a file; check the path given to -m"
        )
    known = [entry.name for entry in entries]
    near = difflib.get_close_matches(name_or_path, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known models: {', '.join(known) or 'none'}"
    raise UsageError(f"unknown model {name_or_path!r}: {hint} ('vqa-score models list' names them all)")


def read_manifest(folder: Path) -> tuple[ManifestEntry, ...]:
    """The entries of one folder, none where it has no manifest; ModelError where the manifest is not one."""
    path = folder / MANIFEST
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot read the list of models {str(path)!r}: {error}") from error
    try:
        data = json.loads(text)
        if data["schema"] != SCHEMA:
            raise ValueError(f"schema {data['schema']!r} instead of {SCHEMA}")
        return tuple(entry_from_json(folder, item) for item in data["models"])
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(
            f"the list of models {str(path)!r} is damaged ({type(error).__name__}: {error}); install the "
            "package again, or restore the file"
        ) from error


def entry_from_json(folder: Path, item: dict[str, Any]) -> ManifestEntry:
    """An item of a manifest's ``models``. Raises TypeError and ValueError for one that says something else."""
    entry = ManifestEntry(**item, folder=folder)
    for field in ("name", "file", "sha256", "architecture", "licence", "description", "card", "url"):
        if not isinstance(getattr(entry, field), str):
            raise TypeError(f"{field} is not a string")
    if entry.kind not in KINDS or entry.default_for not in (None, *get_args(ModelKind)):
        raise ValueError(f"{entry.name}: no such kind of model")
    if not isinstance(entry.clip_frames, int) or entry.clip_frames < 1:
        raise ValueError(f"{entry.name}: clip_frames must be a positive whole number")
    if not re.fullmatch(r"[0-9a-f]{64}", entry.sha256):
        raise ValueError(f"{entry.name}: sha256 is not 64 hexadecimal digits")
    for file in (entry.file, entry.card):
        if file != os.path.basename(file) or file in (".", ".."):
            raise ValueError(f"{entry.name}: {file!r} points out of the folder")
    return entry


def put_entry(entry: ManifestEntry) -> None:
    """Add ``entry`` to its folder's manifest, in place of one of the same name; a new default displaces the old.

    The file is written whole or not at all. Raises OutputError where it cannot be written.
    """
    entries = {old.name: old for old in read_manifest(entry.folder)}
    if entry.default_for is not None:
        for old in list(entries.values()):
            if old.default_for == entry.default_for:
                entries[old.name] = dataclasses.replace(old, default_for=None)
    entries[entry.name] = entry
    models = []
    for each in entries.values():
        item = dataclasses.asdict(each)
        del item["folder"]
        models.append(item)
    text = json.dumps({"schema": SCHEMA, "models": models}, indent=2, ensure_ascii=False) + "\n"
    write_atomically(entry.folder / MANIFEST, text.encode())
