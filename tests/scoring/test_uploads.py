"""From buffers of frames to planes, where they are or in one copy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from rankvqa_cli.media.yuv import split_planes
from rankvqa_cli.scoring.grid import Rows
from rankvqa_cli.scoring.uploads import Resident, uploaded, uploads_to
from rankvqa_cli.types import FrameFormat

FORMATS = [
    FrameFormat(6, 4, "yuv420p", 8, (2, 2), False, "bt709"),
    FrameFormat(5, 3, "yuv422p10le", 10, (2, 1), False, "bt709"),
    FrameFormat(4, 4, "gray", 8, None, False, "bt709"),
]


class Copied:
    """Another device, as far as this one can be told from it."""

    def __init__(self) -> None:
        self.copies = 0

    def allocate(self, rows: int, frame_bytes: int) -> Rows:
        return np.empty((rows, frame_bytes), np.uint8)

    def upload(self, frames: Tensor) -> Tensor:
        self.copies += 1
        return frames.clone()


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.pix_fmt)
def test_planes_of_a_copy_are_those_of_the_buffer(format: FrameFormat) -> None:
    rows = np.random.default_rng(1).integers(0, 4, (4, format.frame_bytes), dtype=np.uint8)
    frames, uploads = rows[:3], Copied()  # a grid's buffer may have a row more than a clip
    clip = uploaded(frames, format, uploads)
    expected = [None if plane is None else plane.copy() for plane in split_planes(frames, format)]
    rows[:] = 9
    assert uploads.copies == 1, "every plane is copied by itself"
    for found, plane in zip((clip.luma, clip.cb, clip.cr), expected, strict=True):
        if plane is None:
            assert found is None
        else:
            assert found is not None
            assert torch.equal(found.int(), torch.from_numpy(plane.astype(np.int32)))


def test_on_the_cpu_planes_are_the_buffer() -> None:
    uploads = uploads_to(torch.device("cpu"))
    assert isinstance(uploads, Resident)
    frames = uploads.allocate(2, FORMATS[0].frame_bytes)
    clip = uploaded(frames, FORMATS[0], uploads)
    frames[:] = 7
    assert clip.cr is not None
    assert int(clip.luma.min()) == int(clip.cr.max()) == 7
