"""Training the ensemble's head: features that were computed once, a small network, seconds; whole contents left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rankvqa_cli.errors import ModelError
from rankvqa_cli.models.ptm.fusion import JOINT, Fusion, FusionConfig, slope
from rankvqa_cli.training.clusters import mos_clusters
from rankvqa_cli.training.icid import IcidLoss, IcidOptions, icid_loss
from rankvqa_cli.training.select import Weighting, dbi_weights

Array = NDArray[np.float64]
Listener = Callable[[int, float, IcidLoss], None]

#: With more contents than this, several are left out at a time.
MOST_FOLDS = 25
#: Into so many parts a teacher's contents fall, each projected by what was fitted to the others.
TAUGHT_FOLDS = 5
#: Of the line through labels over what is said of them, at least: a scale is never turned around.
LEAST_SLOPE = 1e-3


@dataclass(frozen=True)
class FusingOptions:
    """The head's shape (see ``FusionConfig``), its training, and how members count.

    ``joint`` adds one regression on all members, of ``joint_penalty`` against features of which all members together
    have a variance of 1. With ``people``, projections are fitted to people's scores as well as
    to a teacher's, each counting as so many of the teacher's. ``jitter`` is noise on the projected features, in
    their own standard deviations. ``within`` is for the index that the weights come from (see
    ``select.SelectOptions``), always of the training samples alone.
    """

    components: int = 4
    mean: bool = False
    joint: bool = False
    joint_penalty: float = JOINT
    people: float = 0.0
    hidden: int = 32
    latent: int = 16
    dropout: float = 0.0
    jitter: float = 0.3
    steps: int = 200
    batch: int = 128
    rate: float = 3e-3
    decay: float = 0.1
    clusters: int = 6
    weighting: Weighting = "dbi"
    within: bool = False
    icid: IcidOptions = field(default_factory=IcidOptions)


def ablations(options: FusingOptions) -> dict[str, FusingOptions]:
    """The options with one thing taken away or changed, by the name of what was done."""
    icid = options.icid
    other: Weighting = "equal" if options.weighting == "dbi" else "dbi"
    return {
        "no_intra": replace(options, icid=replace(icid, intra=0.0)),
        "no_inter": replace(options, icid=replace(icid, inter=0.0)),
        "no_icid": replace(options, icid=replace(icid, intra=0.0, inter=0.0)),
        f"{other}_weights": replace(options, weighting=other),
    }


@dataclass(frozen=True)
class Samples:
    """``features`` has one (N, D) float32 a member, in ``blocks`` equal parts; ``mos`` (N,) is 1 to 5, ``weight``
    (N,) what each sample counts.

    ``judged`` (N,) are samples whose MOS is people's: the others, a teacher's labels, are learned from and never
    judged by. Where there are some of a teacher's, projections are fitted to them alone: they are of many contents, and
    people's of a handful, from which nothing can tell what is content and what is quality.
    """

    features: tuple[NDArray[np.float32], ...]
    mos: Array
    contents: tuple[str, ...]
    weight: Array
    judged: NDArray[np.bool_]
    blocks: int = 1

    def rows(self, chosen: NDArray[np.bool_]) -> Samples:
        return Samples(
            tuple(each[chosen] for each in self.features),
            self.mos[chosen],
            tuple(name for name, kept in zip(self.contents, chosen, strict=True) if kept),
            self.weight[chosen],
            self.judged[chosen],
            self.blocks,
        )


@dataclass(frozen=True)
class LeftOut:
    """What was said of contents that were not learned from: ``quality`` (S, N) by seed, 0 to 100, and ``own`` (N, M) by
    each member's vector alone, the mean of the seeds. Rows that are not judged are NaN."""

    quality: Array
    own: Array


def folds_of(contents: Sequence[str], most: int = MOST_FOLDS) -> NDArray[np.int64]:
    """The fold of each sample: one a content, or ``most`` of several contents each."""
    names = sorted(set(contents))
    number = {name: i % most for i, name in enumerate(names)}
    return np.array([number[name] for name in contents])


@dataclass(frozen=True)
class Projected:
    """What is the same for every seed: centres and projections by name, fitted, and what those say of the samples, one
    (N, columns) a member, each content as seen by projections that were not fitted to it."""

    fitted: dict[str, Tensor]
    inputs: list[Tensor]


def project(samples: Samples, options: FusingOptions, taught: Projected | None = None) -> Projected:
    """Fit the projections, once for all and once without each content.

    ``taught`` is what this gives for the teacher's samples alone, where there are some; computed if need be.
    """
    teachers = ~samples.judged
    inputs = [_tensor(each) for each in samples.features]
    fusion = Fusion(_config(samples, options, weighted=options.joint))
    if teachers.all() or not teachers.any():
        most = TAUGHT_FOLDS if teachers.all() else MOST_FOLDS
        found = _projected(fusion, inputs, _label(samples), folds_of(samples.contents, most), options)
        return Projected(_fitted(fusion), found)
    known = taught or project(samples.rows(teachers), options)
    for name, value in known.fitted.items():
        fusion.get_buffer(name).copy_(value)
    found = [fusion.projected(i, each) for i, each in enumerate(inputs)]
    if options.people > 0:
        fitted = _fit_both(fusion, inputs, samples, options, found)
        return Projected(_fitted(fusion), fitted)
    for each, theirs in zip(found, known.inputs, strict=True):
        each[torch.from_numpy(teachers)] = theirs
    return Projected(known.fitted, found)


def _fitted(fusion: Fusion) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in fusion.named_buffers() if name != "weights"}


def _fit_both(
    fusion: Fusion,
    inputs: Sequence[Tensor],
    samples: Samples,
    options: FusingOptions,
    taught: Sequence[Tensor],
) -> list[Tensor]:
    """Fit projections to people's scores and the teacher's together; returns what ``_projected`` does.

    People's scores are stretched to the teacher's scale, by what projections that were ``taught`` by the teacher alone
    say of both. A teacher is believed in its order of one content's versions, not in its order of contents, and people
    wherever they were asked on one scale.
    """
    people = torch.from_numpy(samples.judged)
    own = [each[:, -1] if options.joint else each.mean(dim=1) for each in taught]
    said, label = torch.stack(own).sum(dim=0).double(), _label(samples).double()
    numbers = {name: i + 1 for i, name in enumerate(sorted(set(samples.contents)))}
    group = torch.tensor([numbers[name] for name in samples.contents]).masked_fill(people, 0)
    theirs, peoples = (slope(said[each], label[each]).clamp_min(LEAST_SLOPE) for each in (~people, people))
    label = torch.where(people, label * theirs / peoples, label)
    weight = torch.where(people, options.people, 1.0)
    folds = folds_of(samples.contents, TAUGHT_FOLDS)
    return _projected(fusion, inputs, label.float(), folds, options, weight, group)


def fit(
    samples: Samples,
    options: FusingOptions,
    seed: int,
    listen: Listener = lambda *_: None,
    projected: Projected | None = None,
) -> Fusion:
    """A head for these samples; ``projected`` is what ``project`` gives for them and the options, computed if need be.

    Raises InputError for MOS that make no clusters, and ModelError for a loss that is not finite.
    """
    clusters = torch.from_numpy(mos_clusters(samples.mos.tolist(), options.clusters))
    known = projected or project(samples, options)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    fusion = Fusion(_config(samples, options))
    for name, value in known.fitted.items():
        fusion.get_buffer(name).copy_(value)
    spreads = [each.std(dim=0, correction=0) * options.jitter for each in known.inputs]
    label = _label(samples)
    weight = torch.from_numpy(samples.weight).float()
    asked = torch.from_numpy(samples.judged if samples.judged.any() else ~samples.judged)
    fusion.begin([each[asked] for each in known.inputs], label[asked])
    optimiser = torch.optim.AdamW(fusion.parameters(), lr=options.rate, weight_decay=options.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, options.rate, total_steps=options.steps)
    fusion.train()
    for step in range(1, options.steps + 1):
        rows = torch.randperm(len(label), generator=generator)[: options.batch]
        shaken = [
            x[rows] + s * torch.randn(len(rows), len(s), generator=generator)
            for x, s in zip(known.inputs, spreads, strict=True)
        ]
        fused = fusion.joined(shaken)
        loss = icid_loss(fused, label[rows], clusters[rows], weight[rows], options.icid, generator)
        if not torch.isfinite(loss.total):
            raise ModelError(f"the loss is not finite at step {step}; train again with a lower --rate")
        optimiser.zero_grad()
        loss.total.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        rate = float(schedule.get_last_lr()[0])
        schedule.step()
        listen(step, rate, loss)
    return fusion.eval()


def leave_out(samples: Samples, options: FusingOptions, seeds: Sequence[int]) -> LeftOut:
    """Every judged sample as scored by heads that never saw its content, one a seed."""
    count, members = len(samples.mos), len(samples.features)
    quality = np.full((len(seeds), count), np.nan)
    own = np.zeros((count, members))
    rated = samples.rows(samples.judged).contents
    people = dict(zip(rated, folds_of(rated), strict=True))
    folds = np.array([people.get(name, -1) for name in samples.contents])
    taught = None
    if not samples.judged.all() and (folds[~samples.judged] < 0).all():  # the same for every fold
        taught = project(samples.rows(~samples.judged), options)
    for fold in sorted(set(people.values())):
        held = (folds == fold) & samples.judged
        rest, unseen = samples.rows(folds != fold), samples.rows(held)
        known = project(rest, options, taught)
        for i, seed in enumerate(seeds):
            seen = score(fit(rest, options, seed, projected=known), unseen)
            quality[i, held] = seen[0]
            own[held] += seen[1] / len(seeds)
    own[~samples.judged] = np.nan
    return LeftOut(quality, own)


def score(fusion: Fusion, samples: Samples) -> tuple[Array, Array]:
    """(N,) quality, 0 to 100 but not clamped, and (N, M) by each member."""
    with torch.no_grad():
        fused = fusion([_tensor(each) for each in samples.features])
    return np.asarray(fused.quality.double().numpy()), np.asarray(fused.own.double().numpy())


def _projected(
    fusion: Fusion,
    inputs: Sequence[Tensor],
    label: Tensor,
    folds: NDArray[np.int64],
    options: FusingOptions,
    weight: Tensor | None = None,
    group: Tensor | None = None,
) -> list[Tensor]:
    """What projections say of contents that they were not fitted to; those of ``fusion`` are then fitted to all.

    Fitted to their own samples they would know the label better than they ever will again, and the head would trust
    them.
    """
    projected = [torch.zeros(len(label), fusion.config.width) for _ in inputs]
    penalty = options.joint_penalty
    if len(np.unique(folds)) > 1:
        for fold in np.unique(folds):
            held = torch.from_numpy(folds == fold)
            counts, groups = (None if x is None else x[~held] for x in (weight, group))
            fusion.fit([x[~held] for x in inputs], label[~held], counts, groups, penalty)
            for i, each in enumerate(inputs):
                projected[i][held] = fusion.projected(i, each[held])
        fusion.fit(inputs, label, weight, group, penalty)
        return projected
    fusion.fit(inputs, label, weight, group, penalty)
    return [fusion.projected(i, each) for i, each in enumerate(inputs)]


def _config(samples: Samples, options: FusingOptions, *, weighted: bool = True) -> FusionConfig:
    members = len(samples.features)
    weights = [1 / members] * members
    if weighted and options.weighting == "dbi":
        rated = samples.rows(samples.judged) if samples.judged.any() else samples
        features = [np.asarray(each, np.float64) for each in rated.features]
        found = dbi_weights(features, rated.mos, rated.contents, options.clusters, within=options.within)
        weights = [float(each) for each in found]
    return FusionConfig(
        inputs=[each.shape[1] for each in samples.features],
        weights=weights,
        blocks=samples.blocks,
        components=options.components,
        mean=options.mean,
        joint=options.joint,
        hidden=options.hidden,
        latent=options.latent,
        dropout=options.dropout,
    )


def _label(samples: Samples) -> Tensor:
    return torch.from_numpy(25 * (samples.mos - 1)).float()


def _tensor(features: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.array(features))
