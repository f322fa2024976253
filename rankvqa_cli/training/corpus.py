"""From sources to a training corpus: patch clips of many encodes, with labels, a folder a source.

``CORPUS/NAME/ref.npy`` is (patches, frames, bytes) uint8, ``dist.npy`` (encodes, patches, frames, bytes) uint8, planar
8-bit 4:2:0; ``index.json`` lists the encodes with FFmpeg's arguments, the patches' places, and the labels. A folder
appears under its name only when it is whole, so an interrupted run continues where it stopped, and since every
source draws from its own random stream, it ends with what an unbroken run gives.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rankvqa_cli.errors import InputError, UsageError
from rankvqa_cli.training.encodes import draw_ladders, encode_and_decode
from rankvqa_cli.training.labels import label_patches
from rankvqa_cli.training.sources import STILL_SUFFIXES, Source, pristine_clip

VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".mov", ".webm", ".y4m", ".avi", ".ts", ".mpg"})


@dataclass(frozen=True)
class CorpusOptions:
    """``frames`` are read from each source and cut into clips of ``clip_frames``; ``patches`` places of
    ``patch`` x ``patch`` pixels are drawn a source; ``ladders`` x ``rungs`` encodes are made of it."""

    seed: int = 1
    frames: int = 24
    clip_frames: int = 12
    patch: int = 256
    patches: int = 5
    ladders: int = 4
    rungs: int = 4
    still_width: int = 768
    still_height: int = 448


def list_sources(where: Path) -> list[Source]:
    """A folder's videos and stills, each its own content, or a CSV: path, and optionally content, start_s, reduce.

    Paths in a CSV are relative to it. Raises UsageError naming the row that cannot be used.
    """
    if where.is_dir():
        files = sorted(p for p in where.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES | STILL_SUFFIXES)
        if not files:
            raise UsageError(f"no video or still in {str(where)!r}")
        return [Source(path=p, content=p.stem, name=p.stem) for p in files]
    try:
        rows = list(csv.DictReader(where.read_text(encoding="utf-8").splitlines()))
    except OSError as error:
        raise InputError(f"cannot read the source list {str(where)!r}: {error.strerror}") from error
    sources = []
    for number, row in enumerate(rows, start=2):
        path = where.parent / (row.get("path") or "")
        if not path.is_file():
            raise InputError(f"{str(where)!r} row {number}: no such file {str(path)!r}")
        try:
            start, reduce = float(row.get("start_s") or 0), float(row.get("reduce") or 1)
        except ValueError as error:
            raise UsageError(f"{str(where)!r} row {number}: {error}") from error
        name = path.stem + (f"_{start:g}s" if start else "") + (f"_r{reduce:g}" if reduce != 1 else "")
        sources.append(Source(path, row.get("content") or path.stem, name, start, reduce))
    names = [source.name for source in sources]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UsageError(f"{str(where)!r} lists {repeated[0]!r} more than once")
    return sources


def _random_stream(seed: int, name: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def _crop(
    clip: NDArray[np.uint8],
    size: tuple[int, int],
    places: Sequence[tuple[int, int, int]],
    patch: int,
    frames: int,
) -> NDArray[np.uint8]:
    """Cut (x, y, first frame) patches out of (T, bytes) planar 4:2:0: (patches, frames, patch * patch * 3 / 2)."""
    width, height = size
    luma = clip[:, : width * height].reshape(-1, height, width)
    chroma = clip[:, width * height :].reshape(-1, 2, height // 2, width // 2)
    half = patch // 2
    out = np.empty((len(places), frames, patch * patch * 3 // 2), np.uint8)
    for i, (x, y, t) in enumerate(places):
        out[i, :, : patch * patch] = luma[t : t + frames, y : y + patch, x : x + patch].reshape(frames, -1)
        cut = chroma[t : t + frames, :, y // 2 : y // 2 + half, x // 2 : x // 2 + half]
        out[i, :, patch * patch :] = cut.reshape(frames, -1)
    return out


def make_source(source: Source, options: CorpusOptions, out: Path) -> str:
    """Encode, cut and label one source into ``out / source.name``. Returns the name; does nothing if it is there."""
    final = out / source.name
    if (final / "index.json").exists():
        return source.name
    rng = _random_stream(options.seed, source.name)
    still_size = options.still_width, options.still_height
    clip, width, height = pristine_clip(source, options.frames, still_size, rng)
    if min(width, height) < options.patch:
        raise InputError(
            f"{str(source.path)!r} is {width}x{height}: smaller than the patch of {options.patch}"
        )
    starts = options.frames // options.clip_frames
    places = [
        (
            int(rng.integers(0, (width - options.patch) // 2 + 1)) * 2,
            int(rng.integers(0, (height - options.patch) // 2 + 1)) * 2,
            int(rng.integers(0, starts)) * options.clip_frames,
        )
        for _ in range(options.patches)
    ]
    encodes = draw_ladders(rng, options.ladders, options.rungs)
    scratch = Path(tempfile.mkdtemp(prefix=f".{source.name}.", dir=out))
    try:
        raw = scratch / "source.yuv"
        clip.tofile(raw)
        reference = _crop(clip, (width, height), places, options.patch, options.clip_frames)
        distorted, commands = [], []
        for encode in encodes:
            decoded, command = encode_and_decode(encode, raw, (width, height), 25, scratch)
            if len(decoded) != len(clip):
                raise InputError(
                    f"{encode} of {source.name!r} decodes to {len(decoded)} of {len(clip)} frames"
                )
            distorted.append(_crop(decoded, (width, height), places, options.patch, options.clip_frames))
            commands.append(command)
        raw.unlink()
        stack = np.stack(distorted)  # (E, P, T, bytes)
        references = np.broadcast_to(reference, stack.shape).reshape(-1, *reference.shape[1:])
        labels = label_patches(references, stack.reshape(-1, *reference.shape[1:]), options.patch, scratch)
        np.save(scratch / "ref.npy", reference)
        np.save(scratch / "dist.npy", stack)
        index = {
            "content": source.content,
            "source": source.path.name,
            "size": [width, height],
            "places": places,
            "encodes": [asdict(e) | {"ffmpeg": c} for e, c in zip(encodes, commands, strict=True)],
            "labels": {
                k: v.astype(float).reshape(len(encodes), len(places)).round(3).tolist()
                for k, v in labels.items()
            },
        }
        (scratch / "index.json").write_text(json.dumps(index))
        os.rename(scratch, final)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return source.name


def make_corpus(
    sources: Sequence[Source], options: CorpusOptions, out: Path, workers: int, done: Callable[[str], None]
) -> None:
    """Make every source's folder, ``workers`` at a time, then ``manifest.json`` with a sha256 a file."""
    out.mkdir(parents=True, exist_ok=True)
    for leftover in out.glob(".*.*"):
        shutil.rmtree(leftover, ignore_errors=True)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(make_source, source, options, out) for source in sources]
        try:
            for job in as_completed(jobs):
                done(job.result())
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    write_manifest(sources, options, out)


def write_manifest(sources: Sequence[Source], options: CorpusOptions, out: Path) -> None:
    """Close a corpus: options, sources in order, and the sha256 of every file."""
    files = sorted(
        out / source.name / part for source in sources for part in ("index.json", "ref.npy", "dist.npy")
    )
    manifest = {
        "options": asdict(options),
        "sources": [source.name for source in sources],
        "sha256": {str(path.relative_to(out)): _sha256(path) for path in files},
    }
    partial = out / "manifest.json.partial"
    partial.write_text(json.dumps(manifest, indent=1))
    os.replace(partial, out / "manifest.json")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
