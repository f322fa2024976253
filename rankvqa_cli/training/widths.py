"""Channels of a network that are kept or cut as one, and what densities make of a network's widths.

Knows no architecture: ``training.shapes`` says where an architecture's channels stand in the tensors of its model file.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rankvqa_cli.errors import UsageError


@dataclass(frozen=True)
class Place:
    """Where channels stand in a tensor: along ``axis`` (None: of the tensor laid flat) from ``offset`` on."""

    tensor: str
    axis: int | None
    offset: int = 0


@dataclass(frozen=True)
class Channels:
    """``size`` channels, counted by the ``width`` of a configuration.

    ``made``: the rows (axis 0) that make them, one each; where all rows of a channel are 0, so is the channel, and it
    can be cut without any effect. ``seen``: where others take them in. Each of ``parts`` equal parts (heads of an
    attention) keeps as many as the others.
    """

    width: str
    size: int
    made: tuple[Place, ...]
    seen: tuple[Place, ...] = ()
    parts: int = 1

    def rows(self, tensors: Mapping[str, Tensor]) -> list[Tensor]:
        """The rows that make the channels, (size, n) of each tensor."""
        return [
            tensors[place.tensor].narrow(0, place.offset, self.size).reshape(self.size, -1)
            for place in self.made
        ]

    def strongest(self, tensors: Mapping[str, Tensor], count: int) -> Tensor:
        """Indices of the ``count`` channels with the largest norms, as many of each part, in their order."""
        norms = torch.cat(self.rows(tensors), dim=1).float().norm(dim=1).view(self.parts, -1)
        best = norms.argsort(dim=1, descending=True, stable=True)[:, : count // self.parts]
        first = torch.arange(self.parts).unsqueeze(1) * norms.shape[1]
        kept: Tensor = (best + first).flatten().sort().values
        return kept


def densities(channels: Sequence[Channels], tensors: Mapping[str, Tensor]) -> dict[str, float]:
    """The share of weights that are not 0, of all that make the channels of a width, by width."""
    alive: dict[str, int] = defaultdict(int)
    count: dict[str, int] = defaultdict(int)
    for each in channels:
        for rows in each.rows(tensors):
            alive[each.width] += int(rows.count_nonzero())
            count[each.width] += rows.numel()
    return {width: alive[width] / count[width] for width in count}


def scaled_widths(
    sizes: Mapping[str, int], shares: Mapping[str, float], multiples: Mapping[str, int], scale: float = 1.0
) -> dict[str, int]:
    """``shares`` times ``scale`` of the ``sizes``, rounded up to multiples; at least one multiple, never more than
    there is."""
    found = {}
    for name, size in sizes.items():
        wanted = math.ceil(min(1.0, shares[name] * scale) * size / multiples[name] - 1e-9)
        found[name] = min(size, max(1, wanted) * multiples[name])
    return found


@dataclass(frozen=True)
class Cost:
    """Parameters, and FLOPs (a multiplication and an addition are two) of one pair of clips."""

    parameters: int
    flops: int


@dataclass(frozen=True)
class Target:
    """What a pruned network may have at most: up to 1 a share of what there was, above 1 a number; None: no limit."""

    parameters: float | None = None
    flops: float | None = None

    def limits(self, full: Cost) -> tuple[float, float]:
        """The largest allowed (parameters, FLOPs). Raises UsageError where the model has no more than that."""
        found = []
        for name, asked, has in (
            ("--target-params", self.parameters, full.parameters),
            ("--target-flops", self.flops, full.flops),
        ):
            limit = math.inf if asked is None else asked * has if asked <= 1 else asked
            if asked is not None and limit >= has:
                raise UsageError(f"{name} {asked:g} is not below the {has:,} that the model has")
            found.append(limit)
        return found[0], found[1]


def require_reachable(
    sizes: Mapping[str, int],
    multiples: Mapping[str, int],
    limits: tuple[float, float],
    cost: Callable[[Mapping[str, int]], Cost],
) -> None:
    """Raises UsageError where even the smallest widths are above ``limits`` of (parameters, FLOPs)."""
    least = cost(scaled_widths(sizes, dict.fromkeys(sizes, 0.0), multiples))
    if least.parameters > limits[0] or least.flops > limits[1]:
        raise UsageError(
            f"the target is below the smallest widths, which take {least.parameters:,} parameters and "
            f"{least.flops:,} FLOPs: raise it, or take a smaller --multiple"
        )


def fitting_widths(
    sizes: Mapping[str, int],
    shares: Mapping[str, float],
    multiples: Mapping[str, int],
    limits: tuple[float, float],
    cost: Callable[[Mapping[str, int]], Cost],
) -> dict[str, int]:
    """The widths in proportion to densities that use the limits up: the largest common scale of all ``shares`` within
    ``limits`` of (parameters, FLOPs), which the smallest widths have to be (``require_reachable``)."""
    best = scaled_widths(sizes, shares, multiples, 0.0)
    low, high = 1e-6, 1 / max(min(shares.values()), 1e-6)
    for _ in range(40):
        middle = math.sqrt(low * high)
        widths = scaled_widths(sizes, shares, multiples, middle)
        found = cost(widths)
        if found.parameters <= limits[0] and found.flops <= limits[1]:
            best, low = widths, middle
        else:
            high = middle
    return best


def cut(
    channels: Sequence[Channels],
    kept: Sequence[Tensor],
    tensors: Mapping[str, Tensor],
    shapes: Mapping[str, torch.Size],
) -> dict[str, Tensor]:
    """The tensors with the ``kept`` indices of all ``channels`` alone, in the ``shapes`` of the smaller network.

    Raises ValueError where they do not come to these shapes.
    """
    pieces: dict[tuple[str, int | None], list[tuple[int, int, Tensor]]] = defaultdict(list)
    for each, indices in zip(channels, kept, strict=True):
        for place in (*each.made, *each.seen):
            pieces[place.tensor, place.axis].append((place.offset, each.size, indices))
    found = dict(tensors)
    for (name, axis), parts in pieces.items():
        tensor = found[name].flatten() if axis is None else found[name]
        end, chosen = 0, []
        for offset, size, indices in sorted(parts, key=lambda part: part[0]):
            chosen += [torch.arange(end, offset), indices + offset]  # what nobody claims in between stays
            end = offset + size
        chosen.append(torch.arange(end, tensor.shape[axis or 0]))
        found[name] = tensor.index_select(axis or 0, torch.cat(chosen))
    for name, tensor in found.items():
        if tensor.numel() != shapes[name].numel():
            raise ValueError(f"{name} came to {tuple(tensor.shape)}, not {tuple(shapes[name])}")
        found[name] = tensor.reshape(shapes[name]).contiguous()
    return found
