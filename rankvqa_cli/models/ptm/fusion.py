"""From the members' features to quality: one transform a member into a common space, a weighted mean, a head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class FusionConfig:
    """``inputs`` are the lengths of the members' features and ``weights`` what each counts (their sum is 1).

    A member's features are standardised, projected to ``components`` principal components (fewer where there are not as
    many), and pass two fully connected layers of ``hidden`` and ``latent`` units, each with normalisation and GELU.
    """

    inputs: list[int]
    weights: list[float]
    components: int = 64
    hidden: int = 64
    latent: int = 32
    dropout: float = 0.0
    projected: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.inputs or len(self.inputs) != len(self.weights):
            raise ValueError("every member needs one length and one weight")
        if any(w < 0 for w in self.weights) or abs(sum(self.weights) - 1) > 1e-6:
            raise ValueError("the members' weights are not shares of 1")


@dataclass(frozen=True)
class Fused:
    """``quality`` (N,) is 0 to 100 as trained, not clamped; ``own`` (N, M) is the same by each member's vector alone.

    ``vectors`` (N, M, latent) are the members' vectors, ``fused`` (N, latent) their weighted mean.
    """

    quality: Tensor
    own: Tensor
    vectors: Tensor
    fused: Tensor


class Fusion(nn.Module):
    """The trained part of the ensemble. Centres, spreads and projections are fitted once, from training samples."""

    weights: Tensor

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        self.config = config
        kept = config.projected or [min(config.components, length) for length in config.inputs]
        for i, (length, components) in enumerate(zip(config.inputs, kept, strict=True)):
            self.register_buffer(f"centre{i}", torch.zeros(length))
            self.register_buffer(f"projection{i}", torch.zeros(length, components))
        self.register_buffer("weights", torch.tensor(config.weights, dtype=torch.float32))
        self.transforms = nn.ModuleList(_transform(size, config) for size in kept)
        self.head = nn.Linear(config.latent, 1)

    def fit(self, features: Sequence[Tensor]) -> None:
        """Set centres and projections from training samples: one (N, D) a member.

        Components are those of the standardised features, scaled so that the first has unit variance: strong
        directions stay strong, as in ridge regression.
        """
        for i, each in enumerate(features):
            x = each.double()
            centre, spread = x.mean(dim=0), x.std(dim=0, correction=0)
            spread = torch.where(spread > 1e-9, spread, torch.ones_like(spread))
            z = (x - centre) / spread
            # By the (N, N) products: a member's features are often longer than the samples are many.
            values, left = torch.linalg.eigh(z @ z.T)
            values, left = values.flip(0), left.flip(1)
            projection = self.get_buffer(f"projection{i}")
            count = min(projection.shape[1], int((values > 1e-9 * values[0].clamp_min(1e-9)).sum()))
            rows = z.T @ left[:, :count] / values[:count].sqrt()
            scale = (float(values[0].clamp_min(1e-9)) / len(x)) ** 0.5
            projection.zero_()
            projection[:, :count] = (rows / spread[:, None] / scale).float()
            self.get_buffer(f"centre{i}").copy_(centre.float())

    def forward(self, features: Sequence[Tensor]) -> Fused:
        """One (N, D) float32 a member, in the members' order."""
        return self.joined([self.projected(i, each) for i, each in enumerate(features)])

    def projected(self, member: int, features: Tensor) -> Tensor:
        """(N, D) -> (N, components): all that is not trained."""
        return (features - self.get_buffer(f"centre{member}")) @ self.get_buffer(f"projection{member}")

    def joined(self, projected: Sequence[Tensor]) -> Fused:
        """The trained part: one (N, components) a member."""
        vectors = torch.stack(
            [f(x) for f, x in zip(self.transforms, projected, strict=True)], dim=1
        )  # N, M, L
        fused = (vectors * self.weights[:, None]).sum(dim=1)  # N, L
        return Fused(self._quality(fused), self._quality(vectors), vectors, fused)

    def _quality(self, vectors: Tensor) -> Tensor:
        head: Tensor = self.head(vectors)
        return 50 + 25 * head.squeeze(-1)


def _transform(size: int, config: FusionConfig) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(size, config.hidden),
        nn.LayerNorm(config.hidden),
        nn.GELU(),
        nn.Dropout(config.dropout),
        nn.Linear(config.hidden, config.latent),
        nn.LayerNorm(config.latent),
        nn.GELU(),
    )
