"""Models on their device, and buffers of frames turned into what they take. Importing this imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from rankvqa_cli.errors import UsageError
from rankvqa_cli.models.compute import Compute, choose
from rankvqa_cli.models.contract import Clip, Model
from rankvqa_cli.models.registry import default_model, load
from rankvqa_cli.scoring.grid import Rows
from rankvqa_cli.scoring.uploads import Resident, Uploads, uploaded, uploads_to
from rankvqa_cli.types import Environment, FrameFormat


@dataclass(frozen=True)
class Runtime:
    """Loaded models and where they compute."""

    compute: Compute
    models: tuple[Model, ...]
    uploads: Uploads = field(default_factory=Resident)

    def clip(self, frames: Rows, format: FrameFormat) -> Clip:
        """(T, frame_bytes) uint8 as planes on the device."""
        return uploaded(frames, format, self.uploads)

    def environment(self, ffmpeg: str) -> Environment:
        return Environment(
            ffmpeg=ffmpeg,
            torch=torch.__version__,
            device=str(self.compute.device),
            precision=self.compute.precision,
            threads=self.compute.threads,
        )


def load_runtime(
    names: Sequence[str], *, has_reference: bool, device: str, precision: str, threads: int | None
) -> Runtime:
    """Choose the device and load the models, the default one where none is named.

    Raises UsageError, DeviceError and ModelError as ``device.choose`` and ``registry.load`` do, and UsageError where a
    model needs a reference that is not given or two models have the same name.
    """
    compute = choose(device, precision, threads)
    models = tuple(
        load(name).to(compute.device, compute.dtype) for name in names or [default_model(has_reference)]
    )
    seen: set[str] = set()
    for model in models:
        if model.info.kind == "full-reference" and not has_reference:
            raise UsageError(f"the model {model.info.name!r} compares with a reference: give one with -ref")
        if model.info.name in seen:
            raise UsageError(f"two of the models are called {model.info.name!r}: name each once")
        seen.add(model.info.name)
    return Runtime(compute, models, uploads_to(compute.device))
