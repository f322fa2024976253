"""Train a real-time student and write its model file: the work behind ``vqa-score train``.

This is stage one, which ranks the versions in a corpus. Stage two is in ``training.pooling``.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rankvqa_cli.models.contract import Calibration
from rankvqa_cli.models.patchnet import PatchNet, PatchNetConfig
from rankvqa_cli.models.store import ModelFile, write_model
from rankvqa_cli.training.datasets import BatchOptions, load_corpus, split_by_content
from rankvqa_cli.training.frozen import label_corpus
from rankvqa_cli.training.loop import LoopOptions, fit
from rankvqa_cli.training.losses import above_floor
from rankvqa_cli.training.parallel import once
from rankvqa_cli.training.scored import Stimulus
from rankvqa_cli.training.tasks import RankingTask, RankingWeights

Say = Callable[[str], None]


@dataclass(frozen=True)
class StudentOptions:
    """Everything that decides a training, besides the corpus. ``frozen`` lists ONNX networks that label the corpus;
    ``fold`` of ``folds`` is held out by content; without ``colour`` the chroma's filters are 0 and stay so."""

    network: PatchNetConfig = field(default_factory=PatchNetConfig)
    batch: BatchOptions = field(default_factory=BatchOptions)
    weights: RankingWeights = field(default_factory=RankingWeights)
    loop: LoopOptions = field(default_factory=LoopOptions)
    frozen: tuple[Path, ...] = ()
    fold: int = 0
    folds: int = 5
    colour: bool = True


def train_student(corpus: Path, run: Path, out: Path, name: str, options: StudentOptions, say: Say) -> str:
    """Stage one: train, resuming from ``run`` where a checkpoint lies there; write ``out``. Returns its sha256."""
    torch.manual_seed(options.loop.seed)
    network = PatchNet(options.network)
    if not options.colour:
        for layer in (network.detail_chroma, network.chroma16):
            layer.weight.requires_grad_(False).zero_()
    task = _ranking_task(corpus, network, options, run, say)
    task.module.load_state_dict(fit(task, options.loop, run, say, _settings(corpus, options)))
    provenance = f"stage one on {corpus.name}, seed {options.loop.seed}, {options.loop.steps} steps"
    return write_student(task.module.network, task.module.calibration, out, name, provenance)


def _ranking_task(
    corpus: Path, network: PatchNet, options: StudentOptions, run: Path, say: Say
) -> RankingTask:
    training, held_out = split_by_content(load_corpus(corpus), options.fold, options.folds)
    say(f"training on {len(training)} sources, holding out {', '.join(s.name for s in held_out) or 'none'}")
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    damage = label_corpus(training, options.frozen, run, say)
    return RankingTask(network, training, held_out, options.batch, options.weights, options.loop.seed, damage)


def _settings(corpus: Path, options: StudentOptions) -> dict[str, Any]:
    """What decides a training besides the loop's own options."""
    values = {key: value for key, value in asdict(options).items() if key != "loop"}
    return values | {"corpus": corpus.name, "frozen": [path.name for path in options.frozen]}


def start_scale(module: nn.Module, calibration: Calibration) -> None:
    """Begin with the curve that the model file has."""
    with torch.no_grad():
        for parameter, value in (("log_midpoint", calibration.midpoint), ("log_slope", calibration.slope)):
            module.get_parameter(parameter).fill_(float(np.log(value)))


def write_left_out(path: Path, stimuli: Sequence[Stimulus], scores: Sequence[float]) -> None:
    """The scores that a run gave to the content it never learned from."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["distorted", "content", "mos", "score"])
        for stimulus, score in zip(stimuli, scores, strict=True):
            writer.writerow([stimulus.distorted, stimulus.content, stimulus.mos, f"{score:.5f}"])


def write_student(network: PatchNet, calibration: Calibration, out: Path, name: str, provenance: str) -> str:
    """Write a trained network with the calibration that it learned from the labels. Returns the sha256."""
    # bfloat16 would cost accuracy in the first layers; float16 of such a small network costs nothing measurable.
    tensors: dict[str, Tensor] = {key: value.half() for key, value in network.state_dict().items()}
    header = ModelFile(
        name=name,
        kind="full-reference",
        architecture="patchnet",
        config={key: list(v) if isinstance(v, tuple) else v for key, v in asdict(network.config).items()},
        calibration=above_floor(calibration),
        clip_frames=12,
        provenance=provenance,
    )
    return once(lambda: write_model(out, header, tensors))
