"""All that a reader still has to give."""

from __future__ import annotations

from rankvqa_cli.media.reader import FrameReader


def frames_of(reader: FrameReader) -> list[bytes]:
    """Its frames, one by one, to the end."""
    buffer = bytearray(reader.format.frame_bytes)
    frames = []
    while reader.read_into(memoryview(buffer)):
        frames.append(bytes(buffer))
    return frames
