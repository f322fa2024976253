"""Planes of patches as the corpus and scored sets keep them: square, 4:2:0, limited range, BT.709."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rankvqa_cli.models.contract import Clip
from rankvqa_cli.training.degradations import blur_chroma, turn_hue
from rankvqa_cli.types import FrameFormat

AS_THEY_ARE = np.zeros(3, np.bool_)  # neither mirrored nor transposed


def side_of(size: int) -> int:
    """Pixels across of a square 4:2:0 patch of ``size`` bytes a frame."""
    return math.isqrt(size * 2 // 3)


def cropped(
    clips: Sequence[tuple[Tensor, Tensor]], crop: int, rng: np.random.Generator
) -> list[tuple[Tensor, Tensor]]:
    """The same ``crop`` pixels across of every clip's luma and chroma, on a chroma sample."""
    side = clips[0][0].shape[-1]
    y, x = (2 * int(rng.integers((side - crop) // 2 + 1)) for _ in range(2))
    half = crop // 2
    return [
        (
            luma[..., y : y + crop, x : x + crop].contiguous(),
            chroma[..., y // 2 : y // 2 + half, x // 2 : x // 2 + half].contiguous(),
        )
        for luma, chroma in clips
    ]


def shift_colour(chroma: Tensor, kind: int, strength: float) -> Tensor:
    """Chroma (F, 2, h, w) uint8 with a loss of saturation (0), a turn of hue (1) or a blur (2); strength 0 to 1."""
    centred = chroma.float() - 128
    if kind == 0:
        centred = centred * (1 - strength)
    elif kind == 1:
        centred = turn_hue(centred, strength * 1.2)
    else:
        centred = blur_chroma(centred, max(1, round(strength * 16)))
    return (centred + 128).round().clamp(16, 240).byte()


def as_clip(luma: Tensor, chroma: Tensor) -> Clip:
    """uint8 planes (F, H, W) and (F, 2, H / 2, W / 2) of a corpus or a scored set: 4:2:0, limited range, BT.709."""
    form = FrameFormat(luma.shape[2], luma.shape[1], "yuv420p", 8, (2, 2), full_range=False, matrix="bt709")
    return Clip(luma, chroma[:, 0], chroma[:, 1], form)


def to_planes(clip: NDArray[np.uint8], flips: NDArray[np.bool_]) -> tuple[Tensor, Tensor]:
    """(F, bytes) of a square 4:2:0 patch to luma (F, H, W) and chroma (F, 2, H/2, W/2), mirrored and transposed."""
    frames = len(clip)
    side = side_of(clip.shape[1])
    data = torch.from_numpy(np.array(clip))
    luma = data[:, : side * side].view(frames, side, side)
    chroma = data[:, side * side :].view(frames, 2, side // 2, side // 2)
    axes = [axis for axis, flip in zip((-1, -2), flips[:2], strict=True) if flip]
    if axes:
        luma, chroma = luma.flip(axes), chroma.flip(axes)
    if flips[2]:
        luma, chroma = luma.transpose(-1, -2), chroma.transpose(-1, -2)
    return luma.contiguous(), chroma.contiguous()
