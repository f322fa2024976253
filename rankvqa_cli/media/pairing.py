"""Which frame of the distorted video goes with which frame of the reference: by order, or by presentation
time.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

from rankvqa_cli.errors import InputError
from rankvqa_cli.media.wording import quoted
from rankvqa_cli.types import VideoInfo


@dataclass(frozen=True)
class Pairing:
    """``frames[n]`` is the distorted frame that goes with reference frame n; empty means frame by frame in
    order.
    """

    frames: tuple[int, ...] = ()
    steps: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def pair(reference: VideoInfo, distorted: VideoInfo, *, allow_short: bool) -> Pairing:
    """Decides how the frames of two videos correspond.

    Equal counts are compared in order, whatever the containers' start times say, unless variable frame rate
    puts the frames of equally long videos at different times. Unequal counts over the same duration (a
    changed rate, dropped frames) are matched by presentation time. Anything else is of unequal length:
    InputError, or with ``allow_short`` the common part.
    """
    if reference.frames is None or distorted.frames is None:
        return _in_order(reference, distorted)
    regular = not (reference.variable_frame_rate or distorted.variable_frame_rate)
    timed = (
        len(reference.pts_times) == reference.frames > 1 and len(distorted.pts_times) == distorted.frames > 1
    )
    if reference.frames == distorted.frames:
        if (
            timed
            and not regular
            and _same_span(reference, distorted)
            and not _same_times(reference, distorted)
        ):
            return _by_time(reference, distorted)
        return _in_order(reference, distorted)
    same_rate = regular and abs(_interval(reference) / _interval(distorted) - 1) < 0.002 if timed else True
    if timed and not same_rate and (allow_short or _same_span(reference, distorted)):
        return _by_time(reference, distorted)
    if not allow_short:
        raise InputError(_unequal(reference, distorted, timed))
    return Pairing(
        warnings=(
            f"{reference.frames} reference frames against {distorted.frames}: the common part is compared",
        )
    )


def _in_order(reference: VideoInfo, distorted: VideoInfo) -> Pairing:
    a, b = reference.frame_rate, distorted.frame_rate
    if (
        reference.frames == 1
        or "rate" in reference.assumed
        or "rate" in distorted.assumed
        or abs(a / b - 1) < 0.002
    ):
        return Pairing()
    return Pairing(
        warnings=(
            f"frame rates differ ({float(a):g} and {float(b):g} per second): frames are compared in order",
        )
    )


def _interval(info: VideoInfo) -> float:
    """Mean seconds from frame to frame, of a video with times."""
    return max((info.pts_times[-1] - info.pts_times[0]) / (len(info.pts_times) - 1), 1e-9)


def _span(info: VideoInfo) -> float:
    return info.pts_times[-1] - info.pts_times[0] + _interval(info)


def _same_span(reference: VideoInfo, distorted: VideoInfo) -> bool:
    """Whether both last equally long, to within a frame of the slower one."""
    return abs(_span(reference) - _span(distorted)) < 1.01 * max(_interval(reference), _interval(distorted))


def _same_times(reference: VideoInfo, distorted: VideoInfo) -> bool:
    """Whether equally many frames stand at the same times, to within half a frame, after removing their
    mean difference.
    """
    gaps = [b - a for a, b in zip(reference.pts_times, distorted.pts_times, strict=True)]
    middle = (max(gaps) + min(gaps)) / 2
    return max(gaps) - middle <= 0.5 * _interval(reference)


def _by_time(reference: VideoInfo, distorted: VideoInfo) -> Pairing:
    frames = match_times(reference.pts_times, distorted.pts_times)
    a, b = 1 / _interval(reference), 1 / _interval(distorted)
    used = f"{len(set(frames))} distorted frames used"
    step = f"frames matched by presentation time ({a:.6g} and {b:.6g} per second, {used})"
    warnings: tuple[str, ...] = ()
    if len(frames) < len(reference.pts_times):
        warnings = (
            f"{len(reference.pts_times) - len(frames)} reference frames at the end have no distorted frame",
        )
    return Pairing(frames, (step,), warnings)


def match_times(reference: Sequence[float], distorted: Sequence[float]) -> tuple[int, ...]:
    """For each reference time the index of the distorted frame shown then; both are sorted seconds from
    their own start.

    That is the nearest frame if it is within half a frame of the faster video, else the one being
    displayed. The result ends with the display of the last distorted frame, which lasts one mean interval.
    """
    steps = [(t[-1] - t[0]) / (len(t) - 1) for t in (reference, distorted) if len(t) > 1]
    near = 0.5 * min(steps, default=0.0)
    last_shown = distorted[-1] + (
        (distorted[-1] - distorted[0]) / (len(distorted) - 1) if len(distorted) > 1 else 0.0
    )
    chosen: list[int] = []
    for time in reference:
        if time > distorted[-1] and time >= last_shown - near:
            break
        after = bisect.bisect_right(distorted, time)
        shown = max(after - 1, 0)
        if after < len(distorted) and distorted[after] - time < min(near, time - distorted[shown]):
            shown = after
        chosen.append(shown)
    return tuple(chosen)


def _unequal(reference: VideoInfo, distorted: VideoInfo, timed: bool) -> str:
    lasting = f" ({_span(reference):.3f} s against {_span(distorted):.3f} s)" if timed else ""
    return (
        f"{quoted(distorted.spec.path)} has {distorted.frames} frames but the reference "
        f"{quoted(reference.spec.path)} has {reference.frames}{lasting}: "
        "give equal lengths, or --allow-short to compare the common part"
    )
