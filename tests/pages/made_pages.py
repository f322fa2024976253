"""Reports, a batch and a comparison by hand, with names and numbers that a page could stumble over."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from fake_reports import planned, report

from rankvqa_cli.media.jpeg import jpeg
from rankvqa_cli.results.batch import Batch, ScoredJob
from rankvqa_cli.results.comparison import METHODS, Average, Comparison, Curve, CurvePoint, Delta, Summary
from rankvqa_cli.results.gate import evaluate, parse_gate
from rankvqa_cli.results.pooling import pool
from rankvqa_cli.results.report import plan_json
from rankvqa_cli.types import ClipScore, ComparisonPlan, FrameScore, GateResult, Moment, Report, Result

ODD = "enc/<b>odd & \"quoted\"</b>-'7'.mp4"
CONTENTS = ("bmx", "dog", "cows")
CODECS = ("x264", "x265")
RATES = (250, 500, 1000, 2000)


def scored(name: str, base: float, *, frames: int = 60, reference: str | None = "src/ref.mp4") -> Result:
    """A result whose frames wander around ``base``."""
    scores = [
        min(100.0, max(0.0, base + 6 * math.sin(place / 9) + math.cos(place))) for place in range(frames)
    ]
    clips = [
        ClipScore(start, start + 12, sum(scores[start : start + 12]) / 12)
        for start in range(0, frames - 11, 12)
    ]
    pooled = pool(scores)
    return dataclasses.replace(
        report().results[0],
        input=name,
        reference=reference,
        score=pooled["mean"],
        pooled=pooled,
        ci95=(pooled["mean"] - 1.7, pooled["mean"] + 1.3),
        clips=tuple(clips),
        frames=tuple(FrameScore(place, place / 25, score) for place, score in enumerate(scores)),
        warnings=(),
    )


def moments(result: Result, count: int = 3) -> tuple[Moment, ...]:
    """Pictures of its worst clips: grey, darker and darker."""
    found = []
    for place, clip in enumerate(sorted(result.clips, key=lambda clip: clip.score)[:count]):
        picture = jpeg(np.full((48, 64, 3), 200 - 50 * place, np.uint8))
        found.append(Moment(result.input, result.model, clip, clip.start + 5, picture, picture, picture))
    return tuple(found)


def score_report(*names: str) -> Report:
    """A run over several inputs, an odd name among them, with gates that pass and fail."""
    results = tuple(scored(name, 88.0 - 17.3 * place) for place, name in enumerate(names or (ODD, "low.mp4")))
    before = GateResult(
        "base.json:p5=1", results[0].pooled["p5"], False, results[0].input, "tiny", 91.5, 92.5
    )
    plain = report()
    return dataclasses.replace(
        plain,
        plan=ComparisonPlan(plain.plan.reference, tuple(planned(each.input) for each in results)),
        results=results,
        gates=(*evaluate([parse_gate("mean=80"), parse_gate("p5=12.5")], results), before),
        moments=tuple(moment for result in results for moment in moments(result)),
    )


def batch() -> Batch:
    """Two codecs at four rates of three contents; one job failed."""
    jobs = []
    plain = report()
    for row, (content, codec, rate) in enumerate(
        ((content, codec, rate) for content in CONTENTS for codec in CODECS for rate in RATES), 2
    ):
        name, reference = f"enc/{content}_{codec}_{rate}.mp4", f"src/{content}.y4m"
        base = 35 + 11.7 * math.log2(rate / 250) + (5.1 if codec == "x265" else 0) + 3.3 * len(content)
        result = scored(name, base, reference=reference)
        plan = ComparisonPlan(planned(reference), (planned(name),))
        jobs.append(
            ScoredJob(
                row=row,
                distorted=name,
                reference=reference,
                columns={"codec": codec, "content": content, "crf": str(50 - row)},
                key="ab" * 32,
                results=(result,),
                bitrate_kbps=rate * 1.0371,
                reference_decodes=1,
                plan=plan_json(plan, [result]),
                environment=plain.environment,
            )
        )
    error = "'enc/bmx_x265_250.mp4' has 58 frames, its reference 60: give --allow-short to compare the common part"
    jobs[4] = dataclasses.replace(jobs[4], results=(), plan=None, exit_code=3, error=error)
    argv = ("vqa-score", "batch", "jobs.csv", "--fail-under", "45")
    made = Batch("0.1.0", argv, "lists/jobs.csv", "mean", plain.models, tuple(jobs))
    return dataclasses.replace(made, gates=evaluate([parse_gate("45")], made.results))


def comparison() -> Comparison:
    """The batch's codecs; one content is refused, one codec has no interval."""
    jobs = [job for job in batch().jobs if job.results]
    curves, deltas = [], []
    for content in CONTENTS:
        for codec in CODECS:
            points = tuple(
                CurvePoint(job.bitrate_kbps or 0.0, job.results[0].score, job.distorted, job.row)
                for job in jobs
                if (job.columns["content"], job.columns["codec"]) == (content, codec)
            )
            curves.append(Curve("tiny", content, codec, points, monotone=True))
        for method in METHODS:
            refused = content == "cows"
            deltas.append(
                Delta(
                    model="tiny",
                    content=content,
                    codec="x265",
                    method=method,
                    bd_rate=None if refused else -23.456 - len(content),
                    bd_quality=4.321,
                    quality_overlap=0.0 if refused else 0.8125,
                    rate_overlap=0.99,
                    refused_rate="the qualities miss each other by 4.875 points" if refused else None,
                )
            )
    rate, quality = Average(2, -26.456, (-31.5, -20.25), None), Average(3, 4.321, (3.875, 5.125), 0.25)
    single = Average(1, -3.0, None, None)
    summaries = [
        Summary("tiny", "x265", "pchip", rate, quality),
        Summary("tiny", "x265", "akima", single, quality),
    ]
    return Comparison(
        tool_version="0.1.0",
        argv=("vqa-score", "compare", "jobs.csv", "--anchor", "x264"),
        source="lists/jobs.csv",
        anchor="x264",
        pool="mean",
        rates="the containers",
        draws=2000,
        seed=1,
        models=("tiny",),
        contents=CONTENTS,
        codecs=CODECS,
        curves=tuple(curves),
        deltas=tuple(deltas),
        summaries=tuple(summaries),
        warnings=("x265 on cows: refused by 4.875 points",),
        gates=batch().gates,
    )


def pages() -> dict[str, bytes]:
    """One page of each kind, and a comparison that knows no frames."""
    from rankvqa_cli.pages.batch import batch_page
    from rankvqa_cli.pages.comparison import comparison_page
    from rankvqa_cli.pages.score import score_page

    jobs = batch()
    worst = min(jobs.results, key=lambda result: result.score)
    return {
        "score": score_page(score_report()),
        "batch": batch_page(jobs, moments(worst)),
        "comparison": comparison_page(comparison(), jobs, moments(worst)),
        "csv": comparison_page(dataclasses.replace(comparison(), gates=()), None),
    }
