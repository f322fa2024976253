"""ONNX files of a few hundred bytes, written field by field: the library that writes them is no dependency."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Shape = Sequence[int | str]


def network(
    weights: NDArray[np.float32],
    *,
    shape: Shape = ("N", 3, "H", "W"),
    pooled: bool = True,
    domain: str = "",
) -> bytes:
    """Pictures through one convolution of (C, 3, k, k) ``weights`` with stride k, a rectifier and a spatial mean: (N,
    C).

    Without ``pooled`` it gives maps. ``domain`` is where the rectifier comes from: a made-up one is a custom operator.
    """
    side = weights.shape[-1]
    nodes = [
        _node(
            "Conv",
            ["image", "w"],
            ["maps"],
            _ints("strides", [side, side]) + _ints("kernel_shape", [side, side]),
        ),
        _node("Relu", ["maps"], ["seen"], domain=domain),
    ]
    if pooled:
        nodes += [_node("GlobalAveragePool", ["seen"], ["mean"]), _node("Flatten", ["mean"], ["features"])]
    out = "features" if pooled else "seen"
    tensor = b"".join(_number(1, d) for d in weights.shape) + _number(2, 1) + _text(8, "w")
    tensor += _bytes(9, np.ascontiguousarray(weights, "<f4").tobytes())
    graph = b"".join(_bytes(1, node) for node in nodes) + _text(2, "made") + _bytes(5, tensor)
    graph += _bytes(11, _value("image", shape)) + _bytes(12, _value(out, ()))
    opsets = _bytes(8, _number(2, 17)) + (_bytes(8, _text(1, domain) + _number(2, 1)) if domain else b"")
    return _number(1, 8) + _bytes(7, graph) + opsets


def small_network(seed: int, channels: int = 6, **options: object) -> bytes:
    """A ``network`` of random weights."""
    weights = np.random.default_rng(seed).normal(size=(channels, 3, 4, 4)).astype(np.float32)
    return network(weights, **options)  # type: ignore[arg-type]


def _node(
    kind: str, inputs: Sequence[str], outputs: Sequence[str], attributes: bytes = b"", domain: str = ""
) -> bytes:
    names = b"".join(_text(1, name) for name in inputs) + b"".join(_text(2, name) for name in outputs)
    return names + _text(4, kind) + attributes + (_text(7, domain) if domain else b"")


def _ints(name: str, values: Sequence[int]) -> bytes:
    return _bytes(5, _text(1, name) + b"".join(_number(8, value) for value in values) + _number(20, 7))


def _value(name: str, shape: Shape) -> bytes:
    sizes = b"".join(_bytes(1, _text(2, s) if isinstance(s, str) else _number(1, s)) for s in shape)
    kind = _number(1, 1) + (_bytes(2, sizes) if shape else b"")
    return _text(1, name) + _bytes(2, _bytes(1, kind))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += struct.pack("B", value & 0x7F | 0x80)
        value >>= 7
    return out + struct.pack("B", value)
