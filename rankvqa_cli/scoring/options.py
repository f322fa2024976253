"""How files are scored: the options of ``vqa-score score``, as one object that commands and workers hand on."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from rankvqa_cli.types import InputSpec, RawFormat, ReadOptions

#: Of the machine's memory, what inputs that are read together may take, their decoders included.
MEMORY_SHARE = 0.5
#: Options that say where and how fast jobs are scored, or that a key holds in another form.
_NOT_MEASURED = ("models", "device", "threads", "memory_share")


@dataclass(frozen=True)
class ScoreOptions:
    """``scoring.engine.score``'s arguments of the same names. ``raw`` and ``ref_raw`` describe headerless files."""

    models: tuple[str, ...] = ()
    raw: RawFormat | None = None
    ref_raw: RawFormat | None = None
    seek: float = 0.0
    duration: float | None = None
    frames: int | None = None
    align: str | int = "auto"
    hop: int | None = None
    clip_stride: int = 1
    sample: float = 0.5
    device: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    memory_share: float = MEMORY_SHARE
    pool: str = "mean"
    allow_short: bool = False
    allow_damaged: bool = False
    deinterlace: bool = False

    @property
    def arguments(self) -> dict[str, Any]:
        """By name, as ``scoring.engine.score`` takes them."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @property
    def read(self) -> ReadOptions:
        return ReadOptions(self.seek, self.duration, self.frames, self.threads, self.deinterlace)

    @property
    def identity(self) -> str:
        """Everything that a score depends on, but files and models: the options that are not as by default, so that an
        option which a later version adds does not make everything anew."""
        default = ScoreOptions()
        chosen = {
            field.name: value
            for field in dataclasses.fields(self)
            if field.name not in _NOT_MEASURED
            and (value := getattr(self, field.name)) != getattr(default, field.name)
        }
        return json.dumps(chosen, sort_keys=True, default=str)

    def distorted(self, path: str) -> InputSpec:
        return InputSpec(path, self.raw)

    def reference(self, path: str) -> InputSpec:
        return InputSpec(path, self.ref_raw)
