"""Scoring without a reference: which frames are seen, every member's view, and videos that are hard to look at."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_ensemble import make_ensemble

import rankvqa_cli
from rankvqa_cli.errors import DamagedError, UsageError
from rankvqa_cli.results.report import report_json
from rankvqa_cli.scoring.summary import with_disagreement
from rankvqa_cli.types import MemberView, Report, Result

MakeClip = Callable[..., Path]


@pytest.fixture
def ensemble(tmp_path: Path) -> Path:
    (tmp_path / "ensemble").mkdir()
    return make_ensemble(tmp_path / "ensemble")


def score(inputs: object, reference: object = None, **options: object) -> Report:
    return rankvqa_cli.score(inputs, reference, threads=1, device="cpu", **options)  # type: ignore[arg-type]


def indices(result: Result) -> list[int]:
    return [frame.index for frame in result.frames]


def test_frames_are_seen_twice_a_second_and_the_last_one_is(make_clip: MakeClip, ensemble: Path) -> None:
    clip = make_clip("a.mp4", frames=60, rate=25, size="256x240")
    result = score(clip, models=[str(ensemble)]).results[0]
    assert indices(result) == [0, 12, 24, 36, 48, 59]
    assert result.reference is None
    assert (result.integrity.frames_decoded, result.integrity.frames_scored) == (60, 6)
    assert result.frames[1].pts_time == pytest.approx(12 / 25)
    assert indices(score(clip, models=[str(ensemble)], sample=1.0).results[0]) == [0, 25, 50, 59]
    assert result.score == pytest.approx(np.mean([frame.score for frame in result.frames]))


def test_members_have_views_of_their_own(make_clip: MakeClip, ensemble: Path) -> None:
    report = score(make_clip("a.mp4", frames=30, size="256x240"), models=[str(ensemble)])
    result = report.results[0]
    assert [(view.name, view.weight) for view in result.members] == [("one", 0.25), ("two", 0.75)]
    assert result.members[0].score != result.members[1].score
    said = json.loads(json.dumps(report_json(report), allow_nan=False))["results"][0]
    assert [member["name"] for member in said["members"]] == ["one", "two"]
    assert [len(member["clips"]) for member in said["members"]] == [len(said["clips"])] * 2
    low, high = result.ci95
    assert 0 <= low <= result.score <= high <= 100


def test_both_kinds_of_model_share_one_decode(
    make_clip: MakeClip, ensemble: Path, tiny_model: Path, opened: Counter[str]
) -> None:
    source = make_clip("source.mp4", "-crf", "10", frames=30, size="256x240")
    worse = make_clip("worse.mp4", "-crf", "48", frames=30, size="256x240")
    report = score([source, worse], source, models=[str(tiny_model), str(ensemble)])
    assert opened == {"source.mp4": 2, "worse.mp4": 1}  # once as the reference, once as an input
    assert [(Path(r.input).stem, r.model) for r in report.results] == [
        ("source", "tiny"),
        ("source", "small"),
        ("worse", "tiny"),
        ("worse", "small"),
    ]
    assert report.results[0].score == 100
    assert report.results[0].members == ()
    assert indices(report.results[1]) == [0, 12, 24, 29]
    assert report.results[1].score == pytest.approx(score(source, models=[str(ensemble)]).results[0].score)


@pytest.mark.parametrize(
    ("size", "source", "frames"),
    [
        ("64x64", "testsrc2", 3),
        ("96x256", "testsrc2", 3),
        ("256x240", "color=black", 3),
        ("256x240", "testsrc2", 1),
    ],
)
def test_hard_videos_have_a_finite_score(
    make_clip: MakeClip, ensemble: Path, size: str, source: str, frames: int
) -> None:
    result = score(
        make_clip("a.mp4", frames=frames, size=size, source=source), models=[str(ensemble)]
    ).results[0]
    assert 0 <= result.score <= 100
    assert all(np.isfinite(result.ci95))
    said = any("mirrored to fill them" in warning for warning in result.warnings)
    assert said == (min(map(int, size.split("x"))) < 224)


def test_several_inputs_are_scored_each_by_itself(make_clip: MakeClip, ensemble: Path) -> None:
    a = make_clip("a.mp4", frames=30, size="256x240", rate=10)
    b = make_clip("b.mp4", frames=12, size="320x240", rate=25)
    results = score([a, b], models=[str(ensemble)]).results
    assert [indices(result) for result in results] == [[0, 5, 10, 15, 20, 25, 29], [0, 11]]


def test_damage_is_told_without_a_reference_too(make_clip: MakeClip, ensemble: Path) -> None:
    clip = make_clip("a.mkv", "-g", "4", frames=30, size="256x240")
    data = bytearray(clip.read_bytes())
    clip.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(DamagedError):
        score(clip, models=[str(ensemble)])


def test_what_cannot_be_done_is_refused(
    make_clip: MakeClip, ensemble: Path, tiny_model: Path, tmp_path: Path
) -> None:
    clip = make_clip("a.mp4", frames=3, size="256x240")
    with pytest.raises(UsageError, match="--sample must be more than 0"):
        score(clip, models=[str(ensemble)], sample=0.0)
    with pytest.raises(UsageError, match="compares with a reference"):
        score(clip, models=[str(tiny_model)])
    with pytest.raises(UsageError, match="--clip-stride is for models with a reference"):
        score(clip, models=[str(ensemble)], clip_stride=2)
    with pytest.raises(UsageError, match="--heatmap paints differences"):
        score(clip, models=[str(ensemble)], heatmap=tmp_path / "map.png")


def test_the_default_needs_no_reference_and_no_other_file(make_clip: MakeClip) -> None:
    good = make_clip("a.mp4", "-crf", "10", frames=12, size="480x270")
    bad = make_clip("b.mp4", "-crf", "48", frames=12, size="480x270")
    report = score([good, bad])
    assert [model.name for model in report.models] == ["ptm"]
    assert 0 <= report.results[1].score < report.results[0].score <= 100
    assert len(report.results[0].members) > 1


def test_disagreement_widens_the_interval() -> None:
    def views(*scores: float) -> list[MemberView]:
        return [MemberView(str(i), 1 / len(scores), value) for i, value in enumerate(scores)]

    assert with_disagreement((40.0, 60.0), 50.0, []) == (40.0, 60.0)
    assert with_disagreement((40.0, 60.0), 50.0, views(50.0, 50.0)) == (40.0, 60.0)
    low, high = with_disagreement((50.0, 50.0), 50.0, views(45.0, 55.0))
    assert (low, high) == pytest.approx((50 - 1.96 * 5, 50 + 1.96 * 5))
    assert with_disagreement((1.0, 99.0), 50.0, views(0.0, 100.0)) == (0.0, 100.0)
    assert with_disagreement((40.0, 60.0), 50.0, [MemberView("only", 1.0, 10.0)]) == (40.0, 60.0)
