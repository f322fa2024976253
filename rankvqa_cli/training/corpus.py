"""From sources to a training corpus: patch clips of many versions, with labels and orders, a folder a source.

``CORPUS/NAME/ref.npy`` is (patches, frames, bytes) uint8, ``dist.npy`` (versions, patches, frames, bytes) uint8, planar
8-bit 4:2:0; ``index.json`` lists the versions with FFmpeg's arguments, the patches' places, the labels, and the orders
that hold by construction. A folder appears under its name only when it is whole, so an interrupted run continues where
it stopped, and since every source draws from its own random stream, it ends with what an unbroken run gives.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rankvqa_cli.errors import DeviceError, InputError, OutputError, UsageError
from rankvqa_cli.models.files import sha256_of
from rankvqa_cli.training.datasets import open_source
from rankvqa_cli.training.degradations import Change, Shape, apply_change
from rankvqa_cli.training.encodes import encode_and_decode
from rankvqa_cli.training.labels import label_patches
from rankvqa_cli.training.manifest import (
    MAKING,
    CorpusOptions,
    begin_corpus,
    check_split,
    is_held_out,
    only_run,
    write_manifest,
    write_whole,
)
from rankvqa_cli.training.orders import by_patch, constructed
from rankvqa_cli.training.pristine import Clip, check_video, clip_size, pristine_clip, read_still
from rankvqa_cli.training.sources import Source, corpus_ffmpeg_version
from rankvqa_cli.training.tuples import tuples_csv
from rankvqa_cli.training.versions import Step, Version, draw_degraded, draw_ladders

Commands = tuple[tuple[str, ...], ...]


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


def _draw_places(
    rng: np.random.Generator, size: tuple[int, int], options: CorpusOptions
) -> list[tuple[int, int, int]]:
    """(x, y, first frame): even, and at a clip's start."""
    starts = options.frames // options.clip_frames
    width, height = size
    return [
        (
            int(rng.integers(0, (width - options.patch) // 2 + 1)) * 2,
            int(rng.integers(0, (height - options.patch) // 2 + 1)) * 2,
            int(rng.integers(0, starts)) * options.clip_frames,
        )
        for _ in range(options.patches)
    ]


class Maker:
    """Makes versions of one clip. What several of them begin with is made once."""

    def __init__(self, clip: Clip, versions: Sequence[Version], clip_frames: int, scratch: Path) -> None:
        self.clip = clip
        self.shape = Shape(clip.width, clip.height, clip_frames)
        self.scratch = scratch
        self.shared = {version.steps[:-1] for version in versions} - {()}
        self.made: dict[tuple[Step, ...], tuple[NDArray[np.uint8], Commands]] = {}

    def make(self, steps: tuple[Step, ...]) -> tuple[NDArray[np.uint8], Commands]:
        """(T, bytes) after ``steps``, and the FFmpeg commands they took."""
        if not steps:
            return self.clip.frames, ()
        if steps in self.made:
            return self.made[steps]
        before, commands = self.make(steps[:-1])
        step = steps[-1]
        if isinstance(step, Change):
            after = apply_change(step, before, self.shape)
        else:
            size = self.clip.width, self.clip.height
            encoded = encode_and_decode(step, before, size, self.clip.rate, self.scratch)
            after, commands = encoded.frames, commands + encoded.commands
        if steps in self.shared:
            self.made[steps] = after, commands
        return after, commands


def _origin(source: Source) -> dict[str, Any]:
    return {
        "file": source.path.name,
        "sha256": sha256_of(source.path),
        "content": source.content,
        "start_s": source.start_s,
        "reduce": source.reduce,
    }


def make_source(source: Source, options: CorpusOptions, out: Path) -> str:
    """Encode, degrade, cut and label one source into ``out / source.name``. Returns the name.

    Does nothing if the folder is there; raises UsageError if it was made of something else. Raises OutputError where
    it cannot be written, and leaves nothing behind.
    """
    final = out / source.name
    origin = _origin(source)
    if final.exists():
        if open_source(out, source.name).origin != origin:
            raise UsageError(
                f"{str(final)!r} was made of another source than {str(source.path)!r}: remove it"
            )
        return source.name
    rng = _random_stream(options.seed, source.name)
    still_size = options.still_width, options.still_height
    clip = pristine_clip(source, options.frames, still_size, rng)
    _check_size(source, (clip.width, clip.height), options.patch)
    places = _draw_places(rng, (clip.width, clip.height), options)
    ladders = draw_ladders(rng, options.ladders, options.rungs, options.codecs, options.sizes)
    versions = ladders + draw_degraded(rng, options.degraded, ladders, options.rungs, options.clip_frames)
    try:
        scratch = Path(tempfile.mkdtemp(prefix=f"{MAKING}{source.name}-", dir=out))
        try:
            _fill(scratch, clip, versions, places, options, origin)
            os.rename(scratch, final)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except (OSError, OutputError) as error:
        raise OutputError(
            f"cannot write the corpus in {str(out)!r}, at {source.name!r} ({error}): make room and run again"
        ) from error
    except InputError as error:
        raise InputError(f"source {source.name!r}: {error}") from error
    return source.name


def _fill(
    folder: Path,
    clip: Clip,
    versions: Sequence[Version],
    places: Sequence[tuple[int, int, int]],
    options: CorpusOptions,
    origin: dict[str, Any],
) -> None:
    """Write a source's three files into ``folder``."""
    size = clip.width, clip.height
    maker = Maker(clip, versions, options.clip_frames, folder)
    reference = _crop(clip.frames, size, places, options.patch, options.clip_frames)
    stack = np.empty((len(versions), *reference.shape), np.uint8)  # (E, P, T, bytes)
    entries = []
    for row, version in enumerate(versions):
        frames, commands = maker.make(version.steps)
        stack[row] = _crop(frames, size, places, options.patch, options.clip_frames)
        entries.append(version.to_json() | {"ffmpeg": commands})
    each = np.broadcast_to(reference, stack.shape).reshape(-1, *reference.shape[1:])
    found, labelling = label_patches(each, stack.reshape(-1, *reference.shape[1:]), options.patch, folder)
    labels = {key: values.reshape(len(versions), len(places)) for key, values in found.items()}
    sure = constructed(versions)
    each_patch = by_patch(sure, labels, stack)
    index = {
        "source": origin,
        "size": size,
        "rate": str(clip.rate),
        "places": places,
        "versions": entries,
        "labels": {key: values.astype(float).round(5).tolist() for key, values in labels.items()},
        "orders": [
            [int(i), int(j), round(float(sure[i, j]), 4), each_patch[i, j].astype(float).round(4).tolist()]
            for i, j in np.argwhere(sure > 0)
        ],
        "ffmpeg": {"source": clip.command, "labels": labelling},
    }
    np.save(folder / "ref.npy", reference)
    np.save(folder / "dist.npy", stack)
    (folder / "index.json").write_text(json.dumps(index))


def _check_size(source: Source, size: tuple[int, int], patch: int) -> None:
    if min(size) < patch:
        given = f"{size[0]}x{size[1]}" + (
            f" after reduction by {source.reduce:g}" if source.reduce != 1 else ""
        )
        raise InputError(f"{str(source.path)!r} is {given}: smaller than the patch of {patch}")


def check_sources(sources: Sequence[Source], options: CorpusOptions) -> None:
    """Raises InputError for the first source that cannot be used, before hours are spent on the others."""
    check_split([source.content for source in sources], options.fold, options.folds, "the list of sources")
    for source in sources:
        if source.is_still:
            read_still(source.path)
        else:
            _check_size(source, clip_size(source, check_video(source, options.frames)), options.patch)


def make_corpus(
    sources: Sequence[Source], options: CorpusOptions, out: Path, workers: int, done: Callable[[str], None]
) -> None:
    """Make every source's folder, ``workers`` at a time, then the tuples, then ``manifest.json``.

    ``done`` is called with the name of each source that is there. Raises InputError, OutputError or UsageError, and
    DeviceError where a worker was killed; the same call afterwards goes on.
    """
    ffmpeg = corpus_ffmpeg_version()
    check_sources(sources, options)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with only_run(out):
            begin_corpus(out, options, ffmpeg)
            _make_all(sources, options, out, workers, done)
            close_corpus(sources, options, ffmpeg, out)
    except OSError as error:
        raise OutputError(f"cannot write the corpus in {str(out)!r}: {error.strerror or error}") from error


def _make_all(
    sources: Sequence[Source], options: CorpusOptions, out: Path, workers: int, done: Callable[[str], None]
) -> None:
    context = get_context("spawn")
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_be_a_worker, initargs=(os.getpid(),)
    ) as pool:
        jobs = [pool.submit(make_source, source, options, out) for source in sources]
        try:
            for job in as_completed(jobs):
                done(job.result())
        except BrokenProcessPool as error:
            raise DeviceError(
                "a worker was killed, perhaps for want of memory: run again with fewer --jobs"
            ) from error
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _be_a_worker(parent: int) -> None:
    """One thread a worker, and none lives on when the run is killed."""
    torch.set_num_threads(1)

    def follow() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def close_corpus(sources: Sequence[Source], options: CorpusOptions, ffmpeg: str, out: Path) -> None:
    """Write ``tuples.csv`` and ``manifest.json`` for sources that are all there."""
    shards = [open_source(out, source.name) for source in sources]
    held_out = [s for s in shards if is_held_out(s.content, options.fold, options.folds)]
    training = [s for s in shards if not is_held_out(s.content, options.fold, options.folds)]
    write_whole(out / "tuples.csv", tuples_csv(training, held_out, options.tuples, options.seed))
    contents = [source.content for source in sources]
    write_manifest([source.name for source in sources], contents, options, ffmpeg, out)
