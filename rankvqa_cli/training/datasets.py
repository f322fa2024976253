"""Batches of patch clips from a corpus folder, as a pure function of seed and step."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rankvqa_cli.errors import InputError
from rankvqa_cli.training.labels import LABELS
from rankvqa_cli.training.manifest import FORMAT, MANIFEST_NAME, check_split, is_held_out
from rankvqa_cli.training.orders import SURE
from rankvqa_cli.training.planes import cropped, shift_colour, side_of, to_planes
from rankvqa_cli.training.versions import Version, version_from_json


@dataclass(frozen=True)
class SourceShard:
    """One source's folder, memory-mapped.

    ``reference`` is (P, T, bytes), ``distorted`` (E, P, T, bytes), each label (E, P). ``better`` (E, E, P) is the
    certainty that version i is better than j by construction: 0 where nothing is known, else above 0.5 and at most 1;
    from ``orders.SURE`` on it is taught. ``origin`` says what the source was made of.
    """

    name: str
    content: str
    reference: NDArray[np.uint8]
    distorted: NDArray[np.uint8]
    versions: tuple[Version, ...]
    labels: dict[str, NDArray[np.float32]]
    better: NDArray[np.float32]
    origin: dict[str, Any]

    def usable(self, frames: int) -> list[int]:
        """The versions whose damage any ``frames`` frames of a clip show: all of them where that is the whole clip."""
        whole = frames >= self.reference.shape[1]
        return [i for i, version in enumerate(self.versions) if whole or not version.changes_time]

    @property
    def side(self) -> int:
        """Pixels across of a patch."""
        return side_of(int(self.reference.shape[2]))

    @property
    def labels_hold(self) -> NDArray[np.bool_]:
        """(E,): whether a version's labels, which are mostly of luma, can be learned from."""
        return np.array([version.luma_labels_hold for version in self.versions], np.bool_)


def load_corpus(folder: Path) -> list[SourceShard]:
    """Open every source of a finished corpus.

    Raises InputError where the manifest is missing or damaged, and as ``open_source`` does.
    """
    try:
        manifest = json.loads((folder / MANIFEST_NAME).read_text())
        names = [str(name) for name in manifest["sources"]]
        if manifest.get("format") != FORMAT:
            raise InputError(f"{str(folder)!r} was made by another version: run 'vqa-score corpus' again")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{str(folder)!r} is not a finished corpus ({error}); run 'vqa-score corpus' again"
        ) from error
    return [open_source(folder, name) for name in names]


def open_source(folder: Path, name: str) -> SourceShard:
    """Open ``folder / name``. Raises InputError naming the file that is missing, truncated, or does not fit the others.

    The shapes of all parts are checked, and that every label is there and finite; the pixels are not read.
    """
    place = folder / name
    reading = place / "index.json"
    try:
        index = json.loads(reading.read_text())
        versions = tuple(version_from_json(entry) for entry in index["versions"])
        labels = {key: np.array(index["labels"][key], np.float32) for key in LABELS}
        orders = [(int(i), int(j), np.array(each, np.float32)) for i, j, _, each in index["orders"]]
        origin, content = dict(index["source"]), str(index["source"]["content"])
        reading = place / "ref.npy"
        reference = np.load(reading, mmap_mode="r")
        reading = place / "dist.npy"
        distorted = np.load(reading, mmap_mode="r")
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise _damaged(reading, " ".join(str(error).split())) from error
    if distorted.shape != (len(versions), *reference.shape) or reference.ndim != 3 or reference.size == 0:
        raise _damaged(reading, f"{distorted.shape} does not fit ref.npy's {reference.shape}")
    if reference.dtype != np.uint8 or distorted.dtype != np.uint8:
        raise _damaged(reading, f"its samples are {distorted.dtype}, not uint8")
    reading = place / "index.json"
    for key, values in labels.items():
        if values.shape != distorted.shape[:2]:
            raise _damaged(reading, f"{key} has {values.shape} values, not {distorted.shape[:2]}")
        if not np.isfinite(values).all():
            version, patch = np.argwhere(~np.isfinite(values))[0]
            raise _damaged(reading, f"{key} of version {version}, patch {patch} is not finite")
    better = np.zeros((len(versions), len(versions), reference.shape[0]), np.float32)
    for row, (i, j, each) in enumerate(orders):
        fits = 0 <= i < len(versions) and 0 <= j < len(versions) and each.shape == better.shape[2:]
        if not fits or not ((each == 0) | ((each > 0.5) & (each <= 1))).all():
            raise _damaged(reading, f"order {row} names no two versions, or a certainty outside 0.5 to 1")
        better[i, j] = each
    return SourceShard(name, content, reference, distorted, versions, labels, better, origin)


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(
        f"{str(path)!r} is damaged ({reason}): remove the folder {path.parent.name!r} and run 'vqa-score corpus' again"
    )


def split_by_content(
    shards: Sequence[SourceShard], fold: int, folds: int
) -> tuple[list[SourceShard], list[SourceShard]]:
    """(training, held out); a ``fold`` of -1 holds out nothing.

    Raises InputError where the sources cannot be split: they have one content, or the fold holds out all.
    """
    check_split([shard.content for shard in shards], fold, folds, "the corpus")
    held_out = [is_held_out(shard.content, fold, folds) for shard in shards]
    return (
        [s for s, held in zip(shards, held_out, strict=True) if not held],
        [s for s, held in zip(shards, held_out, strict=True) if held],
    )


@dataclass(frozen=True)
class Batch:
    """``groups`` patch places with ``slots`` encodes each, ``frames`` frames a clip.

    ``reference`` is (luma (G * F, H, W), chroma (G * F, 2, H/2, W/2)) uint8, ``distorted`` the same for G * S clips.
    ``label`` (G * S,) is 0 to 100, ``damage`` (G * S,) that of ``training.frozen``, lower is better; both are NaN where
    none holds. ``better`` (G * S, G * S) is True where clip i is better than clip j by construction. ``versions`` says
    how each of the G * S clips was made, but for colour errors added on the fly; ``contents`` what each group shows.
    """

    reference: tuple[Tensor, Tensor]
    distorted: tuple[Tensor, Tensor]
    label: Tensor
    damage: Tensor
    better: Tensor
    groups: int
    slots: int
    frames: int
    versions: tuple[Version, ...] = ()
    contents: tuple[str, ...] = ()

    def to(self, device: torch.device) -> Batch:
        """The same batch on ``device``."""
        return replace(
            self,
            reference=(self.reference[0].to(device), self.reference[1].to(device)),
            distorted=(self.distorted[0].to(device), self.distorted[1].to(device)),
            label=self.label.to(device),
            damage=self.damage.to(device),
            better=self.better.to(device),
        )


@dataclass(frozen=True)
class BatchOptions:
    """``labels`` are averaged. ``colour`` is the share of groups of which two clips lose colour fidelity. ``crop``
    pixels across are shown of each patch, anywhere in it; None shows all."""

    groups: int = 6
    slots: int = 4
    frames: int = 2
    labels: tuple[str, ...] = ("vmaf", "vmaf_v1")
    colour: float = 0.25
    crop: int | None = None


class Sampler:
    """Draws batches. ``batch(step)`` is the same for the same seed, whatever was drawn before."""

    def __init__(
        self,
        shards: Sequence[SourceShard],
        options: BatchOptions,
        seed: int,
        damage: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> None:
        """``damage`` (E, P) by a source's name, where frozen networks were asked."""
        if not shards:
            raise InputError("the corpus has no source on this side of the split")
        for shard in shards:
            usable = len(shard.usable(options.frames))
            if usable < options.slots:
                few = f"{usable} versions of {shard.name!r}, a batch takes {options.slots} of one source"
                raise InputError(f"the corpus has {few}: make it with more --ladders or --rungs")
            if options.crop is not None and options.crop > shard.side:
                raise InputError(
                    f"the patches of {shard.name!r} are {shard.side} pixels, a crop of {options.crop} is asked"
                )
        self.shards = shards
        self.options = options
        self.seed = seed
        self.damage = damage
        contents = sorted({shard.content for shard in shards})
        self.by_content = [[s for s in shards if s.content == content] for content in contents]

    def batch(self, step: int) -> Batch:
        o = self.options
        rng = np.random.default_rng([self.seed, step])
        picked = rng.choice(len(self.by_content), o.groups, replace=len(self.by_content) < o.groups)
        references, distorted, labels, damages = [], [], [], []
        versions: list[Version] = []
        better = torch.zeros(o.groups * o.slots, o.groups * o.slots, dtype=torch.bool)
        for g, content in enumerate(picked):
            shard = self.by_content[content][rng.integers(len(self.by_content[content]))]
            place = int(rng.integers(shard.reference.shape[0]))
            start = int(rng.integers(shard.reference.shape[1] - o.frames + 1))
            chosen = rng.choice(shard.usable(o.frames), o.slots, replace=False)
            flips = rng.random(3) < 0.5
            view = slice(start, start + o.frames)
            whole = [shard.reference[place, view], *(shard.distorted[e, place, view] for e in chosen)]
            reference, *clips = [to_planes(clip, flips) for clip in whole]
            if o.crop is not None:
                reference, *clips = cropped([reference, *clips], o.crop, rng)
            references.append(reference)
            means = np.mean([shard.labels[k][chosen, place] for k in o.labels], axis=0)
            values = np.where(shard.labels_hold[chosen], means, np.nan).tolist()
            hurt = np.full(o.slots, np.nan) if self.damage is None else self.damage[shard.name][chosen, place]
            hurt = hurt.astype(np.float32)
            order = shard.better[np.ix_(chosen, chosen)][:, :, place] >= SURE
            if rng.random() < o.colour and o.slots >= 3:
                # The last two clips become the first one with colour errors, the second stronger than the other.
                strength = rng.uniform(0.15, 0.5)
                kind = int(rng.integers(3))
                for slot, share in ((o.slots - 2, strength / 2), (o.slots - 1, strength)):
                    clips[slot] = (clips[0][0], shift_colour(clips[0][1], kind, share))
                    values[slot] = hurt[slot] = float("nan")
                    order[slot, :] = order[:, slot] = False
                order[0, o.slots - 2] = order[0, o.slots - 1] = order[o.slots - 2, o.slots - 1] = True
            better[g * o.slots : (g + 1) * o.slots, g * o.slots : (g + 1) * o.slots] = torch.from_numpy(order)
            distorted += clips
            labels += values
            versions += [shard.versions[e] for e in chosen]
            damages.append(torch.from_numpy(hurt))
        return Batch(
            reference=(torch.cat([y for y, _ in references]), torch.cat([c for _, c in references])),
            distorted=(torch.cat([y for y, _ in distorted]), torch.cat([c for _, c in distorted])),
            label=torch.tensor(labels),
            damage=torch.cat(damages),
            better=better,
            groups=o.groups,
            slots=o.slots,
            frames=o.frames,
            versions=tuple(versions),
            contents=tuple(self.by_content[content][0].content for content in picked),
        )
