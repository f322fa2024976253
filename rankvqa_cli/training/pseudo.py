"""Labels without people for the ensemble: patches of a corpus, each with what a full-reference network says of it.

People have rated some hundred stimuli of a handful of contents, from which nothing can tell what is content and what is
quality. A corpus has as many contents and versions as one cares to draw, and the reference of each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rankvqa_cli.models.ptm.contract import FrozenNetwork
from rankvqa_cli.models.ptm.views import Moment, Views
from rankvqa_cli.training.datasets import load_corpus
from rankvqa_cli.training.expert_data import Shown, Shows
from rankvqa_cli.training.features_cache import FeatureCache, Sampling
from rankvqa_cli.training.labeller import read_labeller
from rankvqa_cli.training.tasks import batch_distances

Array = NDArray[np.float32]
#: Sources in a draw, and versions of each where there are as many.
GROUPS, SLOTS = 6, 5


@dataclass(frozen=True)
class PseudoOptions:
    """``draws`` draws from the ``corpus``, patches as large as it has them or of at most ``side`` pixels a side,
    labelled by the full-reference network in ``labels``."""

    corpus: Path
    labels: Path
    draws: int = 100
    seed: int = 1
    side: int | None = None


@dataclass(frozen=True)
class PseudoSamples:
    """``features`` has one (N, D) a network; ``mos`` (N,) is 1 to 5; references are among the samples, with 5."""

    features: list[Array]
    mos: NDArray[np.float64]
    contents: tuple[str, ...]


def pseudo_samples(
    options: PseudoOptions,
    networks: Sequence[FrozenNetwork],
    views: Views,
    cache: FeatureCache,
) -> PseudoSamples:
    """Draw, label and describe. Raises InputError for a corpus and ModelError for a label file that cannot be used."""
    labeller, calibration = read_labeller(options.labels)
    frames = max(network.frames for network in networks)
    shards = load_corpus(options.corpus)
    side = min(shard.side for shard in shards)
    side = side if options.side is None else min(side, options.side)
    slots = max(1, min(SLOTS, *(len(shard.usable(frames)) for shard in shards)))
    shows = Shows(shards, GROUPS, slots, frames, side, options.seed)
    rows: list[list[Array]] = [[] for _ in networks]
    mos: list[float] = []
    contents: list[str] = []
    for index in range(options.draws):
        shown = shows.draw(index)
        assert shown.batch is not None
        with torch.no_grad():
            scores = calibration.by_place(batch_distances(labeller, shown.batch).exp())
        mos += [1 + float(score) / 25 for score in scores] + [5.0] * GROUPS
        contents += [name for name in shown.batch.contents for _ in range(slots)] + [*shown.batch.contents]
        # By what is seen: how patches are drawn may change from one version to the next.
        digest = hashlib.sha256(shown.pictures.contiguous().numpy().tobytes()).hexdigest()

        def measure(some: Sequence[FrozenNetwork], shown: Shown = shown) -> list[Array]:
            return _features(some, shown, views)

        for found, each in zip(
            rows, cache.remembered(networks, digest, frames, Sampling(), measure), strict=True
        ):
            found.append(each)
    return PseudoSamples(
        [np.concatenate(found) for found in rows],
        np.array(mos),
        tuple(f"corpus/{name}" for name in contents),
    )


def _features(networks: Sequence[FrozenNetwork], shown: Shown, views: Views) -> list[Array]:
    """(pictures, features) of each network. Patches are parts of what is on a screen, and stay as large as they are."""
    seen = replace(views, lines=0)
    moments = [Moment(each if each.dim() == 4 else each.unsqueeze(0), seen) for each in shown.pictures]
    return [
        np.stack([moment.features(network).numpy() for moment in moments]).astype(np.float32)
        for network in networks
    ]
