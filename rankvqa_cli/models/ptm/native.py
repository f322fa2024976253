"""Adapter ``native``: networks that this project trained, in its own model files.

A native member sees what the others see, RGB pictures, and gives one vector; which part of the network the vector is
read from is the reader's business, by the architecture that the file names.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rankvqa_cli.errors import ModelError
from rankvqa_cli.models.patchnet import PatchNet, PatchNetConfig, Units
from rankvqa_cli.models.ptm.contract import Adapter, require_vectors
from rankvqa_cli.models.store import ModelFile, read_model

#: Weights of red and blue in luma (ITU-R BT.709), the matrix in which the project's networks were trained.
KR, KB = 0.2126, 0.0722
#: Nominal values, 0 to 1 and -0.5 to 0.5, to PatchNet's.
NOMINAL = Units(luma_gain=4.0, luma_zero=0.5, chroma_gain=4.0, chroma_zero=0.0)


class Pyramid(nn.Module):
    """PatchNet's description of single pictures: mean and standard deviation over space of every map of the pyramid."""

    layer = "pyramid"
    frames = 1
    least = 32

    def __init__(self, header: ModelFile, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        self.network = PatchNet(PatchNetConfig.from_json(header.config))
        self.network.load_state_dict({name: value.float() for name, value in tensors.items()})

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) RGB in 0 to 1 -> (N, D); rows and columns beyond a multiple of 16 are left out."""
        height, width = (size // 16 * 16 for size in pictures.shape[-2:])
        red, green, blue = pictures[..., :height, :width].unbind(dim=1)
        luma = KR * red + (1 - KR - KB) * green + KB * blue
        chroma = torch.stack([(blue - luma) / (2 * (1 - KB)), (red - luma) / (2 * (1 - KR))], dim=1)
        levels = self.network.features(luma.unsqueeze(1), F.avg_pool2d(chroma, 2), NOMINAL)
        return torch.cat([f(level.float()) for level in levels.pyramid for f in (_mean, _deviation)], dim=1)


Reader: TypeAlias = Callable[[ModelFile, dict[str, Tensor]], Pyramid]
#: Architecture of the model file to what reads vectors from it.
READERS: dict[str, Reader] = {"patchnet": Pyramid}


class NativeNetwork:
    """A model file of this project as a ``contract.FrozenNetwork``."""

    adapter: Adapter = "native"
    side: int | None = None

    def __init__(self, file: Path, layer: str = "") -> None:
        """Raises ModelError for a file that is none of this project's, or holds no network of which vectors are
        known."""
        self.file = file
        header, tensors, self.sha256 = read_model(file)
        if header.architecture not in READERS:
            known = ", ".join(sorted(READERS))
            raise ModelError(
                f"{str(file)!r} is of the architecture {header.architecture!r}, of which no vectors are known ({known})"
            )
        try:
            self._reader = READERS[header.architecture](header, tensors).eval().requires_grad_(False)
        except (RuntimeError, TypeError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ModelError(
                f"{str(file)!r}: header and tensors do not belong together ({reason}); get it again"
            ) from error
        if layer not in ("", self._reader.layer):
            raise ModelError(f"{str(file)!r} has no layer {layer!r}: it has {self._reader.layer}")
        self.layer = self._reader.layer
        self.frames = self._reader.frames
        self.least = self._reader.least
        self.dimension = int(self.vectors(torch.zeros(1, 3, self.least, self.least)).shape[1])

    def vectors(self, pictures: Tensor) -> Tensor:
        with torch.no_grad():
            device = next(self._reader.parameters()).device
            found = self._reader(pictures.to(device, torch.float32))
        return require_vectors(self.file, found.cpu(), len(pictures))

    def to(self, device: torch.device) -> NativeNetwork:
        self._reader.to(device)
        return self


def _mean(x: Tensor) -> Tensor:
    return x.mean(dim=(2, 3))


def _deviation(x: Tensor) -> Tensor:
    return x.std(dim=(2, 3), correction=0)
