from __future__ import annotations

import numpy as np
import pytest

from rankvqa_cli.media.yuv import split_planes
from rankvqa_cli.types import FrameFormat


def test_planes_are_views_in_order() -> None:
    format = FrameFormat(5, 3, "yuv420p", 8, (2, 2), False, "bt709")
    buffer = np.arange(2 * format.frame_bytes, dtype=np.uint8).reshape(2, -1)
    luma, cb, cr = split_planes(buffer, format)
    assert cb is not None
    assert cr is not None
    assert (luma.shape, cb.shape, cr.shape) == ((2, 3, 5), (2, 2, 3), (2, 2, 3))
    assert (luma[0, 0, 0], cb[0, 0, 0], cr[0, 0, 0]) == (0, 15, 21)
    assert luma[1, 2, 4] == 27 + 14
    buffer[:] = 9
    assert all((plane == 9).all() for plane in (luma, cb, cr)), "copies, not views"


def test_deep_samples_are_little_endian() -> None:
    format = FrameFormat(2, 1, "gray10le", 10, None, False, "bt709")
    luma, cb, cr = split_planes(np.array([[0xFF, 0x03, 0x01, 0x00]], np.uint8), format)
    assert luma.tolist() == [[[1023, 1]]]
    assert cb is None
    assert cr is None


def test_a_buffer_of_another_size_is_refused() -> None:
    format = FrameFormat(2, 2, "gray", 8, None, False, "bt709")
    with pytest.raises(ValueError, match="expected uint8"):
        split_planes(np.zeros((1, 5), np.uint8), format)
