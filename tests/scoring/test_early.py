"""Decoders that run ahead: nothing of a video is lost or doubled, and none is left behind."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from read_frames import frames_of

from rankvqa_cli.media.plan import make_plan
from rankvqa_cli.media.probe import probe
from rankvqa_cli.media.reader import FrameReader
from rankvqa_cli.scoring import early, engine
from rankvqa_cli.scoring.early import Early
from rankvqa_cli.types import ComparisonPlan, InputSpec, ReadOptions

OPTIONS = ReadOptions(threads=1)


@pytest.fixture
def plan(make_clip: Callable[..., Path]) -> ComparisonPlan:
    infos = [
        probe(InputSpec(str(make_clip(name, "-c:v", "ffv1", frames=20, size="64x48"))), OPTIONS)
        for name in ("a.mkv", "b.mkv")
    ]
    return make_plan(infos[0], infos[1:], OPTIONS)


def plan_of(clip: Path) -> ComparisonPlan:
    return make_plan(None, [probe(InputSpec(str(clip)), OPTIONS)], OPTIONS)


def never() -> bool:
    return False


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame is read between any two times that somebody asks whether it is enough."""
    monkeypatch.setattr(early, "PATIENCE_S", 60.0)


@pytest.mark.parametrize("with_reference", [True, False])
def test_nobody_waits_for_a_frame_who_has_enough(
    plan: ComparisonPlan, monkeypatch: pytest.MonkeyPatch, with_reference: bool
) -> None:
    """As where FFmpeg is slow to give one."""
    slow = plan if with_reference else make_plan(None, [plan.inputs[0].info], OPTIONS)
    monkeypatch.setattr(FrameReader, "ready", lambda self, patience_s: False)
    with Early(slow, OPTIONS) as begun:
        asked = count()
        begun.read_on(lambda: next(asked) == 3)
        reader = begun.take(slow.inputs[0])
        assert reader is not None
        with reader:
            assert (reader.holds, len(frames_of(reader))) == (0, 20)


def test_frames_that_were_read_ahead_are_delivered_all_the_same(plan: ComparisonPlan) -> None:
    assert plan.reference is not None
    with Early(plan, OPTIONS) as begun:
        assert begun.lookahead is not None
        assert len(begun.lookahead.up_to(5)) == 5
        asked = count()
        begun.read_on(lambda: next(asked) == 9)
        held = []
        for planned in (plan.reference, plan.inputs[0]):
            with FrameReader(planned, OPTIONS) as alone:
                expected = frames_of(alone)
            reader = begun.take(planned)
            assert reader is not None
            assert begun.take(planned) is None
            held.append(reader.holds)
            with reader:
                assert frames_of(reader) == expected
                assert reader.finish().errors == ()
        assert held == [7, 7]  # five were looked at, nine more are shared out so that both have as many
        assert begun.reference_decodes(passes=1) == 1
        assert begun.reference_decodes(passes=3) == 3


def test_no_more_is_held_than_there_is_room_for(
    plan: ComparisonPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert plan.reference is not None
    monkeypatch.setattr(early, "HELD_BYTES", 6 * plan.reference.format.frame_bytes + 1)
    with Early(plan, OPTIONS) as begun:
        begun.read_on(never)
        for planned in (plan.reference, plan.inputs[0]):
            reader = begun.take(planned)
            assert reader is not None
            with reader:
                assert reader.holds == 6


def test_a_video_that_ends_is_held_to_its_end(plan: ComparisonPlan) -> None:
    with Early(plan, OPTIONS) as begun:
        begun.read_on(never)
        reader = begun.take(plan.inputs[0])
        assert reader is not None
        with reader:
            assert (reader.holds, len(frames_of(reader)), reader.finish().returncode) == (20, 20, 0)


def test_what_nobody_takes_is_ended(plan: ComparisonPlan) -> None:
    with Early(plan, OPTIONS) as begun:
        assert begun.lookahead is not None
        readers = [begun._input, begun.lookahead.reader]
        assert all(reader.begun for reader in readers)
    for reader in readers:
        assert reader._process is not None
        assert reader._process.returncode is not None  # reaped


def test_an_input_alone_has_no_reference_to_look_at(plan: ComparisonPlan) -> None:
    alone = make_plan(None, [plan.inputs[0].info], OPTIONS)
    with Early(alone, OPTIONS) as begun:
        assert begun.lookahead is None
        begun.read_on(never)
        reader = begun.take(alone.inputs[0])
        assert reader is not None
        with reader:
            assert reader.holds == 20
        assert begun.reference_decodes(passes=1) == 0


def test_frames_that_nobody_looks_at_take_no_room(make_clip: Callable[..., Path]) -> None:
    clip = make_clip("alone.mkv", "-c:v", "ffv1", frames=20, size="64x48")
    plan = plan_of(clip)
    with FrameReader(plan.inputs[0], OPTIONS) as alone:
        expected = frames_of(alone)
    for ahead, kept in ((12, {0, 6}), (100, {0, 6, 12, 18, 19})):
        with Early(plan, OPTIONS, 6) as begun:
            asked = count()
            begun.read_on(lambda: next(asked) == ahead)  # noqa: B023
            begun.suit(6)
            reader = begun.take(plan.inputs[0])
            assert reader is not None
            with reader:
                assert reader.holds == len(kept)
                found = frames_of(reader)
                assert reader.finish().errors == ()
        assert len(found) == 20
        assert all(found[n] == expected[n] for n in (0, 6, 12, 18, 19))


@pytest.mark.parametrize(("asked", "anew"), [(6, False), (5, True), (None, True)])
def test_models_that_look_at_other_frames_have_the_input_read_anew(
    make_clip: Callable[..., Path], asked: int | None, anew: bool
) -> None:
    clip = make_clip("alone.mkv", "-c:v", "ffv1", frames=20, size="64x48")
    plan = plan_of(clip)
    with Early(plan, OPTIONS, 6) as begun:
        begun.read_on(never)
        begun.suit(asked)
        assert (begun.take(plan.inputs[0]) is None) == anew


def test_all_that_was_read_suits_whoever_looks_at_some(make_clip: Callable[..., Path]) -> None:
    plan = plan_of(make_clip("alone.mkv", "-c:v", "ffv1", frames=20, size="64x48"))
    with Early(plan, OPTIONS) as begun:
        begun.read_on(never)
        begun.suit(6)
        assert begun.take(plan.inputs[0]) is not None


def test_scores_are_those_of_a_video_held_whole(
    make_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_clip("alone.mkv", "-c:v", "ffv1", frames=20, size="128x96")
    found = [engine.score(clip, sample=0.3, device="cpu", threads=1).results[0]]
    assert engine._every_ahead(plan_of(clip), (), 0.3) == 8
    monkeypatch.setattr(engine, "_every_ahead", lambda *_: None)
    found.append(engine.score(clip, sample=0.3, device="cpu", threads=1).results[0])
    assert [each.score for each in found[0].clips] == [each.score for each in found[1].clips]
    assert len(found[0].clips) == 4
