"""What a trained network saw of many pictures, kept so that pooling can be trained without running it again."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rankvqa_cli.models.contract import Clip
from rankvqa_cli.models.evidence import Evidence
from rankvqa_cli.models.files import write_atomically
from rankvqa_cli.models.patchnet_model import PatchNetModel
from rankvqa_cli.models.rankvqa import RankVQA
from rankvqa_cli.training.datasets import SourceShard
from rankvqa_cli.training.planes import AS_THEY_ARE, as_clip, to_planes
from rankvqa_cli.training.scored import ScoredSet, planes_of

#: Models with a readout.
Observer = RankVQA | PatchNetModel

#: Distorted pictures that are compared with one reference at a time: bounds the memory.
AT_ONCE = 4


@dataclass(frozen=True)
class Observations:
    """N pictures of R x C patches: ``energy`` and ``reserve`` (N, K, R, C), what the readout is given of each patch,
    and STANet's ``positions`` (N, channels, R, C). All float32. A PatchNet knows no patches, R = C = 1, and no STANet,
    channels = 0."""

    energy: Tensor
    reserve: Tensor
    positions: Tensor

    def pick(self, rows: Sequence[int] | NDArray[np.int64]) -> Observations:
        chosen = torch.as_tensor(rows)
        return Observations(self.energy[chosen], self.reserve[chosen], self.positions[chosen])


def observe_scored(
    model: Observer, scored: ScoredSet, cache: Path, say: Callable[[str], None]
) -> Observations:
    """One row a stimulus. ``cache`` keeps the result by model and pictures."""
    names = [f"{s.distorted}|{s.reference}" for s in scored.stimuli]
    key = _key(model, "\n".join([f"{scored.width}x{scored.height}", *names]))
    path = cache / f"observed-{key}.npz"
    if path.exists():
        return _load(path)
    rows: list[tuple[Tensor, Tensor, Tensor]] = []
    order: list[int] = []
    for reference in sorted(set(scored.reference_at)):
        members = [i for i, at in enumerate(scored.reference_at) if at == reference]
        for first in range(0, len(members), AT_ONCE):
            some = members[first : first + AT_ONCE]
            rows += _observe(
                model,
                as_clip(*planes_of(scored, reference)),
                [as_clip(*planes_of(scored, scored.distorted_at[i])) for i in some],
            )
            order += some
        say(f"seen {len(order)} of {len(scored.stimuli)} pictures")
    return _keep(path, [rows[place] for place in np.argsort(order)])


def observe_corpus(
    model: Observer,
    shards: Sequence[SourceShard],
    places: int,
    cache: Path,
    say: Callable[[str], None],
    patch: int | None = None,
) -> list[Observations]:
    """A source: the middle frame of each version at its first ``places`` places, row = version * places + place. A
    RankVQA sees a place in patches of ``patch`` pixels, None for its own."""
    what: tuple[object, ...] = (places,)
    if patch is not None and isinstance(model, RankVQA):
        model, what = model.in_patches(patch), (places, patch)
    found = []
    for shard in shards:
        path = cache / f"observed-{_key(model, repr((shard.name, shard.versions, *what)))}.npz"
        if not path.exists():
            middle = shard.reference.shape[1] // 2
            view = slice(middle, middle + 1)
            rows: list[list[tuple[Tensor, Tensor, Tensor]]] = []
            for place in range(places):
                reference = as_clip(*to_planes(shard.reference[place, view], AS_THEY_ARE))
                versions = [as_clip(*to_planes(v[place, view], AS_THEY_ARE)) for v in shard.distorted]
                rows.append(_observe(model, reference, versions))
            _keep(path, [row[v] for v in range(len(shard.versions)) for row in rows])
            say(f"seen {shard.name}")
        found.append(_load(path))
    return found


def _observe(
    model: Observer, reference: Clip, distorted: Sequence[Clip]
) -> list[tuple[Tensor, Tensor, Tensor]]:
    if isinstance(model, PatchNetModel):
        reserved, found = model.observe(reference, distorted)
        yardstick, nothing = reserved.view(-1, 1, 1), torch.zeros(0, 1, 1)
        return [(energy.view(-1, 1, 1), yardstick, nothing) for energy in found]
    reserve, seen = model.observe(reference, distorted)
    assert reserve is not None
    yardstick = _by_patch(reserve)
    rows = []
    for each in seen:
        assert each.positions is not None
        rows.append((_by_patch(each.evidence), yardstick, each.positions[0].cpu()))
    return rows


def _by_patch(evidence: Evidence) -> Tensor:
    """(LEVELS + K, R, C) of a still."""
    assert evidence.channels is not None
    return torch.cat([evidence.levels, evidence.channels[0]]).cpu()


def _key(model: Observer, what: str) -> str:
    precision = {parameter.dtype for parameter in model.network.parameters()}
    return hashlib.sha256(
        f"{model.info.weights_sha256}\n{sorted(map(str, precision))}\n{what}".encode()
    ).hexdigest()[:24]


def _keep(path: Path, rows: Sequence[tuple[Tensor, Tensor, Tensor]]) -> Observations:
    columns = [torch.stack(column).numpy() for column in zip(*rows, strict=True)]
    buffer = io.BytesIO()
    np.savez(buffer, energy=columns[0], reserve=columns[1], positions=columns[2])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())
    return _load(path)


def _load(path: Path) -> Observations:
    with np.load(path) as data:
        return Observations(*(torch.from_numpy(data[name]) for name in ("energy", "reserve", "positions")))
