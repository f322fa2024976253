"""STANet, RankDVQA's pooling of patch qualities over space and time by learned weights.

Each frame of each patch is described by what PQANet's pyramid makes of the distorted clip: the means of its
third and sixth feature maps over the patch, 64 + 192 channels. Two blocks of 3-D convolutions over (time,
rows, columns) turn that volume into one number a position, and a softmax over all positions of the clip into
weights. The released code takes the softmax over an axis of length one, which makes every weight 1; here the
weights differ and add up to 1.
"""

from __future__ import annotations

from torch import Tensor, nn


def _block(before: int, width: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(before, width, 3, padding=1),
        nn.LeakyReLU(0.1),
        nn.Conv3d(width, after, 3, padding=1),
        nn.LeakyReLU(0.1),
    )


class STANet(nn.Module):
    """Weighted mean of patch qualities. Shapes: T frames, R x C patches, ``channels`` features a position."""

    def __init__(self, channels: int, width: int = 8) -> None:
        super().__init__()
        self.conv3d_block1 = _block(channels, width, width)
        self.conv3d_block2 = _block(width, width, 1)

    def weights(self, features: Tensor) -> Tensor:
        """(B, T, channels, R, C) -> (B, T, R, C), positive, adding up to 1 over each clip."""
        volume = features.transpose(1, 2)  # (B, channels, T, R, C)
        logits = self.conv3d_block2(self.conv3d_block1(volume)).squeeze(1)
        weights: Tensor = logits.flatten(1).float().softmax(dim=1)
        return weights.view(logits.shape)

    def forward(self, quality: Tensor, features: Tensor) -> Tensor:
        """``quality`` (B, R, C), one value a patch for the whole clip, and ``features`` as above -> (B,)."""
        return (self.weights(features) * quality.unsqueeze(1)).sum(dim=(1, 2, 3))
