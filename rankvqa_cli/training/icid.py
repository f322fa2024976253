"""The ICID loss: regression of quality, intra-consistency of a sample's vectors, inter-divisibility of MOS clusters."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from rankvqa_cli.models.ptm.fusion import Fused

#: Points of error below which smooth L1 is a parabola, and above which it is a line.
SMOOTH = 10.0


@dataclass(frozen=True)
class IcidOptions:
    """What the terms count. Distances of the triplets are of unit vectors, 0 to 2; ``margin`` is in their unit.

    ``own`` adds the regression of each member's own quality, without which a member's view means little.
    """

    intra: float = 0.1
    inter: float = 0.1
    margin: float = 0.2
    own: float = 0.2


@dataclass(frozen=True)
class IcidLoss:
    """``total`` is what is minimised; the other terms are unweighted. ``variance`` is that of the fused vectors, mean
    over their elements: it falls to 0 where intra-consistency alone has its way."""

    total: Tensor
    regression: Tensor
    own: Tensor
    intra: Tensor
    inter: Tensor
    variance: Tensor


def icid_loss(
    fused: Fused,
    label: Tensor,
    cluster: Tensor,
    weight: Tensor,
    options: IcidOptions,
    generator: torch.Generator | None = None,
) -> IcidLoss:
    """``label`` (N,) 0 to 100, ``cluster`` (N,) whole numbers, ``weight`` (N,) what each sample counts; ``generator``
    draws the triplets."""
    share = weight / weight.sum()
    error = F.smooth_l1_loss(fused.quality, label, reduction="none", beta=SMOOTH) / SMOOTH
    apart = (
        F.smooth_l1_loss(fused.own, label[:, None].expand_as(fused.own), reduction="none", beta=SMOOTH)
        / SMOOTH
    )
    terms = {
        "regression": (share * error).sum(),
        "own": (share * apart.mean(dim=1)).sum(),
        "intra": (share * _disagreement(fused.vectors)).sum(),
        "inter": _triplets(fused.fused, cluster, options.margin, generator),
    }
    total = (
        terms["regression"]
        + options.own * terms["own"]
        + options.intra * terms["intra"]
        + options.inter * terms["inter"]
    )
    return IcidLoss(total, **terms, variance=fused.fused.detach().var(dim=0, correction=0).mean())


def _disagreement(vectors: Tensor) -> Tensor:
    """(N, M, L) -> (N,): mean of 1 - cosine over all pairs of members; 0 for one member."""
    count = vectors.shape[1]
    if count < 2:
        return vectors.new_zeros(len(vectors))
    unit = F.normalize(vectors, dim=-1)
    cosines = unit @ unit.transpose(1, 2)  # N, M, M
    off = cosines.sum(dim=(1, 2)) - cosines.diagonal(dim1=1, dim2=2).sum(dim=1)
    return 1 - off / (count * (count - 1))


def _triplets(fused: Tensor, cluster: Tensor, margin: float, generator: torch.Generator | None) -> Tensor:
    """Mean of max(0, margin + d(a, p) - d(a, n)) over the anchors that have both, one positive and one negative drawn
    for each; 0 where no anchor has both."""
    unit = F.normalize(fused, dim=-1)
    # The root of 0 has no gradient: a floor far below any margin.
    distance = (2 - 2 * unit @ unit.T).clamp_min(1e-8).sqrt()
    same = cluster[:, None] == cluster[None, :]
    other = ~same
    same = same & ~torch.eye(len(cluster), dtype=torch.bool, device=cluster.device)
    anchors = (same.any(dim=1) & other.any(dim=1)).nonzero().squeeze(1)
    if not len(anchors):
        return fused.new_zeros(())
    drawn = torch.rand(same.shape, generator=generator).to(fused.device) + 1
    positive, negative = (drawn * same).argmax(dim=1)[anchors], (drawn * other).argmax(dim=1)[anchors]
    return F.relu(margin + distance[anchors, positive] - distance[anchors, negative]).mean()
