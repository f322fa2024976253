"""Distil a teacher into a student: the work behind ``vqa-score distill``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import torch

from rankvqa_cli.errors import ModelError, UsageError
from rankvqa_cli.models.files import sha256_of
from rankvqa_cli.training.datasets import BatchOptions, load_corpus, split_by_content
from rankvqa_cli.training.distill_task import DistillTask, DistillWeights
from rankvqa_cli.training.loop import LoopOptions, fit
from rankvqa_cli.training.shapes import total
from rankvqa_cli.training.trainable import configured, open_trainable, require_frames

Say = Callable[[str], None]


@dataclass(frozen=True)
class DistillOptions:
    """What decides a distillation, besides the networks and the corpus. ``places`` of a source are pooled."""

    batch: BatchOptions = field(default_factory=BatchOptions)
    weights: DistillWeights = field(default_factory=DistillWeights)
    loop: LoopOptions = field(default_factory=LoopOptions)
    places: int = 3
    fold: int = 0
    folds: int = 5


def weights_from(given: Sequence[str]) -> DistillWeights:
    """``NAME=VALUE`` of DistillWeights, the others as they are. Raises UsageError for what is none."""
    known = [each.name for each in fields(DistillWeights)]
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = -1.0
        if name not in known or not equals or not 0 <= found[name] < float("inf"):
            raise UsageError(f"--weight {text!r}: write NAME=VALUE, NAME one of {', '.join(known)}")
    if found.get("width") == 0:
        raise UsageError("--weight width=0: the softness of an order is above 0")
    return replace(DistillWeights(), **found)


def distill(
    teacher: str,
    student: str,
    corpus: Path,
    run: Path,
    out: Path,
    name: str,
    options: DistillOptions,
    say: Say,
) -> str:
    """Train ``student`` (a model's name or file, or a .json configuration of an untrained one) beside ``teacher`` (a
    name or file) and write ``out``. Goes on from a checkpoint in ``run``. Returns the sha256.

    Raises ModelError for networks that cannot be used or compared, InputError for a corpus that cannot.
    """
    torch.manual_seed(options.loop.seed)
    guide, calibration, sha256 = open_trainable(teacher)
    if student.endswith(".json"):
        learner, start = configured(Path(student), calibration), sha256_of(Path(student))
    else:
        learner, _, start = open_trainable(student)
    for network, what in ((guide, "the teacher"), (learner, "the student")):
        require_frames(network, options.batch.frames, what)
    if start == sha256:
        raise ModelError(f"teacher and student are the same model, {student!r}: there is nothing to learn")
    sizes = [total(each.shape) for each in (learner, guide)]
    say(
        f"the student has {sizes[0].parameters:,} parameters and {sizes[0].flops:,} FLOPs, "
        f"{sizes[0].parameters / sizes[1].parameters:.1%} and {sizes[0].flops / sizes[1].flops:.1%} of the teacher's"
    )
    training, held_out = split_by_content(load_corpus(corpus), options.fold, options.folds)
    say(f"distilling on {len(training)} sources, holding out {', '.join(s.name for s in held_out) or 'none'}")
    task = DistillTask(
        guide,
        calibration,
        learner,
        training,
        held_out,
        options.batch,
        options.weights,
        options.places,
        options.loop.seed,
    )
    settings = {key: value for key, value in asdict(options).items() if key != "loop"}
    settings |= {"corpus": corpus.name, "teacher": sha256, "student": start}
    task.module.load_state_dict(fit(task, options.loop, run, say, settings))
    provenance = f"distilled from {sha256[:12]} into {start[:12]} on {corpus.name}, seed {options.loop.seed}"
    return learner.write(out, name, f"{provenance}, {options.loop.steps} steps")
