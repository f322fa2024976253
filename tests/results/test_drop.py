"""Gates against an earlier run: what is compared with what, and what is refused before anything is scored."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from fake_reports import report

from rankvqa_cli.errors import InputError, UsageError
from rankvqa_cli.results.baseline import Baseline, Earlier
from rankvqa_cli.results.drop import (
    evaluate_drops,
    pairs_of,
    parse_drop,
    read_drops,
    require_videos,
    require_weights,
    taken_for,
)
from rankvqa_cli.results.report import report_json
from rankvqa_cli.types import Report, Result

REF = "ref.mp4"


def written(folder: Path, made: Report | None = None, name: str = "base.json", **changes: Any) -> str:
    """A baseline of the report by hand, with some of its keys changed."""
    path = folder / name
    path.write_text(json.dumps({**report_json(made or report()), **changes}))
    return str(path)


def shifted(made: Report, points: float) -> tuple[Result, ...]:
    """The results with every pool ``points`` higher."""
    return tuple(
        dataclasses.replace(each, pooled={name: value + points for name, value in each.pooled.items()})
        for each in made.results
    )


def renamed(made: Report, *inputs: str, reference: str = REF) -> tuple[Result, ...]:
    return tuple(
        dataclasses.replace(each, input=name, reference=reference)
        for each, name in zip(made.results, inputs, strict=True)
    )


@pytest.mark.parametrize(
    ("words", "file", "model", "pool", "delta"),
    [
        ("base.json:mean=1", "base.json", None, "mean", 1.0),
        (" base.json:p5=0.5 ", "base.json", None, "p5", 0.5),
        ("base.json:2", "base.json", None, "mean", 2.0),
        ("base.json:tiny:min=0", "base.json", "tiny", "min", 0.0),
        ("base.json:./m:x=1.safetensors:median=5", "base.json", "./m:x=1.safetensors", "median", 5.0),
        ("odd:name.json:mean=1", "odd:name.json", None, "mean", 1.0),
    ],
)
def test_parse(
    words: str,
    file: str,
    model: str | None,
    pool: str,
    delta: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("base.json", "odd:name.json"):
        Path(name).touch()
    path, gate = parse_drop(words)
    assert (path, gate.model, gate.pool, gate.threshold) == (file, model, pool, delta)


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        ("mean=1", UsageError, "names no baseline"),
        (":mean=1", UsageError, "names no baseline"),
        ("none.json:mean=1", InputError, "there is no baseline 'none.json'"),
        ("base.json:meen=1", UsageError, "did you mean 'mean'"),
        ("base.json:mean=-1", UsageError, "counted in points from 0 on"),
        ("base.json:mean=nan", UsageError, "is no quality gate"),
        ("base.json:stdev=1", UsageError, "choose another pool than stdev"),
    ],
)
def test_parse_refuses(
    words: str, error: type[Exception], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("base.json").touch()
    with pytest.raises(error, match=said):
        parse_drop(words)


def test_a_drop_is_counted_from_what_was(tmp_path: Path) -> None:
    drops = read_drops([f"{written(tmp_path)}:mean=1"])
    for points, passes in ((0.0, True), (-0.9999, True), (-1.0001, False), (5.0, True)):
        (verdict,) = evaluate_drops(drops, shifted(report(), points))
        assert verdict.passed is passes
        assert verdict.baseline == 45.049383
        assert verdict.threshold == 44.049383
        assert verdict.value == pytest.approx(45.0493827 + points)


def test_the_same_score_has_dropped_by_nothing(tmp_path: Path) -> None:
    """45.0493827... is written as 45.049383, which is more."""
    (verdict,) = evaluate_drops(read_drops([f"{written(tmp_path)}:mean=0"]), report().results)
    assert verdict.baseline is not None
    assert report().results[0].pooled["mean"] < verdict.baseline == verdict.value
    assert verdict.passed


def test_every_result_meets_its_own(tmp_path: Path) -> None:
    made = report(("a.mp4", "b.mp4"), ("x", "y"))
    path = written(tmp_path, made)
    verdicts = evaluate_drops(read_drops([f"{path}:mean=1", f"{path}:y:min=0"]), shifted(made, -1.5))
    assert [(v.input, v.model, v.baseline, v.passed) for v in verdicts] == [
        ("a.mp4", "x", 45.049383, False),
        ("a.mp4", "y", 48.049383, False),
        ("a.mp4", "y", 43.0, False),
        ("b.mp4", "x", 65.049383, False),
        ("b.mp4", "y", 68.049383, False),
        ("b.mp4", "y", 63.0, False),
    ]


def test_a_batch_is_a_baseline_too(tmp_path: Path) -> None:
    whole = report_json(report(("a.mp4", "b.mp4")))
    jobs = [{"plan": whole["plan"], "results": [each]} for each in whole["results"]]
    path = written(tmp_path, jobs=[*jobs, {"plan": None, "results": []}], results=None)
    verdicts = evaluate_drops(read_drops([f"{path}:mean=1"]), report(("a.mp4", "b.mp4")).results)
    assert [each.baseline for each in verdicts] == [45.049383, 65.049383]


def test_content_is_known_by_path_then_by_name(tmp_path: Path) -> None:
    made = report(("old/a.mp4", "old/b.mp4"))
    drops = read_drops([f"{written(tmp_path, made)}:mean=1"])
    moved = evaluate_drops(drops, renamed(made, "new/b.mp4", "a.mp4", reference="media/ref.mp4"))
    assert [each.baseline for each in moved] == [65.049383, 45.049383]
    both = report(("1/a.mp4", "2/a.mp4"))
    drops = read_drops([f"{written(tmp_path, both)}:mean=1"])
    assert [each.baseline for each in evaluate_drops(drops, both.results)] == [45.049383, 65.049383]
    with pytest.raises(InputError, match=r"has 2 inputs called 'a.mp4': give the path as it was then"):
        taken_for(drops, [("3/a.mp4", REF)])


def test_one_encode_meets_the_one_encode_of_its_reference(tmp_path: Path) -> None:
    drops = read_drops([f"{written(tmp_path)}:mean=1"])
    taken_for(drops, [("other-name.mp4", "elsewhere/ref.mp4")])
    two = [("other-name.mp4", REF), ("second.mp4", REF)]
    with pytest.raises(
        InputError, match=r"knows nothing of 'other-name.mp4' against 'ref.mp4', but of 'a.mp4'"
    ):
        taken_for(drops, two)
    for pair in (("a.mp4", "other.mp4"), ("a.mp4", None)):
        with pytest.raises(InputError, match=r"knows nothing of 'a\.mp4'"):
            taken_for(drops, [pair])


def test_another_video_of_the_same_name_is_refused(tmp_path: Path) -> None:
    drops = read_drops([f"{written(tmp_path)}:mean=1"])
    plan = report().plan
    assert plan.reference is not None
    require_videos(drops, plan)
    for change in ({"width": 32}, {"frames": 31}, {"frame_rate": Fraction(25)}):
        info = dataclasses.replace(plan.reference.info, **change)
        other = dataclasses.replace(plan, reference=dataclasses.replace(plan.reference, info=info))
        with pytest.raises(InputError, match=r"saw another 'ref.mp4': 64x48, 30 frames at 30000/1001, now "):
            require_videos(drops, other)


def test_another_model_is_refused(tmp_path: Path) -> None:
    made = report()
    drops = read_drops([f"{written(tmp_path)}:mean=1"])
    (model,) = made.models
    require_weights(drops, pairs_of(made.plan), [model])
    other = dataclasses.replace(model, weights_sha256="cd" * 32)
    with pytest.raises(
        InputError, match=r"other weights of 'tiny' \(sha256 abababababab, now cdcdcdcdcdcd\)"
    ):
        require_weights(drops, pairs_of(made.plan), [other])
    with pytest.raises(InputError, match=r"no score of 'a\.mp4' by 'big', but by 'tiny'"):
        require_weights(drops, pairs_of(made.plan), [dataclasses.replace(model, name="big")])
    named = read_drops([f"{written(tmp_path)}:big:mean=1"])
    with pytest.raises(UsageError, match="names a model that is not run: this run has 'tiny'"):
        require_weights(named, pairs_of(made.plan), [model])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[]", "holds no scores"),
        (b'{"schema_version": "1.0"}', "holds no scores"),
        (b'{"results": []}', "holds no scores"),
        (b'{"schema_version": "2.0", "results": []}', "has schema 2.0, this version writes 1.0"),
        (b'{"schema_version": "1.0", "results": [{}]}', "is damaged"),
    ],
)
def test_a_baseline_that_is_none(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "base.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        read_drops([f"{path}:mean=1"])
    assert repr(str(path)) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_result_is_refused(tmp_path: Path) -> None:
    (result,) = report_json(report())["results"]
    for broken in (
        {**result, "pooled": None},
        {**result, "model": "unlisted"},
        {**result, "pooled": {"mean": "x"}},
        {**result, "pooled": {"mean": "99"}},
        {**result, "pooled": {"mean": True}},
        {**result, "pooled": {"mean": float("nan")}},
        {**result, "pooled": {"mean": None}},
    ):
        with pytest.raises(InputError, match="is damaged"):
            read_drops([f"{written(tmp_path, results=[broken])}:mean=1"])


def test_a_pool_that_was_not_written_is_refused(tmp_path: Path) -> None:
    (result,) = report_json(report())["results"]
    made = report()
    (model,) = made.models
    drops = read_drops([f"{written(tmp_path, results=[{**result, 'pooled': {'mean': 40.0}}])}:p5=1"])
    with pytest.raises(InputError, match=r"has no p5 of 'a\.mp4': write it anew"):
        require_weights(drops, pairs_of(made.plan), [model])


def test_content_of_another_folder_is_said_to_be_taken_for_this(tmp_path: Path) -> None:
    drops = read_drops([f"{written(tmp_path)}:mean=1"])
    (pair,) = pairs_of(report().plan)
    assert pair[1] is not None
    assert taken_for(drops, [pair]) == []
    assert taken_for(drops, [(pair[0], f"sources/{pair[1]}")]) == []  # nobody knows where it was
    then = Earlier("one/a.mp4", "one/ref.y4m", "tiny", "0", {}, (1, 1, "25/1", 1))
    made = dataclasses.replace(drops[0], baseline=Baseline("base.json", (then,)))
    said = "the baseline 'base.json' is of 'one/ref.y4m', which '/two/ref.y4m' is taken for, by its name"
    assert taken_for([made, made], [("b.mp4", "/two/ref.y4m")]) == [said]
    assert taken_for([made], [("b.mp4", "/two/one/ref.y4m")]) == []
    alone = dataclasses.replace(then, reference=None)
    made = dataclasses.replace(drops[0], baseline=Baseline("base.json", (alone,)))
    said = "the baseline 'base.json' is of 'one/a.mp4', which 'two/a.mp4' is taken for, by its name"
    assert taken_for([made], [("two/a.mp4", None)]) == [said]
    with pytest.raises(InputError, match=r"knows nothing of 'b\.mp4'"):
        taken_for([made], [("b.mp4", None)])
