"""Train RankDVQA itself, stage one, and write its model file: PQANet and its readout on the patch clips of a corpus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from rankvqa_cli.errors import ModelError
from rankvqa_cli.models.colour import ColourInput
from rankvqa_cli.models.contract import Calibration
from rankvqa_cli.models.pqanet import PQANet, PQANetConfig
from rankvqa_cli.models.rankvqa_parts import (
    RankVQAConfig,
    RankVQAParts,
    config_from_json,
    config_to_json,
    load_parts,
    new_readout,
    parts_of,
    parts_tensors,
)
from rankvqa_cli.models.store import ModelFile, read_model, write_model
from rankvqa_cli.training.datasets import BatchOptions, load_corpus, split_by_content
from rankvqa_cli.training.frozen import label_corpus
from rankvqa_cli.training.loop import LoopOptions, fit
from rankvqa_cli.training.losses import above_floor
from rankvqa_cli.training.parallel import once
from rankvqa_cli.training.teacher_task import TeacherModule, TeacherTask, TeacherWeights

Say = Callable[[str], None]

#: A network of a few thousand parameters, to try commands with.
TINY = PQANetConfig(widths=(2, 2, 2, 4, 4, 4), dim=4, heads=2, hidden=4, dropout=0.1, exact_identity=True)


def teacher_config(colours: ColourInput = "ycbcr", *, tiny: bool = False) -> RankVQAConfig:
    """The teacher as it is trained here: published sizes, exact identity, distances read off all features."""
    network = TINY if tiny else PQANetConfig(exact_identity=True, dropout=0.1)
    return RankVQAConfig(network=network, input=colours, readout=True)


@dataclass(frozen=True)
class TeacherOptions:
    """Everything that decides a stage one, besides the corpus. ``frozen`` lists ONNX networks that label the corpus,
    ``start`` a model file to go on from, with a ``fresh_readout`` or its own; ``fold`` of ``folds`` is held out."""

    model: RankVQAConfig = field(default_factory=teacher_config)
    batch: BatchOptions = field(default_factory=BatchOptions)
    weights: TeacherWeights = field(default_factory=TeacherWeights)
    loop: LoopOptions = field(default_factory=LoopOptions)
    frozen: tuple[Path, ...] = ()
    start: Path | None = None
    fresh_readout: bool = False
    fold: int = 0
    folds: int = 5


def train_teacher(corpus: Path, run: Path, out: Path, name: str, options: TeacherOptions, say: Say) -> str:
    """Stage one: train, resuming from ``run`` where a checkpoint lies there; write ``out``. Returns its sha256.

    Raises InputError for a corpus that cannot be used, ModelError for a checkpoint or networks that cannot.
    """
    torch.manual_seed(options.loop.seed)
    config, network, parts, calibration = _begin(options)
    frames = config.network.frames
    if frames % options.batch.frames:
        raise ModelError(
            f"clips of {options.batch.frames} frames cannot be shown as {frames}: give a divisor"
        )
    assert parts.readout is not None
    training, held_out = split_by_content(load_corpus(corpus), options.fold, options.folds)
    say(f"training on {len(training)} sources, holding out {', '.join(s.name for s in held_out) or 'none'}")
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    module = TeacherModule(network, parts.readout, config.input)
    with torch.no_grad():
        module.log_midpoint.fill_(float(torch.tensor(calibration.midpoint).log()))
        module.log_slope.fill_(float(torch.tensor(calibration.slope).log()))
    damage = label_corpus(training, options.frozen, run, say)
    task = TeacherTask(module, training, held_out, options.batch, options.weights, options.loop.seed, damage)
    settings = {
        "batch": asdict(options.batch) | {"labels": list(options.batch.labels)},
        "weights": asdict(options.weights),
        "model": config_to_json(config),
        "frozen": [path.name for path in options.frozen],
        "start": "" if options.start is None else options.start.name,
        "fresh_readout": options.fresh_readout,
        "sources": [shard.name for shard in training],
    }
    module.load_state_dict(fit(task, options.loop, run, say, settings))
    provenance = f"stage one on {corpus.name}, seed {options.loop.seed}, {options.loop.steps} steps"
    return write_teacher(config, network, parts, above_floor(module.calibration), out, name, provenance)


def read_teacher(path: Path) -> tuple[ModelFile, RankVQAConfig, PQANet, RankVQAParts, str]:
    """A model file of architecture ``rankvqa`` with a readout, and its sha256. Raises ModelError for any other."""
    header, tensors, sha256 = read_model(path)
    if header.architecture != "rankvqa":
        raise ModelError(f"{str(path)!r} is a {header.architecture}; this training goes on from a rankvqa")
    try:
        config = config_from_json(header.config)
        network, parts = load_parts(config, tensors)
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        raise ModelError(f"{str(path)!r} does not fit its own header ({error}); get it again") from error
    if parts.readout is None:
        raise ModelError(f"{str(path)!r} has no readout, which this training needs; train one from the start")
    return header, config, network, parts, sha256


def write_teacher(
    config: RankVQAConfig,
    network: PQANet,
    parts: RankVQAParts,
    calibration: Calibration,
    out: Path,
    name: str,
    provenance: str,
) -> str:
    """Write a trained network in float16. Returns the sha256."""
    tensors: dict[str, Tensor] = {
        key: value.half() if value.is_floating_point() else value
        for key, value in parts_tensors(network, parts).items()
    }
    header = ModelFile(
        name=name,
        kind="full-reference",
        architecture="rankvqa",
        config=config_to_json(config),
        calibration=calibration,
        clip_frames=config.network.frames,
        provenance=provenance,
    )
    return once(lambda: write_model(out, header, tensors))


def _begin(options: TeacherOptions) -> tuple[RankVQAConfig, PQANet, RankVQAParts, Calibration]:
    if options.start is not None:
        header, config, network, parts, _ = read_teacher(options.start)
        if options.fresh_readout:
            parts = replace(parts, readout=new_readout(config.network))
        return config, network, parts, header.calibration
    network = PQANet(options.model.network)
    network.merge_frames_alike()
    return options.model, network, parts_of(options.model), Calibration()
