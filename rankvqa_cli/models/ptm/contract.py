"""What the ensemble asks of a member: a frozen network that turns pictures, or clips, into vectors."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, Self

import torch
from torch import Tensor

from rankvqa_cli.errors import ModelError

Adapter = Literal["onnx", "transformers", "native"]
View = Literal["crops", "detail", "whole", "half", "half-detail", "quarter", "quarter-detail"]


class FrozenNetwork(Protocol):
    """A network that is never trained here. It sees RGB in 0 to 1; its own normalisation is its own business.

    ``layer`` names what its vector is read from and ``dimension`` is the vector's length. ``frames`` is 1 for a
    network of pictures, else how many frames of a clip it takes. ``side`` is the only height and width that it takes,
    None for any from ``least`` up. Networks of one ``source`` read their vectors from the same ``whole``. ``seen`` is
    what it is shown of a picture; where it is empty, that is for the ``Views`` to say.
    """

    adapter: Adapter
    file: Path
    sha256: str
    layer: str
    dimension: int
    frames: int
    side: int | None
    least: int
    seen: tuple[View, ...]

    @property
    def source(self) -> str: ...

    def vectors(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W), for clips (N, T, 3, H, W), float32 RGB in 0 to 1 -> (N, dimension) float32, all finite.

        Raises ModelError where the network gives anything else.
        """
        ...

    def whole(self, pictures: Tensor) -> Tensor:
        """What ``vectors`` are a ``part`` of, (N, D): to be computed once for all networks of its ``source``."""
        ...

    def part(self, whole: Tensor) -> Tensor:
        """(N, D) -> (N, dimension)."""
        ...

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> FrozenNetwork:
        """Compute there, and in float32 or bfloat16, where the adapter can; vectors are float32. Returns self."""
        ...

    def shown(self, seen: Sequence[View]) -> Self:
        """The same network, which is in memory once, with these for ``seen``."""
        ...


class Shown:
    """The part of a FrozenNetwork that says what it is shown."""

    seen: tuple[View, ...] = ()

    def shown(self, seen: Sequence[View]) -> Self:
        """See FrozenNetwork."""
        other = copy.copy(self)
        other.seen = tuple(seen)
        return other


class Undivided(Shown, ABC):
    """The part of a FrozenNetwork that every network has that gives nothing but its vector."""

    sha256: str
    layer: str

    @property
    def source(self) -> str:
        return f"{self.sha256} {self.layer}"

    @abstractmethod
    def vectors(self, pictures: Tensor) -> Tensor:
        """See FrozenNetwork."""

    def whole(self, pictures: Tensor) -> Tensor:
        """See FrozenNetwork."""
        return self.vectors(pictures)

    def part(self, whole: Tensor) -> Tensor:
        """See FrozenNetwork."""
        return whole


class Layered(Shown, ABC):
    """The part of a FrozenNetwork that every network has that is read from one of several layers."""

    def at(self, layer: str) -> Self:
        """The same network, which is in memory once, read from another layer. Raises ModelError as opening it does."""
        other = copy.copy(self)
        other._choose(layer)
        return other

    def vectors(self, pictures: Tensor) -> Tensor:
        """See FrozenNetwork."""
        return self.part(self.whole(pictures))

    @abstractmethod
    def whole(self, pictures: Tensor) -> Tensor:
        """See FrozenNetwork."""

    @abstractmethod
    def part(self, whole: Tensor) -> Tensor:
        """See FrozenNetwork."""

    @abstractmethod
    def _choose(self, layer: str) -> None:
        """Read from ``layer``. Raises ModelError for one that is not there."""


def require_vectors(file: Path, found: Tensor, count: int) -> Tensor:
    """``found`` as float32. Raises ModelError where it is not one finite vector for each of ``count`` pictures."""
    if found.ndim != 2 or found.shape[0] != count or found.shape[1] < 1:
        shape = " x ".join(map(str, found.shape))
        raise ModelError(f"{str(file)!r} does not give one vector a picture but {shape or 'a single number'}")
    found = found.to(torch.float32)
    if not bool(torch.isfinite(found).all()):
        raise ModelError(f"{str(file)!r} gives values that are not finite: it cannot be a member")
    return found
