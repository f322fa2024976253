"""A model file, or a configuration, as something to train further: what pruning and distilling share, for any
architecture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from rankvqa_cli.errors import ModelError, UsageError
from rankvqa_cli.models.contract import Calibration
from rankvqa_cli.models.manifest import locate
from rankvqa_cli.models.patchnet import PatchNet, PatchNetConfig
from rankvqa_cli.models.pqanet import LEVELS, PQANet
from rankvqa_cli.models.rankvqa_parts import (
    RankVQAParts,
    config_from_json,
    load_parts,
    parts_of,
    parts_tensors,
)
from rankvqa_cli.models.store import read_model
from rankvqa_cli.training.datasets import Batch
from rankvqa_cli.training.losses import above_floor, log_distance
from rankvqa_cli.training.parallel import once
from rankvqa_cli.training.patchnet_shape import PatchNetShape
from rankvqa_cli.training.rankvqa_shape import RankVQAShape
from rankvqa_cli.training.shapes import Shape
from rankvqa_cli.training.student import start_scale, write_student
from rankvqa_cli.training.tasks import RankedModule, compare_batch
from rankvqa_cli.training.teacher import write_teacher
from rankvqa_cli.training.teacher_task import Seen, TeacherModule


class Trainable(Protocol):
    """A network with what its training needs. ``clip_frames`` is None where any number of frames is a clip."""

    @property
    def shape(self) -> Shape: ...

    @property
    def module(self) -> RankedModule | TeacherModule: ...

    @property
    def clip_frames(self) -> int | None: ...

    def observe(self, batch: Batch, *, maps: bool = False) -> Seen: ...

    def distance(self, energy: Tensor, reserve: Tensor | None) -> Tensor:
        """Distances (N,) of what was observed, or of its means over places."""
        ...

    def level_channels(self) -> dict[int, int]:
        """Channels of the levels of ``observe(..., maps=True)``."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """As the model file holds them, in float32; the parameters themselves."""
        ...

    def parameters(self) -> dict[str, nn.Parameter]:
        """What is trained or might be, by its name in the model file."""
        ...

    def with_tensors(self, shape: Shape, tensors: dict[str, Tensor]) -> Trainable: ...

    def write(self, out: Path, name: str, provenance: str) -> str: ...


@dataclass(frozen=True)
class TrainableRankVQA:
    shape: RankVQAShape
    network: PQANet
    parts: RankVQAParts
    module: TeacherModule

    @classmethod
    def made(
        cls, shape: RankVQAShape, network: PQANet, parts: RankVQAParts, calibration: Calibration
    ) -> TrainableRankVQA:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        module = TeacherModule(network, parts.readout, shape.config.input)
        start_scale(module, calibration)
        return cls(shape, network, parts, module)

    @property
    def clip_frames(self) -> int | None:
        return self.network.config.frames

    def observe(self, batch: Batch, *, maps: bool = False) -> Seen:
        return self.module.observe(batch, maps=maps)

    def distance(self, energy: Tensor, reserve: Tensor | None) -> Tensor:
        return self.module.distance(energy, reserve)

    def level_channels(self) -> dict[int, int]:
        widths = self.network.config.widths
        return {level + 1: width + (level < LEVELS) for level, width in enumerate(widths)}

    def tensors(self) -> dict[str, Tensor]:
        return parts_tensors(self.network, self.parts)

    def parameters(self) -> dict[str, nn.Parameter]:
        found = dict(self.network.named_parameters())
        if self.parts.readout is not None:
            found |= {f"readout.{name}": value for name, value in self.parts.readout.named_parameters()}
        return found

    def with_tensors(self, shape: Shape, tensors: dict[str, Tensor]) -> TrainableRankVQA:
        assert isinstance(shape, RankVQAShape)
        network, parts = load_parts(shape.config, tensors)
        return self.made(shape, network, parts, self.module.calibration)

    def write(self, out: Path, name: str, provenance: str) -> str:
        config, calibration = self.shape.config, above_floor(self.module.calibration)
        return once(
            lambda: write_teacher(config, self.network, self.parts, calibration, out, name, provenance)
        )


@dataclass(frozen=True)
class TrainablePatchNet:
    shape: PatchNetShape
    network: PatchNet
    module: RankedModule

    clip_frames = None

    @classmethod
    def made(cls, shape: PatchNetShape, network: PatchNet, calibration: Calibration) -> TrainablePatchNet:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        module = RankedModule(network)
        start_scale(module, calibration)
        return cls(shape, network, module)

    def observe(self, batch: Batch, *, maps: bool = False) -> Seen:
        compared = compare_batch(self.network, batch)
        levels: dict[int, Tensor] = {}
        if maps:
            pyramids = compared.reference.pyramid, compared.distorted.pyramid
            for level, (near, far) in enumerate(zip(*pyramids, strict=True), 3):
                levels[level] = torch.unflatten((near - far).abs(), 0, (-1, batch.frames)).mean(dim=1)
        return Seen(compared.energy, compared.reserve, levels)

    def distance(self, energy: Tensor, reserve: Tensor | None) -> Tensor:
        found: Tensor = self.network.readout(energy, reserve)
        return found

    def level_channels(self) -> dict[int, int]:
        return dict(enumerate(self.network.config.pyramid, 3))

    def tensors(self) -> dict[str, Tensor]:
        return dict(self.network.state_dict())

    def parameters(self) -> dict[str, nn.Parameter]:
        return dict(self.network.named_parameters())

    def with_tensors(self, shape: Shape, tensors: dict[str, Tensor]) -> TrainablePatchNet:
        assert isinstance(shape, PatchNetShape)
        network = PatchNet(shape.config)
        network.load_state_dict({name: value.float() for name, value in tensors.items()})
        return self.made(shape, network, self.module.calibration)

    def write(self, out: Path, name: str, provenance: str) -> str:
        return write_student(self.network, self.module.calibration, out, name, provenance)


def batch_logs(network: Trainable, batch: Batch) -> Tensor:
    """Log distances (groups * slots,) of a batch's clips, float32."""
    seen = network.observe(batch)
    return log_distance(network.distance(seen.energy, seen.reserve)).float()


def require_frames(network: Trainable, frames: int, what: str) -> None:
    """Raises UsageError where ``what`` cannot be shown clips of so few frames, or so many."""
    if network.clip_frames is not None and network.clip_frames % frames:
        raise UsageError(
            f"--frames {frames}: {what} takes clips of {network.clip_frames} frames, give a divisor of that"
        )


def open_trainable(name_or_path: str) -> tuple[Trainable, Calibration, str]:
    """A model by name or file: with its calibration, and its sha256.

    Raises UsageError for an unknown name, ModelError for a file that is damaged or of an architecture that cannot be
    trained further.
    """
    path, expected = locate(name_or_path)
    header, tensors, sha256 = read_model(path, expected)
    _require_known(str(path), header.architecture)
    try:
        made = _fresh(header.architecture, header.config, header.calibration)
        return made.with_tensors(made.shape, tensors), header.calibration, sha256
    except (RuntimeError, TypeError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"model file {str(path)!r}: header and tensors do not belong together ({reason}); get it again"
        ) from error


def configured(path: Path, calibration: Calibration) -> Trainable:
    """An untrained network of a JSON file ``{"architecture": ..., "config": {...}}``, with torch's generator as it is.

    Raises ModelError where the file is not one.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        architecture, config = values["architecture"], dict(values["config"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(
            f"{str(path)!r} is no configuration ({error}): it takes an object with architecture and config"
        ) from error
    _require_known(str(path), architecture)
    try:
        return _fresh(architecture, config, calibration)
    except (RuntimeError, TypeError, ValueError, KeyError) as error:
        raise ModelError(f"{str(path)!r} configures no {architecture} ({error}); correct it") from error


def _fresh(architecture: str, config: Mapping[str, Any], calibration: Calibration) -> Trainable:
    if architecture == "rankvqa":
        made = config_from_json(dict(config))
        network = PQANet(made.network)
        network.merge_frames_alike()
        return TrainableRankVQA.made(RankVQAShape(made), network, parts_of(made), calibration)
    patchnet = PatchNetConfig.from_json(config)
    return TrainablePatchNet.made(PatchNetShape(patchnet), PatchNet(patchnet), calibration)


def _require_known(where: str, architecture: object) -> None:
    if architecture not in ("rankvqa", "patchnet"):
        raise ModelError(
            f"{where!r} is of the architecture {architecture!r}; rankvqa and patchnet can be pruned and distilled"
        )
