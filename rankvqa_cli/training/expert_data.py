"""What experts are shown: patches of a corpus as a viewer might get them, with how they came to be."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from rankvqa_cli.errors import InputError
from rankvqa_cli.models import colour
from rankvqa_cli.models.sizes import halved
from rankvqa_cli.training.datasets import Batch, BatchOptions, Sampler, SourceShard
from rankvqa_cli.training.encodes import Encode
from rankvqa_cli.training.planes import as_clip
from rankvqa_cli.training.versions import Version

#: How far a patch is reduced and enlarged again, at most: a 360-line encode on a 2160-line screen.
MOST_ZOOM = 6.0
#: How many times every other draw is reduced, at most: large sources are watched on smaller screens, and a corpus of
#: small ones would never show how sharp a picture can be.
MOST_REDUCED = 2.0
#: Sides of patches are multiples of this, the coarsest step of an expert's trunk.
STEP = 32
#: What a patch's values are raised to, at most and as its inverse: cameras and grades differ.
GAMMA = 1.25
#: How much a source's contrast and saturation are changed, at least and at most, and its brightness in code values.
CONTRAST, SATURATION, BRIGHTNESS = (0.6, 1.15), (0.0, 1.4), 24.0
#: How a clip's frames are put together: one after the other, standing still, every other one lost, in no order, at
#: twice the speed, brighter and darker in turn.
PLAYS = ("straight", "frozen", "dropped", "shuffled", "fast", "flicker")


@dataclass(frozen=True)
class Shown:
    """``pictures`` (N, 3, H, W), clips (N, T, 3, H, W), RGB in 0 to 1: the batch's G * S clips, then its G references.

    ``versions`` says how each was made, None where nothing was done; ``bandwidth`` (N,) is the logarithm to base 2 of
    the share of the picture's resolution that coding and scaling left, 0 where all. ``batch`` holds the planes, where
    the pictures are not parts of what was drawn.
    ``played`` (N,) is how each clip's frames were put together, a place in PLAYS.
    """

    pictures: Tensor
    versions: tuple[Version | None, ...]
    bandwidth: Tensor
    batch: Batch | None
    played: Tensor | None = None


class Draws(Protocol):
    """What is shown, by number."""

    def draw(self, index: int) -> Shown: ...


class Shows:
    """Draws what is shown, by number and seed alone.

    Patches are seen as they are, ``crop`` pixels across, or every other time reduced, but to no less than ``least``
    pixels; and half of the encodes are reduced and enlarged again by any factor up to MOST_ZOOM, the same one for a
    slot. ``graded`` gives each source and its encodes another contrast, brightness and colours: contents are few, and
    quality is not in them. Clips of ``frames`` frames are played in one of PLAYS' ways. In the end pictures are made
    ``half`` their size, which is how ensembles may see them.
    """

    def __init__(
        self,
        shards: Sequence[SourceShard],
        groups: int,
        slots: int,
        frames: int,
        crop: int,
        seed: int,
        *,
        graded: bool = False,
        least: int = 64,
        half: bool = False,
    ) -> None:
        read = 1 if frames == 1 else 2 * frames - 1  # twice the speed takes every other one
        for shard in shards:
            if shard.reference.shape[1] < read:
                raise InputError(
                    f"the clips of {shard.name!r} have {shard.reference.shape[1]} frames, {read} are needed"
                )
        options = BatchOptions(groups=groups, slots=slots, frames=read, colour=0.0, crop=crop)
        self._frames, self._seed, self._graded, self._half = frames, seed, graded, half
        self._near = Sampler(shards, options, seed)
        wide = min(2 * crop, *(shard.side for shard in shards))
        self._far = Sampler(shards, replace(options, crop=wide), seed)
        lowest = max(least, math.ceil(wide / MOST_REDUCED))
        self._sides = range(-(-lowest // STEP) * STEP, min(crop, wide - 1) + 1, STEP)

    def draw(self, index: int) -> Shown:
        rng = np.random.default_rng([self._seed, index, 1])
        far = bool(index % 2 and self._sides)
        batch = (self._far if far else self._near).batch(index)
        reduced = 1.0
        if far:
            side = int(rng.choice(self._sides))
            reduced = batch.reference[0].shape[-1] / side
            batch = _changed(batch, lambda luma, chroma: _sized(luma, chroma, side))
        if self._graded:
            batch = graded(batch, rng)
        zooms = np.exp(rng.uniform(math.log(1.2), math.log(MOST_ZOOM), batch.slots))
        zooms[rng.random(batch.slots) < 0.5] = 1.0
        batch = zoomed(batch, zooms.tolist())
        versions: tuple[Version | None, ...] = (*batch.versions, *([None] * batch.groups))
        shares = [coded_scale(version) for version in batch.versions]
        left = [min(1.0, share * reduced) / zooms[i % batch.slots] for i, share in enumerate(shares)]
        gammas = GAMMA ** torch.from_numpy(rng.uniform(-1, 1, len(versions))).float()
        pictures = torch.cat([_pictures(batch, batch.distorted), _pictures(batch, batch.reference)])
        played = None
        if self._frames > 1:
            ways = rng.integers(len(PLAYS), size=len(versions))
            clips = [play(clip, PLAYS[way], rng) for clip, way in zip(pictures, ways, strict=True)]
            pictures, played = torch.stack(clips), torch.from_numpy(ways)
        seen = pictures ** gammas.view(-1, *[1] * (pictures.dim() - 1))
        return Shown(
            halved(seen) if self._half else seen,
            versions,
            torch.tensor([*map(math.log2, left), *([0.0] * batch.groups)]),
            batch,
            played,
        )


class Windows:
    """Windows of what was drawn once and is kept, at half its size, which is how ensembles see pictures.

    What is learned at every place of a picture needs many windows rather than many versions, and drawing a version
    takes far longer than cutting a window from it. A source and its versions are cut alike, and mirrored half of the
    time.
    """

    def __init__(
        self, shows: Draws, count: int, groups: int, shown: tuple[int, int], side: int, seed: int
    ) -> None:
        """Keeps ``count`` draws of so many sources as ``shown`` says, with so many versions of each, and draws
        ``groups`` of their sources at a time, ``side`` pixels across. Raises InputError where no draw is as large."""
        sources, self._slots = shown
        self._groups, self._side, self._seed = groups, side, seed
        self._kept: list[tuple[Tensor, tuple[Version | None, ...], Tensor]] = []
        for index in range(count):
            drawn = shows.draw(index)
            pictures = halved(drawn.pictures)
            if min(pictures.shape[-2:]) < side:
                continue
            for i in range(sources):
                own = [*range(i * self._slots, (i + 1) * self._slots), sources * self._slots + i]
                versions = tuple(drawn.versions[j] for j in own)
                self._kept.append((pictures[own].half(), versions, drawn.bandwidth[own]))
        if not self._kept:
            raise InputError(f"the corpus has no patches of {2 * side} pixels: take a smaller --crop")

    def draw(self, index: int) -> Shown:
        rng = np.random.default_rng([self._seed, index, 2])
        chosen = [self._kept[i] for i in rng.integers(len(self._kept), size=self._groups)]
        windows = []
        for pictures, _, _ in chosen:
            top, left = (int(rng.integers(size - self._side + 1)) for size in pictures.shape[-2:])
            window = pictures[..., top : top + self._side, left : left + self._side].float()
            windows.append(window.flip(-1) if rng.random() < 0.5 else window)
        last = self._slots
        return Shown(
            torch.cat([*(each[:last] for each in windows), *(each[last:] for each in windows)]),
            (*(v for _, versions, _ in chosen for v in versions[:last]), *([None] * self._groups)),
            torch.cat([*(left[:last] for _, _, left in chosen), *(left[last:] for _, _, left in chosen)]),
            None,
        )


def play(clip: Tensor, way: str, rng: np.random.Generator) -> Tensor:
    """(2 T - 1, ...) -> (T, ...): ``way`` is one of PLAYS."""
    count = (len(clip) + 1) // 2
    order = np.arange(count)
    if way == "frozen":
        order = np.minimum(order, rng.integers(0, count // 2 + 1))
    elif way == "dropped":
        order -= order % 2
    elif way == "shuffled":
        while (np.diff(order) > 0).all():
            order = rng.permutation(count)
    elif way == "fast":
        order = 2 * order
    shown = clip[torch.from_numpy(order)]
    if way == "flicker":
        gains = 1 + rng.uniform(0.02, 0.15) * np.where(np.arange(count) % 2, 1, -1)
        shown = shown * torch.from_numpy(gains).float().view(-1, *[1] * (shown.dim() - 1))
    return shown.clamp(0, 1)


def coded_scale(version: Version) -> float:
    """The smallest size that a version was coded at, against the source's."""
    return min([step.scale for step in version.steps if isinstance(step, Encode)], default=1.0)


def zoomed(batch: Batch, zooms: Sequence[float]) -> Batch:
    """The encodes of every slot reduced and enlarged again by its factor of ``zooms``, bicubic; 1 leaves them."""
    luma, chroma = (x.clone() for x in batch.distorted)
    for slot, zoom in enumerate(zooms):
        if zoom == 1.0:
            continue
        for plane in (luma, chroma):
            clips = plane.view(batch.groups, batch.slots, batch.frames, *plane.shape[1:])
            part = clips[:, slot].reshape(batch.groups * batch.frames, -1, *plane.shape[-2:])
            small = _resized(part, max(4, round(plane.shape[-1] / zoom)))
            clips[:, slot] = _resized(small, plane.shape[-1]).view_as(clips[:, slot])
    return replace(batch, distorted=(luma, chroma))


def graded(batch: Batch, rng: np.random.Generator) -> Batch:
    """Every source with a contrast, a brightness and colours of its own, and its encodes with the same."""
    count = batch.groups
    contrast, saturation = (rng.uniform(*limits, count) for limits in (CONTRAST, SATURATION))
    brightness = rng.uniform(-BRIGHTNESS, BRIGHTNESS, count)
    signs = rng.choice([-1.0, 1.0], (2, count))
    swapped = rng.random(count) < 0.5

    def change(luma: Tensor, chroma: Tensor) -> tuple[Tensor, Tensor]:
        pictures = len(luma) // count  # of each source, one source after the other

        def of_each(values: NDArray[np.generic]) -> Tensor:
            return torch.from_numpy(values).repeat_interleave(pictures, dim=0)

        gains, offsets = (of_each(v.astype(np.float32)).view(-1, 1, 1) for v in (contrast, brightness))
        colours = of_each((saturation * signs).T.astype(np.float32)).view(-1, 2, 1, 1)
        turned = torch.where(of_each(swapped).view(-1, 1, 1, 1), chroma.flip(1), chroma)
        y = (luma.float() - 126) * gains + 126 + offsets
        c = (turned.float() - 128) * colours + 128
        return y.clamp_(16, 235).round_().byte(), c.clamp_(16, 240).round_().byte()

    return _changed(batch, change)


def _changed(batch: Batch, change: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Batch:
    return replace(batch, reference=change(*batch.reference), distorted=change(*batch.distorted))


def _sized(luma: Tensor, chroma: Tensor, side: int) -> tuple[Tensor, Tensor]:
    return _resized(luma.unsqueeze(1), side).squeeze(1), _resized(chroma, side // 2)


def _resized(planes: Tensor, side: int) -> Tensor:
    """(N, C, h, w) uint8 to ``side`` x ``side``."""
    found = F.interpolate(planes.float(), size=(side, side), mode="bicubic", antialias=True)
    return found.round_().clamp_(0, 255).byte()


def _pictures(batch: Batch, planes: tuple[Tensor, Tensor]) -> Tensor:
    found = colour.rgb(as_clip(*planes))
    return found if batch.frames == 1 else found.view(-1, batch.frames, *found.shape[1:])
