"""Train a real-time student from a corpus and write its model file: the work behind ``vqa-score train``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from rankvqa_cli.models.contract import Calibration
from rankvqa_cli.models.patchnet import PatchNet, PatchNetConfig
from rankvqa_cli.models.store import ModelFile, write_model
from rankvqa_cli.training.datasets import BatchOptions, load_corpus, split_by_content
from rankvqa_cli.training.loop import LoopOptions, fit
from rankvqa_cli.training.losses import DISTANCE_FLOOR
from rankvqa_cli.training.tasks import RankedModule, RankingTask, RankingWeights


@dataclass(frozen=True)
class StudentOptions:
    """Everything that decides a training, besides the corpus. ``fold`` of ``folds`` is held out by content."""

    network: PatchNetConfig = field(default_factory=PatchNetConfig)
    batch: BatchOptions = field(default_factory=BatchOptions)
    weights: RankingWeights = field(default_factory=RankingWeights)
    loop: LoopOptions = field(default_factory=LoopOptions)
    fold: int = 0
    folds: int = 5


def train_student(
    corpus: Path, run: Path, out: Path, name: str, options: StudentOptions, say: Callable[[str], None]
) -> str:
    """Train, resuming from ``run`` where a checkpoint lies there; write ``out``. Returns the file's sha256."""
    training, held_out = split_by_content(load_corpus(corpus), options.fold, options.folds)
    say(f"training on {len(training)} sources, holding out {', '.join(s.name for s in held_out) or 'none'}")
    torch.manual_seed(options.loop.seed)
    network = PatchNet(options.network)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    task = RankingTask(network, training, held_out, options.batch, options.weights, options.loop.seed)
    task.module.load_state_dict(fit(task, options.loop, run, say))
    return write_student(
        task.module,
        out,
        name,
        f"trained on {corpus.name}, seed {options.loop.seed}, {options.loop.steps} steps",
    )


def write_student(module: RankedModule, out: Path, name: str, provenance: str) -> str:
    """Write a trained network with the calibration that it learned from the labels. Returns the sha256."""
    # bfloat16 would cost accuracy in the first layers; the whole network is small, so float16 of it all is enough.
    tensors: dict[str, Tensor] = {key: value.half() for key, value in module.network.state_dict().items()}
    header = ModelFile(
        name=name,
        kind="full-reference",
        architecture="patchnet",
        config={
            key: list(v) if isinstance(v, tuple) else v for key, v in asdict(module.network.config).items()
        },
        calibration=above_floor(module.calibration),
        clip_frames=12,
        provenance=provenance,
    )
    return write_model(out, header, tensors)


def above_floor(calibration: Calibration) -> Calibration:
    """The learned curve belongs to D + floor; move its midpoint so that it serves D alone, with 0 exactly on top."""
    return Calibration(max(calibration.midpoint - DISTANCE_FLOOR, DISTANCE_FLOOR), calibration.slope)
