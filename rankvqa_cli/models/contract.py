"""What the engine asks of a model. Stands below every concrete model; knows torch, but no architecture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor

from rankvqa_cli.types import FrameFormat, ModelInfo


@dataclass(frozen=True)
class Clip:
    """Consecutive frames of one video as planes of code values, still uint8 or uint16.

    ``luma`` is (T, H, W); ``cb`` and ``cr`` are (T, ceil(H / cy), ceil(W / cx)), or None for luma-only video.
    ``format`` says bit depth, range and matrix of the code values.
    """

    luma: Tensor
    cb: Tensor | None
    cr: Tensor | None
    format: FrameFormat


@dataclass(frozen=True)
class ClipOutput:
    """A clip's verdict. ``score`` is 0 to 100; ``distance`` is the model's own scale, 0 for identical clips.

    Where the model was asked to keep them, ``maps`` holds (T', h, w) float32 distances by place, T' = 1 where one map
    stands for the clip, and ``weights`` what each place counts in the distance: (T, R, C) float32, adding up to 1,
    None where all count alike. Both cover the whole frame.
    """

    score: float
    distance: float
    maps: Tensor | None = None
    weights: Tensor | None = None


@runtime_checkable
class FullReferenceModel(Protocol):
    """Compares clips. ``clip_frames`` frames at a time; the reference's share of the work is done once a call.

    ``calibration`` turns its distances into scores; ``keep_maps``, False at first, asks for maps and weights.
    """

    info: ModelInfo
    clip_frames: int
    calibration: Calibration
    keep_maps: bool

    def score_clips(self, reference: Clip, distorted: Sequence[Clip]) -> list[ClipOutput]:
        """Score each of ``distorted`` against ``reference``; every clip has the same size and frame count."""
        ...

    def to(self, device: torch.device, dtype: torch.dtype) -> FullReferenceModel:
        """Move to where it computes: ``dtype`` is float32 or bfloat16. Returns self."""
        ...


@runtime_checkable
class Overlapping(Protocol):
    """A full-reference model that can be given the next clips before it is done with the last."""

    def begin_clips(
        self, reference: Clip, distorted: Sequence[Clip]
    ) -> Callable[[], list[ClipOutput]] | None:
        """Begin ``score_clips``; what is returned waits for the outputs, until when the clips must not change. None
        where nothing was begun, since it would not be done beside anything."""
        ...


@runtime_checkable
class Adapting(Protocol):
    """A model that takes fewer frames at a time where its device has not the memory."""

    def adapted(self) -> tuple[str, ...]:
        """What it has changed since this was last asked, in words for the user."""
        ...


@dataclass(frozen=True)
class Opinion:
    """A clip's verdict without a reference. ``score`` is 0 to 100; ``members`` is the same by each member alone."""

    score: float
    members: tuple[float, ...] = ()


@runtime_checkable
class NoReferenceModel(Protocol):
    """Judges clips by themselves, ``clip_frames`` frames at a time. ``members`` are the names and weights of those
    whose own views its opinions hold; the weights add up to 1."""

    info: ModelInfo
    clip_frames: int
    members: tuple[tuple[str, float], ...]

    def score_clips(self, clips: Sequence[Clip]) -> list[Opinion]:
        """Score each of ``clips``; every clip has the same size and frame count."""
        ...

    def to(self, device: torch.device, dtype: torch.dtype) -> NoReferenceModel:
        """Move to where it computes: ``dtype`` is float32 or bfloat16. Returns self."""
        ...


@runtime_checkable
class OverlappingAlone(Protocol):
    """``Overlapping`` of a model that needs no reference."""

    def begin_alone(self, clips: Sequence[Clip]) -> Callable[[], list[Opinion]] | None:
        """See ``Overlapping.begin_clips``."""
        ...


Model: TypeAlias = FullReferenceModel | NoReferenceModel


@dataclass(frozen=True)
class Calibration:
    """Monotone map from a distance D >= 0 to the 0 to 100 scale: 100 / (1 + (D / midpoint) ** slope).

    D = 0 gives exactly 100, ``midpoint`` gives 50. It is the logistic of log D, the usual shape of opinion
    against a log-distance; both parameters are positive.
    """

    midpoint: float = 1.0
    slope: float = 1.0

    def __call__(self, distance: float) -> float:
        if distance <= 0.0:
            return 100.0
        return 100.0 / (1.0 + float((distance / self.midpoint) ** self.slope))

    def by_place(self, distances: Tensor) -> Tensor:
        """The same for a map of distances of any shape, in float32."""
        return 100.0 / (1.0 + (distances.float().clamp(min=0) / self.midpoint) ** self.slope)
