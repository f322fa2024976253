"""One size for both sides of a comparison, and the same samples for every metric."""

from __future__ import annotations

from pathlib import Path

from rankvqa_cli.training.sources import run_ffmpeg


def scaling(size: tuple[int, int]) -> str:
    """FFmpeg's filters that bring pictures to ``size`` (width, height): bicubic, 8-bit 4:2:0, limited range."""
    return f"scale={size[0]}:{size[1]}:flags=bicubic:out_range=tv,format=yuv420p"


def write_scaled(file: Path, size: tuple[int, int], out: Path) -> Path:
    """Every frame of ``file`` at ``size`` as Y4M in ``out``, which is returned. Raises InputError."""
    arguments = ["-i", f"file:{file}", "-map", "0:v:0", "-an", "-vf", scaling(size)]
    run_ffmpeg(
        [*arguments, "-fps_mode", "passthrough", "-f", "yuv4mpegpipe", f"file:{out}"], subject=str(file)
    )
    return out
