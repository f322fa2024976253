"""The main path: probe, plan, align, decode, score, pool. ``score`` is the whole Python API.

Neither torch nor numpy is imported with this module: models are loaded in the background while FFmpeg decodes.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from rankvqa_cli.errors import InputError, UsageError
from rankvqa_cli.media.ffmpeg import ffmpeg_version
from rankvqa_cli.media.plan import make_plan
from rankvqa_cli.media.probe import probe
from rankvqa_cli.media.wording import quoted
from rankvqa_cli.models.allocator import keep_pages
from rankvqa_cli.models.manifest import clip_frames_of
from rankvqa_cli.results.drop import evaluate_drops, pairs_of, read_drops, require_videos, require_weights
from rankvqa_cli.results.gate import evaluate, parse_gate, require_models
from rankvqa_cli.results.heatmap_targets import heatmap_targets
from rankvqa_cli.results.pooling import require_pool
from rankvqa_cli.results.writers import check
from rankvqa_cli.scoring.clips import (
    require_hop,
    require_sample,
    require_stride,
    require_strided,
    sampled,
)
from rankvqa_cli.scoring.early import Early
from rankvqa_cli.scoring.loading import link_ahead, loading
from rankvqa_cli.scoring.options import MEMORY_SHARE, ScoreOptions
from rankvqa_cli.scoring.passes import Pass, inputs_that_fit, plan_passes
from rankvqa_cli.types import (
    Alignment,
    ComparisonPlan,
    InputSpec,
    PlannedInput,
    Progress,
    RawFormat,
    ReadOptions,
    Report,
)
from rankvqa_cli.version import version

if TYPE_CHECKING:
    from rankvqa_cli.media.lookahead import Lookahead
    from rankvqa_cli.scoring.runner import InputScores, Job

File: TypeAlias = "str | os.PathLike[str]"
_log = logging.getLogger(__name__)


def score(
    inputs: File | Sequence[File],
    reference: File | None = None,
    *,
    models: Sequence[str] = (),
    raw: RawFormat | None = None,
    ref_raw: RawFormat | None = None,
    seek: float = 0.0,
    duration: float | None = None,
    frames: int | None = None,
    align: str | int = "auto",
    hop: int | None = None,
    clip_stride: int = 1,
    sample: float = 0.5,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    pool: str = "mean",
    allow_short: bool = False,
    allow_damaged: bool = False,
    deinterlace: bool = False,
    fail_under: Sequence[str] = (),
    fail_drop: Sequence[str] = (),
    heatmap: File | None = None,
    moments: int = 0,
    overwrite: bool = False,
    memory_share: float = MEMORY_SHARE,
    argv: Sequence[str] = (),
    progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Score one or several videos against ``reference``, or by themselves; the arguments are the command line's
    options.

    ``inputs`` and ``reference`` are file names, ``-`` is stdin. ``raw`` and ``ref_raw`` describe headerless video, and
    are None where the file has a header. ``clip_stride`` N scores one clip in N; ``sample`` is how many seconds lie
    between the frames that a model without a reference sees. Scores are 0 to 100, higher is better; an input that
    equals the reference has exactly 100. ``heatmap`` is a .png, .mp4, .mkv or .webm to paint quality by place into
    (see ``results.heatmap_targets`` for several inputs or models), which ``overwrite`` may replace. ``moments`` is of
    how many of each result's worst clips to keep pictures. Inputs are read together, as many as fit ``memory_share``
    of the machine's memory; the reference is decoded again for those that do not.

    Raises UsageError (an argument is wrong), InputError (a file, or a baseline of ``fail_drop``, cannot be read or
    compared), DamagedError (decoding was incomplete), ModelError, OutputError (the heatmap cannot be written),
    DeviceError. Failed gates are not raised: see ``Report.gates``.
    """
    require_pool(pool)
    require_hop(hop, 1)
    require_stride(clip_stride)
    require_sample(sample)
    gates = [parse_gate(text) for text in fail_under]
    drops = read_drops(fail_drop)
    paths = {} if heatmap is None else _heatmap_paths(heatmap, _names(inputs), reference, models, overwrite)
    options = ReadOptions(seek, duration, frames, threads, deinterlace)
    keep_pages()
    link_ahead()
    plan = _plan(inputs, reference, raw, ref_raw, options, allow_short)
    require_videos(drops, plan)
    has_reference = plan.reference is not None
    with Early(plan, options, _every_ahead(plan, models, sample)) as early:
        with loading(models, has_reference, device, precision, threads) as loaded:
            alignments = _align(plan, options, align, early.lookahead)
            early.read_on(loaded.done)
            runtime = loaded.result()
        infos = tuple(model.info for model in runtime.models)
        require_strided(clip_stride, infos)
        require_models(gates, [info.name for info in infos])
        require_weights(drops, pairs_of(plan), infos)
        from rankvqa_cli.scoring.runner import Job
        from rankvqa_cli.scoring.summary import summarise

        job = Job(plan, alignments, options, runtime, hop, sample, allow_short, allow_damaged, progress)
        job = replace(job, early=early, clip_stride=clip_stride)
        early.suit(job.every(plan.inputs[0]))
        if moments:
            from rankvqa_cli.scoring.moments import keeping

            job = replace(job, moments=keeping(moments, runtime.models))
        with _painting(job, paths, overwrite) as job:
            scored, decodes = _run_passes(job, memory_share)
            results = tuple(
                summarise(plan.reference, scores, model, clips, in_all, pool)
                for scores in scored
                for model, clips, in_all in zip(
                    runtime.models, scores.clips, scores.clips_in_all, strict=True
                )
            )
            painted = () if job.heatmaps is None else job.heatmaps.publish(results)
            pictures = () if job.moments is None else job.moments.pictures(results)
    return Report(
        tool_version=version(),
        argv=tuple(argv),
        environment=runtime.environment(ffmpeg_version()),
        models=infos,
        plan=plan,
        results=results,
        gates=(*evaluate(gates, results), *evaluate_drops(drops, results)),
        heatmaps=painted,
        moments=pictures,
        reference_decodes=decodes,
    )


def explain(
    inputs: File | Sequence[File], reference: File | None, options: ScoreOptions
) -> tuple[ComparisonPlan, tuple[Alignment, ...]]:
    """What ``score`` would compare with these ``options``, and how each input is aligned.

    No model is loaded.
    """
    from rankvqa_cli.media.lookahead import Lookahead

    plan = _plan(inputs, reference, options.raw, options.ref_raw, options.read, options.allow_short)
    looking = nullcontext() if plan.reference is None else Lookahead(plan.reference, options.read)
    with looking as lookahead:
        return plan, _align(plan, options.read, options.align, lookahead)


def _plan(
    inputs: File | Sequence[File],
    reference: File | None,
    raw: RawFormat | None,
    ref_raw: RawFormat | None,
    options: ReadOptions,
    allow_short: bool,
) -> ComparisonPlan:
    names = _names(inputs)
    if not names:
        raise UsageError("nothing to score: give at least one input")
    infos = [probe(InputSpec(name, raw), options) for name in names]
    ref_info = None if reference is None else probe(InputSpec(os.fspath(reference), ref_raw), options)
    return make_plan(ref_info, infos, options, allow_short=allow_short)


def _every_ahead(plan: ComparisonPlan, models: Sequence[str], sample: float) -> int | None:
    """Of how many frames of an input without a reference one will be looked at, as far as manifests know."""
    if plan.reference is not None:
        return None
    length = clip_frames_of(models, "no-reference")
    return None if length is None else sampled(length, sample, plan.inputs[0].info.frame_rate).every


def _names(inputs: File | Sequence[File]) -> list[str]:
    several = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
    return [os.fspath(name) for name in several]


def _heatmap_paths(
    heatmap: File, inputs: list[str], reference: File | None, models: Sequence[str], overwrite: bool
) -> dict[tuple[int, int], str]:
    """The heatmap's file for each input and model, by their places. Raises UsageError and OutputError where one cannot
    be written."""
    from rankvqa_cli.media.encode import encoding_of

    targets = heatmap_targets(os.fspath(heatmap), inputs, models)
    read = [*inputs, *([] if reference is None else [os.fspath(reference)])]
    for target in targets.values():
        encoding_of(target.path)
    check(list(targets.values()), read, inputs_scored=len(inputs), overwrite=overwrite)
    return {place: target.path for place, target in targets.items()}


@contextmanager
def _painting(job: Job, paths: Mapping[tuple[int, int], str], overwrite: bool) -> Iterator[Job]:
    """The job with heatmaps, where there are to be any; what of them is not published is removed."""
    if not paths:
        yield job
        return
    from rankvqa_cli.models.contract import NoReferenceModel
    from rankvqa_cli.scoring.heatmaps import Heatmaps

    reference = job.plan.reference
    for model in job.runtime.models:
        if reference is None or isinstance(model, NoReferenceModel):
            raise UsageError(
                f"--heatmap paints differences from a reference, and {model.info.name!r} sees none: leave it out"
            )
        model.keep_maps = True
    assert reference is not None, "a run has a model"
    rate = reference.info.frame_rate
    with Heatmaps(paths, rate, overwrite=overwrite, threads=job.options.threads) as heatmaps:
        yield replace(job, heatmaps=heatmaps)


def _align(
    plan: ComparisonPlan, options: ReadOptions, mode: str | int, lookahead: Lookahead | None
) -> tuple[Alignment, ...]:
    if plan.reference is None:
        return tuple(Alignment(0, 0.0, mode="off") for _ in plan.inputs)
    from rankvqa_cli.media.align import find_offset

    return tuple(find_offset(plan.reference, planned, options, mode, lookahead) for planned in plan.inputs)


def _run_passes(job: Job, memory_share: float) -> tuple[list[InputScores], int]:
    """Scores of every input, in the plan's order, and how many decodings of the reference were begun for them."""
    from rankvqa_cli.scoring.device import computing
    from rankvqa_cli.scoring.runner import run_pass

    lengths = [model.clip_frames for model in job.runtime.models]
    most = 1 if job.plan.reference is None else inputs_that_fit(job.plan.reference, lengths, memory_share)
    waiting = deque(plan_passes(job.plan, job.alignments, most))
    scored: dict[int, InputScores] = {}
    passes = 0
    with computing(job.runtime.compute):
        while waiting:
            if job.plan.reference is not None and (scored or len(waiting) > 1):
                _say_passes(job.plan.reference, job, waiting)
            work = waiting.popleft()
            outcome = run_pass(job, work)
            passes += 1
            scored.update({scores.index: scores for scores in outcome.scores})
            waiting.extend(Pass((index,), work.ref_skip, None) for index in outcome.left_out)
    decodes = 0 if job.early is None else job.early.reference_decodes(passes)
    return [scored[index] for index in range(len(job.plan.inputs))], decodes


def _say_passes(reference: PlannedInput, job: Job, waiting: Sequence[Pass]) -> None:
    """Several decodes of the reference: say so, and refuse where it is a pipe."""
    names = "; ".join(
        ", ".join(quoted(job.plan.inputs[index].info.spec.path) for index in work.inputs) for work in waiting
    )
    if reference.info.spec.path == "-":
        raise InputError(
            f"the reference on stdin can be read once, but the inputs differ in offset or length ({names}): "
            "give it as a file"
        )
    _log.info("the reference is decoded once more for each group of inputs: %s", names)
