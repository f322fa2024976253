"""Orders that hold by construction, each with the certainty that people would agree.

``(E, E)`` arrays are read [better, worse]: 0 where nothing is known, else above 0.5 and at most 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rankvqa_cli.training.degradations import Change
from rankvqa_cli.training.encodes import CODECS, Encode
from rankvqa_cli.training.versions import Step, Version

#: A finer quantiser counts from this gap on.
QUALITY_GAP = 3

#: From this certainty on an order is taught; below it, the labels have spoken against it.
SURE = 0.75

#: Two clips that differ by less than this (root mean square, in levels) have no order.
ALIKE = 0.5

#: Labels that must all say the reverse before a constructed order loses its certainty.
WITNESSES = ("vmaf", "xpsnr", "ssim")


def _from_gap(gap: float) -> float:
    """Certainty of a gap in units of a just clear one: 0.9 there, towards 1 as it grows."""
    return 1 - 0.5 * math.exp(-1.6 * gap)


def _encode_certainty(better: Encode, worse: Encode) -> float:
    """Same codec, nothing finer in ``worse``, and quantiser, coded size or frame rate clearly coarser."""
    gap = worse.quality - better.quality
    if better.codec != worse.codec or gap < 0 or worse.scale > better.scale or worse.every < better.every:
        return 0.0
    known = [0.0]
    if gap >= QUALITY_GAP:
        known.append(_from_gap(gap / CODECS[better.codec].span * 13))
    if better.scale >= 2 * worse.scale:
        known.append(0.95)
    if worse.every > better.every:
        known.append(0.9)
    return max(known)


def _step_certainty(better: Step, worse: Step) -> float:
    if isinstance(better, Encode) and isinstance(worse, Encode):
        return _encode_certainty(better, worse)
    if isinstance(better, Change) and isinstance(worse, Change):
        if (better.name, better.key) != (worse.name, worse.key) or better.strength >= worse.strength:
            return 0.0
        return _from_gap(2 * math.log2(worse.strength / better.strength))
    return 0.0


def certainty(better: Version, worse: Version) -> float:
    """Certainty that ``better`` is the better one by construction, 0 where that does not follow.

    It follows where the chains differ in one step alone, which is weaker in ``better`` (a quantiser finer by at least
    3, twice the coded size, more frames coded, a lower strength), or which only ``worse`` has: a change, or an earlier
    encode before the same final one.
    """
    a, b = better.steps, worse.steps
    if len(a) == len(b):
        differing = [(x, y) for x, y in zip(a, b, strict=True) if x != y]
        return _step_certainty(*differing[0]) if len(differing) == 1 else 0.0
    if len(b) == len(a) + 1:
        for k, extra in enumerate(b):
            if b[:k] + b[k + 1 :] == a and (isinstance(extra, Change) or k + 1 < len(b)):
                return 0.95
    return 0.0


def constructed(versions: Sequence[Version]) -> NDArray[np.float32]:
    """(E, E) certainty that i is better than j."""
    return np.array([[certainty(a, b) for b in versions] for a in versions], np.float32)


def by_patch(
    order: NDArray[np.float32], labels: dict[str, NDArray[np.float32]], distorted: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """(E, E, P) from ``order`` (E, E), ``labels`` (E, P) each, and ``distorted`` (E, P, T, bytes).

    Where two clips are alike, the certainty is 0. Where VMAF, XPSNR and SSIM all say the reverse, three quarters of
    what it has above 0.5 are taken away.
    """
    out = np.repeat(order[:, :, None], distorted.shape[1], axis=2)
    for i, j in np.argwhere(order > 0):
        reverse = np.all([labels[name][i] < labels[name][j] for name in WITNESSES], axis=0)
        out[i, j, reverse] = 0.5 + (order[i, j] - 0.5) / 4
        for p in range(distorted.shape[1]):
            # One luma or chroma sample in four is enough to tell.
            difference = distorted[i, p, :, ::4].astype(np.int16) - distorted[j, p, :, ::4]
            if float(np.mean(np.square(difference, dtype=np.float32))) < ALIKE**2:
                out[i, j, p] = 0.0
    return out
