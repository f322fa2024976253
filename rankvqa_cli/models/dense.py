"""PQANet over whole frames: the level maps of a pair of clips with memory for one frame's features, not a clip's.

A merge layer's first convolution is linear, so what it makes of each frame can be added up as the frames arrive; the
rest of the layer sees only the sum. Within a frame, normalising, stacking and convolving run in bands of rows, which
stay in the caches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rankvqa_cli.models.layers import normalised, pad_to_multiple
from rankvqa_cli.models.pqanet import LEVELS, PQANet, energy, gated

_BAND_VALUES = 1 << 20  # features a band, about: 4 MiB in float32, three times that stacked


class Comparison:
    """One pair of clips, frame by frame: ``add`` every frame's pyramids, then ask for the ``maps``.

    The result is that of ``PQANet.level_maps`` up to the order of additions. Sums are float32 whatever the network
    computes in.
    """

    def __init__(self, network: PQANet, frames: int | None = None) -> None:
        """``frames`` are added, each shown as often as makes a clip; None means a clip's."""
        self._network = network
        self._expected = network.config.frames if frames is None else frames
        self._frames = 0
        self._levels: list[_Level] = []

    def add(self, reference: Sequence[Tensor], distorted: Sequence[Tensor]) -> None:
        """The next frame's pyramids: ``reference`` normalised, ``distorted`` as ``frame_features`` gives it."""
        if self._frames == 0:
            exact = self._network.config.exact_identity
            self._levels = [
                _Level(self._network, level, self._expected, ref, exact)
                for level, ref in enumerate(reference[:LEVELS])
            ]
        for level, ref, dist in zip(self._levels, reference[:LEVELS], distorted[:LEVELS], strict=True):
            level.add(self._frames, ref, dist)
        self._frames += 1

    def maps(self) -> list[Tensor]:
        """Distance by place after the last frame: per level (B, 1, h, w) float32. Can be asked for once."""
        if self._frames != self._expected:
            raise ValueError(f"{self._frames} frames were compared, the network takes {self._expected}")
        levels, self._levels = self._levels, []
        return [level.map() for level in levels]


class _Level:
    """The sums of one level: ``_merged`` (B, dim, h, w), padded to the window, and ``_energy`` (B, 1, h, w) or None."""

    def __init__(self, network: PQANet, level: int, frames: int, like: Tensor, exact: bool) -> None:
        self._layer = network.merge_layer(level)
        self._frames = frames
        self._shown = network.config.frames // frames
        self._head = network.head(level)
        self._energy_width = network.config.energy_width(level)
        self._height, self._width = like.shape[-2:]
        batch, _, height, width = pad_to_multiple(like[:, :1], self._layer.window).shape
        bias = _bias(self._layer.conv_first).float()
        self._merged = torch.empty(
            (batch, len(bias), height, width), device=like.device, memory_format=torch.channels_last
        ).copy_(bias.view(1, -1, 1, 1))
        self._energy = torch.zeros((batch, 1, height, width), device=like.device) if exact else None

    def add(self, frame: int, ref: Tensor, dist: Tensor) -> None:
        ref, dist = (pad_to_multiple(side, self._layer.window) for side in (ref, dist))
        channels = ref.shape[1]
        share = slice(frame * self._shown * 3 * channels, (frame + 1) * self._shown * 3 * channels)
        weight = self._layer.conv_first.weight[:, share]
        if self._shown > 1:
            weight = torch.unflatten(weight, 1, (self._shown, 3 * channels)).sum(dim=1)
        weight = weight.contiguous(memory_format=torch.channels_last)
        for rows in _bands(ref, 1):
            # One row more on each side, so that the convolution pads with zeros at the frame's edge only.
            reach = slice(max(0, rows.start - 1), rows.stop + 1)
            inner = slice(rows.start - reach.start, rows.stop - reach.start)
            near, far = ref[:, :, reach], normalised(dist[:, :, reach])
            stacked = torch.cat([near, far, (near - far).abs_()], dim=1)
            self._merged[:, :, rows] += F.conv2d(stacked, weight, padding=1)[:, :, inner]
            if self._energy is not None:
                self._energy[:, :, rows] += energy(
                    stacked[:, None, 2 * channels :, inner], self._energy_width
                )

    def map(self) -> Tensor:
        dtype = self._layer.conv_first.weight.dtype
        for rows in _bands(self._merged, self._layer.window):  # windows never cross a band
            self._merged[:, :, rows] = self._layer.block(self._merged[:, :, rows].to(dtype)).float()
        weight, bias = _fused(self._layer.conv_after_body, self._head.projection)
        level_map = F.conv2d(self._merged, weight, bias, padding=1)
        if self._energy is not None:
            level_map = gated(level_map, self._energy / self._frames)
        return level_map[..., : self._height, : self._width]


def _bands(x: Tensor, multiple: int) -> Iterator[slice]:
    """Rows of (B, C, h, w) in bands of about _BAND_VALUES values, each but the last a multiple of ``multiple``."""
    height = x.shape[2]
    rows = max(1, _BAND_VALUES // (x.numel() // height) // multiple) * multiple
    for start in range(0, height, rows):
        yield slice(start, min(start + rows, height))


def _fused(convolution: nn.Conv2d, projection: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """A convolution and the 1x1 projection after it as one float32 convolution to one channel."""
    row = projection.weight.flatten(1).float()  # (1, dim)
    weight = torch.einsum("po,oihw->pihw", row, convolution.weight.float())
    return weight, row @ _bias(convolution).float()


def _bias(convolution: nn.Conv2d) -> Tensor:
    assert convolution.bias is not None
    return convolution.bias
