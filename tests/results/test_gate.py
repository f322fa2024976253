from __future__ import annotations

import dataclasses

import pytest

from rankvqa_cli.errors import UsageError
from rankvqa_cli.results.gate import Gate, evaluate, needed, parse_gate, require_models
from rankvqa_cli.results.pooling import pool
from rankvqa_cli.types import Alignment, Integrity, Result


def result(model: str = "tiny", input: str = "a.mp4", scores: tuple[float, ...] = (80.0, 90.0)) -> Result:
    return Result(
        input=input,
        reference="r.mp4",
        model=model,
        score=pool(scores)["mean"],
        pool="mean",
        pooled=pool(scores),
        ci95=(80.0, 90.0),
        clips=(),
        frames=(),
        integrity=Integrity(2, 2, 2, 0),
        alignment=Alignment(0, 1.0),
        wall_s=1.0,
        fps=2.0,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mean=80", (None, "mean", 80.0)),
        ("p5=70.5", (None, "p5", 70.5)),
        ("80", (None, "mean", 80.0)),
        (" min=0 ", (None, "min", 0.0)),
        ("tiny:p1=3e1", ("tiny", "p1", 30.0)),
        ("./dir:x/m=1.safetensors:median=50", ("./dir:x/m=1.safetensors", "median", 50.0)),
    ],
)
def test_parse(text: str, expected: tuple[str | None, str, float]) -> None:
    gate = parse_gate(text)
    assert (gate.model, gate.pool, gate.threshold) == expected
    assert gate.expression == text.strip()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("meen=80", "did you mean 'mean'"),
        ("mean=", "is no quality gate"),
        ("mean", "is no quality gate"),
        ("mean=high", "is no quality gate"),
        ("mean=nan", "is no quality gate"),
        ("mean=inf", "is no quality gate"),
        ("", "is no quality gate"),
        (":mean=80", "no model before the colon"),
        ("tiny:=80", "no pool is called ''"),
        ("tiny:80", "is no quality gate"),
    ],
)
def test_parse_refuses(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_gate(text)


def test_evaluate_holds_every_result_against_every_gate() -> None:
    gates = [parse_gate("mean=85"), parse_gate("other:min=95")]
    results = [result("tiny", "a.mp4"), result("other", "a.mp4"), result("tiny", "b.mp4", (10.0, 20.0))]
    verdicts = evaluate(gates, results)
    assert [(v.input, v.model, v.expression, v.value, v.passed) for v in verdicts] == [
        ("a.mp4", "tiny", "mean=85", 85.0, True),
        ("a.mp4", "other", "mean=85", 85.0, True),
        ("a.mp4", "other", "other:min=95", 80.0, False),
        ("b.mp4", "tiny", "mean=85", 15.0, False),
    ]


def test_the_value_is_compared_as_the_json_has_it() -> None:
    for value, written, passes in ((79.9999994, 79.999999, False), (79.9999996, 80.0, True)):
        (verdict,) = evaluate(
            [parse_gate("mean=80")], [dataclasses.replace(result(), pooled={"mean": value})]
        )
        assert (verdict.value, verdict.passed) == (written, passes)


def test_what_is_needed_has_as_many_digits_as_it_takes() -> None:
    for threshold, said in ((80.0, "80.00"), (65.8525, "65.8525"), (47.123456, "47.123456"), (-1.5, "-1.50")):
        verdict = evaluate([Gate("g", None, "mean", threshold)], [result()])[0]
        assert needed(verdict) == said


def test_a_gate_on_an_absent_model_is_an_error() -> None:
    gates = [Gate("tiny:mean=80", "tiny", "mean", 80.0)]
    require_models(gates, ["tiny", "other"])
    with pytest.raises(UsageError, match="names a model that is not run: this run has 'other'"):
        require_models(gates, ["other"])
