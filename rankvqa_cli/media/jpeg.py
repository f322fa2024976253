"""A frame as a small JPEG file in memory."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

#: FFmpeg's qscale: 2 is the best, 31 the worst. Differences of quality must survive it.
_QSCALE = "3"


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """(H, W, 3) R'G'B' as a JPEG file: full-range BT.601, 4:2:0, as JFIF has it."""
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.height, encoder.width = pixels.shape[:2]
    encoder.pix_fmt = "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"qmin": _QSCALE, "qmax": _QSCALE}
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24").reformat(
        format="yuvj420p", dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.JPEG
    )
    return b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))
