"""One pass: the reference and its inputs in lock step, or an input alone, clips to the models, and a verdict on what
was read."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from rankvqa_cli.errors import DamagedError
from rankvqa_cli.media.reader import FrameReader
from rankvqa_cli.media.sparse import SparseReader
from rankvqa_cli.media.wording import quoted
from rankvqa_cli.models.contract import Adapting, Model, NoReferenceModel
from rankvqa_cli.scoring.clips import Spacing, require_hop, sampled
from rankvqa_cli.scoring.early import Early
from rankvqa_cli.scoring.integrity import Decoded, judge_damage, judge_lengths
from rankvqa_cli.scoring.passes import Pass, dist_skip
from rankvqa_cli.scoring.prefetch import ClipSet, Prefetcher, Stream, Tally
from rankvqa_cli.scoring.runtime import Runtime
from rankvqa_cli.scoring.scorer import Scorer
from rankvqa_cli.types import Alignment, ClipScore, ComparisonPlan, PlannedInput, Progress, ReadOptions

if TYPE_CHECKING:
    from rankvqa_cli.scoring.heatmaps import Heatmaps
    from rankvqa_cli.scoring.moments import Moments


@dataclass(frozen=True)
class Job:
    """What is the same for every pass of a run."""

    plan: ComparisonPlan
    alignments: tuple[Alignment, ...]
    options: ReadOptions
    runtime: Runtime
    hop: int | None = None
    sample_s: float = 0.5
    allow_short: bool = False
    allow_damaged: bool = False
    progress: Callable[[Progress], None] | None = None
    heatmaps: Heatmaps | None = None
    early: Early | None = None
    moments: Moments | None = None
    clip_stride: int = 1

    @property
    def first_input(self) -> int:
        """The lane of a pass's first input: the reference, where there is one, is lane 0."""
        return 0 if self.plan.reference is None else 1

    def grid(self, model: Model, rate: Fraction) -> Spacing:
        """Which clips ``model`` sees at ``rate`` frames a second: one that needs no reference sees a clip every
        ``sample_s`` seconds."""
        if not isinstance(model, NoReferenceModel):
            return Spacing(model.clip_frames, require_hop(self.hop, model.clip_frames), self.clip_stride)
        return sampled(model.clip_frames, self.sample_s, rate)

    def every(self, planned: PlannedInput) -> int | None:
        """Of how many frames of ``planned`` one is looked at; None where it is more."""
        grids = {self.grid(model, planned.info.frame_rate) for model in self.runtime.models}
        return grids.pop().every if self.plan.reference is None and len(grids) == 1 else None


@dataclass(frozen=True)
class InputScores:
    """What a pass says about the plan's input ``index``: clips for each of the job's models, numbered in the
    reference's frames; ``clips_in_all`` counts those that a stride passed over as well. ``wall_s`` is the time that the
    whole pass took."""

    index: int
    planned: PlannedInput
    alignment: Alignment
    clips: tuple[tuple[ClipScore, ...], ...]
    clips_in_all: tuple[int, ...]
    decoded: Decoded
    wall_s: float
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class PassOutcome:
    """``left_out`` are inputs that ended before the others did: they have to be scored alone."""

    scores: tuple[InputScores, ...]
    left_out: tuple[int, ...]


def run_pass(job: Job, work: Pass) -> PassOutcome:
    """Decode the reference, if there is one, and the inputs of ``work`` once, and score every clip with every model.

    Raises DamagedError and InputError (see ``integrity``) unless the job allows what was found, and ModelError where
    a model gives no number.
    """
    started = time.perf_counter()
    reference = () if job.plan.reference is None else (job.plan.reference,)
    first = len(reference)
    planned = [*reference, *(job.plan.inputs[index] for index in work.inputs)]
    with ExitStack() as stack:
        readers = [stack.enter_context(_reader(job, one)) for one in planned]
        scorer = Scorer(job, work, planned, started)
        streams = _streams(job, work, planned, readers)
        prefetcher = stack.enter_context(Prefetcher(streams, scorer.grids, job.runtime.uploads.allocate))
        for scored in scorer.score(prefetcher):
            prefetcher.release(scored)
            if not job.allow_damaged:
                _require_all(scored, planned, readers)
        tallies = prefetcher.tallies()
        lanes = [lane for lane, tally in enumerate(tallies) if tally.compared == tallies[0].compared]
        offsets = [*([0] * first), *(job.alignments[index].offset for index in work.inputs)]
        decoded, warnings = _judge(job, lanes, offsets, planned, readers, tallies)
    wall_s = time.perf_counter() - started
    adapted = [
        said for model in job.runtime.models if isinstance(model, Adapting) for said in model.adapted()
    ]
    shared = tuple(f"the reference is {warning}" for lane in lanes[:first] for warning in warnings[lane])
    return PassOutcome(
        scores=tuple(
            InputScores(
                index=work.inputs[lane - first],
                planned=planned[lane],
                alignment=job.alignments[work.inputs[lane - first]],
                clips=scorer.clips(lane),
                clips_in_all=scorer.clips_in_all(tallies[lane].compared),
                decoded=decoded[lane],
                wall_s=wall_s,
                warnings=(*adapted, *shared, *warnings[lane]),
            )
            for lane in lanes[first:]
        ),
        left_out=tuple(index for lane, index in enumerate(work.inputs, first) if lane not in lanes),
    )


def _reader(job: Job, planned: PlannedInput) -> FrameReader:
    """What has been begun already, and whatever else from its beginning."""
    begun = None if job.early is None else job.early.take(planned)
    return begun or SparseReader(planned, job.options, job.every(planned))


def _streams(
    job: Job, work: Pass, planned: Sequence[PlannedInput], readers: Sequence[FrameReader]
) -> list[Stream]:
    skips = [dist_skip(job.alignments[index]) for index in work.inputs]
    skips = [work.ref_skip] * job.first_input + skips
    slack = max(abs(job.alignments[index].offset) for index in work.inputs)
    return [
        Stream(reader, one.format.frame_bytes, skip, slack)
        for reader, one, skip in zip(readers, planned, skips, strict=True)
    ]


def _require_all(clips: ClipSet, planned: Sequence[PlannedInput], readers: Sequence[FrameReader]) -> None:
    """Give up at once where one of several inputs of equal expected length has ended before the others."""
    for lane, frames in enumerate(clips.frames):
        if frames is None:
            tally = Tally(clips.window.start, 0, at_end=True)
            judge_damage(_finish(planned[lane], readers[lane], tally), allow_damaged=False)
            raise DamagedError(
                f"{quoted(planned[lane].info.spec.path)} ends before its {planned[lane].info.frames} frames: "
                "make the file again, or score what there is with --allow-damaged"
            )


def _finish(planned: PlannedInput, reader: FrameReader, tally: Tally) -> Decoded:
    """Read the rest, if there is one, and see how the decoder ended."""
    end = reader.finish()
    return Decoded(
        planned.info,
        reader.frames_read,
        tally.compared,
        tally.left,
        at_end=True,
        returncode=end.returncode,
        errors=end.errors,
    )


def _judge(
    job: Job,
    lanes: Sequence[int],
    offsets: Sequence[int],
    planned: Sequence[PlannedInput],
    readers: Sequence[FrameReader],
    tallies: Sequence[Tally],
) -> tuple[dict[int, Decoded], dict[int, tuple[str, ...]]]:
    """How each of ``lanes`` was decoded, and the warnings about it.

    A stream that goes on after the others is not read to its end before its length is accepted: that could take hours.
    """
    decoded: dict[int, Decoded] = {}
    warnings: dict[int, tuple[str, ...]] = dict.fromkeys(lanes, ())
    for lane in lanes:
        tally = tallies[lane]
        if tally.at_end:
            decoded[lane] = _finish(planned[lane], readers[lane], tally)
            warnings[lane] += judge_damage(decoded[lane], allow_damaged=job.allow_damaged)
        else:
            read = readers[lane].frames_read
            decoded[lane] = Decoded(planned[lane].info, read, tally.compared, tally.left, at_end=False)
    for lane in lanes[1:]:  # none without a reference: an input alone is its own measure
        if planned[lane].pairing and decoded[lane].compared > 0:
            continue  # matched by presentation time: the plan knows which frames have no partner, and says so
        warnings[lane] += judge_lengths(decoded[0], decoded[lane], offsets[lane], allow_short=job.allow_short)
    for lane in lanes:
        if not tallies[lane].at_end:
            decoded[lane] = _finish(planned[lane], readers[lane], tallies[lane])
            warnings[lane] += judge_damage(decoded[lane], allow_damaged=job.allow_damaged)
    return decoded, warnings
