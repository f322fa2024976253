"""What the loop trains when a student learns from a teacher: maps by level, patches, pooled clips, and the order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rankvqa_cli.models.contract import Calibration
from rankvqa_cli.training.datasets import Batch, BatchOptions, Sampler, SourceShard
from rankvqa_cli.training.losses import DISTANCE_FLOOR, log_distance, ranking_loss, scale_loss
from rankvqa_cli.training.planes import AS_THEY_ARE, to_planes
from rankvqa_cli.training.tasks import device_of
from rankvqa_cli.training.teacher_task import measure_places
from rankvqa_cli.training.trainable import Trainable, batch_logs


@dataclass(frozen=True)
class DistillWeights:
    """Weights of the loss terms; 0 leaves one out. ``maps``: differences by place, level by level; ``patch``: log
    distances of single patches; ``pooled``: log distances of clips over several places; ``pairs``: the teacher's order
    of all pairs, soft within ``width`` points; ``order``: orders by construction; ``scale``: the curve that makes
    scores, which no network follows."""

    maps: float = 1.0
    patch: float = 1.0
    pooled: float = 0.5
    pairs: float = 1.0
    order: float = 0.5
    scale: float = 1.0
    width: float = 5.0


class DistillTask:
    """A student beside its teacher, on the clips of a corpus with and without labels: the teacher labels them all.

    Levels of both that are at the same scale are compared. Where they differ in channels, a 1x1 convolution makes the
    teacher's of the student's; ``module`` holds these adapters beside the student, and no model file does. ``pooled``
    looks at the same versions of one source in ``places`` places and averages what is seen there, as scoring does.
    """

    def __init__(
        self,
        teacher: Trainable,
        calibration: Calibration,
        student: Trainable,
        training: Sequence[SourceShard],
        held_out: Sequence[SourceShard],
        options: BatchOptions,
        weights: DistillWeights,
        places: int,
        seed: int,
    ) -> None:
        self.teacher = teacher
        self.calibration = calibration
        self.student = student
        adapters = adapters_between(student.level_channels(), teacher.level_channels())
        self.module = nn.ModuleDict({"student": student.module, "adapters": adapters})
        self.sampler = Sampler(training, options, seed)
        self.training = training
        self.held_out = held_out
        self.options = options
        self.weights = weights
        self.places = places
        self.seed = seed
        teacher.module.eval()

    def losses(self, index: int) -> dict[str, Tensor]:
        device, weights = device_of(self.module), self.weights
        self.teacher.module.to(device)
        batch = self.sampler.batch(index).to(device)
        with torch.no_grad():
            taught = self.teacher.observe(batch, maps=True)
            wish = log_distance(self.teacher.distance(taught.energy, taught.reserve)).float()
            label = self._score(wish)
        seen = self.student.observe(batch, maps=True)
        logs = log_distance(self.student.distance(seen.energy, seen.reserve)).float()
        module = self.student.module
        ranked = ranking_loss(logs, label, batch.better, module.log_gain.exp(), weights.width)
        clip = self._clip(index).to(device)
        with torch.no_grad():
            clip_wish = self._pooled(self.teacher, clip)
        return {
            "maps": weights.maps * self._maps(seen.levels, taught.levels),
            "patch": weights.patch * F.smooth_l1_loss(logs, wish, beta=0.3),
            "pooled": weights.pooled
            * F.smooth_l1_loss(self._pooled(self.student, clip), clip_wish, beta=0.3),
            "pairs": weights.pairs * ranked["pairs"],
            "order": weights.order * ranked["order"],
            "scale": weights.scale * scale_loss(module.score(logs.detach()), label),
        }

    def validate(self, module: nn.Module) -> dict[str, float]:
        """On the held-out contents: see ``held_out.measure_held_out``."""
        if not self.held_out:
            return {}
        device = device_of(module)
        return measure_places(
            lambda batch: batch_logs(self.student, batch.to(device)), self.held_out, self.options
        )

    def _maps(self, seen: Mapping[int, Tensor], taught: Mapping[int, Tensor]) -> Tensor:
        """Mean absolute differences over the teacher's mean, averaged over the levels that both have."""
        adapters = self.module["adapters"]
        assert isinstance(adapters, nn.ModuleDict)
        found = []
        for level in sorted(seen.keys() & taught.keys()):
            name = str(level)
            mine = adapters[name](seen[level]) if name in adapters else seen[level]
            size = taught[level].float().abs().mean() + DISTANCE_FLOOR
            found.append((mine.float() - taught[level].float()).abs().mean() / size)
        return torch.stack(found).mean()

    def _pooled(self, network: Trainable, clip: Batch) -> Tensor:
        """Log distances (slots,) of versions whose patches are the groups of a batch."""
        seen = network.observe(clip)
        energy, reserve = (
            None if each is None else each.view(clip.groups, clip.slots, -1).mean(dim=0)
            for each in (seen.energy, seen.reserve)
        )
        assert energy is not None
        return log_distance(network.distance(energy, reserve)).float()

    def _clip(self, index: int) -> Batch:
        """One source: ``slots`` versions in up to ``places`` places, which are the groups. Without labels."""
        options = self.options
        rng = np.random.default_rng([self.seed, 3, index])
        shard = self.training[int(rng.integers(len(self.training)))]
        available, frames = shard.reference.shape[:2]
        places = rng.choice(available, min(self.places, available), replace=False)
        start = int(rng.integers(frames - options.frames + 1))
        view = slice(start, start + options.frames)
        chosen = rng.choice(shard.usable(options.frames), options.slots, replace=False)
        references = [to_planes(shard.reference[place, view], AS_THEY_ARE) for place in places]
        clips = [
            to_planes(shard.distorted[version, place, view], AS_THEY_ARE)
            for place in places
            for version in chosen
        ]
        count = len(clips)
        return Batch(
            reference=(torch.cat([y for y, _ in references]), torch.cat([c for _, c in references])),
            distorted=(torch.cat([y for y, _ in clips]), torch.cat([c for _, c in clips])),
            label=torch.full((count,), torch.nan),
            damage=torch.full((count,), torch.nan),
            better=torch.zeros(count, count, dtype=torch.bool),
            groups=len(places),
            slots=options.slots,
            frames=options.frames,
        )

    def _score(self, logs: Tensor) -> Tensor:
        """The teacher's score, 0 to 100, of log distances."""
        return self.calibration.by_place(logs.exp() - DISTANCE_FLOOR)


def adapters_between(mine: Mapping[int, int], theirs: Mapping[int, int]) -> nn.ModuleDict:
    """1x1 convolutions from one network's channels by level to another's, where the two differ.

    They have no bias: no difference stays none.
    """
    return nn.ModuleDict(
        {
            str(level): nn.Conv2d(mine[level], theirs[level], 1, bias=False)
            for level in sorted(mine.keys() & theirs.keys())
            if mine[level] != theirs[level]
        }
    )
