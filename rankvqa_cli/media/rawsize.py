"""How many bytes a frame of headerless video takes."""

from __future__ import annotations

from av import VideoFormat

from rankvqa_cli.errors import UsageError
from rankvqa_cli.media.pixfmt import layout_of
from rankvqa_cli.types import RawFormat


def raw_frame_bytes(raw: RawFormat) -> int:
    """Bytes of one frame as FFmpeg's rawvideo packs it, rows unpadded.

    Raises UsageError for a size without pixels and for formats that cannot stand alone (palettes, surfaces).
    """
    if raw.width < 1 or raw.height < 1:
        raise UsageError(f"-s {raw.width}x{raw.height}: a frame needs at least one pixel each way")
    if raw.frame_rate <= 0:
        raise UsageError(f"-framerate {raw.frame_rate}: give a rate above 0")
    layout_of(raw.pix_fmt)
    format = VideoFormat(raw.pix_fmt, raw.width, raw.height)
    if format.has_palette:
        raise UsageError(
            f"-pix_fmt {raw.pix_fmt} needs a palette and cannot be read raw: give a YUV, gray or RGB format"
        )
    if format.is_planar:
        return sum(part.width * part.height * -(-part.bits // 8) for part in format.components)
    across = 16 // VideoFormat(raw.pix_fmt, 16, 16).chroma_width(16) if len(format.components) > 1 else 1
    return raw.height * -(-(-(-raw.width // across) * across * format.padded_bits_per_pixel) // 8)
