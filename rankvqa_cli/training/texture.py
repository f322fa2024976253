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
from rankvqa_cli.models.ptm.contract import read_bytes
from rankvqa_cli.models.ptm.expert import ExpertConfig, Seen
from rankvqa_cli.models.ptm.onnx import session
from rankvqa_cli.models.ptm.onnx_graph import ending_at
from rankvqa_cli.training.expert_data import Draws, Shown
from rankvqa_cli.training.expert_tasks import Pretext, Wanted

#: Times that a side of the trunk's first map goes into the picture's; every further one twice as many.
NEAREST = 8
#: Draws, none of them reduced, that channels are compared in.
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
        data, _ = read_bytes(file)
        try:
            self._session = session(file, ending_at(data, names), threads)
        except ModelError as error:
            raise ModelError(f"cannot read maps of {str(file)!r}: {error}") from error
        self._input = self._session.get_inputs()[0].name
        self._last: tuple[Tensor, dict[str, Tensor]] | None = None

    def of(self, pictures: Tensor) -> dict[str, Tensor]:
        """(N, 3, H, W) float32 in 0 to 1 -> (N, C, h, w) float32 by name. Raises ModelError.

        Whoever asks of the same tensor again gets what was found: a network runs once for all that is learned of it.
        """
        if self._last is None or self._last[0] is not pictures:
            found = self._session.run(self.names, {self._input: pictures.numpy()})
            for name, tensor in zip(self.names, found, strict=True):
                if tensor.ndim != 4:
                    raise ModelError(
                        f"{name!r} of {str(self._file)!r} is no map: it has {tensor.ndim} dimensions"
                    )
            self._last = pictures, dict(zip(self.names, map(torch.from_numpy, found), strict=True))
        return self._last[1]


@dataclass(frozen=True)
class Standard:
    """What makes a map's channels comparable. ``level`` is which map of the trunk has as many places: 0 for 1/8, 1 for
    1/16, ..."""

    level: int
    centre: Tensor
    scale: Tensor

    def read(self, found: Tensor) -> Tensor:
        """(N, C, h, w) -> (N * h * w, C), of mean 0 and variance 1, and no outlier beyond MOST."""
        return ((rows(found) - self.centre) * self.scale).clamp_(-MOST, MOST)


def rows(found: Tensor) -> Tensor:
    """(N, C, h, w) -> (N * h * w, C)."""
    return found.permute(0, 2, 3, 1).flatten(0, 2)


def fitted(maps: Sequence[Tensor], side: int) -> Standard:
    """Of one map as seen in several draws, (N, C, h, w) each; the first picture was ``side`` pixels wide.

    Raises ValueError where the trunk has no map with as many places.
    """
    times, left = divmod(side, maps[0].shape[-1])
    if left or times < NEAREST or times & (times - 1):
        raise ValueError(f"a map {maps[0].shape[-1]} places wide of a picture of {side} pixels")
    seen = torch.cat([rows(each) for each in maps])
    spread = seen.std(dim=0)
    level = (times // NEAREST).bit_length() - 1
    return Standard(level, seen.mean(dim=0), 1 / torch.where(spread > LEAST, spread, torch.inf))


class Texture(Pretext):
    """A frozen network's map as sums of the trunk's own map of the same size; nothing of it is read from outputs."""

    outputs = 0
    wants = 1

    def __init__(
        self,
        frozen: FrozenMaps,
        name: str,
        drawn: Sequence[Tensor],
        config: ExpertConfig,
        shown: tuple[int, int],
        label: str,
    ) -> None:
        """``drawn`` are pictures that its channels are compared in, all of one size; what is ``shown`` are so many
        sources with so many versions each. Terms and measures have ``label``. Raises UsageError for a map of another
        size than all of the trunk's."""
        self._frozen, self._name, self._label = frozen, name, label
        self._groups, self._slots = shown
        widths = config.widths[1:]
        try:
            self._standard = fitted([frozen.of(pictures)[name] for pictures in drawn], drawn[0].shape[-1])
            self.module = nn.Linear(widths[self._standard.level], len(self._standard.scale))
        except (ValueError, IndexError) as error:
            sizes = ", ".join(f"1/{NEAREST << i}" for i in range(len(widths)))
            raise UsageError(f"--texture needs a map at {sizes} of the picture ({error})") from error

    def wanted(self, shown: Shown) -> Wanted:
        """The map's places, (places, channels)."""
        return (self._standard.read(self._frozen.of(shown.pictures)[self._name]),)

    def found(self, seen: Seen) -> Tensor:
        """The same as the trunk has it."""
        read: Tensor = self.module(rows(seen.maps[self._standard.level]))
        return read.float()

    def terms(self, found: Tensor, wanted: Wanted) -> dict[str, Tensor]:
        """How far places are off; and how far off is what a version changes of its reference."""
        errors = found - wanted[0]
        each = errors.view(self._groups * (self._slots + 1), -1)
        last = self._groups * self._slots
        changes = each[:last].view(self._groups, self._slots, -1) - each[last:].unsqueeze(1)
        return {
            self._label: errors.square().mean(),
            f"{self._label}_change": CHANGE * changes.square().mean(),
        }

    def measures(self, found: Tensor, wanted: Wanted) -> dict[str, float]:
        return {f"held_{self._label}": float(1 - F.mse_loss(found, wanted[0]) / wanted[0].var(dim=0).mean())}


def textures(
    maps: Sequence[tuple[Path, str]],
    shows: Draws,
    shown: tuple[int, int],
    config: ExpertConfig,
    threads: int,
) -> list[Texture]:
    """One pretext for every map, a file and a tensor's name; ``shown`` are how many sources and versions of each
    ``shows`` draws. Raises ModelError and UsageError."""
    names: dict[Path, list[str]] = {}
    for file, name in maps:
        names.setdefault(file, []).append(name)
    networks = {file: FrozenMaps(file, asked, threads) for file, asked in names.items()}
    drawn = [shows.draw(2 * index).pictures for index in range(FITTED)]
    return [
        Texture(networks[file], name, drawn, config, shown, f"texture{i}")
        for i, (file, name) in enumerate(maps, 1)
    ]
