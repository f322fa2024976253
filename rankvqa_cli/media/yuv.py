"""Bytes of decoded planar frames -> planes. Views only, no copies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rankvqa_cli.types import FrameFormat

Plane = NDArray[np.uint8] | NDArray[np.uint16]


def split_planes(buffer: NDArray[np.uint8], format: FrameFormat) -> tuple[Plane, Plane | None, Plane | None]:
    """Views of the planes in ``buffer`` (T, ``format.frame_bytes``) uint8, rows contiguous.

    Returns luma (T, height, width) and cb, cr (T, chroma height, chroma width), both None for luma-only
    formats. Samples are uint8, or little-endian uint16 for ``bit_depth`` above 8. Raises ValueError where
    the shape does not fit the format.
    """
    if buffer.ndim != 2 or buffer.shape[1] != format.frame_bytes or buffer.dtype != np.uint8:
        raise ValueError(f"expected uint8 (T, {format.frame_bytes}), got {buffer.dtype} {buffer.shape}")
    samples: Plane = buffer if format.bytes_per_sample == 1 else buffer.view("<u2")
    count = buffer.shape[0]
    luma_size = format.width * format.height
    luma = samples[:, :luma_size].reshape(count, format.height, format.width)
    if format.chroma is None:
        return luma, None, None
    width, height = format.chroma_size
    middle = luma_size + width * height
    cb = samples[:, luma_size:middle].reshape(count, height, width)
    cr = samples[:, middle:].reshape(count, height, width)
    return luma, cb, cr
