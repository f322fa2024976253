"""Stage two: STANet and the readout learn from people's scores of whole pictures, the network stays as it is.

Because the network is frozen, a step costs milliseconds, and leaving out each content in turn costs minutes. Patches
of the corpus go along, so that what is ordered by construction stays in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from rankvqa_cli.models.compute import choose
from rankvqa_cli.models.contract import Calibration
from rankvqa_cli.models.patchnet import PatchNet, PatchNetConfig
from rankvqa_cli.models.patchnet_model import PatchNetModel
from rankvqa_cli.models.rankvqa import RankVQA
from rankvqa_cli.models.rankvqa_parts import RankVQAParts, stanet_channels
from rankvqa_cli.models.reserve import Readout
from rankvqa_cli.models.stanet import STANet
from rankvqa_cli.models.store import read_model, restored
from rankvqa_cli.training.datasets import SourceShard, load_corpus, split_by_content
from rankvqa_cli.training.loop import LoopOptions, fit
from rankvqa_cli.training.losses import ScoreCurve, above_floor, log_distance, ranking_loss, scale_loss
from rankvqa_cli.training.observations import Observations, Observer, observe_corpus, observe_scored
from rankvqa_cli.training.parallel import first_alone, once
from rankvqa_cli.training.places import FINE, CorpusPlaces, LabelCurve
from rankvqa_cli.training.scored import ScoredSet, load_scored
from rankvqa_cli.training.student import write_left_out, write_student
from rankvqa_cli.training.teacher import read_teacher, write_teacher

Say = Callable[[str], None]

#: STANet's share of the rate: faster, a handful of contents is learned by heart (weights/LOG.md).
SLOW = 0.1


@dataclass(frozen=True)
class PoolingOptions:
    """A step takes ``stimuli`` scored pictures and ``groups`` patches of the corpus with all their versions. Weights:
    ``opinion`` of pairs and scale, ``order`` and ``label`` of the corpus (0 leaves its labels out), ``keep`` of the
    readout's squared distance (of logarithms) from stage one. ``width`` is the softness of an order of opinions, in
    points of 100."""

    stimuli: int = 48
    groups: int = 4
    opinion: float = 1.0
    order: float = 0.3
    label: float = 0.0
    keep: float = 1.0
    width: float = 8.0
    places: int = 2
    pooling: Literal["stanet", "mean"] = "stanet"


@dataclass(frozen=True)
class PoolingData:
    """``scores`` is a CSV of scored pictures, ``start`` the stage-one file, ``cache`` keeps decoded pictures and what
    was seen of them, ``leave_out`` names a content that is scored at the end and never learned from."""

    scores: Path
    start: Path
    cache: Path
    leave_out: str | None = None
    fold: int = 0
    folds: int = 5
    options: PoolingOptions = field(default_factory=PoolingOptions)


class PoolingModule(ScoreCurve):
    """STANet (None: a plain mean), the readout, and the curve that makes 25 x (MOS - 1) of distances; ``labels`` is
    another one, of the corpus' labels where they are learned."""

    def __init__(
        self,
        stanet: STANet | None,
        readout: Readout,
        calibration: Calibration,
        labels: LabelCurve | None = None,
    ) -> None:
        super().__init__()
        self.labels = labels
        self.stanet = stanet
        self.readout = readout
        self.log_gain = nn.Parameter(torch.tensor(1.0))
        self.log_midpoint = nn.Parameter(torch.tensor(calibration.midpoint).log())
        self.log_slope = nn.Parameter(torch.tensor(calibration.slope).log())

    def forward(self, seen: Observations) -> Tensor:
        """Log distances (N,)."""
        weights = self.weights(seen).unsqueeze(1)  # (N, 1, R, C)
        energy, reserve = ((side * weights).sum(dim=(2, 3)) for side in (seen.energy, seen.reserve))
        return log_distance(self.readout(energy, reserve))

    def weights(self, seen: Observations) -> Tensor:
        """What each patch counts: (N, R, C), adding up to 1 over a picture."""
        count, _, rows, columns = seen.positions.shape
        if self.stanet is None or rows * columns == 1:
            return torch.full((count, rows, columns), 1 / (rows * columns))
        return self.stanet.weights(seen.positions.unsqueeze(1)).squeeze(1)


class PoolingTask:
    """Pairs and values of opinions, orders of the corpus. Rows ``held_out`` of the scored set are not learned from."""

    def __init__(
        self,
        module: PoolingModule,
        scored: tuple[ScoredSet, Observations],
        held_out: Sequence[int],
        corpus: CorpusPlaces,
        options: PoolingOptions,
        seed: int,
        held_places: CorpusPlaces | None = None,
    ) -> None:
        self.module = module
        self.options = options
        self.seed = seed
        self.seen = scored[1]
        self.labels = torch.tensor([stimulus.label for stimulus in scored[0].stimuli])
        self.held_out = list(held_out)
        left = set(held_out)
        self.learned = np.array([row for row in range(len(self.labels)) if row not in left])
        self.corpus = corpus
        self.held_places = held_places
        self.start = module.readout.log_weight.detach().clone()

    def losses(self, index: int) -> dict[str, Tensor]:
        options, gain = self.options, self.module.log_gain.exp()
        rng = np.random.default_rng([self.seed, 2, index])
        rows = rng.choice(self.learned, min(options.stimuli, len(self.learned)), replace=False)
        logs, labels = self.module(self.seen.pick(rows)), self.labels[torch.as_tensor(rows)]
        none = torch.zeros(len(rows), len(rows), dtype=torch.bool)
        opinions = ranking_loss(logs, labels, none, gain, options.width)
        corpus = self.corpus.losses(self.module, gain, self.module.labels, rng, options.groups)
        moved = (self.module.readout.log_weight - self.start).square().mean()
        return {
            "opinion_pairs": options.opinion * opinions["pairs"],
            "opinion_scale": options.opinion * scale_loss(self.module.score(logs), labels),
            **{name: getattr(options, name) * term for name, term in corpus.items()},
            "keep": options.keep * moved,
        }

    def validate(self, module: nn.Module) -> dict[str, float]:
        """SROCC and RMSE (in points) on the content left out; where labels are learned, ``CorpusPlaces.figures`` on the
        sources held out."""
        assert isinstance(module, PoolingModule)
        found = {}
        if self.held_places is not None and self.held_places.sources and module.labels is not None:
            found = self.held_places.figures(module, module.labels)
        if not self.held_out:
            return found
        scores = module.score(module(self.seen.pick(self.held_out))).numpy()
        labels = self.labels[torch.as_tensor(self.held_out)].numpy()
        return found | {
            "left_srocc": float(spearmanr(scores, labels).statistic),
            "left_rmse": float(np.sqrt(np.mean((scores - labels) ** 2))),
        }


@dataclass(frozen=True)
class Start:
    """A stage-one model, ready to observe: its ``stanet`` is new, or None for a PatchNet, which has no patches.
    ``write`` makes the file of it with what the second stage has learned."""

    model: Observer
    readout: Readout
    stanet: STANet | None
    write: Callable[[PoolingModule, Path, str, str], str]


def open_start(path: Path) -> Start:
    """Raises ModelError for a file that is no rankvqa with a readout and no patchnet."""
    header, tensors, sha256 = read_model(path)
    if header.architecture == "patchnet":
        student = restored(PatchNet, PatchNetConfig.from_json(header.config), tensors)

        def write(module: PoolingModule, out: Path, name: str, provenance: str) -> str:
            return write_student(student.float(), module.calibration, out, name, provenance)

        return Start(PatchNetModel(header, student, sha256), student.readout, None, write)
    header, config, network, parts, sha256 = read_teacher(path)
    stanet, readout = STANet(stanet_channels(config.network)), parts.readout
    assert readout is not None

    def write_whole(module: PoolingModule, out: Path, name: str, provenance: str) -> str:
        whole = replace(config, stanet=module.stanet is not None)
        kept = RankVQAParts(module.stanet, module.readout)
        curve = above_floor(module.calibration)
        return write_teacher(whole, network.float(), kept, curve, out, name, provenance)

    model = RankVQA(header, config, network, RankVQAParts(stanet, readout), sha256)
    return Start(model, readout, stanet, write_whole)


def train_pooling(
    corpus: Path, data: PoolingData, run: Path, out: Path, name: str, loop: LoopOptions, say: Say
) -> str:
    """Stage two: go on from ``data.start``; write ``out``, and the scores of a content left out to
    ``run / "left_out.csv"``. Returns the sha256 of ``out``."""
    torch.manual_seed(loop.seed)
    scored = first_alone(lambda: load_scored(data.scores, data.cache))
    start = open_start(data.start)
    info = start.model.info
    left = [] if data.leave_out is None else scored.rows_of(data.leave_out)
    sides = split_by_content(load_corpus(corpus), data.fold, data.folds)
    places = min([data.options.places, *(len(shard.reference) for side in sides for shard in side)])
    options = replace(data.options, places=places)
    compute = choose(loop.device)  # as scoring chooses; the steps themselves are as the loop says
    model = start.model.to(compute.device, compute.dtype)
    seen = first_alone(lambda: observe_scored(model, scored, data.cache, say))
    patch = FINE if options.label > 0 else None

    def look(shards: Sequence[SourceShard]) -> CorpusPlaces:
        patches = first_alone(lambda: observe_corpus(model, shards, places, data.cache, say, patch))
        return CorpusPlaces(list(zip(shards, patches, strict=True)), places)

    learned, held_places = look(sides[0]), look(sides[1]) if options.label > 0 else None
    model.to(torch.device("cpu"), torch.float32)
    stanet = start.stanet if options.pooling == "stanet" else None
    curve = LabelCurve() if options.label > 0 else None
    module = PoolingModule(stanet, start.readout, model.calibration, curve)
    task = PoolingTask(module, (scored, seen), left, learned, options, loop.seed, held_places)
    settings = {
        "options": asdict(options),
        "start": info.weights_sha256,
        "left_out": data.leave_out or "",
        "scores": data.scores.name,
    }
    module.load_state_dict(fit(task, loop, run, say, settings, lambda: optimiser_of(module, loop)))
    module.eval()
    if left:
        with torch.inference_mode():
            scores = module.score(module(seen.pick(left))).tolist()
        stimuli = [scored.stimuli[row] for row in left]
        once(lambda: write_left_out(run / "left_out.csv", stimuli, scores))
    provenance = f"{info.provenance}; stage two from {info.weights_sha256[:12]} on {data.scores.name}"
    provenance += f", seed {loop.seed}, {loop.steps} steps"
    return start.write(module, out, name, provenance)


def optimiser_of(module: PoolingModule, loop: LoopOptions) -> torch.optim.Optimizer:
    """AdamW, with STANet at its share of the rate."""
    slow: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        (slow if name.startswith("stanet.") else rest).append(parameter)
    groups: list[dict[str, Any]] = [{"params": rest}]
    if slow:
        groups.append({"params": slow, "share": SLOW})
    return torch.optim.AdamW(groups, lr=loop.rate, weight_decay=loop.weight_decay)
