"""From the clips of one input to its results: frames, pools, interval, what has to be said about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rankvqa_cli.media.wording import quoted
from rankvqa_cli.results.confidence import bootstrap_interval
from rankvqa_cli.results.pooling import pool as pool_scores
from rankvqa_cli.scoring.clips import frame_means
from rankvqa_cli.scoring.integrity import integrity_of
from rankvqa_cli.types import Alignment, ClipScore, FrameScore, ModelInfo, PlannedInput, Result, VideoInfo

if TYPE_CHECKING:
    from rankvqa_cli.scoring.runner import InputScores


def summarise(
    reference: PlannedInput, scores: InputScores, model: ModelInfo, clips: tuple[ClipScore, ...], pool: str
) -> Result:
    """The result of one input and one model, whose ``clips`` these are. Frames are numbered and timed as in the
    reference."""
    frames = tuple(
        FrameScore(index, time_of(reference.info, index), score) for index, score in frame_means(clips)
    )
    pooled = pool_scores([frame.score for frame in frames])
    return Result(
        input=scores.planned.info.spec.path,
        reference=reference.info.spec.path,
        model=model.name,
        score=pooled[pool],
        pool=pool,
        pooled=pooled,
        ci95=bootstrap_interval(clips, pool, frames),
        clips=clips,
        frames=frames,
        integrity=integrity_of(scores.decoded, len(frames)),
        alignment=scores.alignment,
        wall_s=scores.wall_s,
        fps=len(frames) / scores.wall_s,
        warnings=(*scores.warnings, *_about(reference, scores.alignment, model, clips)),
    )


def time_of(info: VideoInfo, index: int) -> float:
    """Presentation time of frame ``index``, seconds from the stream's start: the container's, else by the rate."""
    if index < len(info.pts_times):
        return info.pts_times[index]
    return float((index + info.start.skip_frames) / info.frame_rate)


def _about(
    reference: PlannedInput, alignment: Alignment, model: ModelInfo, clips: tuple[ClipScore, ...]
) -> tuple[str, ...]:
    said = []
    if alignment.suspected:
        said.append(
            f"looks {abs(alignment.suspected)} frames {'late' if alignment.suspected > 0 else 'early'} against "
            f"{quoted(reference.info.spec.path)}: scored as it is, correct it with --align auto"
        )
    if any(clip.padded for clip in clips):
        said.append(
            f"shorter than the {model.clip_frames} frames that {model.name} looks at: mirrored to fill the clip"
        )
    return tuple(said)
