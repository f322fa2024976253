"""Pretext ``texture``: what pretrained networks see near the picture, at every place.

What a network knows of the world, its last layer's vector, cannot be learned from the few contents of a corpus; what
its first layers make of a small window can, since every picture has thousands of them. So maps are learned, place by
place, and not their means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rankvqa_cli.errors import ModelError, UsageError
from rankvqa_cli.models.files import read_whole
from rankvqa_cli.models.ptm.near import REDUCED
from rankvqa_cli.models.ptm.onnx import run, session
from rankvqa_cli.models.ptm.onnx_graph import ending_at
from rankvqa_cli.training.expert_data import Draws, Shown
from rankvqa_cli.training.expert_tasks import Wanted

#: Draws that channels are compared in.
FITTED = 8
#: A channel with less deviation says nothing; values so many deviations off are taken as that.
LEAST, MOST = 1e-2, 5.0
#: What it counts how a version changes its reference, which is what quality is read from, beside the places as such.
CHANGE = 0.4


class FrozenMaps:
    """Maps inside an ONNX network of pictures (see ``models.ptm.onnx``), which are none of its outputs."""

    def __init__(self, file: Path, names: Sequence[str], threads: int) -> None:
        """``names`` are those of tensors in the graph. Raises ModelError."""
        self.names = tuple(names)
        self._file = file
        data, _ = read_whole(file, "network")
        try:
            self._session = session(file, ending_at(data, names), threads)
        except ModelError as error:
            raise ModelError(f"cannot read maps of {str(file)!r}: {error}") from error

    def of(self, pictures: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) float32 in 0 to 1 -> (N, C, h, w) float32 by name. Raises ModelError."""
        found = dict(zip(self.names, run(self._file, self._session, self.names, pictures), strict=True))
        for name, tensor in found.items():
            if tensor.ndim != 4:
                raise ModelError(
                    f"{name!r} of {str(self._file)!r} is no map: it has {tensor.ndim} dimensions"
                )
        return found


@dataclass(frozen=True)
class Standard:
    """What makes a map's channels comparable."""

    centre: Tensor
    scale: Tensor

    def read(self, found: Tensor) -> Tensor:
        """(N, C, h, w) -> (N * h * w, C), of mean 0 and variance 1, and no outlier beyond MOST."""
        return ((rows(found) - self.centre) * self.scale).clamp_(-MOST, MOST)


def rows(found: Tensor) -> Tensor:
    """(N, C, h, w) -> (N * h * w, C)."""
    return found.permute(0, 2, 3, 1).flatten(0, 2)


def standard(maps: Sequence[Tensor]) -> Standard:
    """Of one map as seen in several draws, (N, C, h, w) each."""
    seen = torch.cat([rows(each) for each in maps])
    spread = seen.std(dim=0)
    return Standard(seen.mean(dim=0), 1 / torch.where(spread > LEAST, spread, torch.inf))


class Textures:
    """Maps of frozen networks as sums of a network's own maps: an ``expert_tasks.Asked`` of what gives maps."""

    def __init__(
        self,
        maps: Sequence[tuple[Path, str]],
        shows: Draws,
        shown: tuple[int, int],
        widths: Sequence[int],
        threads: int,
    ) -> None:
        """``maps`` are files and names of tensors in them, to be learned of maps with so many channels, at 1/8 and the
        sizes below (``models.ptm.near``); ``shown`` are how many sources and versions of each ``shows`` draws. Raises
        ModelError, and UsageError for a map of another size."""
        self._groups, self._slots = shown
        names: dict[Path, list[str]] = {}
        for file, name in maps:
            names.setdefault(file, []).append(name)
        self._networks = {file: FrozenMaps(file, asked, threads) for file, asked in names.items()}
        self._maps = maps
        drawn = [shows.draw(index).pictures for index in range(FITTED)]
        seen = [self._seen(pictures) for pictures in drawn]
        self._sizes = [
            _size(name, own[0].shape, drawn[0].shape, len(widths))
            for (_, name), own in zip(maps, zip(*seen, strict=True), strict=True)
        ]
        self._standards = [standard(each) for each in zip(*seen, strict=True)]
        self.module = nn.ModuleList(
            nn.Linear(widths[size], len(each.scale))
            for size, each in zip(self._sizes, self._standards, strict=True)
        )

    def wanted(self, shown: Shown) -> Wanted:
        """The maps' places, (places, channels) each."""
        seen = self._seen(shown.pictures)
        return tuple(each.read(own) for each, own in zip(self._standards, seen, strict=True))

    def _seen(self, pictures: Tensor) -> list[Tensor]:
        """Every map, (N, C, h, w); a network runs once for all that is learned of it."""
        found = {file: network.of(pictures) for file, network in self._networks.items()}
        return [found[file][name] for file, name in self._maps]

    def found(self, said: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The same as a network's maps (N, C, h, w), at 1/8 and the sizes below, have them."""
        return tuple(
            read(rows(said[size])).float() for read, size in zip(self.module, self._sizes, strict=True)
        )

    def terms(self, found: Sequence[Tensor], wanted: Wanted) -> dict[str, Tensor]:
        """How far places are off; and how far off is what a version changes of its reference."""
        terms, last = {}, self._groups * self._slots
        for i, (own, asked) in enumerate(zip(found, wanted, strict=True), 1):
            errors = own - asked
            each = errors.view(last + self._groups, -1)
            changes = each[:last].view(self._groups, self._slots, -1) - each[last:].unsqueeze(1)
            terms[f"texture{i}"] = errors.square().mean()
            terms[f"change{i}"] = CHANGE * changes.square().mean()
        return terms

    def measures(self, found: Sequence[Tensor], wanted: Wanted) -> dict[str, float]:
        """The share of the places' variance that is explained."""
        return {
            f"held_texture{i}": float(1 - F.mse_loss(own, asked) / asked.var(dim=0).mean())
            for i, (own, asked) in enumerate(zip(found, wanted, strict=True), 1)
        }


def _size(name: str, found: Sequence[int], shown: Sequence[int], sizes: int) -> int:
    """Which of so many sizes, 1/8 and below, a map of that shape has of pictures that were shown."""
    for size in range(sizes):
        if found[-1] * (REDUCED << size) == shown[-1]:
            return size
    least = " or ".join(f"1/{REDUCED << size}" for size in range(sizes))
    raise UsageError(f"--texture needs a map at {least} of the picture; {name!r} is none")
