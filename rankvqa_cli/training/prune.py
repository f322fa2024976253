"""Prune a model: training towards zeros, widths from densities, a network of the kept filters, fine-tuning."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rankvqa_cli.models.files import write_atomically
from rankvqa_cli.training.datasets import (
    BatchOptions,
    Sampler,
    SourceShard,
    load_corpus,
    split_by_content,
)
from rankvqa_cli.training.loop import LoopOptions, fit
from rankvqa_cli.training.losses import ranking_loss, scale_loss
from rankvqa_cli.training.parallel import once
from rankvqa_cli.training.shapes import Shape, layer_of, total
from rankvqa_cli.training.sparsity import OBProxSG, SparsityOptions, parameter_groups
from rankvqa_cli.training.tasks import RankingWeights, device_of
from rankvqa_cli.training.teacher_task import measure_places
from rankvqa_cli.training.trainable import Trainable, batch_logs, open_trainable, require_frames
from rankvqa_cli.training.widths import (
    Cost,
    Target,
    cut,
    densities,
    fitting_widths,
    require_reachable,
    scaled_widths,
)

Say = Callable[[str], None]

LAYERS_NAME = "layers.csv"


@dataclass(frozen=True)
class PruneOptions:
    """``sparse`` and ``finetune`` are the two trainings, the first one with ``sparsity``. Widths follow the densities,
    rounded up to a ``multiple``; a ``target`` scales all densities alike until it is met."""

    batch: BatchOptions = field(default_factory=BatchOptions)
    weights: RankingWeights = field(default_factory=RankingWeights)
    sparsity: SparsityOptions = field(default_factory=SparsityOptions)
    sparse: LoopOptions = field(default_factory=LoopOptions)
    finetune: LoopOptions = field(default_factory=LoopOptions)
    target: Target = field(default_factory=Target)
    multiple: int = 8
    fold: int = 0
    folds: int = 5


@dataclass(frozen=True)
class LayerRow:
    """A layer before and after. ``width`` counts output channels, None where it is no layer of any; ``density`` is the
    share of its weights that are not 0 after the sparse training."""

    layer: str
    width_before: int | None
    width_after: int | None
    density: float
    parameters_before: int
    parameters_after: int
    flops_before: int
    flops_after: int


@dataclass(frozen=True)
class Pruned:
    """``sha256`` of the file, its ``layers``, and the cost of all of them before and after."""

    sha256: str
    layers: tuple[LayerRow, ...]
    before: Cost
    after: Cost


class CorpusTask:
    """Any network on ranked pairs of a corpus: by labels, and by construction."""

    def __init__(
        self,
        network: Trainable,
        training: Sequence[SourceShard],
        held_out: Sequence[SourceShard],
        options: PruneOptions,
        seed: int,
    ) -> None:
        self.network = network
        self.module = network.module
        self.sampler = Sampler(training, options.batch, seed)
        self.held_out = held_out
        self.options = options

    def losses(self, index: int) -> dict[str, Tensor]:
        batch = self.sampler.batch(index).to(device_of(self.module))
        logs, weights = batch_logs(self.network, batch), self.options.weights
        terms = ranking_loss(logs, batch.label, batch.better, self.module.log_gain.exp(), weights.width)
        # The curve follows the labels; the network does not follow the curve.
        scale = scale_loss(self.module.score(logs.detach()), batch.label)
        return {
            "pairs": weights.pairs * terms["pairs"],
            "order": weights.order * terms["order"],
            "scale": weights.scale * scale,
        }

    def validate(self, module: nn.Module) -> dict[str, float]:
        """On the held-out contents: see ``held_out.measure_held_out``."""
        if not self.held_out:
            return {}
        device = device_of(module)
        return measure_places(
            lambda batch: batch_logs(self.network, batch.to(device)), self.held_out, self.options.batch
        )


def prune(
    model: str, corpus: Path, run: Path, out: Path, name: str, options: PruneOptions, say: Say
) -> Pruned:
    """Prune ``model`` (a name or a file) on a corpus and write ``out``; ``run`` keeps both trainings, which go on where
    they were broken off, and the layers as CSV.

    Raises UsageError for a target that cannot be met, InputError for a corpus and ModelError for a model that cannot be
    used.
    """
    torch.manual_seed(options.sparse.seed)
    big, _, sha256 = open_trainable(model)
    require_frames(big, options.batch.frames, "the model")
    full = total(big.shape)
    limits = options.target.limits(full)
    require_reachable(big.shape.sizes, _multiples(big.shape, options), limits, _cost(big.shape))
    training, held_out = split_by_content(load_corpus(corpus), options.fold, options.folds)
    say(f"pruning on {len(training)} sources, holding out {', '.join(s.name for s in held_out) or 'none'}")
    settings = _settings(sha256, corpus, options)

    # What a moving average holds is never exactly 0: the parameters themselves are kept.
    sparse = replace(options.sparse, average=0.0)
    task = CorpusTask(big, training, held_out, options, sparse.seed)
    found = fit(task, sparse, run / "sparse", say, settings, lambda: _optimiser(big, options))
    big.module.load_state_dict(found)
    big.module.cpu()

    small, shares = smaller(big, limits, options)
    say("densities: " + "  ".join(f"{width} {share:.3f}" for width, share in shares.items()))
    say("widths: " + "  ".join(f"{width} {size}" for width, size in small.shape.sizes.items()))
    finetuning = CorpusTask(small, training, held_out, options, options.finetune.seed + 1)
    small.module.load_state_dict(fit(finetuning, options.finetune, run / "finetune", say, settings))
    layers = _layers(big, small.shape)
    once(lambda: write_layers(run / LAYERS_NAME, layers))
    provenance = (
        f"pruned from {sha256[:12]} on {corpus.name}, seed {sparse.seed}, {sparse.steps} sparse steps"
    )
    provenance += f" at lambda {options.sparsity.penalty:g}, {options.finetune.steps} of fine-tuning"
    written = small.write(out, name, provenance)
    return Pruned(written, layers, full, total(small.shape))


def smaller(
    big: Trainable, limits: tuple[float, float], options: PruneOptions
) -> tuple[Trainable, dict[str, float]]:
    """The network of the widths that the densities of ``big`` ask for, within ``limits`` of (parameters, FLOPs), with
    the filters of the largest norms; and the densities by width."""
    tensors = {key: value.detach() for key, value in big.tensors().items()}
    channels = big.shape.channels()
    shares, multiples = densities(channels, tensors), _multiples(big.shape, options)
    if options.target == Target():
        widths = scaled_widths(big.shape.sizes, shares, multiples)
    else:
        widths = fitting_widths(big.shape.sizes, shares, multiples, limits, _cost(big.shape))
    shape = big.shape.resized(widths)
    return cut_network(big, shape), shares


def cut_network(big: Trainable, shape: Shape) -> Trainable:
    """``big`` cut to ``shape``: in every layer the filters of the largest norms are kept, and all that take them in."""
    tensors = {key: value.detach() for key, value in big.tensors().items()}
    channels = big.shape.channels()
    kept = [each.strongest(tensors, shape.sizes[each.width]) for each in channels]
    # Index buffers and scalings have the same shape in every network of an architecture.
    shapes = {key: value.shape for key, value in (tensors | shape.parameters()).items()}
    return big.with_tensors(shape, shape.adjusted(cut(channels, kept, tensors, shapes), big.shape))


def write_layers(path: Path, rows: Sequence[LayerRow]) -> None:
    """The table of layers as CSV, whole or not at all. Raises OutputError."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(asdict(rows[0])))
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    write_atomically(path, text.getvalue().encode())


def _optimiser(big: Trainable, options: PruneOptions) -> torch.optim.Optimizer:
    layers = [dict.fromkeys(place.tensor for place in each.made) for each in big.shape.channels()]
    return OBProxSG(
        parameter_groups(layers, big.parameters(), big.module.parameters()),
        rate=options.sparse.rate,
        penalty=options.sparsity.penalty,
        proximal_steps=round(options.sparsity.proximal * options.sparse.steps),
        half_space=options.sparsity.half_space,
    )


def _settings(sha256: str, corpus: Path, options: PruneOptions) -> dict[str, Any]:
    """What decides both trainings besides the loop's own options."""
    rest = {key: value for key, value in asdict(options).items() if key not in ("sparse", "finetune")}
    return {"model": sha256, "corpus": corpus.name, **rest, "sparse_steps": options.sparse.steps}


def _multiples(shape: Shape, options: PruneOptions) -> dict[str, int]:
    return shape.multiples(options.multiple)


def _cost(shape: Shape) -> Callable[[Mapping[str, int]], Cost]:
    known: dict[tuple[int, ...], Cost] = {}

    def cost(widths: Mapping[str, int]) -> Cost:
        key = tuple(widths.values())
        if key not in known:
            known[key] = total(shape.resized(widths))
        return known[key]

    return cost


def _layers(big: Trainable, after: Shape) -> tuple[LayerRow, ...]:
    tensors = big.tensors()
    alive: dict[str, list[int]] = {}
    for key in big.shape.parameters():
        counts = alive.setdefault(layer_of(key), [0, 0])
        counts[0] += int(tensors[key].count_nonzero())
        counts[1] += tensors[key].numel()
    return tuple(
        LayerRow(
            layer=old.name,
            width_before=old.width,
            width_after=new.width,
            density=alive[old.name][0] / alive[old.name][1],
            parameters_before=old.parameters,
            parameters_after=new.parameters,
            flops_before=old.flops,
            flops_after=new.flops,
        )
        for old, new in zip(big.shape.layers(), after.layers(), strict=True)
    )
