"""What a corpus says of itself: the options it was begun with, and in the end the sha256 of every file."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rankvqa_cli.errors import InputError, OutputError, UsageError
from rankvqa_cli.models.files import sha256_of
from rankvqa_cli.training.encodes import LADDER_CODECS, SIZES

FORMAT = 2
MANIFEST_NAME = "manifest.json"
PARTS = ("index.json", "ref.npy", "dist.npy")

#: Folders in the making begin with this; one that is left over was never whole.
MAKING = ".making-"


@dataclass(frozen=True)
class CorpusOptions:
    """Everything that decides a corpus, besides its sources and FFmpeg.

    ``frames`` are read from each source and cut into clips of ``clip_frames``; ``patches`` places of
    ``patch`` x ``patch`` pixels are drawn a source. ``ladders`` x ``rungs`` encodes of it are made with ``codecs``,
    half of the ladders at one of ``sizes``, and ``degraded`` other versions. ``tuples`` pairs are listed. ``fold`` of
    ``folds`` contents are held out, -1 holds out none.
    """

    seed: int = 1
    frames: int = 24
    clip_frames: int = 12
    patch: int = 256
    patches: int = 5
    ladders: int = 4
    rungs: int = 4
    degraded: int = 10
    codecs: tuple[str, ...] = LADDER_CODECS
    sizes: tuple[float, ...] = SIZES
    tuples: int = 10000
    fold: int = 0
    folds: int = 5
    still_width: int = 768
    still_height: int = 448

    def __post_init__(self) -> None:
        if self.clip_frames > self.frames:
            raise UsageError(
                f"clips of {self.clip_frames} frames do not fit in {self.frames} frames a source"
            )
        if self.patch % 2 or self.patch > min(self.still_width, self.still_height):
            raise UsageError(
                f"a patch of {self.patch} is odd, or larger than the {self.still_height} rows of a still"
            )
        if not -1 <= self.fold < self.folds:
            raise UsageError(
                f"there is no fold {self.fold} of {self.folds}: give 0 to {self.folds - 1}, or -1"
            )


def is_held_out(content: str, fold: int, folds: int) -> bool:
    """Which fold a content belongs to depends on its name alone, so that it never moves."""
    return int(hashlib.sha256(content.encode()).hexdigest(), 16) % folds == fold


def check_split(contents: Sequence[str], fold: int, folds: int, subject: str) -> None:
    """Raises InputError where a split is asked for (``fold`` of 0 or more) and cannot be made."""
    different = set(contents)
    if fold < 0:
        return
    if len(different) < 2:
        raise InputError(
            f"{subject} has one content only, which cannot be split: give --fold -1, or sources of more contents"
        )
    if all(is_held_out(content, fold, folds) for content in different):
        raise InputError(f"fold {fold} of {folds} holds out every content of {subject}: give another --fold")


def begin_corpus(out: Path, options: CorpusOptions, ffmpeg: str) -> None:
    """Begin in an empty folder, or go on in one that was begun with the same options and FFmpeg.

    ``options.json`` is written before anything else. Raises UsageError where the folder holds another corpus.
    """
    begun = out / "options.json"
    wanted = {"format": FORMAT, "options": asdict(options), "ffmpeg": ffmpeg}
    wanted = json.loads(json.dumps(wanted))
    if begun.exists():
        try:
            found = json.loads(begun.read_text())
            differing = _difference(found, wanted)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{str(begun)!r} is damaged: take another folder, or remove this one") from error
        if differing:
            raise UsageError(f"{str(out)!r} holds a corpus made otherwise ({differing}): take another folder")
    elif any(out.glob("*/index.json")):
        raise UsageError(f"{str(out)!r} holds sources but no options.json: take another folder")
    else:
        write_whole(begun, json.dumps(wanted, indent=1))
    for leftover in out.glob(f"{MAKING}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _difference(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """The first thing that differs, in words; empty where nothing does."""
    for key in ("format", "ffmpeg"):
        if found[key] != wanted[key]:
            return f"{key} {found[key]}, not {wanted[key]}"
    for key, value in wanted["options"].items():
        if found["options"].get(key) != value:
            return f"{key} {found['options'].get(key)}, not {value}"
    return ""


@contextmanager
def only_run(out: Path) -> Iterator[None]:
    """Keeps a second run out of the folder. Raises OutputError where one is at work; a killed one is not."""
    with (out / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(
                f"another run is at work in {str(out)!r}: wait for it, or take another folder"
            ) from error
        yield


def write_whole(path: Path, text: str) -> None:
    """The whole file or none of it."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    os.replace(partial, path)


def write_manifest(
    names: Sequence[str], contents: Sequence[str], options: CorpusOptions, ffmpeg: str, out: Path
) -> None:
    """Close a corpus: options, FFmpeg, sources in order, split, and the sha256 of every file."""
    held_out = sorted({c for c in contents if is_held_out(c, options.fold, options.folds)})
    files = ["options.json", "tuples.csv", *sorted(f"{name}/{part}" for name in names for part in PARTS)]
    manifest = {
        "format": FORMAT,
        "options": asdict(options),
        "ffmpeg": ffmpeg,
        "sources": list(names),
        "split": {"fold": options.fold, "folds": options.folds, "held_out": held_out},
        "sha256": {file: sha256_of(out / file) for file in files},
    }
    write_whole(out / MANIFEST_NAME, json.dumps(manifest, indent=1))
