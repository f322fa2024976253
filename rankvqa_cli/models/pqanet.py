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

from rankvqa_cli.models.layers import Head, MergeLayer, Pyramid, normalised

LEVELS = 5  # of the pyramid's six, these make the score
FEATURE_LEVELS = (2, 5)  # the third and the sixth, what STANet looks at


@dataclass(frozen=True)
class PQANetConfig:
    """``frames`` a clip; ``widths`` of the pyramid's six levels in channels; ``dim``, ``heads``, ``window``
    (places across) and ``hidden`` of the Swin blocks; ``dropout`` before the heads, in training only.
    ``energy_widths`` are the channel counts that scale the energies, None for ``widths``: a pruned network keeps those
    of the network that it was cut from."""

    frames: int = 12
    widths: tuple[int, ...] = (16, 32, 64, 96, 128, 192)
    dim: int = 32
    heads: int = 2
    window: int = 4
    hidden: int = 64
    dropout: float = 0.5
    exact_identity: bool = False
    energy_widths: tuple[int, ...] | None = None

    def energy_width(self, level: int) -> int:
        """The channel count that scales the energy of a level, 0 to 4."""
        return (self.energy_widths or self.widths)[level]


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
            MergeLayer(config.frames, 3 * width, config.dim, config.heads, config.window, config.hidden)
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
        """Distance by place, from two pyramids of ``features``: per level (B, 1, h, w), to be averaged and added.

        The pyramids may hold fewer frames than a clip has, T that divides them: then each is shown frames / T times.
        """
        shown = self.config.frames // reference[0].shape[1]
        found = []
        for level in range(LEVELS):
            ref = normalised(reference[level], dim=2)  # (B, T, width, h, w)
            dist = normalised(distorted[level], dim=2)
            difference = (ref - dist).abs()
            stacked = torch.cat([ref, dist, difference], dim=2).flatten(1, 2)  # (B, T * 3 * width, h, w)
            level_map = self.head(level)(self.merge_layer(level)(stacked, shown))
            if self.config.exact_identity:
                level_map = gated(level_map, energy(difference, self.config.energy_width(level)))
            found.append(level_map)
        return found

    def merge_frames_alike(self) -> None:
        """Give every frame of a clip the same share in the merge layers, as a start for training: what is learned from
        stills then holds for clips."""
        for level in range(LEVELS):
            layer = self.merge_layer(level)
            frames = torch.unflatten(layer.conv_first.weight, 1, (self.config.frames, layer.frame_channels))
            with torch.no_grad():
                layer.conv_first.weight.copy_(frames.mean(dim=1).repeat(1, self.config.frames, 1, 1))

    def keep_input_precise(self) -> None:
        """Scaling and first convolution in float32: bfloat16 cannot tell neighbouring 10-bit code values apart."""
        self.scaling_layer.float()
        first = self.net.get_submodule("moduleExtractor.moduleFirst.0")
        first.float()

    def merge_layer(self, level: int) -> MergeLayer:
        """The layer that merges a clip's features of a level, 0 to 4."""
        layer = self.net.merge_layers[level]
        assert isinstance(layer, MergeLayer)
        return layer

    def head(self, level: int) -> Head:
        """The projection of a level, 0 to 4, to one channel."""
        found = self.lins[level]
        assert isinstance(found, Head)
        return found


def energy(difference: Tensor, width: int) -> Tensor:
    """How far the normalised features are apart: their absolute differences (B, T, channels, h, w) -> (B, 1, h, w),
    over the root of ``width``, which is ``channels`` but in pruned networks."""
    channels = difference.shape[2]
    scale = math.sqrt(channels) * math.sqrt(channels / width)
    return difference.float().mean(dim=(1, 2)).unsqueeze(1) * scale


def gated(level_map: Tensor, energy: Tensor) -> Tensor:
    """The level map of a network with ``exact_identity``, all (B, 1, h, w): never negative, 0 where energy is 0."""
    return F.softplus(level_map.float()) * energy
