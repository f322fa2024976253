"""From the members' features to quality: one transform a member into a common space, a weighted mean, a head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

#: Penalties of the components, times the number of features, on standardised features: strongest first.
SHRINKAGES = (300.0, 30.0, 3.0, 0.3)
#: Penalty of the joint regression, against features of which all members together have a variance of 1, where none is
#: asked for.
JOINT = 0.3
#: Quality, 0 to 100, where a head says nothing, and what 1 of its units is.
MIDDLE, SPREAD = 50.0, 25.0


@dataclass(frozen=True)
class FusionConfig:
    """``inputs`` are the lengths of the members' features and ``weights`` what each counts (their sum is 1).

    A member's features are ``blocks`` equal parts (see ``Views``). Each is standardised and projected to ``components``
    numbers by ridge regressions of as many strengths, with ``mean`` also to the plain mean of its features, which
    no sample's label has a part in. Together they pass two fully connected layers of ``hidden`` and ``latent`` units,
    each with normalisation and GELU. So few numbers: there are thousands of features and some hundred samples of a
    handful of contents, and what tells contents apart tells nothing of quality.

    With ``joint`` one ridge regression on all members side by side goes past the layers straight to the quality, and
    each member's own regression to its own: normalisation keeps what members say from adding up, and a regression on
    many contents needs no more than to be added up.
    """

    inputs: list[int]
    weights: list[float]
    blocks: int = 1
    components: int = 4
    mean: bool = False
    joint: bool = False
    hidden: int = 32
    latent: int = 16
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if not self.inputs or len(self.inputs) != len(self.weights):
            raise ValueError("every member needs one length and one weight")
        if not 1 - self.mean <= self.components <= len(SHRINKAGES):
            raise ValueError(f"components must be 1 to {len(SHRINKAGES)}, or 0 beside the mean")
        if self.joint and not self.components:
            raise ValueError("joint needs components: a member's own quality is regressed, too")
        if any(length % self.blocks for length in self.inputs):
            raise ValueError("a member's features do not fall into as many blocks")
        if any(w < 0 for w in self.weights) or abs(sum(self.weights) - 1) > 1e-6:
            raise ValueError("the members' weights are not shares of 1")

    @property
    def columns(self) -> int:
        """How many numbers of a member pass its layers; with ``joint``, its share comes after them."""
        return (self.components + self.mean) * self.blocks

    @property
    def width(self) -> int:
        """How many numbers a member's features are projected to: columns, and the share where there is one."""
        return self.columns + self.joint


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
        for i, length in enumerate(config.inputs):
            self.register_buffer(f"centre{i}", torch.zeros(length))
            self.register_buffer(f"projection{i}", torch.zeros(length, config.width))
        self.register_buffer("weights", torch.tensor(config.weights, dtype=torch.float32))
        self.transforms = nn.ModuleList(_transform(config) for _ in config.inputs)
        self.head = nn.Linear(config.latent, 1)
        self.gain = nn.Parameter(torch.ones(())) if config.joint else None

    def fit(
        self,
        features: Sequence[Tensor],
        label: Tensor,
        weight: Tensor | None = None,
        group: Tensor | None = None,
        penalty: float = JOINT,
    ) -> None:
        """Set centres and projections from training samples: one (N, D) a member, their ``label`` (N,), as how many
        samples each counts (N,), 1 by default, and the ``group`` (N,) of whole numbers within which alone samples are
        compared, one for all by default. ``penalty`` is the joint regression's, against features of which all members
        together have a variance of 1.

        The components are ridge regressions, in the label's standard deviations; they add up to the one that is shrunk
        least. In-sample they flatter: a head is trained on what projections say that were fitted to other contents.
        """
        counts = torch.ones(len(label), dtype=torch.float64) if weight is None else weight.double()
        groups = torch.zeros(len(label), dtype=torch.int64) if group is None else group
        rows = counts.sqrt()[:, None]
        y = _apart(label.double()[:, None], counts, groups)
        y = (y / (y.square() * counts[:, None]).sum().div(counts.sum()).sqrt().clamp_min(1e-9) * rows)[:, 0]
        standard, spreads = [], []
        for i, each in enumerate(features):
            x = each.double()
            centre, spread = _moments(x, counts)
            spreads.append(torch.where(spread > 1e-9, spread, torch.ones_like(spread)))
            standard.append(_apart((x - centre) / spreads[i], counts, groups) * rows)
            self.get_buffer(f"centre{i}").copy_(centre.float())
        shares = (
            self._shares(standard, y, penalty)
            if self.config.joint
            else [x.new_empty(x.shape[1], 0) for x in standard]
        )
        for i, (x, spread, share) in enumerate(zip(standard, spreads, shares, strict=True)):
            found = [self._projection(part, y) for part in x.chunk(self.config.blocks, dim=1)]
            projection = torch.cat([_diagonal(found), share], dim=1)
            self.get_buffer(f"projection{i}").copy_((projection / spread[:, None]).float())

    @torch.no_grad()
    def begin(self, projected: Sequence[Tensor], label: Tensor) -> None:
        """Set what is trained so that nothing is said but the middle of the scale, or, where there is a joint
        regression, what it says on the scale of ``label`` (N,): it may have been fitted to labels on another one, too.
        ``projected`` (N, width) are a member's each."""
        self.head.weight.mul_(0.3 if self.gain is None else 0.0)
        self.head.bias.zero_()
        if self.gain is None:
            return
        said = torch.stack([each[:, -1] for each in projected]).sum(dim=0)
        rise = slope(said, label).clamp_min(0)
        self.gain.copy_(rise / SPREAD)
        self.head.bias.copy_((label.mean() - rise * said.mean() - MIDDLE) / SPREAD)

    def _shares(self, standard: Sequence[Tensor], y: Tensor, penalty: float) -> list[Tensor]:
        """(D, 1) a member: its part of the ridge regression on all of them, in which each is heard as loud as its
        weight says, however many features it has."""
        loud = [(w / x.shape[1]) ** 0.5 for x, w in zip(standard, self.config.weights, strict=True)]
        side_by_side = torch.cat([x * each for x, each in zip(standard, loud, strict=True)], dim=1)
        whole = _ridge(side_by_side, y, [penalty / side_by_side.shape[1]])
        parts = torch.split(whole, [x.shape[1] for x in standard])
        return [part * each for part, each in zip(parts, loud, strict=True)]

    def _projection(self, x: Tensor, y: Tensor) -> Tensor:
        """(D, components and mean) of one block, standardised (N, D)."""
        found = [_ridge(x, y, SHRINKAGES[: self.config.components])] if self.config.components else []
        if self.config.mean:
            found.append(x.new_full((x.shape[1], 1), 1 / x.shape[1]))
        return torch.cat(found, dim=1)

    def forward(self, features: Sequence[Tensor]) -> Fused:
        """One (N, D) float32 a member, in the members' order."""
        return self.joined([self.projected(i, each) for i, each in enumerate(features)])

    def projected(self, member: int, features: Tensor) -> Tensor:
        """(N, D) -> (N, width): all that is not trained."""
        return (features - self.get_buffer(f"centre{member}")) @ self.get_buffer(f"projection{member}")

    def joined(self, projected: Sequence[Tensor]) -> Fused:
        """The trained part: one (N, width) a member."""
        seen = [x[:, : self.config.columns] for x in projected]
        vectors = torch.stack([f(x) for f, x in zip(self.transforms, seen, strict=True)], dim=1)  # N, M, L
        fused = (vectors * self.weights[:, None]).sum(dim=1)  # N, L
        quality, own = self._quality(fused), self._quality(vectors)
        if self.gain is not None:
            quality = quality + SPREAD * self.gain * torch.stack([x[:, -1] for x in projected]).sum(dim=0)
            own = own + SPREAD * self.gain * torch.stack([self._regressed(x) for x in seen], dim=1)
        return Fused(quality, own, vectors, fused)

    def _regressed(self, projected: Tensor) -> Tensor:
        """(N, columns) -> (N,): what a member's own regressions add up to, the mean over its blocks."""
        blocks = projected.reshape(len(projected), self.config.blocks, -1)
        return blocks[..., : self.config.components].sum(dim=2).mean(dim=1)

    def _quality(self, vectors: Tensor) -> Tensor:
        head: Tensor = self.head(vectors)
        return MIDDLE + SPREAD * head.squeeze(-1)


def slope(x: Tensor, y: Tensor) -> Tensor:
    """Of the line through ``y`` (N,) over ``x`` (N,)."""
    apart = x - x.mean()
    return (apart * y).sum() / apart.square().sum().clamp_min(1e-9)


def _transform(config: FusionConfig) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(config.columns, config.hidden),
        nn.LayerNorm(config.hidden),
        nn.GELU(),
        nn.Dropout(config.dropout),
        nn.Linear(config.hidden, config.latent),
        nn.LayerNorm(config.latent),
        nn.GELU(),
    )


def _moments(x: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (D,) of (N, D), each row counting as ``counts`` (N,) says."""
    share = (counts / counts.sum())[:, None]
    centre = (x * share).sum(dim=0)
    return centre, ((x - centre).square() * share).sum(dim=0).sqrt()


def _apart(x: Tensor, counts: Tensor, group: Tensor) -> Tensor:
    """(N, D) less the mean of each group (N,)."""
    groups, place = torch.unique(group, return_inverse=True)
    sums = x.new_zeros(len(groups), x.shape[1]).index_add_(0, place, x * counts[:, None])
    total = x.new_zeros(len(groups)).index_add_(0, place, counts)
    return x - (sums / total[:, None])[place]


def _diagonal(blocks: Sequence[Tensor]) -> Tensor:
    """The blocks on the diagonal of a matrix of zeros."""
    out = blocks[0].new_zeros(sum(len(each) for each in blocks), sum(each.shape[1] for each in blocks))
    row = column = 0
    for each in blocks:
        out[row : row + len(each), column : column + each.shape[1]] = each
        row, column = row + len(each), column + each.shape[1]
    return out


def _ridge(x: Tensor, y: Tensor, penalties: Sequence[float]) -> Tensor:
    """(D, penalties) to multiply centred ``x`` (N, D) with: ridge regression at the first of ``penalties``, times D,
    then what each weaker one adds."""
    short = x.shape[1] < x.shape[0]  # the smaller of the two matrices says the same
    gram, target = (x.T @ x, x.T @ y) if short else (x @ x.T, y)
    found = []
    for penalty in penalties:
        shrunk = gram.clone()
        shrunk.diagonal().add_(penalty * x.shape[1])
        solved = torch.cholesky_solve(target[:, None], torch.linalg.cholesky(shrunk))[:, 0]
        found.append(solved if short else x.T @ solved)
    return torch.stack([found[0], *(b - a for a, b in pairwise(found))], dim=1)
