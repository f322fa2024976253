"""Which versions of a source a corpus holds: codec ladders, and degraded versions drawn from families.

A version is a chain of steps. Chains are drawn so that many pairs differ in one step alone, which is what orders them
by construction (see ``orders``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from rankvqa_cli.training.degradations import CHANGES, Change
from rankvqa_cli.training.encodes import CODECS, Encode

Step = Encode | Change


@dataclass(frozen=True)
class Version:
    """``family`` is ``codec`` or a key of FAMILIES; ``steps`` are applied to the pristine clip in order."""

    family: str
    steps: tuple[Step, ...]

    @property
    def changes_time(self) -> bool:
        """Whether part of the damage is in when frames are shown, so that a few frames of the clip may have none."""
        return any(
            step.every > 1 if isinstance(step, Encode) else step.name in ("dropped", "frozen")
            for step in self.steps
        )

    @property
    def luma_labels_hold(self) -> bool:
        """False where colour or range is wrong: metrics of luma see nothing, or take more contrast for better."""
        return not any(
            isinstance(step, Change) and step.name in ("hue", "saturation", "chroma-blur", "range")
            for step in self.steps
        )

    def to_json(self) -> dict[str, Any]:
        steps = [
            {"step": "encode"} | asdict(step)
            if isinstance(step, Encode)
            else {"step": step.name, "strength": step.strength, "key": step.key}
            for step in self.steps
        ]
        return {"family": self.family, "steps": steps}


def version_from_json(entry: dict[str, Any]) -> Version:
    """Raises KeyError or ValueError for what ``to_json`` never writes."""
    steps: list[Step] = []
    for step in entry["steps"]:
        if step["step"] == "encode":
            codec = str(step["codec"])
            if codec not in CODECS:
                raise ValueError(f"unknown codec {codec!r}")
            steps.append(Encode(codec, int(step["quality"]), float(step["scale"]), int(step["every"])))
        elif step["step"] in CHANGES:
            steps.append(Change(str(step["step"]), float(step["strength"]), int(step["key"])))
        else:
            raise ValueError(f"unknown step {step['step']!r}")
    return Version(str(entry["family"]), tuple(steps))


def draw_ladders(
    rng: np.random.Generator, ladders: int, rungs: int, codecs: Sequence[str], sizes: Sequence[float]
) -> list[Version]:
    """``ladders`` codec and size combinations, each with ``rungs`` qualities spread over the codec's range.

    The first half keeps the source's size, the others take one of ``sizes``; codecs come in random order before any
    repeats.
    """
    names: list[str] = []
    while len(names) < ladders:
        names += [str(name) for name in rng.permutation(list(codecs))]
    versions = []
    for i, name in enumerate(names[:ladders]):
        scale = 1.0 if i < (ladders + 1) // 2 or not sizes else float(rng.choice(list(sizes)))
        codec = CODECS[name]
        coarse = codec.coarse if scale == 1.0 else codec.coarse - codec.span // 4
        edges = np.linspace(codec.fine, coarse, rungs + 1)
        qualities = [int(rng.uniform(low, high)) for low, high in pairwise(edges)]
        versions += [Version("codec", (Encode(name, quality, scale),)) for quality in qualities]
    return versions


@dataclass(frozen=True)
class Draw:
    """What a family draws from. ``anchor`` is an encode of one of the source's own ladders, at full size and of
    middling or better quality; ``clip_frames`` the length of a clip."""

    rng: np.random.Generator
    anchor: Encode
    clip_frames: int

    def maybe_anchor(self) -> tuple[Encode, ...]:
        return (self.anchor,) if self.rng.random() < 0.5 else ()

    def key(self) -> int:
        return int(self.rng.integers(2**31))


def draw_degraded(
    rng: np.random.Generator, count: int, ladders: Sequence[Version], rungs: int, clip_frames: int
) -> list[Version]:
    """``count`` versions, whole families in random order until there are enough."""
    degraded: list[Version] = []
    if count == 0:
        return degraded
    full_size = [v.steps[0] for v in ladders if isinstance(v.steps[0], Encode) and v.steps[0].scale == 1.0]
    fine = [encode for i, encode in enumerate(full_size) if i % rungs <= (rungs - 1) // 2]
    families = list(FAMILIES)
    while len(degraded) < count:
        for family in rng.permutation(families):
            anchor = fine[int(rng.integers(len(fine)))]
            assert isinstance(anchor, Encode)
            chains = FAMILIES[str(family)](Draw(rng, anchor, clip_frames))
            degraded += [Version(str(family), chain) for chain in chains]
            if len(degraded) >= count:
                break
    return degraded[:count]


Chains = list[tuple[Step, ...]]


def _strengths(low: float, high: float, factor: float, draw: Draw, rungs: int = 3) -> list[float]:
    """A ladder that begins between ``low`` and ``high`` and grows by ``factor`` a rung."""
    first = float(draw.rng.uniform(low, high))
    return [round(first * factor**rung, 3) for rung in range(rungs)]


def _noise(draw: Draw) -> Chains:
    key, after = draw.key(), draw.maybe_anchor()
    return [(Change("noise", s, key), *after) for s in _strengths(2.0, 4.5, 2.0, draw)]


def _blur(draw: Draw) -> Chains:
    return [(Change("blur", s),) for s in _strengths(0.6, 1.1, 1.7, draw)]


def _defocus(draw: Draw) -> Chains:
    return [(Change("defocus", s), draw.anchor) for s in _strengths(1.0, 1.8, 2.0, draw, 2)]


def _banding(draw: Draw) -> Chains:
    after, first = draw.maybe_anchor(), int(draw.rng.integers(2, 4))
    return [(Change("banding", float(2**bits)), *after) for bits in range(first, first + 3)]


def _intra(draw: Draw) -> Chains:
    codec = CODECS["mjpeg"]
    edges = np.linspace(codec.fine, codec.coarse, 4)
    return [(Encode("mjpeg", int(draw.rng.uniform(low, high))),) for low, high in pairwise(edges)]


def _twice(draw: Draw) -> Chains:
    name = str(draw.rng.choice(["x264", "x265", "mpeg2", "mjpeg"]))
    codec = CODECS[name]
    return [
        (Encode(name, int(codec.fine + codec.span * draw.rng.uniform(low, low + 0.15))), draw.anchor)
        for low in (0.6, 0.85)
    ]


def _reduced(draw: Draw) -> Chains:
    return [(Encode(draw.anchor.codec, draw.anchor.quality, scale),) for scale in (0.5, 0.25)]


def _frame_rate(draw: Draw) -> Chains:
    return [(Encode(draw.anchor.codec, draw.anchor.quality, 1.0, every),) for every in (2, 3)]


def _dropped(draw: Draw) -> Chains:
    key, before = draw.key(), draw.maybe_anchor()
    counts = [max(1, round(share * draw.clip_frames)) for share in (1 / 6, 1 / 3, 2 / 3)]
    return [(*before, Change("dropped", float(count), key)) for count in counts]


def _frozen(draw: Draw) -> Chains:
    before = draw.maybe_anchor()
    first = int(draw.rng.integers(1, max(2, draw.clip_frames // 3)))
    lengths = [max(1, round(share * draw.clip_frames)) for share in (1 / 6, 1 / 3, 2 / 3)]
    return [(*before, Change("frozen", float(length), first)) for length in lengths]


def _hue(draw: Draw) -> Chains:
    before, key = draw.maybe_anchor(), int(draw.rng.choice([-1, 1]))
    return [(*before, Change("hue", s, key)) for s in _strengths(0.1, 0.25, 2.0, draw)]


def _saturation(draw: Draw) -> Chains:
    before, first = draw.maybe_anchor(), float(draw.rng.uniform(0.12, 0.24))
    return [(*before, Change("saturation", round(first * factor, 3))) for factor in (1, 2, 4)]


def _chroma_blur(draw: Draw) -> Chains:
    before, first = draw.maybe_anchor(), int(draw.rng.integers(1, 4))
    return [(*before, Change("chroma-blur", float(first * factor))) for factor in (1, 2, 4)]


def _range(draw: Draw) -> Chains:
    before, key = draw.maybe_anchor(), int(draw.rng.integers(2))
    return [(*before, Change("range", float(times), key)) for times in (1, 2)]


FAMILIES: dict[str, Callable[[Draw], Chains]] = {
    "noise": _noise,
    "blur": _blur,
    "defocus": _defocus,
    "banding": _banding,
    "intra": _intra,
    "twice-coded": _twice,
    "reduced-size": _reduced,
    "frame-rate": _frame_rate,
    "dropped-frames": _dropped,
    "frozen-frames": _frozen,
    "hue": _hue,
    "saturation": _saturation,
    "chroma-blur": _chroma_blur,
    "range": _range,
}
