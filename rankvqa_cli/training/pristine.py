"""Pristine clips: a stretch of a video, reduced so that its coding artefacts vanish, or a camera path over a still.

Everything is planar 8-bit 4:2:0, limited range, as raw bytes: luma H x W, then two chroma planes H/2 x W/2, a frame
after the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from rankvqa_cli.errors import InputError
from rankvqa_cli.media.ffmpeg import PROTOCOLS
from rankvqa_cli.media.probe import probe
from rankvqa_cli.training.sources import Source, run_ffmpeg
from rankvqa_cli.types import InputSpec, ReadOptions, VideoInfo

#: The rate of the camera paths over stills.
STILL_RATE = Fraction(25)


@dataclass(frozen=True)
class Clip:
    """``frames`` is (T, W * H * 3 / 2) uint8; ``rate`` the source's own, in frames a second; ``command`` FFmpeg's
    arguments, where SOURCE stands for the file (a still's frames come through a pipe)."""

    frames: NDArray[np.uint8]
    width: int
    height: int
    rate: Fraction
    command: tuple[str, ...]


def check_video(source: Source, frames: int) -> VideoInfo:
    """What a video's stretch of ``frames`` is.

    Raises InputError naming a source that cannot be read, is too short, or whose frame rate is unknown or varies.
    """
    info = probe(InputSpec(str(source.path)), ReadOptions(seek_s=source.start_s, frames=frames))
    if "rate" in info.assumed:
        raise InputError(f"{str(source.path)!r} says no frame rate: give a video that does")
    if info.variable_frame_rate:
        raise InputError(
            f"{str(source.path)!r} has a variable frame rate after {source.start_s:g} s: make it constant first"
        )
    if info.frames is not None and info.frames < frames:
        raise _too_short(source, info.frames, frames)
    return info


def clip_size(source: Source, info: VideoInfo) -> tuple[int, int]:
    """(width, height) of a video's clip after the reduction, multiples of 8."""
    return int(info.width / source.reduce) // 8 * 8, int(info.height / source.reduce) // 8 * 8


def _too_short(source: Source, given: int, needed: int) -> InputError:
    return InputError(
        f"{str(source.path)!r} gives {given} frames from {source.start_s:g} s; {needed} are needed"
    )


def video_clip(source: Source, frames: int) -> Clip:
    """The stretch of a video. Raises InputError as ``check_video`` does."""
    info = check_video(source, frames)
    width, height = clip_size(source, info)
    start = info.start
    command = ["-protocol_whitelist", PROTOCOLS]
    command += [] if start.seek_s is None else ["-ss", f"{start.seek_s:.6f}"]
    command += ["-i", "SOURCE", "-map", f"0:v:{start.stream}", "-frames:v", str(frames)]
    command += ["-fps_mode", "passthrough", "-vf", f"trim=start_frame={start.skip_frames},"]
    command[-1] += f"scale={width}:{height}:flags=lanczos:out_range=tv,format=yuv420p"
    command += ["-f", "rawvideo", "-"]
    arguments = [f"file:{source.path}" if part == "SOURCE" else part for part in command]
    data = run_ffmpeg(arguments, subject=str(source.path))
    clip = np.frombuffer(data, np.uint8).reshape(-1, width * height * 3 // 2)
    if len(clip) < frames:
        raise _too_short(source, len(clip), frames)
    return Clip(clip, width, height, info.frame_rate, tuple(command))


def still_clip(source: Source, frames: int, size: tuple[int, int], rng: np.random.Generator) -> Clip:
    """A camera path over a photograph: pan, zoom, slow rotation and hand shake, bicubic at every frame.

    ``size`` is (width, height) of the result, multiples of 8. Raises InputError for a picture that cannot be read.
    """
    picture = read_still(source.path)
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
    command = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-i", "-"]
    command += ["-vf", "scale=out_range=tv:out_color_matrix=bt709,format=yuv420p", "-f", "rawvideo", "-"]
    data = run_ffmpeg(command, stdin=rgb, subject=str(source.path))
    clip = np.frombuffer(data, np.uint8).reshape(frames, -1)
    return Clip(clip, width, height, STILL_RATE, tuple(command))


def read_still(path: Path) -> NDArray[np.uint8]:
    """(h, w, 3) RGB uint8."""
    try:
        with av.open(str(path)) as container:
            return np.asarray(next(container.decode(video=0)).to_ndarray(format="rgb24"), np.uint8)
    except (av.FFmpegError, StopIteration, IndexError, OSError) as error:
        raise InputError(f"{str(path)!r} cannot be read as a picture ({error}): make it again") from error


def pristine_clip(source: Source, frames: int, still_size: tuple[int, int], rng: np.random.Generator) -> Clip:
    """The clip of ``source``, ``frames`` long."""
    if source.is_still:
        return still_clip(source, frames, still_size, rng)
    return video_clip(source, frames)
