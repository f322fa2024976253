"""Where a frame's patches lie, and what a map of the whole frame says about each of them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PatchGrid:
    """``rows`` x ``columns`` patches of ``height`` x ``width`` pixels; ``tops`` and ``lefts`` are their corners.

    Every pixel lies in a patch: the last row and column are taken back to end on the frame's edge, so they
    overlap their neighbours where the stride does not divide the frame. (The released code drops what remains.)
    """

    tops: tuple[int, ...]
    lefts: tuple[int, ...]
    height: int
    width: int

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return len(self.tops), len(self.lefts)

    @property
    def corners(self) -> list[tuple[int, int]]:
        """(top, left) of every patch, row by row."""
        return list(itertools.product(self.tops, self.lefts))


def patch_grid(height: int, width: int, patch: int, stride: int) -> PatchGrid:
    """Patches of ``patch`` x ``patch`` pixels every ``stride`` pixels; a side shorter than that is one patch."""
    return PatchGrid(
        _starts(height, patch, stride), _starts(width, patch, stride), min(height, patch), min(width, patch)
    )


def _starts(length: int, patch: int, stride: int) -> tuple[int, ...]:
    last = max(0, length - patch)
    return (*range(0, last, stride), last)


def pool(maps: Tensor, step: int, grid: PatchGrid) -> Tensor:
    """Mean of every patch on maps of a frame: (B, C, h, w) float -> (B, C, rows, columns).

    A place of the map stands for ``step`` x ``step`` pixels; the places that a patch touches count for it.
    """
    rows = [_span(top, grid.height, step) for top in grid.tops]
    columns = [_span(left, grid.width, step) for left in grid.lefts]
    bands = torch.stack([maps[..., rows_in, :].mean(dim=-2) for rows_in in rows], dim=-2)
    return torch.stack([bands[..., columns_in].mean(dim=-1) for columns_in in columns], dim=-1)


def _span(start: int, length: int, step: int) -> slice:
    return slice(start // step, -(-(start + length) // step))
