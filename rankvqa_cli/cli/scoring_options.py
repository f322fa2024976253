"""What ``score``, ``batch`` and ``compare`` are told about reading, comparing, models and pooling, as one object."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from rankvqa_cli.cli.options import Function
from rankvqa_cli.cli.rawvideo import RawOptions, raw_formats
from rankvqa_cli.errors import UsageError
from rankvqa_cli.scoring.options import ScoreOptions


@dataclass(frozen=True)
class Scoring:
    """The options as they were given. Which of the files are headerless is known with their names only: see ``of``."""

    given: ScoreOptions
    raw: RawOptions
    ref_raw: RawOptions

    def of(self, inputs: Sequence[str], reference: str | None) -> ScoreOptions:
        """How files of these names are scored. Raises UsageError as ``raw_formats`` does."""
        raw, ref_raw = raw_formats(inputs, reference, self.raw, self.ref_raw)
        return replace(self.given, raw=raw, ref_raw=ref_raw)


def scoring_options(function: Function) -> Function:
    """The command ``function`` gets these options as one argument, ``scoring``; the others as they are."""

    @functools.wraps(function)
    def gathered(
        *args: Any,
        input_format: str | None,
        size: tuple[int, int] | None,
        pix_fmt: str | None,
        framerate: Fraction | None,
        ref_format: str | None,
        ref_size: tuple[int, int] | None,
        ref_pix_fmt: str | None,
        ref_framerate: Fraction | None,
        seek: float,
        duration: float | None,
        frames: int | None,
        deinterlace: bool,
        align: str | int,
        allow_short: bool,
        allow_damaged: bool,
        models: tuple[str, ...],
        hop: int | None,
        clip_stride: int,
        sample: float,
        device: str,
        precision: str,
        threads: int | None,
        pool: str,
        **rest: Any,
    ) -> Any:
        one_thread_for_numpy()
        if duration == 0.0:
            raise UsageError("-t 0 leaves nothing to score: give a longer time, or leave -t out")
        given = ScoreOptions(
            models=models,
            seek=seek,
            duration=duration,
            frames=frames,
            align=align,
            hop=hop,
            clip_stride=clip_stride,
            sample=sample,
            device=device,
            precision=precision,
            threads=threads,
            pool=pool,
            allow_short=allow_short,
            allow_damaged=allow_damaged,
            deinterlace=deinterlace,
        )
        raw = RawOptions(input_format, size, pix_fmt, framerate)
        ref_raw = RawOptions(ref_format, ref_size, ref_pix_fmt, ref_framerate)
        return function(*args, scoring=Scoring(given, raw, ref_raw), **rest)

    return gathered  # type: ignore[return-value]


def one_thread_for_numpy() -> None:
    """To be called before numpy is imported. Its products are small here, and OpenBLAS lets threads spin while they
    wait for each other: beside FFmpeg and the import of torch, one product of a picture took 0.5 s instead of 3 ms."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
