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

from rankvqa_cli.training.datasets import SourceShard
from rankvqa_cli.training.labels import preference
from rankvqa_cli.training.orders import SURE

#: So many draws a wanted tuple, before a corpus with few clear pairs gets fewer.
ATTEMPTS = 40


@dataclass(frozen=True)
class PatchTuple:
    """``a`` and ``b`` are (source's index, patch, version); ``better`` is ``a`` or ``b``; ``by`` is ``construction`` or
    ``labels``."""

    form: str
    a: tuple[int, int, int]
    b: tuple[int, int, int]
    better: str
    certainty: float
    by: str


def judge(
    shards: Sequence[SourceShard], a: tuple[int, int, int], b: tuple[int, int, int]
) -> tuple[int, float, str]:
    """(sign, certainty, by) of two clips: 1 where ``a`` is better, -1 where ``b`` is, 0 where nobody can tell.

    In one source patch an order by construction goes before the labels. Labels decide where they agree
    (``labels.preference``) and hold for both versions.
    """
    same_source = a[0] == b[0]
    if same_source and a[1] == b[1]:
        better = shards[a[0]].better
        forward, backward = float(better[a[2], b[2], a[1]]), float(better[b[2], a[2], a[1]])
        known = max(forward, backward)
        if known > 0:
            sign = 1 if forward > backward else -1
            return (sign if known >= SURE else 0), known, "construction"
    for source, _, version in (a, b):
        if not shards[source].versions[version].luma_labels_hold:
            return 0, 0.0, "labels"
    labels = [{key: values[v, p] for key, values in shards[s].labels.items()} for s, p, v in (a, b)]
    preferred, certainty = preference(labels[0], labels[1], same_source=same_source)
    return int(preferred), float(certainty), "labels"


def draw_tuples(shards: Sequence[SourceShard], count: int, seed: int) -> list[PatchTuple]:
    """``count`` different tuples, half of each form, or fewer where there are not as many clear ones."""
    rng = np.random.default_rng([seed, 2])
    return [
        drawn
        for form, wanted in (("one", count - count // 2), ("two", count // 2))
        for drawn in _draw_form(shards, form, wanted, rng)
    ]


def _draw_form(
    shards: Sequence[SourceShard], form: str, wanted: int, rng: np.random.Generator
) -> list[PatchTuple]:
    contents = sorted({shard.content for shard in shards})
    by_content = [[i for i, s in enumerate(shards) if s.content == content] for content in contents]
    if form == "two" and len(contents) < 2:
        return []
    found: dict[frozenset[tuple[int, int, int]], PatchTuple] = {}
    for _ in range(ATTEMPTS * wanted):
        if len(found) == wanted:
            break
        picked = rng.choice(len(contents), 2 if form == "two" else 1, replace=False)
        sources = [by_content[c][int(rng.integers(len(by_content[c])))] for c in picked]
        patches = [int(rng.integers(shards[s].reference.shape[0])) for s in sources]
        if form == "one":
            versions = rng.choice(len(shards[sources[0]].versions), 2, replace=False)
            a, b = ((sources[0], patches[0], int(v)) for v in versions)
        else:
            a, b = (
                (s, p, int(rng.integers(len(shards[s].versions))))
                for s, p in zip(sources, patches, strict=True)
            )
        sign, certainty, by = judge(shards, a, b)
        if sign and frozenset((a, b)) not in found:
            found[frozenset((a, b))] = PatchTuple(form, a, b, "a" if sign > 0 else "b", certainty, by)
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
