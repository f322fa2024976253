"""Which inputs are decoded together with the reference, and what of each is compared."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rankvqa_cli.scoring.clips import SLOTS
from rankvqa_cli.scoring.options import MEMORY_SHARE
from rankvqa_cli.types import Alignment, ComparisonPlan, FrameFormat, PlannedInput

#: What one FFmpeg takes: itself, and frames in its decoder and filters. Measured at 1920x1080: 70 MiB for a still,
#: 112 MiB for H.264 on two threads.
DECODER_BYTES, DECODER_FRAMES = 64 << 20, 24
#: What a model keeps of every input while it goes through a clip, at most. Measured: 86, of eight frames that
#: ``rankvqa-mini`` describes at a time in float32.
MODEL_BYTES_A_PIXEL = 100
#: Limits of the control group that a container runs in, by its versions.
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclass(frozen=True)
class Pass:
    """One decode of the reference, or of one input where there is none. ``inputs`` are indices into the plan's inputs.

    Frame n of the compared part is frame n + ``ref_skip`` of the reference; ``frames`` is how many frames are
    compared, None where that is seen only in the end.
    """

    inputs: tuple[int, ...]
    ref_skip: int
    frames: int | None


def ref_skip(alignment: Alignment) -> int:
    """Leading frames of the reference that no frame of the distorted shows."""
    return max(0, -alignment.offset)


def dist_skip(alignment: Alignment) -> int:
    """Leading frames of the distorted that show nothing of the reference."""
    return max(0, alignment.offset)


def compared_frames(reference: PlannedInput, distorted: PlannedInput, alignment: Alignment) -> int | None:
    """Frames that both have, after alignment; None where one of the lengths is unknown."""
    pairs = len(distorted.pairing) or distorted.info.frames
    if reference.info.frames is None or pairs is None:
        return None
    return max(0, min(reference.info.frames - ref_skip(alignment), pairs - dist_skip(alignment)))


def plan_passes(plan: ComparisonPlan, alignments: Sequence[Alignment], most_inputs: int) -> list[Pass]:
    """Inputs that share the same clips of the reference share a pass, at most ``most_inputs`` at a time.

    An input of unknown length has a pass of its own: the others need not end where it does. So has every input where
    there is no reference.
    """
    if plan.reference is None:
        return [Pass((index,), 0, planned.info.frames) for index, planned in enumerate(plan.inputs)]
    groups: dict[tuple[int, int | None, int | None], list[int]] = {}
    for index, (planned, alignment) in enumerate(zip(plan.inputs, alignments, strict=True)):
        frames = compared_frames(plan.reference, planned, alignment)
        alone = index if frames is None else None
        groups.setdefault((ref_skip(alignment), frames, alone), []).append(index)
    return [
        Pass(tuple(members[first : first + most_inputs]), skip, frames)
        for (skip, frames, _), members in groups.items()
        for first in range(0, len(members), most_inputs)
    ]


def inputs_that_fit(reference: PlannedInput, clip_lengths: Sequence[int], share: float = MEMORY_SHARE) -> int:
    """How many inputs may be read at a time: at least one, and no more than fill ``share`` of the memory there is."""
    return max(1, int(memory_bytes() * share) // bytes_an_input(reference.format, clip_lengths) - 1)


def bytes_an_input(format: FrameFormat, clip_lengths: Sequence[int]) -> int:
    """What one more input takes that is read and scored with the others: its clips in the buffers, its decoder, and
    what the models keep of it beside that."""
    buffers = SLOTS * sum(clip_lengths) * format.frame_bytes
    decoder = DECODER_BYTES + DECODER_FRAMES * format.frame_bytes
    return buffers + decoder + MODEL_BYTES_A_PIXEL * format.width * format.height


def memory_bytes() -> int:
    """The machine's memory, or what the container may have of it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name in _LIMITS:
        with contextlib.suppress(OSError, ValueError):  # another version, or the word "max"
            memory = min(memory, int(Path(name).read_text()))
    return memory
