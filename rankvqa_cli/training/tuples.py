"""Patch tuples in RankDVQA's two forms, as a list that anybody can train on.

Form ``one`` is a source patch with two of its versions, form ``two`` two sources' patches with one version each. Each
row says which is better, how certainly, and why: by construction, or by agreement of the labels.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rankvqa_cli.training.datasets import SourceShard
from rankvqa_cli.training.labels import preference
from rankvqa_cli.training.orders import SURE

#: Rounds of draws across sources, before a corpus with few clear pairs gets fewer tuples.
ROUNDS = 8

Where = tuple[int, int, int]


@dataclass(frozen=True)
class PatchTuple:
    """``a`` and ``b`` are (source's index, patch, version); ``better`` is ``a`` or ``b``; ``by`` is ``construction`` or
    ``labels``."""

    form: str
    a: Where
    b: Where
    better: str
    certainty: float
    by: str


def judge_versions(
    shard: SourceShard,
) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.bool_]]:
    """Sign, certainty and whether by construction, each (E, E, P), of version i against version j in every patch.

    The sign is 1 where i is better, -1 where j is, 0 where nobody can tell. An order by construction goes before the
    labels, and says nothing where the labels have spoken against it. Labels decide where they agree
    (``labels.preference``) and hold for both versions.
    """
    backward = shard.better.transpose(1, 0, 2)
    known = np.maximum(shard.better, backward)
    constructed = known > 0
    rows = {name: values[:, None, :] for name, values in shard.labels.items()}
    columns = {name: values[None, :, :] for name, values in shard.labels.items()}
    preferred, certainty = preference(rows, columns, same_source=True)
    hold = (shard.labels_hold[:, None] & shard.labels_hold[None, :])[:, :, None]
    by_order = np.where(known >= SURE, np.sign(shard.better - backward), 0)
    sign = np.where(constructed, by_order, np.where(hold, preferred, 0)).astype(np.int8)
    return sign, np.where(constructed, known, certainty).astype(np.float32), constructed


def draw_tuples(shards: Sequence[SourceShard], count: int, seed: int) -> list[PatchTuple]:
    """``count`` different tuples, half of each form, or fewer where there are not as many clear ones."""
    rng = np.random.default_rng([seed, 2])
    return _within(shards, count - count // 2, rng) + _across(shards, count // 2, rng)


def _tuple(form: str, a: Where, b: Where, sign: int, certainty: float, by: str, swap: bool) -> PatchTuple:
    """``sign`` is 1 where ``a`` is better; ``swap`` puts ``b`` first."""
    first, second = (b, a) if swap else (a, b)
    return PatchTuple(form, first, second, "a" if (sign > 0) != swap else "b", certainty, by)


def _within(shards: Sequence[SourceShard], wanted: int, rng: np.random.Generator) -> list[PatchTuple]:
    """Form ``one``, from all clear pairs there are."""
    judged = [judge_versions(shard) for shard in shards]
    clear = [
        np.argwhere(np.triu(sign.transpose(2, 0, 1) != 0)) for sign, _, _ in judged
    ]  # rows (p, i, j), i < j
    source = np.repeat(np.arange(len(shards)), [len(rows) for rows in clear])
    pairs = np.concatenate([source[:, None], np.concatenate(clear)], axis=1)
    found = []
    for row in rng.permutation(len(pairs))[:wanted]:
        s, p, i, j = (int(x) for x in pairs[row])
        sign, certainty, constructed = (part[i, j, p] for part in judged[s])
        by = "construction" if constructed else "labels"
        swap = bool(rng.random() < 0.5)
        found.append(_tuple("one", (s, p, i), (s, p, j), int(sign), float(certainty), by, swap))
    return found


def _across(shards: Sequence[SourceShard], wanted: int, rng: np.random.Generator) -> list[PatchTuple]:
    """Form ``two``: clips of two contents, drawn at random, where the labels are clear."""
    contents = sorted({shard.content for shard in shards})
    clips = [
        (s, p, int(v))
        for s, shard in enumerate(shards)
        for v in np.flatnonzero(shard.labels_hold)
        for p in range(shard.reference.shape[0])
    ]
    if len(contents) < 2 or not clips:
        return []
    content = np.array([contents.index(shards[s].content) for s, _, _ in clips])
    names = shards[0].labels
    labels = {
        name: np.array([shards[s].labels[name][v, p] for s, p, v in clips], np.float32) for name in names
    }
    found: dict[tuple[int, int], PatchTuple] = {}
    for _ in range(ROUNDS):
        drawn = rng.integers(len(clips), size=(4 * wanted, 2))
        a, b = drawn[content[drawn[:, 0]] != content[drawn[:, 1]]].T
        sign, certainty = preference(
            {name: values[a] for name, values in labels.items()},
            {name: values[b] for name, values in labels.items()},
            same_source=False,
        )
        for k in np.flatnonzero(sign):
            if len(found) == wanted:
                return list(found.values())
            x, y = int(a[k]), int(b[k])
            row = _tuple("two", clips[x], clips[y], int(sign[k]), float(certainty[k]), "labels", swap=False)
            found.setdefault((min(x, y), max(x, y)), row)
    return list(found.values())


def tuples_csv(
    training: Sequence[SourceShard], held_out: Sequence[SourceShard], count: int, seed: int
) -> str:
    """``tuples.csv``: no tuple joins the two sides of the split, each gets its share of ``count``."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    place = [f"{part}_{side}" for side in "ab" for part in ("source", "patch", "version")]
    writer.writerow(["side", "form", *place, "better", "certainty", "by"])
    held = round(count * len(held_out) / (len(training) + len(held_out)))
    for side, shards, share in (("training", training, count - held), ("held-out", held_out, held)):
        for row in draw_tuples(shards, share, seed) if shards else []:
            where = [value for s, p, v in (row.a, row.b) for value in (shards[s].name, p, v)]
            writer.writerow([side, row.form, *where, row.better, f"{row.certainty:.4f}", row.by])
    return out.getvalue()
