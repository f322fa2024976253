"""Pristine clips: a stretch of a video, reduced so that its coding artefacts vanish, or a camera path over a still.

Everything is planar 8-bit 4:2:0, limited range, as raw bytes: luma H x W, then two chroma planes H/2 x W/2, a frame
after the other.
"""

from __future__ import annotations

import math
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from rankvqa_cli.errors import InputError
from rankvqa_cli.media.ffmpeg import find_ffmpeg

STILL_SUFFIXES = frozenset({".webp", ".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True)
class Source:
    """One pristine clip to be made. ``content`` groups what must stay on one side of a split.

    ``reduce`` divides the size of a video; ``start_s`` is where the stretch begins. Stills ignore both.
    """

    path: Path
    content: str
    name: str
    start_s: float = 0.0
    reduce: float = 1.0

    @property
    def is_still(self) -> bool:
        return self.path.suffix.lower() in STILL_SUFFIXES


@lru_cache(maxsize=4)
def _has_libvmaf(binary: str) -> bool:
    listed = subprocess.run(
        [binary, "-hide_banner", "-filters"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return b" libvmaf " in listed.stdout


def corpus_ffmpeg() -> str:
    """The FFmpeg that makes corpora: the usual one where it has libvmaf, else the one inside imageio-ffmpeg.

    Distributions often build FFmpeg without libvmaf. Raises InputError where neither has it.
    """
    for binary in (find_ffmpeg(), str(imageio_ffmpeg.get_ffmpeg_exe())):
        if _has_libvmaf(binary):
            return binary
    raise InputError(
        "no FFmpeg with libvmaf found, which labels need: install imageio-ffmpeg, or set VQA_SCORE_FFMPEG"
    )


def run_ffmpeg(
    arguments: list[str], *, stdin: bytes | None = None, subject: str = "", folder: Path | None = None
) -> bytes:
    """Run FFmpeg (in ``folder``) to its end; returns its stdout. Raises InputError with its last line if it fails."""
    command = [corpus_ffmpeg(), "-hide_banner", "-loglevel", "error", "-y", *arguments]
    if stdin is None:
        command.insert(1, "-nostdin")
    done = subprocess.run(command, input=stdin, capture_output=True, check=False, cwd=folder)
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"]
        raise InputError(f"FFmpeg failed on {subject or arguments[-1]!r}: {lines[-1]}")
    return done.stdout


def video_size(path: Path) -> tuple[int, int, float]:
    """(width, height, seconds) as coded; seconds is 0 where the container does not say."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        seconds = float(container.duration or 0) / av.time_base
        return stream.codec_context.width, stream.codec_context.height, seconds


def video_clip(source: Source, frames: int) -> tuple[NDArray[np.uint8], int, int]:
    """(frames, H * W * 3 / 2) bytes, width, height. Sizes are rounded down to multiples of 8."""
    width, height, _ = video_size(source.path)
    width, height = (int(side / source.reduce) // 8 * 8 for side in (width, height))
    data = run_ffmpeg(
        ["-ss", f"{source.start_s:.3f}", "-i", str(source.path), "-map", "0:v:0", "-frames:v", str(frames)]
        + ["-vf", f"scale={width}:{height}:flags=lanczos:out_range=tv,format=yuv420p"]
        + ["-f", "rawvideo", "-"],
        subject=str(source.path),
    )
    clip = np.frombuffer(data, np.uint8).reshape(-1, width * height * 3 // 2)
    if len(clip) < frames:
        raise InputError(
            f"{str(source.path)!r} gives {len(clip)} frames from {source.start_s} s; {frames} are needed"
        )
    return clip, width, height


def still_clip(
    source: Source, frames: int, size: tuple[int, int], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], int, int]:
    """A camera path over a photograph: pan, zoom, slow rotation and hand shake, bicubic at every frame.

    ``size`` is (width, height) of the result, multiples of 8. Returns as ``video_clip`` does.
    """
    with av.open(str(source.path)) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    image = torch.from_numpy(picture).permute(2, 0, 1).unsqueeze(0).float()  # (1, 3, h, w)
    h, w = image.shape[-2:]
    width, height = size
    # Pixels of the photograph per pixel of the clip: from magnified to reduced, always within the picture.
    fit = min(w / width, h / height)
    scale0 = float(np.clip(rng.uniform(0.5, 1.6), 0.4, 0.9 * fit))
    zoom = rng.uniform(-0.006, 0.006)
    turn = rng.uniform(-0.002, 0.002)
    speed, heading = rng.choice([0.0, 1.0, 4.0, 9.0]) * rng.uniform(0.5, 1.5), rng.uniform(0, 2 * math.pi)
    shake = rng.choice([0.0, 0.5, 1.5])
    jitter = np.cumsum(rng.normal(0, 1, (frames, 2)), axis=0)
    jitter = shake * (jitter - jitter.mean(axis=0)) / max(1.0, float(np.abs(jitter).max()))
    offset = (
        (np.arange(frames) - (frames - 1) / 2)[:, None]
        * speed
        * np.array([math.cos(heading), math.sin(heading)])
    )
    path = offset + jitter
    slack = np.maximum(0.0, np.array([w, h]) / 2 - scale0 * np.array([width, height]) / 2)
    centre = np.array([w, h]) / 2 + rng.uniform(-0.8, 0.8, 2) * slack
    xs = (torch.arange(width) + 0.5 - width / 2).view(1, -1)
    ys = (torch.arange(height) + 0.5 - height / 2).view(-1, 1)
    out = []
    for t in range(frames):
        scale = scale0 * (1 + zoom) ** t
        angle = turn * t
        x = centre[0] + path[t, 0] + scale * (xs * math.cos(angle) - ys * math.sin(angle))
        y = centre[1] + path[t, 1] + scale * (xs * math.sin(angle) + ys * math.cos(angle))
        grid = torch.stack([x / w * 2 - 1, y / h * 2 - 1], dim=-1).unsqueeze(0).float()
        picture_t = (
            image if scale <= 1 else F.avg_pool2d(image, 3, stride=1, padding=1, count_include_pad=False)
        )
        frame = F.grid_sample(picture_t, grid, mode="bicubic", padding_mode="reflection", align_corners=False)
        out.append(frame[0].clamp(0, 255).round().byte().permute(1, 2, 0).contiguous())
    rgb = torch.stack(out).numpy().tobytes()
    data = run_ffmpeg(
        ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-i", "-"]
        + ["-vf", "scale=out_range=tv:out_color_matrix=bt709,format=yuv420p", "-f", "rawvideo", "-"],
        stdin=rgb,
        subject=str(source.path),
    )
    return np.frombuffer(data, np.uint8).reshape(frames, -1), width, height


def pristine_clip(
    source: Source, frames: int, still_size: tuple[int, int], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], int, int]:
    """The clip of ``source``: (frames, bytes a frame) uint8, width, height."""
    if source.is_still:
        return still_clip(source, frames, still_size, rng)
    return video_clip(source, frames)
