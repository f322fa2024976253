"""Losses of the full-reference models. Distances are >= 0, higher is worse; labels are 0 to 100, higher is better."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rankvqa_cli.models.contract import Calibration

#: Below this, two distances count as equal: it keeps the logarithm finite for near-identical clips.
DISTANCE_FLOOR = 1e-3


def log_distance(distance: Tensor) -> Tensor:
    """log(D + floor): opinions follow the logarithm of a distance, and it resolves the top of the scale."""
    return torch.log(distance + DISTANCE_FLOOR)


class ScoreCurve(nn.Module):
    """What turns log distances into scores while a module is trained: models.contract.Calibration, learned. The module
    that inherits it makes the two parameters."""

    log_midpoint: nn.Parameter
    log_slope: nn.Parameter

    def score(self, log_distances: Tensor) -> Tensor:
        """Log distances to 0 to 100."""
        return 100 * torch.sigmoid(self.log_slope.exp() * (self.log_midpoint - log_distances))

    @property
    def calibration(self) -> Calibration:
        return Calibration(self.log_midpoint.exp().item(), self.log_slope.exp().item())


def above_floor(calibration: Calibration) -> Calibration:
    """The learned curve belongs to D + floor; move its midpoint so that it serves D alone, with 0 exactly on top."""
    return Calibration(max(calibration.midpoint - DISTANCE_FLOOR, DISTANCE_FLOOR), calibration.slope)


def ranking_loss(
    log_distances: Tensor,
    label: Tensor,
    better: Tensor,
    gain: Tensor,
    width: float,
    comparable: Tensor | None = None,
) -> dict[str, Tensor]:
    """Binary cross-entropy on the sigmoid of differences of (log) distances, as RankDVQA trains on pairs.

    ``label`` (N,) gives the wish of a pair, sigmoid of the difference over ``width`` label points; pairs without
    labels, or both within a point of either end of the scale, where the labels saturate, are left out. ``better``
    (N, N) marks pairs ordered by construction. ``gain`` > 0 scales the differences. ``comparable`` (N, N) marks the
    pairs whose labels may be compared; None means all. Returns the means ``pairs`` and ``order``.
    """
    logits = gain * (log_distances.unsqueeze(0) - log_distances.unsqueeze(1))  # [i, j] > 0: i is better
    upper = torch.ones_like(better).triu(1)
    known = torch.isfinite(label)
    filled = torch.nan_to_num(label)
    saturated = (filled.unsqueeze(0).minimum(filled.unsqueeze(1)) > 99) | (
        filled.unsqueeze(0).maximum(filled.unsqueeze(1)) < 1
    )
    usable = upper & known.unsqueeze(0) & known.unsqueeze(1) & ~saturated
    if comparable is not None:
        usable = usable & comparable
    wish = torch.sigmoid((filled.unsqueeze(1) - filled.unsqueeze(0)) / width)
    zero = logits.sum() * 0
    pairs = F.binary_cross_entropy_with_logits(logits[usable], wish[usable]) if usable.any() else zero
    ordered = logits[better]
    order = F.softplus(-ordered).mean() if better.any() else zero
    return {"pairs": pairs, "order": order}


def scale_loss(score: Tensor, label: Tensor) -> Tensor:
    """Smooth L1 between 0-to-100 scores and labels, in units of 10 points; clips without a label are left out."""
    known = torch.isfinite(label)
    return F.smooth_l1_loss(score[known] / 10, label[known] / 10)


def damage_losses(
    log_distances: Tensor, damage: Tensor, gain: Tensor, scale: tuple[Tensor, Tensor], width: float
) -> dict[str, Tensor]:
    """What frozen networks' labels ask for (see ``training.frozen``): ``damage``, the binary cross-entropy on pairs
    whose wish is the sigmoid of their difference over ``width``, and ``amount``, smooth L1 of slope * (log D - zero),
    with ``scale`` (slope, zero), against the damage (N,) itself. Clips whose damage is NaN are left out."""
    logits = gain * (log_distances.unsqueeze(0) - log_distances.unsqueeze(1))
    wish = torch.sigmoid((damage.unsqueeze(0) - damage.unsqueeze(1)) / width)
    usable = torch.isfinite(wish) & torch.ones_like(wish, dtype=torch.bool).triu(1)
    known = torch.isfinite(damage)
    amount = scale[0] * (log_distances - scale[1])
    return {
        "damage": F.binary_cross_entropy_with_logits(logits[usable], wish[usable]),
        "amount": F.smooth_l1_loss(amount[known], damage[known], beta=0.3),
    }


def same_group(groups: int, slots: int, device: torch.device) -> Tensor:
    """(groups * slots, groups * slots): whether two clips of a batch are of one source."""
    own = torch.arange(groups, device=device).repeat_interleave(slots)
    return own.unsqueeze(0) == own.unsqueeze(1)
