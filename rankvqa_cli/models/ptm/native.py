"""Adapter ``native``: networks that this project trained, in its own model files.

A native member sees what the others see, RGB pictures, and gives one vector; which part of the network the vector is
read from is the reader's business, by the architecture that the file names.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rankvqa_cli.errors import ModelError
from rankvqa_cli.models.patchnet import PatchNet, PatchNetConfig, Units
from rankvqa_cli.models.proof import Proof, is_held
from rankvqa_cli.models.ptm.contract import Adapter, Layered, require_vectors
from rankvqa_cli.models.ptm.expert import Expert, ExpertConfig
from rankvqa_cli.models.ptm.near import Near, NearConfig, moments
from rankvqa_cli.models.store import ModelFile, read_model, restored

#: Weights of red and blue in luma (ITU-R BT.709), the matrix in which the project's networks were trained.
KR, KB = 0.2126, 0.0722
#: Nominal values, 0 to 1 and -0.5 to 0.5, to PatchNet's.
NOMINAL = Units(luma_gain=4.0, luma_zero=0.5, chroma_gain=4.0, chroma_zero=0.0)


#: By how much vectors in bfloat16 may differ from float32's, of their mean: rounding makes up to 0.045, where they are
#: logarithms of what is nearly nothing in a black picture.
ROUNDED = 0.15


class Reader(Protocol):
    """What reads vectors from a network's file: all that it can say of pictures, in one pass. ``layers`` are the parts
    of that which can be asked for, by name, the first by default; ``tasks`` are those of them that are members of an
    ensemble by themselves. ``least`` is the smallest side of a picture."""

    frames: int
    least: int
    layers: dict[str, slice]
    tasks: tuple[str, ...]

    @property
    def network(self) -> nn.Module: ...

    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        """Compute on ``device``, and in ``dtype`` what takes the time."""
        ...

    def read(self, pictures: Tensor) -> Tensor:
        """RGB in 0 to 1, (N, 3, H, W) or clips (N, T, 3, H, W), to (N, D) float32."""
        ...


class Pyramid:
    """PatchNet's description of single pictures: mean and standard deviation over space of every map of the pyramid."""

    tasks: tuple[str, ...] = ()
    frames = 1
    least = 32

    def __init__(self, header: ModelFile, tensors: dict[str, Tensor]) -> None:
        config = PatchNetConfig.from_json(header.config)
        self.layers = {"pyramid": slice(0, 2 * sum(config.pyramid))}
        self.network = restored(PatchNet, config, tensors)
        self._half = False

    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        self.network.to(device)
        self._half = dtype == torch.bfloat16

    def read(self, pictures: Tensor) -> Tensor:
        """Rows and columns beyond a multiple of 16 are left out."""
        height, width = (size // 16 * 16 for size in pictures.shape[-2:])
        red, green, blue = pictures[..., :height, :width].unbind(dim=1)
        luma = KR * red + (1 - KR - KB) * green + KB * blue
        chroma = torch.stack([(blue - luma) / (2 * (1 - KB)), (red - luma) / (2 * (1 - KR))], dim=1)
        with torch.autocast(pictures.device.type, torch.bfloat16, enabled=self._half):
            stem = self.network.stem(NOMINAL, luma.dtype)
            levels = self.network.features(luma.unsqueeze(1), F.avg_pool2d(chroma, 2), stem)
        return torch.cat([f(level.float()) for level in levels.pyramid for f in (_mean, _deviation)], dim=1)


class ExpertReader:
    """An expert's outputs; the vector that they are read from, and them; what it pools from all of its maps; what it
    says to one of its tasks; and what the network of textures says that it stands on."""

    least = 64

    def __init__(self, header: ModelFile, tensors: dict[str, Tensor]) -> None:
        config = ExpertConfig.from_json(header.config)
        first, end = config.vector, config.vector + config.outputs
        tasks = {name: slice(first + part.start, first + part.stop) for name, part in config.parts().items()}
        if config.near is not None:  # its maps come first in what is pooled
            tasks["texture"] = slice(end, end + 2 * sum(config.near.maps))
        self.tasks = tuple(tasks)
        self.frames = config.frames
        self.layers = {
            "outputs": slice(first, end),
            "vector": slice(0, end),
            "pooled": slice(end, end + config.pooled),
            **tasks,
        }
        self.network = restored(Expert, config, tensors)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        self.network.to(device)
        self.network.convolve_in(dtype)

    def read(self, pictures: Tensor) -> Tensor:
        return torch.cat(self.network.described(pictures), dim=1)


class NearReader:
    """Logarithms of mean and standard deviation over space of every map."""

    least = 64
    frames = 1
    tasks: tuple[str, ...] = ()

    def __init__(self, header: ModelFile, tensors: dict[str, Tensor]) -> None:
        config = NearConfig.from_json(header.config)
        self.network = restored(Near, config, tensors)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.layers = {"texture": slice(0, 2 * sum(config.maps))}

    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        self.network.to(device, dtype)

    def read(self, pictures: Tensor) -> Tensor:
        return torch.cat([*moments(self.network(pictures))], dim=1)


MakeReader: TypeAlias = Callable[[ModelFile, dict[str, Tensor]], Reader]
#: Architecture of the model file to what reads vectors from it.
READERS: dict[str, MakeReader] = {"patchnet": Pyramid, "expert": ExpertReader, "near": NearReader}


class NativeNetwork(Layered):
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
            self._reader = READERS[header.architecture](header, tensors)
        except (RuntimeError, TypeError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ModelError(
                f"{str(file)!r}: header and tensors do not belong together ({reason}); get it again"
            ) from error
        self._reader.network.eval().requires_grad_(False)
        self.tasks = self._reader.tasks
        self.source = self.sha256
        self.frames = self._reader.frames
        self.least = self._reader.least
        self._device = torch.device("cpu")
        self._exact = _Exact()
        self._choose(layer)

    def _choose(self, layer: str) -> None:
        layers = self._reader.layers
        if layer not in ("", *layers):
            raise ModelError(f"{str(self.file)!r} has no layer {layer!r}: it has {', '.join(layers)}")
        self.layer = layer or next(iter(layers))
        self._part = layers[self.layer]
        self.dimension = self._part.stop - self._part.start

    def part(self, whole: Tensor) -> Tensor:
        return whole[:, self._part]

    def whole(self, pictures: Tensor) -> Tensor:
        """See FrozenNetwork. DeviceError where products in bfloat16 are wrong."""
        with torch.no_grad():
            found = self._reader.read(pictures.to(self._device, torch.float32)).cpu()
            self._exact.require(pictures, found)
        return require_vectors(self.file, found, len(pictures))

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> NativeNetwork:
        self._exact.see(self._reader, device, dtype)
        self._reader.to(device, dtype)
        self._device = device
        return self


class _Exact:
    """A network's reader in float32, to hold its vectors in bfloat16 against; of those that are held, none is needed.
    One for all layers of a network."""

    def __init__(self) -> None:
        self._reader: Reader | None = None
        self._needed = False
        self._proof = Proof(ROUNDED, 0.0)

    def see(self, reader: Reader, device: torch.device, dtype: torch.dtype) -> None:
        """``reader`` will compute there, and in ``dtype``."""
        self._needed = device.type == "cpu" and dtype == torch.bfloat16 and not is_held()
        if self._needed and self._reader is None:
            self._reader = copy.deepcopy(reader)

    def require(self, pictures: Tensor, found: Tensor) -> None:
        """DeviceError where ``found`` is not what float32 makes of the first picture, or clip, of its size."""
        height, width = pictures.shape[-2:]
        if self._needed and self._reader is not None and self._proof.is_due((height, width)):
            true = self._reader.read(pictures[:1].to(torch.float32))
            self._proof.require((height, width), [found[:1]], [true])


def _mean(x: Tensor) -> Tensor:
    return x.mean(dim=(2, 3))


def _deviation(x: Tensor) -> Tensor:
    return x.std(dim=(2, 3), correction=0)
