"""ONNX files as bytes: a network that ends at a tensor inside its graph.

The library that writes ONNX files is no dependency, and little is needed of what it knows: a file is a message of
protocol buffers, and a graph's nodes name what they take and give.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rankvqa_cli.errors import ModelError

#: Numbers of fields: a model's graph; a graph's nodes and outputs; a node's inputs, outputs; a name.
GRAPH, NODE, OUTPUT, TAKES, GIVES, NAME = 7, 1, 12, 1, 2, 1
#: Kinds of fields, the lowest three bits of what they begin with: a number, eight bytes, so many bytes, four bytes.
VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5


def ending_at(data: bytes, names: Iterable[str]) -> bytes:
    """The network ``data`` with the tensors ``names`` as its outputs, and no node that they do not need: a runtime
    would compute those too. Raises ModelError for what is no such file, or has no tensor of a name."""
    wanted = list(names)
    try:
        (graph,) = (payload for number, payload, _ in fields(data) if number == GRAPH)
        parts = [(number, payload, raw) for number, payload, raw in fields(graph)]
        nodes = [_node(payload) for number, payload, _ in parts if number == NODE]
    except (ValueError, IndexError) as error:
        raise ModelError(f"no ONNX network: {error}") from error
    given = {name for _, gives in nodes for name in gives}
    for name in wanted:
        if name not in given:
            raise ModelError(
                f"no tensor {name!r}; the last ones are {', '.join([g for _, gs in nodes for g in gs][-5:])}"
            )
    needed, kept = set(wanted), []
    for takes, gives in reversed(nodes):  # a node stands behind those that it takes from
        kept.append(not needed.isdisjoint(gives))
        if kept[-1]:
            needed.update(takes)
    left = iter(reversed(kept))
    body = b"".join(
        raw for number, _, raw in parts if number != OUTPUT and (number != NODE or next(left))
    ) + b"".join(field(OUTPUT, field(NAME, name.encode())) for name in wanted)
    return b"".join(raw for number, _, raw in fields(data) if number != GRAPH) + field(GRAPH, body)


def fields(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Of every field of a message its number, its payload and all of it. Raises ValueError and IndexError."""
    at = 0
    while at < len(data):
        begin = at
        key, at = _varint(data, at)
        kind = key & 7
        if kind == VARINT:
            _, end = _varint(data, at)
        elif kind == BYTES:
            size, at = _varint(data, at)
            end = at + size
        elif kind in (EIGHT, FOUR):
            end = at + (8 if kind == EIGHT else 4)
        else:
            raise ValueError(f"a field of the kind {kind}")
        if end > len(data):
            raise ValueError("it ends too early")
        yield key >> 3, data[at:end], data[begin:end]
        at = end


def field(number: int, payload: bytes) -> bytes:
    """A field of so many bytes."""
    length, size = b"", len(payload)
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | BYTES]) + length + bytes([size]) + payload


def _node(data: bytes) -> tuple[list[str], list[str]]:
    """What a node takes and gives."""
    takes, gives = [], []
    for number, payload, _ in fields(data):
        if number == TAKES:
            takes.append(payload.decode())
        elif number == GIVES:
            gives.append(payload.decode())
    return takes, gives


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where the next thing begins."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
        shift += 7
