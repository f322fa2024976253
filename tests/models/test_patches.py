"""The patch grid covers every pixel, and pooling takes the places that belong to a patch."""

from __future__ import annotations

import pytest
import torch

from rankvqa_cli.models.patches import patch_grid, pool


@pytest.mark.parametrize(
    ("height", "width", "stride"),
    [(1080, 1920, 256), (1080, 1920, 111), (256, 256, 256), (257, 511, 256), (7, 300, 64)],
)
def test_every_pixel_is_covered_and_none_outside(height: int, width: int, stride: int) -> None:
    grid = patch_grid(height, width, 256, stride)
    covered = torch.zeros(height, width, dtype=torch.int32)
    for top, left in grid.corners:
        assert top + grid.height <= height
        assert left + grid.width <= width
        covered[top : top + grid.height, left : left + grid.width] += 1
    assert int(covered.min()) >= 1
    assert len(grid.corners) == grid.shape[0] * grid.shape[1]


def test_the_grid_of_1080p() -> None:
    assert patch_grid(1080, 1920, 256, 256).shape == (5, 8)
    assert patch_grid(1080, 1920, 256, 256).tops == (0, 256, 512, 768, 824)
    assert patch_grid(1080, 1920, 256, 111).shape == (9, 16)  # the published 16 x 9


def test_pooling_averages_each_patch() -> None:
    maps = torch.arange(24.0).view(1, 1, 4, 6)  # of a 8 x 12 frame
    found = pool(maps, 2, patch_grid(8, 12, 4, 4))
    assert found.shape == (1, 1, 2, 3)
    assert found[0, 0].tolist() == [[3.5, 5.5, 7.5], [15.5, 17.5, 19.5]]
    assert pool(maps, 2, patch_grid(7, 11, 4, 4))[0, 0, -1, -1] == maps[0, 0, 1:, 3:].mean()
