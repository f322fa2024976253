"""What pruning knows of architectures: their channels and where they stand, and what networks of given widths cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from rankvqa_cli.training.widths import Channels, Cost, Place

#: Side of the patches whose FLOPs are counted, in pixels.
SIDE = 256


@dataclass(frozen=True)
class Layer:
    """``width``: output channels, None for parameters of no convolution or linear layer. Counts as in ``Cost``."""

    name: str
    width: int | None
    parameters: int
    flops: int


class Shape(Protocol):
    """A configuration of an architecture. ``sizes`` of its widths by name; names of tensors are a model file's."""

    @property
    def sizes(self) -> dict[str, int]: ...

    def multiples(self, multiple: int) -> dict[str, int]:
        """What each width has to be a multiple of, where ``multiple`` is asked for."""
        ...

    def resized(self, widths: Mapping[str, int]) -> Shape: ...

    def channels(self) -> list[Channels]: ...

    def adjusted(self, tensors: dict[str, Tensor], before: Shape) -> dict[str, Tensor]:
        """Tensors that were cut from a network of the shape ``before``, with what else the new sizes ask for."""
        ...

    def parameters(self) -> dict[str, Tensor]:
        """Every parameter, on the meta device."""
        ...

    def layers(self) -> list[Layer]:
        """What a pair of clips of SIDE x SIDE pixels costs, layer by layer. What a reference takes once for any number
        of encodes (its reserve) is not counted."""
        ...


def total(shape: Shape) -> Cost:
    """The cost of all layers."""
    layers = shape.layers()
    return Cost(sum(each.parameters for each in layers), sum(each.flops for each in layers))


def rows(layer: str, offset: int = 0) -> tuple[Place, Place]:
    """A layer's filters, each with its bias."""
    return Place(f"{layer}.weight", 0, offset), Place(f"{layer}.bias", 0, offset)


def layer_of(parameter: str) -> str:
    """The layer that a parameter of a model file belongs to; a parameter of no layer is its own."""
    return parameter.rpartition(".")[0] or parameter


def layers_of(parameters: Mapping[str, Tensor], flops: Mapping[str, int]) -> list[Layer]:
    found = []
    for layer in dict.fromkeys(map(layer_of, parameters)):
        own = {name: value for name, value in parameters.items() if layer_of(name) == layer}
        weight = own.get(f"{layer}.weight")
        found.append(
            Layer(
                layer,
                None if weight is None else weight.shape[0],
                sum(value.numel() for value in own.values()),
                sum(flops.get(name, 0) for name in own),
            )
        )
    return found
