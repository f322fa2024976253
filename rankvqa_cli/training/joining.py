"""Several finished corpora as one: nothing is copied or made anew."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from rankvqa_cli.errors import InputError, OutputError
from rankvqa_cli.models.files import sha256_of, write_atomically
from rankvqa_cli.training.datasets import load_corpus
from rankvqa_cli.training.manifest import FORMAT, MANIFEST_NAME


def join_corpora(folders: Sequence[Path], out: Path) -> int:
    """Make ``out`` a corpus of all sources of ``folders``, each a link to its own place. Returns how many there are.

    Raises InputError where one is no finished corpus or two have a source of one name, and OutputError where ``out``
    holds something else already.
    """
    whose: dict[str, Path] = {}
    parts = []
    for folder in folders:
        names = [shard.name for shard in load_corpus(folder)]
        for name in names:
            if name in whose:
                raise InputError(f"{str(folder)!r} and {str(whose[name])!r} both have a source {name!r}")
            whose[name] = folder
        digest = sha256_of(folder / MANIFEST_NAME)
        parts.append({"corpus": folder.name, "manifest_sha256": digest, "sources": len(names)})
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, folder in whose.items():
            _link(out / name, folder / name)
    except OSError as error:
        raise OutputError(f"cannot write the corpus {str(out)!r}: {error.strerror}") from error
    manifest = {"format": FORMAT, "joined": parts, "sources": list(whose)}
    write_atomically(out / MANIFEST_NAME, (json.dumps(manifest, indent=2) + "\n").encode())
    return len(whose)


def _link(place: Path, source: Path) -> None:
    target = os.path.relpath(source.resolve(), place.parent.resolve())
    if place.is_symlink() and os.readlink(place) == target:
        return
    if place.is_symlink() or place.exists():
        raise OutputError(f"{str(place)!r} is there already and is something else: choose another folder")
    place.symlink_to(target, target_is_directory=True)
