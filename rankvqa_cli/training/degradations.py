"""What cameras and delivery do to a clip, besides coding: each in strengths, so that the order is known.

A clip is (T, W * H * 3 / 2) uint8, planar 4:2:0, limited range. Nothing here runs FFmpeg, and every result depends on
the change and the clip alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor


@dataclass(frozen=True)
class Change:
    """One change of a clip. ``strength`` is larger where it is worse; ``key`` is what rungs of one ladder share.

    ============ ==================================== ======================================
    name         strength                             key
    ============ ==================================== ======================================
    noise        standard deviation, in levels        seed of the noise
    blur         sigma of a Gaussian, in pixels       0
    defocus      radius of a disc, in pixels          0
    banding      step between the levels that remain  0
    dropped      frames lost of every clip            seed of which
    frozen       frames for which every clip stands   the first of them
    hue          turn, in radians                     1 or -1, the direction
    saturation   share of the saturation lost         0
    chroma-blur  radius of a box, in chroma pixels    0
    range        how often the range was mistaken     0 limited read as full, 1 full as limited
    ============ ==================================== ======================================
    """

    name: str
    strength: float
    key: int = 0


@dataclass(frozen=True)
class Shape:
    """``width`` and ``height`` of the luma plane; ``clip_frames`` is the length of the clips that will be cut."""

    width: int
    height: int
    clip_frames: int


def apply_change(change: Change, clip: NDArray[np.uint8], shape: Shape) -> NDArray[np.uint8]:
    """A changed copy of ``clip``."""
    return CHANGES[change.name](change, clip, shape)


def _planes(clip: NDArray[np.uint8], shape: Shape) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Luma (T, H, W) and chroma (T, 2, H / 2, W / 2)."""
    pixels = shape.width * shape.height
    luma = clip[:, :pixels].reshape(-1, shape.height, shape.width)
    return luma, clip[:, pixels:].reshape(-1, 2, shape.height // 2, shape.width // 2)


def _joined(luma: NDArray[np.generic], chroma: NDArray[np.generic]) -> NDArray[np.uint8]:
    parts = [np.clip(np.rint(x), 0, 255).astype(np.uint8).reshape(len(x), -1) for x in (luma, chroma)]
    return np.concatenate(parts, axis=1)


def _noise(change: Change, clip: NDArray[np.uint8], shape: Shape) -> NDArray[np.uint8]:
    """White Gaussian noise, new in every frame, half as strong in the colour."""
    field = np.random.default_rng(change.key).standard_normal(clip.shape, np.float32) * change.strength
    field[:, shape.width * shape.height :] *= 0.5
    return np.clip(np.rint(clip + field), 0, 255).astype(np.uint8)


def _blur(change: Change, clip: NDArray[np.uint8], shape: Shape) -> NDArray[np.uint8]:
    luma, chroma = _planes(clip, shape)
    s = change.strength
    return _joined(
        ndimage.gaussian_filter(luma.astype(np.float32), (0, s, s)),
        ndimage.gaussian_filter(chroma.astype(np.float32), (0, 0, s / 2, s / 2)),
    )


def _disc(radius: float) -> NDArray[np.float32]:
    """A disc with a soft rim of one pixel, adding up to 1."""
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)
    return np.asarray(disc / disc.sum(), np.float32)


def _defocus(change: Change, clip: NDArray[np.uint8], shape: Shape) -> NDArray[np.uint8]:
    luma, chroma = _planes(clip, shape)
    wide, narrow = _disc(change.strength), _disc(change.strength / 2)
    return _joined(
        ndimage.convolve(luma.astype(np.float32), wide[None]),
        ndimage.convolve(chroma.astype(np.float32), narrow[None, None]),
    )


def _banding(change: Change, clip: NDArray[np.uint8], shape: Shape) -> NDArray[np.uint8]:
    step = int(change.strength)
    return (clip // step * step + step // 2).astype(np.uint8)


def _holding(clip: NDArray[np.uint8], clip_frames: int, lost: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Every frame that is ``lost`` (clip_frames,), in every clip, shows the last one that is not."""
    shown = np.arange(len(clip))
    for t in range(1, len(clip)):
        if lost[t % clip_frames]:
            shown[t] = shown[t - 1]
    return clip[shown]


def _dropped(change: Change, clip: NDArray[np.uint8], shape: Shape) -> NDArray[np.uint8]:
    order = np.random.default_rng(change.key).permutation(np.arange(1, shape.clip_frames))
    lost = np.zeros(shape.clip_frames, np.bool_)
    lost[order[: int(change.strength)]] = True
    return _holding(clip, shape.clip_frames, lost)


def _frozen(change: Change, clip: NDArray[np.uint8], shape: Shape) -> NDArray[np.uint8]:
    lost = np.zeros(shape.clip_frames, np.bool_)
    lost[change.key : change.key + int(change.strength)] = True
    return _holding(clip, shape.clip_frames, lost)


def _hue(change: Change, clip: NDArray[np.uint8], shape: Shape) -> NDArray[np.uint8]:
    return _with_chroma(clip, shape, lambda chroma: turn_hue(chroma, change.key * change.strength))


def _saturation(change: Change, clip: NDArray[np.uint8], shape: Shape) -> NDArray[np.uint8]:
    return _with_chroma(clip, shape, lambda chroma: chroma * (1 - change.strength))


def _chroma_blur(change: Change, clip: NDArray[np.uint8], shape: Shape) -> NDArray[np.uint8]:
    return _with_chroma(clip, shape, lambda chroma: blur_chroma(chroma, int(change.strength)))


def _with_chroma(
    clip: NDArray[np.uint8], shape: Shape, function: Callable[[Tensor], Tensor]
) -> NDArray[np.uint8]:
    """``function`` takes and returns chroma (T, 2, h, w) float, 0 being no colour."""
    luma, chroma = _planes(clip, shape)
    changed = function(torch.from_numpy(chroma.astype(np.float32)) - 128) + 128
    return _joined(luma, changed.clamp(16, 240).numpy())


def turn_hue(centred: Tensor, angle: float) -> Tensor:
    """Chroma (F, 2, h, w), 0 being no colour, turned by ``angle`` in radians."""
    cos, sin = torch.tensor(angle).cos(), torch.tensor(angle).sin()
    cb, cr = centred.unbind(1)
    return torch.stack([cb * cos - cr * sin, cb * sin + cr * cos], dim=1)


def blur_chroma(centred: Tensor, radius: int) -> Tensor:
    """Chroma (F, 2, h, w), averaged over boxes of 2 * radius + 1; at the rim over what there is."""
    return torch.nn.functional.avg_pool2d(
        centred, 2 * radius + 1, stride=1, padding=radius, count_include_pad=False
    )


def _range(change: Change, clip: NDArray[np.uint8], shape: Shape) -> NDArray[np.uint8]:
    luma, chroma = (np.arange(256, dtype=np.float64) for _ in range(2))
    for _ in range(int(change.strength)):
        if change.key == 0:
            luma, chroma = 16 + luma * 219 / 255, 128 + (chroma - 128) * 224 / 255
        else:
            luma, chroma = (luma - 16) * 255 / 219, 128 + (chroma - 128) * 255 / 224
    tables = [np.clip(np.rint(x), 0, 255).astype(np.uint8) for x in (luma, chroma)]
    planes = _planes(clip, shape)
    return _joined(tables[0][planes[0]], tables[1][planes[1]])


CHANGES: dict[str, Callable[[Change, NDArray[np.uint8], Shape], NDArray[np.uint8]]] = {
    "noise": _noise,
    "blur": _blur,
    "defocus": _defocus,
    "banding": _banding,
    "dropped": _dropped,
    "frozen": _frozen,
    "hue": _hue,
    "saturation": _saturation,
    "chroma-blur": _chroma_blur,
    "range": _range,
}
