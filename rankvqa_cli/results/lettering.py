"""A few words on pictures, in a small bitmap alphabet: no font has to be found for them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HEIGHT = 7
ADVANCE = 6

# Seven rows of five dots a letter, the leftmost dot the highest bit.
_DOTS: dict[str, tuple[int, int, int, int, int, int, int]] = {
    " ": (0, 0, 0, 0, 0, 0, 0),
    "-": (0, 0, 0, 14, 0, 0, 0),
    ".": (0, 0, 0, 0, 0, 12, 12),
    "0": (14, 17, 19, 21, 25, 17, 14),
    "1": (4, 12, 4, 4, 4, 4, 14),
    "2": (14, 17, 1, 2, 4, 8, 31),
    "3": (31, 2, 4, 2, 1, 17, 14),
    "4": (2, 6, 10, 18, 31, 2, 2),
    "5": (31, 16, 30, 1, 1, 17, 14),
    "6": (6, 8, 16, 30, 17, 17, 14),
    "7": (31, 1, 2, 4, 8, 8, 8),
    "8": (14, 17, 17, 14, 17, 17, 14),
    "9": (14, 17, 17, 15, 1, 2, 12),
    "a": (0, 0, 14, 1, 15, 17, 15),
    "c": (0, 0, 14, 17, 16, 17, 14),
    "e": (0, 0, 14, 17, 31, 16, 14),
    "f": (6, 9, 8, 28, 8, 8, 8),
    "g": (0, 15, 17, 17, 15, 1, 14),
    "h": (16, 16, 30, 17, 17, 17, 17),
    "i": (4, 0, 12, 4, 4, 4, 14),
    "l": (12, 4, 4, 4, 4, 4, 14),
    "m": (0, 0, 26, 21, 21, 21, 21),
    "o": (0, 0, 14, 17, 17, 17, 14),
    "q": (0, 15, 17, 17, 15, 1, 1),
    "r": (0, 0, 22, 25, 16, 16, 16),
    "s": (0, 0, 15, 16, 14, 1, 30),
    "t": (8, 8, 28, 8, 8, 9, 6),
    "u": (0, 0, 17, 17, 17, 19, 13),
    "w": (0, 0, 17, 17, 21, 21, 10),
    "x": (0, 0, 17, 10, 4, 10, 17),
    "y": (0, 17, 17, 17, 15, 1, 14),
}


def width(text: str, scale: int) -> int:
    """Pixels that ``text`` takes across."""
    return len(text) * ADVANCE * scale


def write(canvas: NDArray[np.uint8], text: str, top: int, left: int, scale: int) -> None:
    """White letters, ``scale`` pixels a dot, onto ``canvas`` (H, W, 3), cut off at its edges.

    Raises KeyError for what the alphabet lacks.
    """
    dots = np.zeros((HEIGHT, len(text) * ADVANCE), np.bool_)
    for place, letter in enumerate(text):
        for row, bits in enumerate(_DOTS[letter]):
            for column in range(5):
                dots[row, place * ADVANCE + column] = bits >> (4 - column) & 1
    mask = dots.repeat(scale, axis=0).repeat(scale, axis=1)
    part = canvas[top : top + mask.shape[0], left : left + mask.shape[1]]
    part[mask[: part.shape[0], : part.shape[1]]] = 235
