"""The bitrate that a file's video stream has in fact: its coded bytes over its duration."""

from __future__ import annotations

import os

from rankvqa_cli.media.container import coded_bytes
from rankvqa_cli.types import VideoInfo


def bitrate_kbps(info: VideoInfo) -> float | None:
    """Kilobits (1000 bits) a second of the video that ``info`` was probed from without limits; audio does not count.

    Headerless video and y4m count with all their bytes. None where the number of frames is not known.
    """
    if not info.frames:
        return None
    if info.codec == "rawvideo" and not info.pts_times:
        size, frames = os.path.getsize(info.spec.path), info.frames
    else:
        size, frames = coded_bytes(info.spec.path, info.start.stream)
    return size * 8 / 1000 * float(info.frame_rate) / frames
