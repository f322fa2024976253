"""Batches of patch clips from a corpus folder, as a pure function of seed and step."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rankvqa_cli.errors import InputError
from rankvqa_cli.training.encodes import Encode


@dataclass(frozen=True)
class SourceShard:
    """One source's folder, memory-mapped.

    ``reference`` is (P, T, bytes), ``distorted`` (E, P, T, bytes), each label (E, P).
    """

    name: str
    content: str
    reference: NDArray[np.uint8]
    distorted: NDArray[np.uint8]
    encodes: tuple[Encode, ...]
    labels: dict[str, NDArray[np.float32]]


def load_corpus(folder: Path) -> list[SourceShard]:
    """Open every source of a finished corpus. Raises InputError where the manifest or a file is missing or odd."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        shards = []
        for name in manifest["sources"]:
            index = json.loads((folder / name / "index.json").read_text())
            labels = {key: np.array(values, np.float32) for key, values in index["labels"].items()}
            if not all(np.isfinite(values).all() for values in labels.values()):
                raise InputError(f"corpus {str(folder)!r}: source {name!r} has a label that is not finite")
            shards.append(
                SourceShard(
                    name=name,
                    content=index["content"],
                    reference=np.load(folder / name / "ref.npy", mmap_mode="r"),
                    distorted=np.load(folder / name / "dist.npy", mmap_mode="r"),
                    encodes=tuple(Encode(e["codec"], e["quality"], e["scale"]) for e in index["encodes"]),
                    labels=labels,
                )
            )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{str(folder)!r} is not a finished corpus ({error}); run 'vqa-score corpus' again"
        ) from error
    return shards


def split_by_content(
    shards: Sequence[SourceShard], fold: int, folds: int
) -> tuple[list[SourceShard], list[SourceShard]]:
    """(training, held out). Which fold a content belongs to depends on its name alone, so that it never moves."""

    def is_held_out(shard: SourceShard) -> bool:
        return int(hashlib.sha256(shard.content.encode()).hexdigest(), 16) % folds == fold

    return [s for s in shards if not is_held_out(s)], [s for s in shards if is_held_out(s)]


@dataclass(frozen=True)
class Batch:
    """``groups`` patch places with ``slots`` encodes each, ``frames`` frames a clip.

    ``reference`` is (luma (G * F, H, W), chroma (G * F, 2, H/2, W/2)) uint8, ``distorted`` the same for G * S clips.
    ``label`` (G * S,) is 0 to 100, NaN where none holds. ``better`` (G * S, G * S) is True where clip i is better than
    clip j by construction.
    """

    reference: tuple[Tensor, Tensor]
    distorted: tuple[Tensor, Tensor]
    label: Tensor
    better: Tensor
    groups: int
    slots: int
    frames: int

    def to(self, device: torch.device) -> Batch:
        """The same batch on ``device``."""
        return replace(
            self,
            reference=(self.reference[0].to(device), self.reference[1].to(device)),
            distorted=(self.distorted[0].to(device), self.distorted[1].to(device)),
            label=self.label.to(device),
            better=self.better.to(device),
        )


@dataclass(frozen=True)
class BatchOptions:
    """``labels`` are averaged. ``colour`` is the share of groups of which two clips lose colour fidelity."""

    groups: int = 6
    slots: int = 4
    frames: int = 2
    labels: tuple[str, ...] = ("vmaf", "vmaf_v1")
    colour: float = 0.25


class Sampler:
    """Draws batches. ``batch(step)`` is the same for the same seed, whatever was drawn before."""

    def __init__(self, shards: Sequence[SourceShard], options: BatchOptions, seed: int) -> None:
        if not shards:
            raise InputError("the corpus has no source on this side of the split")
        for shard in shards:
            if len(shard.encodes) < options.slots:
                few = f"{len(shard.encodes)} encodes of {shard.name!r}, a batch takes {options.slots} of one source"
                raise InputError(f"the corpus has {few}: make it with more --ladders or --rungs")
        self.shards = shards
        self.options = options
        self.seed = seed
        contents = sorted({shard.content for shard in shards})
        self.by_content = [[s for s in shards if s.content == content] for content in contents]

    def batch(self, step: int) -> Batch:
        o = self.options
        rng = np.random.default_rng([self.seed, step])
        picked = rng.choice(len(self.by_content), o.groups, replace=len(self.by_content) < o.groups)
        references, distorted, labels, encodes = [], [], [], []
        better = torch.zeros(o.groups * o.slots, o.groups * o.slots, dtype=torch.bool)
        for g, content in enumerate(picked):
            shard = self.by_content[content][rng.integers(len(self.by_content[content]))]
            place = int(rng.integers(shard.reference.shape[0]))
            start = int(rng.integers(shard.reference.shape[1] - o.frames + 1))
            chosen = rng.choice(len(shard.encodes), o.slots, replace=False)
            flips = rng.random(3) < 0.5
            view = slice(start, start + o.frames)
            references.append(to_planes(shard.reference[place, view], flips))
            clips = [to_planes(shard.distorted[e, place, view], flips) for e in chosen]
            values = [float(np.mean([shard.labels[k][e, place] for k in o.labels])) for e in chosen]
            encodes = [shard.encodes[e] for e in chosen]
            order = np.array([[a.is_better_than(b) for b in encodes] for a in encodes])
            if rng.random() < o.colour and o.slots >= 3:
                # The last two clips become the first one with colour errors, the second stronger than the other.
                strength = rng.uniform(0.15, 0.5)
                kind = int(rng.integers(3))
                for slot, share in ((o.slots - 2, strength / 2), (o.slots - 1, strength)):
                    clips[slot] = (clips[0][0], shift_colour(clips[0][1], kind, share))
                    values[slot] = float("nan")
                    order[slot, :] = order[:, slot] = False
                order[0, o.slots - 2] = order[0, o.slots - 1] = order[o.slots - 2, o.slots - 1] = True
            better[g * o.slots : (g + 1) * o.slots, g * o.slots : (g + 1) * o.slots] = torch.from_numpy(order)
            distorted += clips
            labels += values
        return Batch(
            reference=(torch.cat([y for y, _ in references]), torch.cat([c for _, c in references])),
            distorted=(torch.cat([y for y, _ in distorted]), torch.cat([c for _, c in distorted])),
            label=torch.tensor(labels),
            better=better,
            groups=o.groups,
            slots=o.slots,
            frames=o.frames,
        )


def shift_colour(chroma: Tensor, kind: int, strength: float) -> Tensor:
    """Chroma (F, 2, h, w) uint8 with a loss of saturation (0), a turn of hue (1) or a blur (2); strength 0 to 1."""
    centred = chroma.float() - 128
    if kind == 0:
        centred = centred * (1 - strength)
    elif kind == 1:
        angle = torch.tensor(strength * 1.2)
        cos, sin = angle.cos(), angle.sin()
        cb, cr = centred.unbind(1)
        centred = torch.stack([cb * cos - cr * sin, cb * sin + cr * cos], dim=1)
    else:
        radius = max(1, round(strength * 16))
        centred = torch.nn.functional.avg_pool2d(
            centred, 2 * radius + 1, stride=1, padding=radius, count_include_pad=False
        )
    return (centred + 128).round().clamp(16, 240).byte()


def to_planes(clip: NDArray[np.uint8], flips: NDArray[np.bool_]) -> tuple[Tensor, Tensor]:
    """(F, bytes) of a square 4:2:0 patch to luma (F, H, W) and chroma (F, 2, H/2, W/2), mirrored and transposed."""
    frames = len(clip)
    side = round((clip.shape[1] / 1.5) ** 0.5)
    data = torch.from_numpy(np.array(clip))
    luma = data[:, : side * side].view(frames, side, side)
    chroma = data[:, side * side :].view(frames, 2, side // 2, side // 2)
    axes = [axis for axis, flip in zip((-1, -2), flips[:2], strict=True) if flip]
    if axes:
        luma, chroma = luma.flip(axes), chroma.flip(axes)
    if flips[2]:
        luma, chroma = luma.transpose(-1, -2), chroma.transpose(-1, -2)
    return luma.contiguous(), chroma.contiguous()
