"""Adapter ``onnx``: anything anybody exports that turns pictures into vectors, run by ONNX Runtime.

One input, RGB (N, 3, H, W) or clips (N, T, 3, H, W) float32 in 0 to 1, with the network's own normalisation inside the
graph; the vector is one of the graph's outputs, or some elements of it: ``features[0:1024]``. N, H and W may be fixed
or open.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rankvqa_cli.errors import ModelError
from rankvqa_cli.models.files import read_whole
from rankvqa_cli.models.ptm import LEAST_SIDE
from rankvqa_cli.models.ptm.contract import Adapter, Layered, require_vectors

#: An output, and from which of its elements to before which one.
SOME = re.compile(r"(?P<output>.*)\[(?P<first>\d+):(?P<end>\d+)\]")


class OnnxNetwork(Layered):
    """A session of ONNX Runtime as a ``contract.FrozenNetwork``."""

    adapter: Adapter = "onnx"
    least = LEAST_SIDE

    def __init__(self, file: Path, layer: str = "", threads: int | None = None) -> None:
        """``layer`` names an output of the graph, by default the first, and may name some elements of it:
        ``features[0:1024]``, ``[0:1024]``. Raises ModelError naming the file that is missing, is no ONNX network, needs
        operators or shapes that it cannot have, or gives no vector."""
        self.file = file
        self._data, self.sha256 = read_whole(file, "network")
        self._threads = threads
        self._session = self._open(["CPUExecutionProvider"])
        inputs, outputs = self._session.get_inputs(), [each.name for each in self._session.get_outputs()]
        if len(inputs) != 1 or len(inputs[0].shape) not in (4, 5) or inputs[0].type != "tensor(float)":
            raise ModelError(
                f"{str(file)!r} does not take pictures: its input must be one float tensor, "
                "(N, 3, H, W) or (N, T, 3, H, W)"
            )
        self._outputs = tuple(outputs)
        self._batch, self.frames, self.side = _sizes(file, inputs[0].shape)
        self._lengths: dict[str, int] = {}
        self._choose(layer)

    def _choose(self, layer: str) -> None:
        some = SOME.fullmatch(layer)
        output = (some["output"] if some else layer) or self._outputs[0]
        if output not in self._outputs:
            raise ModelError(
                f"{str(self.file)!r} has no output {output!r}: it has {', '.join(self._outputs)}"
            )
        self._output = output
        self.source = f"{self.sha256} {output}"
        if output not in self._lengths:
            self._lengths[output] = self._tried()
        length = self._lengths[output]
        first, end = (int(some["first"]), int(some["end"])) if some else (0, length)
        if not first < end <= length:
            raise ModelError(f"{str(self.file)!r} has no elements {first} to {end}: {output} has {length}")
        self._part = slice(first, end)
        self.layer = f"{output}[{first}:{end}]" if some else output
        self.dimension = end - first

    def part(self, whole: Tensor) -> Tensor:
        return whole[:, self._part]

    def whole(self, pictures: Tensor) -> Tensor:
        step = self._batch or max(1, len(pictures))
        if len(pictures) % step:
            raise ModelError(f"{str(self.file)!r} takes {step} pictures at a time: export it with an open N")
        found = [self._run(part) for part in torch.split(pictures.cpu().to(torch.float32), step)]
        return require_vectors(self.file, torch.cat(found), len(pictures))

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> OnnxNetwork:
        import onnxruntime

        if device.type == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            place = ("CUDAExecutionProvider", {"device_id": device.index or 0})
            self._session = self._open([place, "CPUExecutionProvider"])
        return self

    def _open(self, providers: list[Any]) -> Any:
        return session(self.file, self._data, self._threads, providers)

    def _run(self, pictures: Tensor) -> Tensor:
        (found,) = run(self.file, self._session, [self._output], pictures)
        return found

    def _tried(self) -> int:
        side = self.side or LEAST_SIDE
        shape = (self._batch or 1, *([self.frames] if self.frames > 1 else []), 3, side, side)
        return int(self.whole(torch.zeros(shape)).shape[1])


def session(
    file: Path, data: bytes, threads: int | None = None, providers: Sequence[Any] = ("CPUExecutionProvider",)
) -> Any:
    """An ``onnxruntime.InferenceSession`` of ``data``. Raises ModelError naming ``file``."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or torch.get_num_threads()
    options.log_severity_level = 4  # what it has to say arrives as an exception
    try:
        return onnxruntime.InferenceSession(data, options, providers=list(providers))
    except _refusals() as error:
        raise ModelError(f"{str(file)!r} is no ONNX network that can be run: {_line(error)}") from error


def run(file: Path, session: Any, names: Sequence[str], pictures: Tensor) -> list[Tensor]:
    """What ``session``'s outputs ``names`` say of ``pictures``, its only input, float32. Raises ModelError naming
    ``file``."""
    feed = {session.get_inputs()[0].name: np.ascontiguousarray(pictures.numpy())}
    try:
        return [torch.from_numpy(np.asarray(found)) for found in session.run(list(names), feed)]
    except _refusals() as error:
        shape = " x ".join(map(str, pictures.shape))
        raise ModelError(f"{str(file)!r} cannot take pictures of {shape}: {_line(error)}") from error


def _sizes(file: Path, shape: list[Any]) -> tuple[int | None, int, int | None]:
    """(N, T, side) of an input's shape, in which a name or None stands for an open size."""
    known = [size if isinstance(size, int) and size > 0 else None for size in shape]
    batch, channels, height, width = known[0], known[-3], known[-2], known[-1]
    frames = known[1] if len(known) == 5 else 1
    if channels not in (3, None) or frames is None or height != width:
        given = " x ".join(str(size) for size in shape)
        raise ModelError(
            f"{str(file)!r} takes {given}: three channels, a fixed number of frames and squares (or any size) "
            "are needed"
        )
    return batch, frames, height


def _line(error: Exception) -> str:
    return (str(error).splitlines() or ["no reason given"])[0][:200]


def _refusals() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises for a file: its errors have no class in common but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoModel", "NotImplemented")
    return tuple(getattr(state, name) for name in (*names, "RuntimeException"))
