"""Pretext tasks of the experts: what each asks of the same network. No opinion of a person has a part in any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from torch import Tensor, nn

from rankvqa_cli.models.patchnet import PatchNet
from rankvqa_cli.training.encodes import CODECS, Encode
from rankvqa_cli.training.expert_data import PLAYS, Draws, Shown
from rankvqa_cli.training.frozen import FrozenNetworks
from rankvqa_cli.training.losses import damage_losses
from rankvqa_cli.training.tasks import batch_distances
from rankvqa_cli.training.versions import FAMILIES, Version

#: Log distances below this (94 points and more) say no more than that nothing is seen; references have it.
UNSEEN = -1.5
#: Softness of the order of two patches, in log distance.
WIDTH = 0.15
KINDS = ("pristine", "codec", *FAMILIES)
CODED = ("none", *CODECS)


#: What a pretext asks of pictures, (N, ...) each.
Wanted = tuple[Tensor, ...]


class Pretext(Protocol):
    """``outputs`` is how many numbers it asks for and ``wanted`` what they should be, so many tensors as ``wants``;
    ``terms`` are weighted losses of what was ``found`` (N, outputs) float32, and ``measures`` what it is worth on
    contents that were not learned from. ``module`` holds what is trained besides the network."""

    outputs: int
    wants: int

    @property
    def module(self) -> nn.Module: ...

    def wanted(self, shown: Shown) -> Wanted: ...

    def terms(self, found: Tensor, wanted: Wanted) -> dict[str, Tensor]: ...

    def measures(self, found: Tensor, wanted: Wanted) -> dict[str, float]: ...


class Asked(Protocol):
    """What is asked of a network all in all: what of what it ``said`` is compared, as float32, with what is ``wanted``;
    and, as of a Pretext, the rest."""

    @property
    def module(self) -> nn.Module: ...

    def wanted(self, shown: Shown) -> Wanted: ...

    def found(self, said: Any) -> tuple[Tensor, ...]: ...

    def terms(self, found: Sequence[Tensor], wanted: Wanted) -> dict[str, Tensor]: ...

    def measures(self, found: Sequence[Tensor], wanted: Wanted) -> dict[str, float]: ...


class Rank:
    """Ranking by a full-reference network's distances: RankDVQA without its reference."""

    outputs = wants = 1

    def __init__(self, labels: PatchNet) -> None:
        """``labels`` is frozen (see ``labeller``) and compares every patch with its reference, as it is shown."""
        self.module = nn.ParameterDict({"log_gain": nn.Parameter(torch.tensor(1.0))})
        self._labels = labels

    def wanted(self, shown: Shown) -> Wanted:
        """Log distances (N,), lower is better."""
        assert shown.batch is not None
        with torch.no_grad():
            logs = batch_distances(self._labels, shown.batch).float()
        return (F.pad(logs, (0, shown.batch.groups), value=UNSEEN).clamp_min(UNSEEN),)

    def terms(self, found: Tensor, wanted: Wanted) -> dict[str, Tensor]:
        scale = found.new_ones(()), found.new_zeros(())
        losses = damage_losses(found[:, 0], wanted[0], self.module["log_gain"].exp(), scale, WIDTH)
        return {"rank": losses["damage"], "amount": losses["amount"]}

    def measures(self, found: Tensor, wanted: Wanted) -> dict[str, float]:
        return {"held_srocc": _srocc(found[:, 0], wanted[0])}


class Distortion:
    """What was done to a patch: the family of damage, the codec, how coarsely it coded, and what resolution is left."""

    outputs = len(KINDS) + len(CODED) + 2
    wants = 4

    def __init__(self) -> None:
        self.module = nn.ParameterDict()

    def wanted(self, shown: Shown) -> Wanted:
        """Places in KINDS and in CODED, how coarsely it was coded, and the resolution left: (N,) each."""
        return (*_made(shown.versions), shown.bandwidth)

    def terms(self, found: Tensor, wanted: Wanted) -> dict[str, Tensor]:
        kinds, codecs, coarse, left = self._parts(found)
        kind, codec, coarseness, bandwidth = wanted
        coded = torch.isfinite(coarseness)
        return {
            "kind": 0.5 * F.cross_entropy(kinds, kind),
            "codec": 0.5 * F.cross_entropy(codecs, codec),
            "coarse": 4 * F.smooth_l1_loss(coarse[coded], coarseness[coded], beta=0.1),
            "left": F.smooth_l1_loss(left, bandwidth, beta=0.3),
        }

    def measures(self, found: Tensor, wanted: Wanted) -> dict[str, float]:
        kinds, codecs, coarse, left = self._parts(found)
        kind, codec, coarseness, bandwidth = wanted
        coded = torch.isfinite(coarseness)
        return {
            "held_kind": float((kinds.argmax(dim=1) == kind).float().mean()),
            "held_codec": float((codecs.argmax(dim=1) == codec).float().mean()),
            "held_coarse": _srocc(coarse[coded], coarseness[coded]),
            "held_left": _srocc(left, bandwidth),
        }

    def _parts(self, found: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        kinds, codecs, rest = torch.split(found, [len(KINDS), len(CODED), 2], dim=1)
        return kinds, codecs, rest[:, 0], rest[:, 1]


class Content:
    """What frozen networks see in a patch: their vectors, one after the other, on the axes in which they differ most.

    The axes are fitted to the first draws, so they depend on the seed and the networks alone.
    """

    #: Axes, at most, and draws that they are fitted to.
    AXES, FITTED = 128, 8
    wants = 1

    def __init__(self, networks: FrozenNetworks, shows: Draws) -> None:
        self.module = nn.ParameterDict()
        self._networks = networks
        seen = torch.cat([self._vectors(shows.draw(index)) for index in range(self.FITTED)])
        self._centre, spread = seen.mean(dim=0), seen.std(dim=0)
        self._scale = 1 / torch.where(spread > 1e-6, spread, torch.ones_like(spread))
        _, values, axes = torch.linalg.svd((seen - self._centre) * self._scale, full_matrices=False)
        self.outputs = min(self.AXES, len(seen) - 1)
        self._axes: Tensor = axes[: self.outputs].T * (len(seen) ** 0.5 / values[: self.outputs])
        # Strong axes carry more than weak ones, but none alone: by the root of what they explain.
        self._counts = values[: self.outputs].sqrt() / values[: self.outputs].sqrt().mean()

    def wanted(self, shown: Shown) -> Wanted:
        """What the networks see, (N, outputs)."""
        standard: Tensor = (self._vectors(shown) - self._centre) * self._scale
        return (standard @ self._axes,)

    def terms(self, found: Tensor, wanted: Wanted) -> dict[str, Tensor]:
        errors = (found - wanted[0]).square()
        return {"content": (errors * self._counts.to(found.device)).mean()}

    def measures(self, found: Tensor, wanted: Wanted) -> dict[str, float]:
        left = (found - wanted[0]).square().mean(dim=0) / wanted[0].var(dim=0)
        return {"held_explained": float(1 - (left * self._counts).mean())}

    def _vectors(self, shown: Shown) -> Tensor:
        return torch.from_numpy(self._networks.features(shown.pictures))


class Motion:
    """How a clip is played: with frames frozen, lost, out of order, too fast, or flickering."""

    outputs = len(PLAYS)
    wants = 1

    def __init__(self) -> None:
        self.module = nn.ParameterDict()

    def wanted(self, shown: Shown) -> Wanted:
        """Places in PLAYS, (N,)."""
        assert shown.played is not None
        return (shown.played,)

    def terms(self, found: Tensor, wanted: Wanted) -> dict[str, Tensor]:
        return {"played": F.cross_entropy(found, wanted[0])}

    def measures(self, found: Tensor, wanted: Wanted) -> dict[str, float]:
        return {"held_played": float((found.argmax(dim=1) == wanted[0]).float().mean())}


class Together:
    """Pretexts that are asked of one network, whose outputs stand one after the other: what one of them needs to see
    keeps the others from learning contents by heart. Each finds one tensor, and wants its own ones."""

    def __init__(self, parts: Sequence[Pretext]) -> None:
        self.module = nn.ModuleList(part.module for part in parts)
        self.outputs = sum(part.outputs for part in parts)
        self._parts = parts

    def wanted(self, shown: Shown) -> Wanted:
        """What each wants, one after the other."""
        return tuple(each for part in self._parts for each in part.wanted(shown))

    def found(self, said: Tensor) -> tuple[Tensor, ...]:
        """The outputs of each, (N, its outputs)."""
        return torch.split(said.float(), [part.outputs for part in self._parts], dim=1)

    def terms(self, found: Sequence[Tensor], wanted: Wanted) -> dict[str, Tensor]:
        each = self._each(found, wanted)
        return {name: term for part, own, asked in each for name, term in part.terms(own, asked).items()}

    def measures(self, found: Sequence[Tensor], wanted: Wanted) -> dict[str, float]:
        each = self._each(found, wanted)
        return {name: value for part, own, asked in each for name, value in part.measures(own, asked).items()}

    def _each(self, found: Sequence[Tensor], wanted: Wanted) -> Iterator[tuple[Pretext, Tensor, Wanted]]:
        rest = iter(wanted)
        for part, own in zip(self._parts, found, strict=True):
            yield part, own, tuple(islice(rest, part.wants))


class ExpertModule(nn.Module):
    """The network and what only its training needs."""

    def __init__(self, network: nn.Module, pretext: Asked) -> None:
        super().__init__()
        self.network = network
        self.pretext = pretext.module


class ExpertTask:
    """A ``loop.Task``: one network, and what is asked of it."""

    #: So many draws of the held-out contents are looked at.
    VALIDATED = 8

    def __init__(self, network: nn.Module, pretext: Asked, shows: Draws, held_out: Draws | None) -> None:
        self.module = ExpertModule(network, pretext)
        self.pretext = pretext
        self._shows, self._held_out = shows, held_out
        self._drawing = ThreadPoolExecutor(1)
        self._ahead: tuple[int, Future[tuple[Tensor, Wanted]]] | None = None

    def losses(self, index: int) -> dict[str, Tensor]:
        pictures, wanted = self._drawn(index)
        device = next(self.module.parameters()).device
        found = self.pretext.found(self.module.network(pictures.to(device)))
        return self.pretext.terms(found, tuple(each.to(device) for each in wanted))

    def _drawn(self, index: int) -> tuple[Tensor, Wanted]:
        """What is shown under ``index`` and asked of it; the next is drawn while this one is learned from."""
        ahead, self._ahead = self._ahead, None
        drawn = ahead[1].result() if ahead and ahead[0] == index else self._draw(self._shows, index)
        self._ahead = index + 1, self._drawing.submit(self._draw, self._shows, index + 1)
        return drawn

    def _draw(self, shows: Draws, index: int) -> tuple[Tensor, Wanted]:
        shown = shows.draw(index)
        return shown.pictures, self.pretext.wanted(shown)

    def validate(self, module: nn.Module) -> dict[str, float]:
        if self._held_out is None:
            return {}
        assert isinstance(module, ExpertModule)
        device = next(module.parameters()).device
        drawn = [self._draw(self._held_out, index) for index in range(self.VALIDATED)]
        found = [self.pretext.found(module.network(pictures.to(device))) for pictures, _ in drawn]
        return self.pretext.measures(_joined(found), _joined([wanted for _, wanted in drawn]))


def _joined(rows: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    return tuple(torch.cat([each.cpu() for each in same]) for same in zip(*rows, strict=True))


def _made(versions: Sequence[Version | None]) -> tuple[Tensor, Tensor, Tensor]:
    """(N,) each: place in KINDS, place in CODED, and how coarsely it was last coded, 0 to 1, NaN where it was not."""
    kinds, codecs, coarse = [], [], []
    for version in versions:
        encodes = [step for step in version.steps if isinstance(step, Encode)] if version else []
        kinds.append(KINDS.index(version.family if version else "pristine"))
        codecs.append(CODED.index(encodes[-1].codec if encodes else "none"))
        coarse.append(_coarseness(encodes[-1]) if encodes else float("nan"))
    return torch.tensor(kinds), torch.tensor(codecs), torch.tensor(coarse)


def _coarseness(encode: Encode) -> float:
    codec = CODECS[encode.codec]
    return (encode.quality - codec.fine) / codec.span


def _srocc(found: Tensor, wanted: Tensor) -> float:
    x, y = found.cpu().numpy(), wanted.cpu().numpy()
    return float(spearmanr(x, y).statistic) if np.ptp(x) > 0 and np.ptp(y) > 0 else 0.0
