"""STANet, RankDVQA's pooling of patch qualities over space and time by learned weights.

Each frame of each patch is described by what PQANet's pyramid makes of the distorted clip: the means of its
third and sixth feature maps over the patch, 64 + 192 channels. Two blocks of 3-D convolutions turn that volume into
one number a position, and a softmax over all positions of the clip into weights. The released code takes the softmax
over an axis of length one, which makes every weight 1; here the weights differ and add up to 1.

The channels' scales differ by three orders, and a softmax of their sum would follow the strongest few from the start.
So each channel is seen as its relative change from the clip's mean, a new STANet weighs all positions alike, and no
position can be made to count more than exp(2 LIMIT) times another. The convolutions span time, not space: with edges in
view they learn at which places a few training contents were damaged (weights/LOG.md).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Logits lie between minus and plus this.
LIMIT = 0.5

#: Relative changes end here, so that a lone peak in a flat channel does not drown the others.
STRONGEST = 3.0

#: Added to a channel's mean size: where it is next to nothing, it says nothing.
QUIET = 1e-2


class _Convolution(nn.Conv3d):
    """3 x 1 x 1. A clip's first and last frame go on beyond its ends, so that a still weighs as each of its frames
    does."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, (3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, 0, 0, 0, 1, 1), mode="replicate"))


def _block(before: int, width: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        _Convolution(before, width),
        nn.LeakyReLU(0.1),
        _Convolution(width, after),
        nn.LeakyReLU(0.1),
    )


class STANet(nn.Module):
    """Weighted mean of patch qualities. Shapes: T frames, R x C patches, ``channels`` features a position."""

    def __init__(self, channels: int, width: int = 8) -> None:
        super().__init__()
        self.conv3d_block1 = _block(channels, width, width)
        self.conv3d_block2 = _block(width, width, 1)
        last = self.conv3d_block2[2]
        for parameter in last.parameters():
            nn.init.zeros_(parameter)

    def weights(self, features: Tensor) -> Tensor:
        """(B, T, channels, R, C) -> (B, T, R, C), positive, adding up to 1 over each clip."""
        mean = features.mean(dim=(1, 3, 4), keepdim=True)
        size = features.abs().mean(dim=(1, 3, 4), keepdim=True)
        relative = ((features - mean) / (size + QUIET)).clamp(-STRONGEST, STRONGEST)
        volume = relative.transpose(1, 2)  # (B, channels, T, R, C)
        found = self.conv3d_block2(self.conv3d_block1(volume)).squeeze(1).float()
        logits = LIMIT * torch.tanh(found / LIMIT)
        weights: Tensor = logits.flatten(1).softmax(dim=1)
        return weights.view(logits.shape)

    def forward(self, quality: Tensor, features: Tensor) -> Tensor:
        """``quality`` (B, R, C), one value a patch for the whole clip, and ``features`` as above -> (B,)."""
        return (self.weights(features) * quality.unsqueeze(1)).sum(dim=(1, 2, 3))
