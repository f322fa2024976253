"""Was everything decoded, and was everything compared? FFmpeg's exit status alone does not say."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rankvqa_cli.errors import DamagedError, InputError
from rankvqa_cli.media.wording import quoted
from rankvqa_cli.types import Integrity, VideoInfo


@dataclass(frozen=True)
class Decoded:
    """What came of decoding one video: ``frames`` in all, ``compared`` (after pairing) used in the pass, ``left``
    more after those, which is a lower bound where ``at_end`` is False."""

    info: VideoInfo
    frames: int
    compared: int
    left: int
    at_end: bool
    returncode: int = 0
    errors: tuple[str, ...] = ()

    @property
    def missing(self) -> int:
        """Frames that should have come and did not."""
        if self.info.frames is None or not self.at_end:
            return 0
        return max(0, self.info.frames - self.frames)

    @property
    def damaged(self) -> bool:
        return bool(self.returncode or self.errors or self.missing)


_HOW_OFTEN = re.compile(r" \(\d+ times\)$")


def judge_damage(decoded: Decoded, *, allow_damaged: bool) -> tuple[str, ...]:
    """Warnings about damage that is accepted. Raises DamagedError where it is not."""
    if not decoded.damaged:
        return ()
    facts = []
    if decoded.missing:
        facts.append(f"{decoded.frames} of {decoded.info.frames} frames decoded")
    if decoded.errors:
        # How many there are, and how often each came, depends on which thread was first.
        first = _HOW_OFTEN.sub("", decoded.errors[0])
        facts.append(f"FFmpeg says {first!r}{' and more' if len(decoded.errors) > 1 else ''}")
    if decoded.returncode:
        facts.append(f"FFmpeg ended with status {decoded.returncode}")
    what = f"damaged or incomplete: {', '.join(facts)}"
    if not allow_damaged:
        raise DamagedError(
            f"{quoted(decoded.info.spec.path)} is {what}; make the file again, or score what there is with "
            "--allow-damaged"
        )
    return (what,)


def judge_lengths(
    reference: Decoded, distorted: Decoded, offset: int, *, allow_short: bool
) -> tuple[str, ...]:
    """Warnings about frames without a partner. Raises InputError where lengths differ more than the offset explains.

    A distorted video that runs ``offset`` frames behind may have lost its last ``offset`` frames, and one that runs
    ahead may have that many more at its end: frames without a partner that nobody is to blame for. Frames that
    damage took were judged before.
    """
    if distorted.compared == 0:
        raise InputError(
            f"no frame of {quoted(distorted.info.spec.path)} has a partner in {quoted(reference.info.spec.path)} "
            f"at the offset {offset}: give a smaller --align, or --align off"
        )
    for longer, shorter, explained in (
        (reference, distorted, max(0, offset)),
        (distorted, reference, max(0, -offset)),
    ):
        if longer.left <= explained or shorter.missing:
            continue
        what = (
            f"{quoted(shorter.info.spec.path)} ends after {shorter.compared} compared frames, "
            f"{quoted(longer.info.spec.path)} has {longer.left} {'more' if longer.at_end else 'or more'} left"
        )
        if not allow_short:
            raise InputError(f"{what}; give equal lengths, or compare the common part with --allow-short")
        return (f"{what}: only the common part is scored",)
    return ()


def integrity_of(decoded: Decoded, frames_scored: int) -> Integrity:
    """The counts as they stand in the results."""
    return Integrity(
        frames_expected=decoded.info.frames,
        frames_decoded=decoded.frames,
        frames_scored=frames_scored,
        ffmpeg_returncode=decoded.returncode,
        decode_errors=decoded.errors,
    )
