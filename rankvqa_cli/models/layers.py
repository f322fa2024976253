"""Building blocks of PQANet: the convolutional pyramid, attention in 4x4 windows, the merging of a clip's features.

Module and parameter names are those of the released RankDVQA checkpoint, which is why some are deeper than
the structure asks for.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVEL_NAMES = ("moduleFirst", "moduleSecond", "moduleThird", "moduleFourth", "moduleFifth", "moduleSixth")


class Pyramid(nn.Module):
    """Six halvings, each a strided and a plain 3x3 convolution with LeakyReLU(0.1)."""

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        for name, before, width in zip(LEVEL_NAMES, [channels, *widths[:-1]], widths, strict=True):
            level = nn.Sequential(
                nn.Conv2d(before, width, 3, stride=2, padding=1),
                nn.LeakyReLU(0.1, inplace=True),
                nn.Conv2d(width, width, 3, padding=1),
                nn.LeakyReLU(0.1, inplace=True),
            )
            self.add_module(name, level)

    def forward(self, x: Tensor, levels: int) -> list[Tensor]:
        """(N, C, H, W) -> the first ``levels`` feature maps, (N, width, ceil(H / 2^k), ceil(W / 2^k))."""
        found = []
        for level in list(self.children())[:levels]:
            for layer in level.children():
                # The first convolution may be kept in float32 where the others compute in bfloat16.
                x = layer(x.to(layer.weight.dtype) if isinstance(layer, nn.Conv2d) else x)
            found.append(x)
        return found


def normalised(x: Tensor, dim: int = 1) -> Tensor:
    """Features over their L2 norm across channels (axis ``dim``). The norm is computed in float32."""
    norm = torch.linalg.vector_norm(x, dim=dim, keepdim=True, dtype=torch.float32)
    return x.div((norm + 1e-10).to(x.dtype))


def pad_to_multiple(x: Tensor, window: int) -> Tensor:
    """Reflect right and bottom to a multiple of ``window``; an axis too short for a reflection repeats its edge."""
    for axis, side in ((0, x.shape[-1]), (2, x.shape[-2])):
        missing = -side % window
        if missing:
            amount = [0, 0, 0, 0]
            amount[axis + 1] = missing
            x = F.pad(x, amount, mode="reflect" if missing < side else "replicate")
    return x


class WindowAttention(nn.Module):
    """Multi-head self-attention inside windows, with a learned bias by relative position (Swin Transformer)."""

    relative_position_index: Tensor

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        place = torch.stack(
            torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
        ).flatten(1)
        apart = place[:, :, None] - place[:, None, :] + window - 1  # (2, N, N), each 0 to 2 * window - 2
        self.register_buffer("relative_position_index", apart[0] * (2 * window - 1) + apart[1])

    def forward(self, x: Tensor) -> Tensor:
        """(windows, N, dim) -> the same, N places a window."""
        windows, places, dim = x.shape
        qkv = self.qkv(x).view(windows, places, 3, self.heads, dim // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (windows, heads, N, dim / heads)
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)
        # Written out: on sixteen places a window, the fused kernel's handling of masks costs more than it saves.
        scores = query * (dim // self.heads) ** -0.5 @ key.transpose(-2, -1) + bias
        mixed = scores.softmax(dim=-1) @ value
        return self.proj(mixed.transpose(1, 2).reshape(windows, places, dim))  # type: ignore[no-any-return]


class Mlp(nn.Module):
    """Two linear layers with GELU between."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))  # type: ignore[no-any-return]


class SwinBlock(nn.Module):
    """Window attention and MLP, each with a residual; no shift and no layer norm, as published."""

    def __init__(self, dim: int, heads: int, window: int, hidden: int) -> None:
        super().__init__()
        self.window = window
        self.attn = WindowAttention(dim, heads, window)
        self.mlp = Mlp(dim, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """(B, dim, h, w) -> the same; h and w are multiples of the window."""
        batch, dim, height, width = x.shape
        rows, columns, window = height // self.window, width // self.window, self.window
        places = x.permute(0, 2, 3, 1).reshape(batch, rows, window, columns, window, dim)
        tokens = places.transpose(2, 3)  # (B, rows, columns, window, window, dim)
        tokens = tokens.reshape(batch * rows * columns, window * window, dim)
        tokens = tokens + self.attn(tokens)
        tokens = tokens + self.mlp(tokens)
        grid: Tensor = tokens.view(batch, rows, columns, window, window, dim).transpose(2, 3)
        return grid.reshape(batch, height, width, dim).permute(0, 3, 1, 2)  # channels last in memory


class _Named(nn.Module):
    """A module that only gives its child the name it has in the checkpoint."""

    def __init__(self, name: str, child: nn.Module) -> None:
        super().__init__()
        self.add_module(name, child)


class MergeLayer(nn.Module):
    """The features of a clip of ``frames`` frames, ``frame_channels`` each, merged to ``dim`` channels: convolution,
    Swin block, convolution."""

    def __init__(
        self, frames: int, frame_channels: int, dim: int, heads: int, window: int, hidden: int
    ) -> None:
        super().__init__()
        self.window = window
        self.frame_channels = frame_channels
        self.conv_first = nn.Conv2d(frames * frame_channels, dim, 3, padding=1)
        block = SwinBlock(dim, heads, window, hidden)
        group = _Named("blocks", nn.ModuleList([block]))
        self.layers = nn.ModuleList([_Named("residual_group", group)])
        self.conv_after_body = nn.Conv2d(dim, dim, 3, padding=1)

    @property
    def block(self) -> SwinBlock:
        found = self.get_submodule("layers.0.residual_group.blocks.0")
        assert isinstance(found, SwinBlock)
        return found

    def forward(self, x: Tensor, shown: int = 1) -> Tensor:
        """(B, channels, h, w) -> (B, dim, h, w). ``shown`` says how often each of a clip's frames is shown: their
        features are given once, (B, channels / shown, h, w), and the weights of the showings added up."""
        height, width = x.shape[-2:]
        weight = self.conv_first.weight
        if shown > 1:
            frames = x.shape[1] // self.frame_channels
            parts = torch.unflatten(weight, 1, (frames, shown, self.frame_channels))
            weight = parts.sum(dim=2).flatten(1, 2)
        merged = F.conv2d(pad_to_multiple(x, self.window), weight, self.conv_first.bias, padding=1)
        return self.conv_after_body(self.block(merged))[..., :height, :width]  # type: ignore[no-any-return]


class Head(nn.Module):
    """Dropout and a 1x1 convolution to one channel without bias."""

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Dropout(dropout), nn.Conv2d(dim, 1, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """(B, dim, h, w) -> (B, 1, h, w)."""
        return self.model(x)  # type: ignore[no-any-return]

    @property
    def projection(self) -> nn.Conv2d:
        found = self.model[1]
        assert isinstance(found, nn.Conv2d)
        return found
