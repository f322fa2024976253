"""PQANet, the patch quality network of RankDVQA (Feng et al., WACV 2024): a learned distance between two clips.

Both clips go through one convolutional pyramid. At each of five levels the channel-normalised features of the
reference, of the distorted clip and their absolute difference, all twelve frames of them, are merged by a
convolution and one Swin block into a map; the distance is the sum of the maps' means. Higher is worse.

``exact_identity`` is for networks trained here: a level's map becomes softplus(published map) x energy, where
energy is the mean absolute difference of the normalised features at that place (times the root of the channel
count, which brings the levels to one scale). It is 0 for identical clips by construction and never negative,
at no cost: the difference is computed anyway. Subtracting D(ref, ref) instead would cost a second merge and
could go below 0. Parameters keep their names and shapes, so training can start from a published checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rankvqa_cli.models.layers import Head, MergeLayer, Pyramid, normalised, pad_to_multiple

LEVELS = 5  # of the pyramid's six, these make the score
FEATURE_LEVELS = (2, 5)  # the third and the sixth, what STANet looks at

# Rows of the merged map that go through the Swin block together where memory is to be saved: a multiple of the window.
_BAND = 64


@dataclass(frozen=True)
class PQANetConfig:
    """``frames`` a clip; ``widths`` of the pyramid's six levels in channels; ``dim``, ``heads``, ``window``
    (places across) and ``hidden`` of the Swin blocks; ``dropout`` before the heads, in training only."""

    frames: int = 12
    widths: tuple[int, ...] = (16, 32, 64, 96, 128, 192)
    dim: int = 32
    heads: int = 2
    window: int = 4
    hidden: int = 64
    dropout: float = 0.5
    exact_identity: bool = False


class _Scaling(nn.Module):
    """0 to 1 becomes -1 to 1, then (x - shift) / scale per RGB channel; luma is broadcast to three channels."""

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (x * (2 / self.scale)).add_(-(1 + self.shift) / self.scale)


class _Network(nn.Module):
    def __init__(self, config: PQANetConfig) -> None:
        super().__init__()
        self.moduleExtractor = Pyramid(3, config.widths)  # the checkpoint's name
        self.merge_layers = nn.ModuleList(
            MergeLayer(3 * width * config.frames, config.dim, config.heads, config.window, config.hidden)
            for width in config.widths[:LEVELS]
        )


class PQANet(nn.Module):
    """See the module. Inputs are (B, frames, 1 or 3, H, W) in 0 to 1; H and W are at least 1."""

    def __init__(self, config: PQANetConfig) -> None:
        super().__init__()
        self.config = config
        self.scaling_layer = _Scaling()
        self.net = _Network(config)
        self.lins = nn.ModuleList(Head(config.dim, config.dropout) for _ in range(LEVELS))

    def forward(self, reference: Tensor, distorted: Tensor) -> Tensor:
        """Distance of each pair: two (B, frames, C, H, W) -> (B,)."""
        maps = self.level_maps(self.features(reference, LEVELS), self.features(distorted, LEVELS))
        return torch.stack([level.mean(dim=(1, 2, 3)) for level in maps]).sum(dim=0)

    def features(self, video: Tensor, levels: int = LEVELS + 1) -> list[Tensor]:
        """Pyramid of a clip: (B, T, C, H, W) in 0 to 1 -> per level (B, T, width, ceil(H / 2^k), ceil(W / 2^k))."""
        batch, frames = video.shape[:2]
        found = self.frame_features(video.flatten(0, 1), levels)
        return [level.view(batch, frames, *level.shape[1:]) for level in found]

    def frame_features(self, frames: Tensor, levels: int = LEVELS + 1) -> list[Tensor]:
        """Pyramid of single frames: (N, C, H, W) in 0 to 1 -> per level (N, width, h, w), not yet normalised."""
        return self.net.moduleExtractor(self.scaling_layer(frames), levels)  # type: ignore[no-any-return]

    def level_maps(self, reference: Sequence[Tensor], distorted: Sequence[Tensor]) -> list[Tensor]:
        """Distance by place, from two pyramids of ``features``: per level (B, 1, h, w), to be averaged and added."""
        found = []
        for level in range(LEVELS):
            ref = normalised(reference[level], dim=2)  # (B, T, width, h, w)
            dist = normalised(distorted[level], dim=2)
            difference = (ref - dist).abs()
            stacked = torch.cat([ref, dist, difference], dim=2).flatten(1, 2)  # (B, T * 3 * width, h, w)
            merged = self._merge_layer(level)(stacked)
            found.append(self._gate(self._head(level)(merged), self._energy(difference)))
        return found

    def keep_input_precise(self) -> None:
        """Scaling and first convolution in float32: bfloat16 cannot tell neighbouring 10-bit code values apart."""
        self.scaling_layer.float()
        first = self.net.get_submodule("moduleExtractor.moduleFirst.0")
        first.float()

    def _merge_layer(self, level: int) -> MergeLayer:
        layer = self.net.merge_layers[level]
        assert isinstance(layer, MergeLayer)
        return layer

    def _head(self, level: int) -> Head:
        found = self.lins[level]
        assert isinstance(found, Head)
        return found

    def _energy(self, difference: Tensor) -> Tensor | None:
        """(B, T, width, h, w) -> (B, 1, h, w), only where it is used."""
        if not self.config.exact_identity:
            return None
        return difference.float().mean(dim=(1, 2)).unsqueeze(1) * math.sqrt(difference.shape[2])

    def _gate(self, level_map: Tensor, energy: Tensor | None) -> Tensor:
        return level_map if energy is None else F.softplus(level_map.float()) * energy


class Comparison:
    """One pair of clips compared frame by frame, for whole frames: memory holds one frame's features, not a clip's.

    ``conv_first`` is linear in its input, so what it makes of each frame can be added up as the frames
    arrive; the rest of a merge layer sees only the sum. The result is that of ``PQANet.level_maps`` up to the
    order of additions. The sums are float32 whatever the network computes in.
    """

    def __init__(self, network: PQANet) -> None:
        self._network = network
        self._frames = 0
        self._sizes: list[torch.Size] = []
        self._sums: list[Tensor] = []
        self._energies: list[Tensor] = []

    def add(self, reference: Sequence[Tensor], distorted: Sequence[Tensor]) -> None:
        """The next frame's pyramids: ``reference`` normalised, ``distorted`` as ``frame_features`` gives it."""
        config = self._network.config
        for level, ref in enumerate(reference[:LEVELS]):
            layer = self._network._merge_layer(level)
            share = 3 * config.widths[level]
            stacked = _stacked(ref, normalised(distorted[level]))
            energy = self._network._energy(stacked[:, None, -config.widths[level] :])
            stacked = pad_to_multiple(stacked, layer.window)
            weight = layer.conv_first.weight[:, self._frames * share : (self._frames + 1) * share]
            bias = layer.conv_first.bias if self._frames == 0 else None
            part = F.conv2d(stacked, weight, bias, padding=1).float()
            if self._frames == 0:
                self._sizes.append(ref.shape[-2:])
                self._sums.append(part)
                self._energies += [] if energy is None else [energy]
            else:
                self._sums[level] += part
                if energy is not None:
                    self._energies[level] += energy
        self._frames += 1

    def maps(self) -> list[Tensor]:
        """Distance by place after the last frame: per level (B, 1, h, w) float32. Uses the sums up."""
        config = self._network.config
        if self._frames != config.frames:
            raise ValueError(f"{self._frames} frames were compared, the network takes {config.frames}")
        found = []
        for level, merged in enumerate(self._sums):
            layer = self._network._merge_layer(level)
            weight, bias = _fused(layer.conv_after_body, self._network._head(level).projection)
            for start in range(0, merged.shape[2], _BAND):  # windows never cross a band
                band = merged[:, :, start : start + _BAND]
                band.copy_(layer.block(band.to(weight.dtype)))
            height, width = self._sizes[level]
            level_map = F.conv2d(merged, weight.float(), bias.float(), padding=1)[..., :height, :width]
            energy = self._energies[level] / self._frames if self._energies else None
            found.append(self._network._gate(level_map, energy))
        self._sums = []
        return found


def _stacked(reference: Tensor, distorted: Tensor) -> Tensor:
    """[reference, distorted, |difference|] along channels, with no other tensor alive longer than it must."""
    return torch.cat([reference, distorted, (reference - distorted).abs_()], dim=1)


def _fused(convolution: nn.Conv2d, projection: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """A convolution and the 1x1 projection after it as one convolution to one channel."""
    rows = projection.weight.flatten(1)  # (1, dim)
    weight = torch.einsum("po,oihw->pihw", rows, convolution.weight)
    assert convolution.bias is not None
    return weight, rows @ convolution.bias
