"""Quality and weight by place, painted over a frame: panels side by side, with the scales under them.

Both scales are fixed, so that two pictures can be compared. Quality is the score, 0 to 100, that the video would have
if it were everywhere as it is at this place. A weight says how many times the average place counts in the pooled score,
1/4 to 4 on a logarithmic scale. Bright is what to look at: low quality, high weight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankvqa_cli.results import lettering

Pixels = NDArray[np.uint8]
Values = NDArray[np.floating[Any]]

# Dark blue over violet and red to pale yellow, in steps of equal lightness, for eyes of all kinds.
ANCHORS = (
    (12, 12, 44),
    (42, 22, 92),
    (80, 28, 120),
    (124, 34, 126),
    (170, 44, 112),
    (212, 66, 80),
    (238, 106, 46),
    (250, 158, 40),
    (252, 206, 84),
    (250, 246, 178),
)
_OPACITY = 0.7  # of the colours over the greyed frame
_GROUND = 24  # grey level between and under the panels
_MARKS_QUALITY = (100.0, 75.0, 50.0, 25.0, 0.0)
_MARKS_WEIGHT = (0.25, 1.0, 4.0)


@dataclass(frozen=True)
class Shown:
    """One frame to be painted: ``pixels`` (H, W, 3) R'G'B', ``quality`` (h, w) scores of 0 to 100, ``weights`` (R, C),
    1 on average over the clip, where the model gives any; maps of any size cover the whole frame. ``index`` and
    ``score`` are the frame's."""

    index: int
    score: float
    pixels: Pixels
    quality: Values
    weights: Values | None = None


def colours(heat: Values) -> Pixels:
    """Heat of 0 to 1, any shape (clamped), to colours: (..., 3) uint8."""
    at = np.clip(np.nan_to_num(heat), 0, 1) * (len(ANCHORS) - 1)
    knots = np.arange(len(ANCHORS))
    channels = [np.interp(at, knots, [anchor[channel] for anchor in ANCHORS]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def heat_of_quality(quality: Values) -> Values:
    return 1 - quality / 100


def heat_of_weight(weights: Values) -> Values:
    """1/4 of the average is 0, the average 0.5, four times the average 1."""
    with np.errstate(divide="ignore"):
        heat: Values = 0.5 + np.log2(weights) / 4
    return heat


def picture(shown: Shown) -> Pixels:
    """The frame, its quality and, where there are any, its weights side by side: (H', W', 3) uint8, sides even.

    The size depends on that of the frame and on whether there are weights, on nothing else.
    """
    height, width = shown.pixels.shape[:2]
    scale = max(1, round(min(height, width) / 300))
    panels = [shown.pixels, painted(shown.pixels, shown.quality)]
    if shown.weights is not None:
        panels.append(_over(shown.pixels, heat_of_weight(shown.weights)))
    bar = 24 * lettering.ADVANCE * scale
    cell, gap = max(width, bar + 4 * scale), 4 * scale
    below = (lettering.HEIGHT * 2 + 8 + 4 * 4) * scale
    shape = (height + below, len(panels) * (cell + gap) - gap, 3)
    canvas = np.full((shape[0] + shape[0] % 2, shape[1] + shape[1] % 2, 3), _GROUND, np.uint8)
    for number, panel in enumerate(panels):
        left = number * (cell + gap)
        inset = left + (cell - width) // 2
        canvas[:height, inset : inset + width] = panel
        under = canvas[height + 4 * scale :, left + (cell - bar) // 2 :][:, :bar]
        if number == 0:
            lettering.write(under, f"frame {shown.index}", 0, 0, scale)
            lettering.write(under, f"score {shown.score:.1f}", (lettering.HEIGHT + 4) * scale, 0, scale)
        elif number == 1:
            _legend(under, "quality", _MARKS_QUALITY, heat_of_quality(np.array(_MARKS_QUALITY)), scale)
        else:
            _legend(under, "weight x", _MARKS_WEIGHT, heat_of_weight(np.array(_MARKS_WEIGHT)), scale)
    return canvas


def painted(pixels: Pixels, quality: Values) -> Pixels:
    """(H, W, 3) under the colours of ``quality`` (h, w), scores of 0 to 100, which cover all of it."""
    return _over(pixels, heat_of_quality(quality))


def _over(pixels: Pixels, heat: Values) -> Pixels:
    """The frame in grey under the colours of ``heat`` (h, w), which covers all of it."""
    height, width = pixels.shape[:2]
    grey = pixels @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    colour = colours(stretched(heat, height, width))
    return (_OPACITY * colour + (1 - _OPACITY) * grey[..., None]).round().astype(np.uint8)


def stretched(values: Values, height: int, width: int) -> Values:
    """(h, w) to (height, width), bilinear between the middles of the places."""
    for axis, size in ((0, height), (1, width)):
        places = values.shape[axis]
        at = np.clip((np.arange(size) + 0.5) * places / size - 0.5, 0, places - 1)
        low = np.floor(at).astype(np.intp)
        share = (at - low).astype(np.float32)
        share = share[:, None] if axis == 0 else share[None, :]
        above = values.take(np.minimum(low + 1, places - 1), axis=axis)
        values = values.take(low, axis=axis) * (1 - share) + above * share
    return values


def _legend(under: Pixels, title: str, marks: tuple[float, ...], heats: Values, scale: int) -> None:
    """Title, bar, and below it the ``marks``, each where its heat is."""
    width = under.shape[1]
    lettering.write(under, title, 0, 0, scale)
    top = (lettering.HEIGHT + 4) * scale
    bar = colours(np.linspace(0, 1, width, dtype=np.float32))
    under[top : top + 8 * scale] = (_OPACITY * bar + (1 - _OPACITY) * 128).round().astype(np.uint8)
    for mark, heat in zip(marks, heats, strict=True):
        words = f"{mark:g}"
        across = lettering.width(words, scale) - scale
        left = math.floor(heat * width - across / 2)
        row = top + (8 + 3) * scale
        lettering.write(under, words, row, min(max(0, left), width - across), scale)
