"""JPEG files that any program reads, with the colours that went in."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest

from rankvqa_cli.media.jpeg import jpeg


def decoded(data: bytes) -> np.ndarray:
    with av.open(io.BytesIO(data), format="jpeg_pipe") as container:
        (frame,) = container.decode(video=0)
        return frame.to_ndarray(format="rgb24").astype(int)


@pytest.mark.parametrize("size", [(48, 64), (35, 51), (2, 2)])
def test_colours_and_size_survive(size: tuple[int, int]) -> None:
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[:, : size[1] // 2] = (200, 40, 30)
    pixels[:, size[1] // 2 :] = (20, 90, 220)
    data = jpeg(pixels)
    assert data.startswith(b"\xff\xd8")
    assert data.endswith(b"\xff\xd9")
    assert b"JFIF" in data[:32] or b"Lavc" in data[:64]
    seen = decoded(data)
    assert seen.shape == pixels.shape
    if size[0] > 2:
        for column in (4, size[1] - 5):
            assert np.abs(seen[:, column] - pixels[:, column]).max() <= 8


def test_it_is_small_and_the_same_every_time() -> None:
    pixels = np.tile(np.arange(256, dtype=np.uint8)[:, None, None], (1, 320, 3))
    assert len(jpeg(pixels)) < 20_000
    assert jpeg(pixels) == jpeg(pixels[::-1][::-1])
