"""From the clips of one input to its results: frames, pools, interval, what has to be said about them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rankvqa_cli.media.wording import quoted
from rankvqa_cli.models.ptm import LEAST_SIDE
from rankvqa_cli.results.confidence import bootstrap_interval, sampled_interval
from rankvqa_cli.results.pooling import pool as pool_scores
from rankvqa_cli.scoring.clips import frame_means
from rankvqa_cli.scoring.integrity import integrity_of
from rankvqa_cli.types import ClipScore, FrameScore, MemberView, ModelInfo, PlannedInput, Result, VideoInfo

if TYPE_CHECKING:
    from rankvqa_cli.models.contract import Model
    from rankvqa_cli.scoring.runner import InputScores


def summarise(
    reference: PlannedInput | None,
    scores: InputScores,
    model: Model,
    clips: tuple[ClipScore, ...],
    clips_in_all: int,
    pool: str,
) -> Result:
    """The result of one input and one model, whose ``clips`` these are, scored of ``clips_in_all``. Frames are numbered
    and timed as in the reference, where there is one."""
    shown = (reference or scores.planned).info
    frames = tuple(FrameScore(index, time_of(shown, index), score) for index, score in frame_means(clips))
    members = member_views(model, clips, pool)
    pooled = pool_scores([frame.score for frame in frames])
    some = len(clips) < clips_in_all
    interval = (sampled_interval if some else bootstrap_interval)(clips, pool, frames)
    return Result(
        input=scores.planned.info.spec.path,
        reference=None if reference is None else shown.spec.path,
        model=model.info.name,
        score=pooled[pool],
        pool=pool,
        pooled=pooled,
        ci95=None if interval is None else with_disagreement(interval, pooled[pool], members),
        clips=clips,
        frames=frames,
        integrity=integrity_of(scores.decoded, len(frames)),
        alignment=scores.alignment,
        wall_s=scores.wall_s,
        fps=len(frames) / scores.wall_s,
        warnings=(*scores.warnings, *_about(reference, scores, model.info, clips, clips_in_all)),
        members=members,
    )


def time_of(info: VideoInfo, index: int) -> float:
    """Presentation time of frame ``index``, seconds from the stream's start: the container's, else by the rate."""
    if index < len(info.pts_times):
        return info.pts_times[index]
    return float((index + info.start.skip_frames) / info.frame_rate)


def member_views(model: Model, clips: tuple[ClipScore, ...], pool: str) -> tuple[MemberView, ...]:
    """What each member of an ensemble says alone, pooled as the score is; none for other models."""
    views = []
    for i, (name, weight) in enumerate(getattr(model, "members", ())):
        own = frame_means(replace(clip, score=clip.members[i]) for clip in clips)
        views.append(MemberView(name, weight, pool_scores([score for _, score in own])[pool]))
    return tuple(views)


def with_disagreement(
    interval: tuple[float, float], score: float, members: Sequence[MemberView]
) -> tuple[float, float]:
    """A 95 % interval from frames, widened by what members differ in.

    The members' weighted standard error, of as many independent members as their weights amount to, is added in
    squares.
    """
    effective = 1 / sum(member.weight**2 for member in members) if members else 1.0
    if effective <= 1 + 1e-9:
        return interval
    mean = sum(member.weight * member.score for member in members)
    spread = sum(member.weight * (member.score - mean) ** 2 for member in members)
    error = 1.96 * math.sqrt(spread / (effective - 1))
    low, high = (math.hypot(score - end, error) for end in interval)
    return (max(0.0, score - low), min(100.0, score + high))


def _about(
    reference: PlannedInput | None,
    scores: InputScores,
    model: ModelInfo,
    clips: tuple[ClipScore, ...],
    clips_in_all: int,
) -> tuple[str, ...]:
    said = []
    alignment = scores.alignment
    if reference is not None and alignment.suspected:
        said.append(
            f"looks {abs(alignment.suspected)} frames {'late' if alignment.suspected > 0 else 'early'} against "
            f"{quoted(reference.info.spec.path)}: scored as it is, correct it with --align auto"
        )
    if any(clip.padded for clip in clips):
        said.append(
            f"shorter than the {model.clip_frames} frames that {model.name} looks at: mirrored to fill the clip"
        )
    if len(clips) == 1 < clips_in_all:
        said.append(
            f"one clip of {clips_in_all} is scored by {model.name}: there is no interval; take a smaller --clip-stride"
        )
    size = scores.planned.format
    if model.kind == "no-reference" and min(size.width, size.height) < LEAST_SIDE:
        said.append(
            f"{size.width}x{size.height} is less than the {LEAST_SIDE} pixels that {model.name} looks at: "
            "enlarged or mirrored to fill them"
        )
    return tuple(said)
