"""How a model does on contents held out of its training: the figures that say whether it learned what labels teach."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from rankvqa_cli.training.datasets import SourceShard
from rankvqa_cli.training.encodes import Encode
from rankvqa_cli.training.labels import CLEAR, ssim_db
from rankvqa_cli.training.orders import SURE

#: Labels that vote on pairs of encodes by different codecs.
VOTERS = ("vmaf", "xpsnr", "ssim")
#: While a training goes on, a source is measured at its first places.
HELD_PLACES = 2


def measure_held_out(
    shards: Sequence[SourceShard],
    distances: Sequence[NDArray[np.float32]],
    places: int,
    labels: Sequence[str],
    usable: Sequence[Sequence[int]],
) -> dict[str, float]:
    """``distances`` (E, places) of every source's versions, lower is better, NaN where not measured; ``usable`` lists
    the versions that count. Returns

    - ``held_srocc``: SROCC with the mean of ``labels``, all sources pooled
    - ``held_order``: share of the pairs ordered by construction that are ordered so
    - ``held_codecs``: share of the pairs of encodes by different codecs on which two of VMAF, XPSNR and SSIM clearly
      agree (by ``labels.CLEAR``, the third not clearly against them) that are ordered so
    """
    x, y = [], []
    kept = orders = agreed = votes = 0
    for shard, found, versions in zip(shards, distances, usable, strict=True):
        held = [v for v in versions if shard.labels_hold[v]]
        x.append(-found[held].ravel())
        y.append(np.mean([shard.labels[name][held, :places] for name in labels], axis=0).ravel())
        for place in range(places):
            at = found[:, place]
            sure = np.zeros_like(shard.better[:, :, place], np.bool_)
            sure[np.ix_(versions, versions)] = shard.better[:, :, place][np.ix_(versions, versions)] >= SURE
            orders += int(sure.sum())
            kept += int((sure & (at[:, None] < at[None, :])).sum())
            wish = codec_votes(shard, place, versions)
            votes += int((wish > 0).sum())
            agreed += int(((wish > 0) & (at[:, None] < at[None, :])).sum())
    return {
        "held_srocc": float(spearmanr(np.concatenate(x), np.concatenate(y)).statistic),
        "held_order": kept / max(1, orders),
        "held_codecs": agreed / max(1, votes),
    }


def codec_votes(shard: SourceShard, place: int, versions: Sequence[int]) -> NDArray[np.int8]:
    """(E, E): 1 where the voters prefer version i to j, both of ``versions`` and plain encodes by different codecs."""
    units = []
    for name in VOTERS:
        values = shard.labels[name][:, place]
        values = ssim_db(values) if name == "ssim" else values
        units.append((values[:, None] - values[None, :]) / CLEAR[name])
    votes = np.stack(units)
    prefers = ((votes >= 1).sum(axis=0) >= 2) & (votes > -1).all(axis=0)
    codecs = np.array([_codec(shard, v) if v in set(versions) else "" for v in range(len(shard.versions))])
    encoded = codecs != ""
    across = encoded[:, None] & encoded[None, :] & (codecs[:, None] != codecs[None, :])
    return np.asarray(prefers & across, np.int8)


def _codec(shard: SourceShard, version: int) -> str:
    """The codec of a plain encode, empty for everything else."""
    steps = shard.versions[version].steps
    return steps[0].codec if len(steps) == 1 and isinstance(steps[0], Encode) else ""
