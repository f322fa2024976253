"""A network that ends inside another's graph."""

from __future__ import annotations

import numpy as np
import pytest
from made_onnx import small_network

from rankvqa_cli.errors import ModelError
from rankvqa_cli.models.ptm.onnx_graph import GRAPH, NODE, ending_at, field, fields

DATA = small_network(1)


def nodes(data: bytes) -> int:
    (graph,) = (payload for number, payload, _ in fields(data) if number == GRAPH)
    return sum(number == NODE for number, _, _ in fields(graph))


def run(data: bytes, pictures: np.ndarray) -> list[np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return list(session.run(None, {"image": pictures}))


def test_nothing_behind_the_tensor_is_left() -> None:
    pictures = np.random.default_rng(0).random((2, 3, 8, 12), np.float32)
    maps, seen = run(ending_at(DATA, ["maps", "seen"]), pictures)
    np.testing.assert_array_equal(seen, np.maximum(maps, 0))
    (features,) = run(DATA, pictures)
    np.testing.assert_allclose(seen.mean(axis=(2, 3)), features, rtol=1e-5)
    assert (nodes(DATA), nodes(ending_at(DATA, ["seen"])), nodes(ending_at(DATA, ["maps"]))) == (4, 2, 1)
    np.testing.assert_array_equal(run(ending_at(DATA, ["maps"]), pictures)[0], maps)


def test_a_network_to_its_end_is_itself() -> None:
    pictures = np.random.default_rng(0).random((1, 3, 16, 8), np.float32)
    np.testing.assert_array_equal(run(ending_at(DATA, ["features"]), pictures)[0], run(DATA, pictures)[0])


@pytest.mark.parametrize("data", [b"", b"not a network", DATA[: len(DATA) // 2], field(GRAPH, b"\x0b")])
def test_what_is_no_network(data: bytes) -> None:
    with pytest.raises(ModelError, match="no ONNX network: "):
        ending_at(data, ["seen"])


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16383, 16384, 300_000])
def test_fields_come_back_as_they_were(size: int) -> None:
    payload = bytes(size)
    numbers = b"\x08\x96\x01"  # field 1, a number: 150, the format's own example
    assert list(fields(numbers + field(5, payload))) == [
        (1, b"\x96\x01", numbers),
        (5, payload, field(5, payload)),
    ]
