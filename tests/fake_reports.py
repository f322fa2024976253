"""A report by hand: two inputs, two models, 30 frames in three clips."""

from __future__ import annotations

from fractions import Fraction

from made_video import made_video

from rankvqa_cli.results.gate import evaluate, parse_gate
from rankvqa_cli.results.pooling import pool
from rankvqa_cli.types import (
    Alignment,
    ClipScore,
    ComparisonPlan,
    Environment,
    FrameFormat,
    FrameScore,
    Integrity,
    ModelInfo,
    PlannedInput,
    Report,
    Result,
)


def planned(path: str, steps: tuple[str, ...] = ()) -> PlannedInput:
    info = made_video(
        path,
        frame_rate=Fraction(30000, 1001),
        frames=30,
        codec="h264",
        container="mov",
        warnings=("no colour tags: bt709 is assumed",),
    )
    return PlannedInput(info, FrameFormat(64, 48, "yuv420p", 8, (2, 2), False, "bt709"), steps)


def result(path: str, model: str, base: float) -> Result:
    scores = [base] * 12 + [base + 5.0] * 6 + [base + 10.1234567] * 12
    pooled = pool(scores)
    return Result(
        input=path,
        reference="ref.mp4",
        model=model,
        score=pooled["mean"],
        pool="mean",
        pooled=pooled,
        ci95=(base, base + 9.5),
        clips=(
            ClipScore(0, 12, base),
            ClipScore(12, 24, base + 5.0),
            ClipScore(18, 30, base + 10.0, padded=True),
        ),
        frames=tuple(FrameScore(i, i * 1001 / 30000, score) for i, score in enumerate(scores)),
        integrity=Integrity(30, 30, 30, 0),
        alignment=Alignment(-1, 0.91234),
        wall_s=1.23456,
        fps=24.30001,
        warnings=("frames look shifted by -1: use --align auto",),
    )


def report(
    inputs: tuple[str, ...] = ("a.mp4",), models: tuple[str, ...] = ("tiny",), gates: tuple[str, ...] = ()
) -> Report:
    results = tuple(
        result(path, model, 40.0 + 20.0 * i + 3.0 * j)
        for i, path in enumerate(inputs)
        for j, model in enumerate(models)
    )
    return Report(
        tool_version="0.1.0",
        argv=("vqa-score", "-i", "a.mp4"),
        environment=Environment("9.0", "2.13.0", "cpu", "fp32", 2),
        models=tuple(
            ModelInfo(name, "full-reference", "ab" * 32, 12, "0 to 100", "by hand") for name in models
        ),
        plan=ComparisonPlan(
            planned("ref.mp4"), tuple(planned(path, ("scale 32x24 -> 64x48",)) for path in inputs)
        ),
        results=results,
        gates=evaluate([parse_gate(gate) for gate in gates], results),
    )
