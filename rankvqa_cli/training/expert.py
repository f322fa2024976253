"""Train one of the project's own experts, and write its file: the work behind ``vqa-score train --model expert``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import torch

from rankvqa_cli.errors import ModelError, UsageError
from rankvqa_cli.models.contract import Calibration
from rankvqa_cli.models.ptm import LEAST_SIDE
from rankvqa_cli.models.ptm.expert import ON_NEAR, Expert, ExpertConfig
from rankvqa_cli.models.ptm.near import Near, NearConfig
from rankvqa_cli.models.store import ModelFile, read_model, write_model
from rankvqa_cli.training.datasets import SourceShard, load_corpus, split_by_content
from rankvqa_cli.training.expert_data import Draws, Shows, Windows
from rankvqa_cli.training.expert_tasks import (
    Asked,
    Content,
    Distortion,
    ExpertTask,
    Motion,
    Pretext,
    Rank,
    Together,
)
from rankvqa_cli.training.frozen import FrozenNetworks
from rankvqa_cli.training.labeller import read_labeller
from rankvqa_cli.training.loop import LoopOptions, fit
from rankvqa_cli.training.parallel import once
from rankvqa_cli.training.texture import Textures

Pretask = Literal["rank", "distortion", "content", "texture", "motion"]
#: Frames of a clip that a motion expert sees.
MOTION_FRAMES = 6
#: Tasks that are asked of no network together with others.
ALONE = {"motion": "clips, the other tasks from pictures", "texture": "windows, by a network of its own"}
#: Of what ``texture`` is learned from: draws that are kept, of the held-out contents and of the others (there no more
#: than steps), sources of each, and pixels across, at most, before it is halved.
FEW, KEPT, SOURCES, MOST_WIDE = 8, 800, 4, 256


@dataclass(frozen=True)
class ExpertOptions:
    """Everything that decides a training, besides the corpus. ``tasks`` are asked of one network together. ``groups``
    sources with ``slots`` versions each are shown a step, ``crop`` pixels across; ``labels`` is the full-reference
    model file that ``rank`` learns from, ``frozen`` the ONNX networks that ``content`` does, ``texture`` the maps, by
    file and name, that ``texture`` does, with a network of its own, ``near``; ``start`` is an expert whose trunk is
    gone on from, or a network of textures, which an expert then stands on (``on_near``) and never changes. What is
    shown is ``halved``, as ensembles that see pictures at half their size do, or not."""

    tasks: tuple[Pretask, ...]
    network: ExpertConfig = field(default_factory=ExpertConfig)
    loop: LoopOptions = field(default_factory=LoopOptions)
    groups: int = 12
    slots: int = 7
    crop: int = 128
    labels: Path | None = None
    frozen: tuple[Path, ...] = ()
    texture: tuple[tuple[Path, str], ...] = ()
    near: NearConfig = field(default_factory=NearConfig)
    on_near: ExpertConfig = ON_NEAR
    halved: bool = False
    start: Path | None = None
    fold: int = 0
    folds: int = 5


def train_expert(
    corpus: Path, run: Path, out: Path, name: str, options: ExpertOptions, say: Callable[[str], None]
) -> str:
    """Train, resuming from ``run`` where a checkpoint lies there; write ``out``. Returns its sha256.

    Raises InputError for a corpus that cannot be used, UsageError for a task without what it needs, and ModelError.
    """
    for alone, why in ALONE.items():
        if alone in options.tasks and len(options.tasks) > 1:
            raise UsageError(f"{alone} is learned from {why}: it stands alone")
    start = None if options.start is None else _Start(options.start)
    near = None if start is None else start.near()
    if near is not None and "motion" in options.tasks:
        raise UsageError(
            "motion is learned from clips, and --start has a network of textures, of single pictures"
        )
    training, held_out = split_by_content(load_corpus(corpus), options.fold, options.folds)
    say(f"training on {len(training)} sources, holding out {', '.join(s.name for s in held_out) or 'none'}")
    shows = _shows(training, options, options.loop.seed)
    torch.manual_seed(options.loop.seed)
    network: Expert | Near
    asked: Asked
    if options.tasks == ("texture",):
        network, asked = _near(options, shows)
    else:
        network, asked = _expert(options, shows, near)
    if start is not None:
        start.begin(network)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    task = ExpertTask(network, asked, shows, _shows(held_out, options) if held_out else None)
    task.module.load_state_dict(fit(task, options.loop, run, say, _settings(corpus, options)))
    header = ModelFile(
        name=name,
        kind="no-reference",
        architecture=_architecture(network),
        config=_listed(network.config),
        calibration=Calibration(),
        clip_frames=_frames(options),
        provenance=f"{', '.join(options.tasks)} on {corpus.name}, seed {options.loop.seed}, {options.loop.steps} steps",
        scale="none: a vector, no score",
    )
    tensors = {key: value.half() for key, value in network.state_dict().items()}
    return once(lambda: write_model(out, header, tensors))


def _expert(options: ExpertOptions, shows: Draws, near: NearConfig | None) -> tuple[Expert, Asked]:
    pretexts = {task: _pretext(task, options, shows) for task in options.tasks}
    together = Together(list(pretexts.values()))
    tasks = tuple((task, each.outputs) for task, each in pretexts.items())
    network = options.network if near is None else options.on_near
    return Expert(
        replace(network, outputs=together.outputs, tasks=tasks, frames=_frames(options), near=near)
    ), together


def _near(options: ExpertOptions, shows: Draws) -> tuple[Near, Asked]:
    if not options.texture:
        raise UsageError("--task texture needs --texture: the maps that are learned")
    shown, widths = (options.groups, options.slots), options.near.maps
    network = Near(options.near)
    return network, Textures(options.texture, shows, shown, widths, torch.get_num_threads())


def _architecture(network: Expert | Near) -> str:
    return "near" if isinstance(network, Near) else "expert"


def _frames(options: ExpertOptions) -> int:
    return MOTION_FRAMES if "motion" in options.tasks else 1


def _shows(shards: Sequence[SourceShard], options: ExpertOptions, seed: int | None = None) -> Draws:
    """What is learned from, or, without a ``seed``, what it is measured on."""
    held_out = seed is None
    if options.tasks == ("texture",):
        wide = min(MOST_WIDE, *(shard.side for shard in shards))
        drawn = SOURCES, options.slots
        shows = Shows(shards, *drawn, 1, wide, seed or 0)
        count = FEW if held_out else min(KEPT, options.loop.steps)
        return Windows(shows, count, options.groups, drawn, options.crop, seed or 0)
    least = LEAST_SIDE if "content" in options.tasks else 64
    sizes = options.groups, options.slots, _frames(options), options.crop
    return Shows(shards, *sizes, seed or 0, graded=not held_out, least=least, half=options.halved)


class _Start:
    """A file of an expert, or of a network of textures, that a training begins with."""

    def __init__(self, file: Path) -> None:
        """Raises ModelError."""
        self._file = file
        self._header, self._tensors, _ = read_model(file)

    def near(self) -> NearConfig | None:
        """Of the network of textures that an expert stands on that begins with this, if any. Raises ModelError."""
        try:
            if self._header.architecture == "near":
                return NearConfig.from_json(self._header.config)
            if self._header.architecture == "expert":
                return ExpertConfig.from_json(self._header.config).near
        except (TypeError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"cannot begin with {str(self._file)!r} ({reason}); get it again") from error
        return None

    def begin(self, network: Expert | Near) -> None:
        """Give it the trunk, and of what reads vectors from it what has the same shape; never the head, with which its
        own pretexts alone have to do. What ``network`` has more of stays as it is; the network of textures that it
        stands on will not learn. Raises ModelError."""
        under = isinstance(network, Expert) and self._header.architecture == "near"
        if not under and self._header.architecture != _architecture(network):
            raise ModelError(
                f"{str(self._file)!r} is of the architecture {self._header.architecture!r}, "
                f"not {_architecture(network)!r}"
            )
        shapes = {name: value.shape for name, value in network.state_dict().items()}
        own = {f"near.{name}" if under else name: value.float() for name, value in self._tensors.items()}
        kept = {
            name: value
            for name, value in own.items()
            if not name.startswith("head.")
            and not (name.startswith("embed.") and shapes.get(name) != value.shape)
        }
        try:
            network.load_state_dict(network.state_dict() | kept)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise ModelError(
                f"{str(self._file)!r} has another shape than the expert to train ({reason})"
            ) from error
        if isinstance(network, Expert) and network.near is not None:
            network.near.requires_grad_(False)


def _pretext(task: Pretask, options: ExpertOptions, shows: Draws) -> Pretext:
    if task == "distortion":
        return Distortion()
    if task == "motion":
        return Motion()
    if task == "content":
        if not options.frozen:
            raise UsageError("--task content needs --frozen: the networks whose features are learned")
        if options.crop < LEAST_SIDE:
            raise UsageError(f"--task content needs --crop {LEAST_SIDE} or more: frozen networks see no less")
        return Content(FrozenNetworks(options.frozen, torch.get_num_threads()), shows)
    if options.labels is None:
        raise UsageError(
            "--task rank needs --labels: a full-reference model file that says how far patches are off"
        )
    return Rank(read_labeller(options.labels)[0])


def _settings(corpus: Path, options: ExpertOptions) -> dict[str, Any]:
    """What decides a training besides the loop's own options."""
    values = {key: value for key, value in asdict(options).items() if key != "loop"}
    labels, start = (None if file is None else file.name for file in (options.labels, options.start))
    frozen = [path.name for path in options.frozen]
    texture = [f"{path.name}#{name}" for path, name in options.texture]
    return (
        values
        | {
            "corpus": corpus.name,
            "labels": labels,
            "start": start,
            "frozen": frozen,
            "texture": texture,
        }
        | {name: _listed(getattr(options, name)) for name in ("network", "near", "on_near")}
    )


def _listed(config: ExpertConfig | NearConfig) -> dict[str, Any]:
    """Its fields, as a file's header and a checkpoint have them: no tuples."""
    return {
        key: list(v) if isinstance(v, tuple) else _listed(v) if isinstance(v, NearConfig) else v
        for key, v in ((each.name, getattr(config, each.name)) for each in fields(config))
    }
