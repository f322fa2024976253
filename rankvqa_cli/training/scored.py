"""Stimuli that people have scored: a CSV of pairs with their MOS, decoded once, and batches of crops of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rankvqa_cli.errors import InputError
from rankvqa_cli.training.common_size import scaling
from rankvqa_cli.training.ratings import read_ratings
from rankvqa_cli.training.sources import run_ffmpeg


@dataclass(frozen=True)
class Stimulus:
    """One row: ``mos`` on the 5-point ACR scale, ``content`` groups what must stay on one side of a split."""

    distorted: Path
    reference: Path
    mos: float
    content: str

    @property
    def label(self) -> float:
        """MOS on the project's scale: 25 x (MOS - 1)."""
        return 25 * (self.mos - 1)


@dataclass(frozen=True)
class ScoredSet:
    """``frames[i]`` is one planar 8-bit 4:2:0 limited-range picture of ``width`` x ``height``: (bytes,) uint8.

    ``distorted_at[i]`` and ``reference_at[i]`` are the rows of ``frames`` that stimulus i shows.
    """

    stimuli: tuple[Stimulus, ...]
    frames: NDArray[np.uint8]
    distorted_at: tuple[int, ...]
    reference_at: tuple[int, ...]
    width: int
    height: int

    def without(self, content: str) -> ScoredSet:
        """The set without the stimuli of ``content``. Raises InputError where it names none of them."""
        kept = [i for i, stimulus in enumerate(self.stimuli) if stimulus.content != content]
        if len(kept) == len(self.stimuli):
            raise InputError(f"the scored set has no content {content!r} to leave out")
        return self._pick(kept)

    def only(self, content: str) -> ScoredSet:
        return self._pick([i for i, stimulus in enumerate(self.stimuli) if stimulus.content == content])

    def rows_of(self, content: str) -> list[int]:
        """Where the stimuli of ``content`` stand. Raises InputError where there are none."""
        rows = [i for i, stimulus in enumerate(self.stimuli) if stimulus.content == content]
        if not rows:
            raise InputError(f"the scored set has no content {content!r} to leave out")
        return rows

    def _pick(self, rows: Sequence[int]) -> ScoredSet:
        return ScoredSet(
            tuple(self.stimuli[i] for i in rows),
            self.frames,
            tuple(self.distorted_at[i] for i in rows),
            tuple(self.reference_at[i] for i in rows),
            self.width,
            self.height,
        )


def read_scores(path: Path) -> list[Stimulus]:
    """Rows of a CSV with the columns distorted, reference, mos (1 to 5), and optionally content.

    Raises InputError as ``read_ratings`` does, and where a row has no reference.
    """
    ratings = read_ratings(path, scale=(1, 5))
    stimuli = []
    for rating in ratings.rows:
        if rating.reference is None:
            raise InputError(f"{ratings.where(rating)}: no file in the column reference")
        stimuli.append(Stimulus(rating.distorted, rating.reference, rating.mos, rating.content))
    return stimuli


def load_scored(path: Path, cache: Path, size: tuple[int, int] = (1920, 1080)) -> ScoredSet:
    """Decode the first frame of every file, bicubic to ``size`` (width, height), into a file in ``cache``, mapped."""
    stimuli = read_scores(path)
    files = list(dict.fromkeys(file for s in stimuli for file in (s.reference, s.distorted)))
    key = hashlib.sha256("\n".join([f"{size}", *map(str, files)]).encode()).hexdigest()[:16]
    cached = cache / f"scored-{key}.npy"
    width, height = size
    if not cached.exists():
        cache.mkdir(parents=True, exist_ok=True)
        partial = cached.with_suffix(".partial.npy")
        shape = (len(files), width * height * 3 // 2)
        frames = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
        for row, file in enumerate(files):
            arguments = ["-i", str(file), "-frames:v", "1", "-vf", scaling(size), "-f", "rawvideo", "-"]
            frames[row] = np.frombuffer(run_ffmpeg(arguments, subject=str(file)), np.uint8)
        frames.flush()
        os.replace(partial, cached)
    at = {file: row for row, file in enumerate(files)}
    return ScoredSet(
        tuple(stimuli),
        np.load(cached, mmap_mode="r"),
        tuple(at[s.distorted] for s in stimuli),
        tuple(at[s.reference] for s in stimuli),
        width,
        height,
    )


def planes_of(scored: ScoredSet, row: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Picture ``row`` whole: luma (1, H, W) and chroma (1, 2, H / 2, W / 2) uint8."""
    data = torch.from_numpy(np.array(scored.frames[row]))
    pixels = scored.width * scored.height
    luma = data[:pixels].view(1, scored.height, scored.width)
    return luma, data[pixels:].view(1, 2, scored.height // 2, scored.width // 2)
