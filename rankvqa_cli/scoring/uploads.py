"""Clips on their way to the device that scores them."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from rankvqa_cli.media.yuv import split_planes
from rankvqa_cli.models.contract import Clip
from rankvqa_cli.scoring.grid import Rows, allocate_rows
from rankvqa_cli.types import FrameFormat


class Uploads(Protocol):
    """How a device comes by what was read."""

    def allocate(self, rows: int, frame_bytes: int) -> Rows:
        """A buffer that frames are read into."""
        ...

    def upload(self, frames: Tensor) -> Tensor:
        """(T, frame_bytes) uint8 of such a buffer on the device, for what is queued from now on. The buffer must not
        change until that is done."""
        ...


class Resident:
    """On the CPU frames are where they are needed."""

    def allocate(self, rows: int, frame_bytes: int) -> Rows:
        return allocate_rows(rows, frame_bytes)

    def upload(self, frames: Tensor) -> Tensor:
        return frames


class Streamed:
    """To a CUDA device, beside its work: from memory that it reads by itself, on a stream of their own."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def allocate(self, rows: int, frame_bytes: int) -> Rows:
        found: Rows = torch.empty((rows, frame_bytes), dtype=torch.uint8, pin_memory=True).numpy()
        return found

    def upload(self, frames: Tensor) -> Tensor:
        with torch.cuda.stream(self._stream):
            found = frames.to(self._device, non_blocking=True)
        working = torch.cuda.current_stream(self._device)
        working.wait_stream(self._stream)
        # It was made on the one stream, and must not be given away before the other is done with it.
        found.record_stream(working)
        return found


def uploads_to(device: torch.device) -> Uploads:
    return Streamed(device) if device.type == "cuda" else Resident()


def uploaded(frames: Rows, format: FrameFormat, uploads: Uploads) -> Clip:
    """(T, frame_bytes) uint8 as planes on the device: one copy of all of them, or, where they are there, none."""
    here = torch.from_numpy(frames)
    there = uploads.upload(here)
    planes = [
        None if plane is None else _same_part(here, torch.from_numpy(plane), there)
        for plane in split_planes(frames, format)
    ]
    luma, cb, cr = planes
    assert luma is not None
    return Clip(luma, cb, cr, format)


def _same_part(whole: Tensor, part: Tensor, copied: Tensor) -> Tensor:
    """Of ``copied``, a copy of ``whole``, what ``part`` is of ``whole``."""
    start = (part.data_ptr() - whole.data_ptr()) // part.element_size()
    return copied.view(part.dtype).as_strided(part.shape, part.stride(), start)
