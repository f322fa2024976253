"""What the media tests share: probe, plan and read a file in one call, and raw frames of known content."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rankvqa_cli.media.plan import make_plan
from rankvqa_cli.media.probe import probe
from rankvqa_cli.media.reader import FrameReader, StreamEnd
from rankvqa_cli.types import ComparisonPlan, InputSpec, PlannedInput, RawFormat, ReadOptions, VideoInfo

DEFAULTS = ReadOptions()


@dataclass(frozen=True)
class Whole:
    """``frames`` are (T, frame_bytes) uint8."""

    frames: NDArray[np.uint8]
    end: StreamEnd
    read: int


def look(path: Path | str, options: ReadOptions = DEFAULTS, raw: RawFormat | None = None) -> VideoInfo:
    return probe(InputSpec(str(path), raw), options)


def plan_pair(reference: Path, distorted: Path, options: ReadOptions = DEFAULTS) -> ComparisonPlan:
    return make_plan(look(reference, options), [look(distorted, options)], options)


def alone(info: VideoInfo, options: ReadOptions = DEFAULTS) -> PlannedInput:
    return make_plan(None, [info], options).inputs[0]


def read_all(planned: PlannedInput, options: ReadOptions = DEFAULTS) -> Whole:
    frames = []
    with FrameReader(planned, options) as reader:
        while True:
            buffer = np.empty(reader.format.frame_bytes, np.uint8)
            if not reader.read_into(memoryview(buffer)):
                break
            frames.append(buffer)
        end = reader.finish()
        return Whole(np.stack(frames), end, reader.frames_read)


def read_file(path: Path, options: ReadOptions = DEFAULTS) -> Whole:
    return read_all(alone(look(path, options), options), options)


def write_raw(
    path: Path, pix_fmt: str, width: int, height: int, frames: int, depth: int, frame_bytes: int
) -> RawFormat:
    """Fills ``path`` with random samples of ``depth`` bits."""
    source = np.random.default_rng(7)
    count = frames * frame_bytes // (1 if depth == 8 else 2)
    samples = source.integers(0, 2**depth, count, dtype=np.uint8 if depth == 8 else np.dtype("<u2"))
    path.write_bytes(samples.tobytes())
    return RawFormat(width, height, pix_fmt, Fraction(25))
