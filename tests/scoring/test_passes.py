"""Which inputs share a decode of the reference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made_video import made_video

from rankvqa_cli.scoring import passes as passes_module
from rankvqa_cli.scoring.options import MEMORY_SHARE
from rankvqa_cli.scoring.passes import (
    Pass,
    bytes_an_input,
    compared_frames,
    inputs_that_fit,
    memory_bytes,
    plan_passes,
)
from rankvqa_cli.types import Alignment, ComparisonPlan, FrameFormat, PlannedInput

FORMAT = FrameFormat(1920, 1080, "yuv420p", 8, (2, 2), False, "bt709")


def planned(frames: int | None, pairing: tuple[int, ...] = ()) -> PlannedInput:
    info = made_video(width=1920, height=1080, frames=frames)
    return PlannedInput(info, FORMAT, pairing=pairing)


def passes(reference: int | None, inputs: list[tuple[int | None, int]], most: int = 100) -> list[Pass]:
    plan = ComparisonPlan(planned(reference), tuple(planned(frames) for frames, _ in inputs))
    return plan_passes(plan, [Alignment(offset, 1.0) for _, offset in inputs], most)


def test_equal_inputs_share_one() -> None:
    assert passes(50, [(50, 0)] * 3) == [Pass((0, 1, 2), 0, 50)]


def test_another_part_of_the_reference_is_another_pass() -> None:
    """An offset of +2 and a length of 48 give the same clips of the reference; -2 gives others."""
    assert passes(50, [(50, 0), (50, 2), (48, 0), (50, -2), (50, 0)]) == [
        Pass((0, 4), 0, 50),
        Pass((1, 2), 0, 48),
        Pass((3,), 2, 48),
    ]


def test_unknown_lengths_stand_alone() -> None:
    assert passes(50, [(None, 0), (50, 0), (None, 0)]) == [
        Pass((0,), 0, None),
        Pass((1,), 0, 50),
        Pass((2,), 0, None),
    ]
    assert passes(None, [(50, 0), (50, 0)]) == [Pass((0,), 0, None), Pass((1,), 0, None)]


def test_no_more_at_once_than_memory_allows() -> None:
    assert passes(9, [(9, 0)] * 5, most=2) == [Pass((0, 1), 0, 9), Pass((2, 3), 0, 9), Pass((4,), 0, 9)]


@pytest.mark.parametrize(("offset", "expected"), [(0, 50), (3, 47), (-3, 47), (60, 0)])
def test_compared_frames(offset: int, expected: int) -> None:
    assert compared_frames(planned(50), planned(50), Alignment(offset, 1.0)) == expected


def test_pairing_counts_pairs_not_frames() -> None:
    assert compared_frames(planned(5), planned(10, pairing=(0, 2, 4, 6)), Alignment(1, 1.0)) == 3


def test_the_budget() -> None:
    assert inputs_that_fit(planned(9), [12]) > inputs_that_fit(planned(9), [12, 12]) >= 1
    huge = replace(planned(9), format=replace(FORMAT, width=1 << 20, height=1 << 20))
    assert inputs_that_fit(huge, [12]) == 1
    assert inputs_that_fit(planned(9), [12], 0.125) < inputs_that_fit(planned(9), [12])


def test_an_input_costs_more_than_its_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred stills of 1080p at once: decoders and tensors, which nobody counted, took what clips had left."""
    memory = 24 << 30
    monkeypatch.setattr(passes_module, "memory_bytes", lambda: memory)
    for format in (FORMAT, replace(FORMAT, pix_fmt="yuv444p", chroma=(1, 1)), replace(FORMAT, bit_depth=10)):
        one = bytes_an_input(format, [12])
        clips = 2 * 12 * format.frame_bytes
        assert one > clips + (112 << 20)  # a decoder was seen to take that much
        fitting = inputs_that_fit(replace(planned(1), format=format), [12])
        assert 8 <= fitting < 94
        assert (fitting + 1) * one <= MEMORY_SHARE * memory < (fitting + 2) * one  # one more is the reference


def test_a_containers_limit_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    absent, limit = tmp_path / "absent", tmp_path / "memory.max"
    monkeypatch.setattr(passes_module, "_LIMITS", (str(absent), str(limit)))
    limit.write_text("max\n")
    machine = memory_bytes()
    limit.write_text("1048576\n")
    assert memory_bytes() == 1048576 < machine
    assert inputs_that_fit(planned(9), [12]) == 1
