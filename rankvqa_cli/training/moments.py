"""Moments of a rated stimulus, as scoring would see them: a frame, or a short clip, every so many seconds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rankvqa_cli.errors import DamagedError
from rankvqa_cli.media.plan import make_plan
from rankvqa_cli.media.probe import probe
from rankvqa_cli.media.sparse import SparseReader
from rankvqa_cli.media.yuv import split_planes
from rankvqa_cli.models import colour
from rankvqa_cli.models.contract import Clip
from rankvqa_cli.training.common_size import write_scaled
from rankvqa_cli.types import InputSpec, ReadOptions


def moments(file: Path, size: tuple[int, int] | None, sample_s: float, frames: int) -> Iterator[Tensor]:
    """(``frames``, 3, H, W) float32 RGB in 0 to 1, from every ``sample_s`` seconds of ``file`` on.

    The file is brought to ``size`` (width, height) first, where it is given. A video shorter than ``frames`` repeats
    its last frame. Raises InputError and DamagedError.
    """
    if size is None:
        yield from _read(file, sample_s, frames)
        return
    with tempfile.TemporaryDirectory(prefix="vqa-features-") as scratch:
        yield from _read(write_scaled(file, size, Path(scratch) / "scaled.y4m"), sample_s, frames)


def _read(file: Path, sample_s: float, frames: int) -> Iterator[Tensor]:
    options = ReadOptions()
    planned = make_plan(None, [probe(InputSpec(str(file)), options)], options).inputs[0]
    hop = max(1, round(sample_s * planned.info.frame_rate))
    waiting: list[Tensor] = []
    given = seen = 0
    with SparseReader(planned, options, hop if frames == 1 else None) as reader:
        row = np.empty((1, planned.format.frame_bytes), np.uint8)
        while reader.read_into(row[0].data):
            wanted = 0 <= seen - given * hop < frames
            seen += 1
            if wanted:
                luma, cb, cr = (
                    None if p is None else torch.from_numpy(p.copy())
                    for p in split_planes(row, planned.format)
                )
                assert luma is not None
                waiting.append(colour.rgb(Clip(luma, cb, cr, planned.format)))
            if len(waiting) == frames:
                yield torch.cat(waiting)
                given += 1
                waiting = waiting[hop:] if hop < frames else []
        end = reader.finish()
    if seen == 0 or end.returncode or end.errors:
        raise DamagedError(f"{str(file)!r} cannot be decoded whole: {(*end.errors, 'no frame')[0]}")
    if not given:
        yield torch.cat([*waiting, *([waiting[-1]] * (frames - len(waiting)))])
