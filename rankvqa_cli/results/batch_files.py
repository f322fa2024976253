"""A batch as JSON, as NDJSON and as CSV. Rounding happens here; nothing in the CSV depends on how fast or in which
order jobs were scored."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

from rankvqa_cli.results.batch import Batch, ScoredJob
from rankvqa_cli.results.formats import dump
from rankvqa_cli.results.pooling import POOLS
from rankvqa_cli.results.report import (
    JSON,
    SCORE_DIGITS,
    TOOL,
    environment_json,
    gate_json,
    model_json,
    number,
    result_json,
    text,
)

BATCH_SCHEMA = "1.0"
BATCH_KIND = "batch"
RATE_DIGITS = 3
#: Columns of the CSV before and after those of the list of jobs.
LEADING = ("row", "distorted", "reference")
MEASURED = (
    "model",
    "score",
    "pool",
    "ci_low",
    "ci_high",
    *POOLS,
    "bitrate_kbps",
    "frames_scored",
    "offset",
    "reference_decodes",
    "exit_code",
    "error",
    "key",
)


def batch_json(batch: Batch) -> dict[str, JSON]:
    """The whole batch, with every frame."""
    return {
        "schema_version": BATCH_SCHEMA,
        "kind": BATCH_KIND,
        "tool": {"name": TOOL, "version": batch.tool_version, "argv": [text(each) for each in batch.argv]},
        "environment": None if batch.environment is None else environment_json(batch.environment),
        "models": [model_json(model) for model in batch.models],
        "source": text(batch.source),
        "pool": batch.pool,
        "exit_code": batch.exit_code,
        "jobs": [job_json(job) for job in batch.jobs],
        "gates": [gate_json(gate) for gate in batch.gates],
    }


def job_json(job: ScoredJob) -> dict[str, JSON]:
    """One job with all of its results."""
    warnings = dict.fromkeys(warning for result in job.results for warning in result.warnings)
    return {
        "row": job.row,
        "distorted": text(job.distorted),
        "reference": None if job.reference is None else text(job.reference),
        "columns": {text(name): text(cell) for name, cell in job.columns.items()},
        "key": job.key,
        "exit_code": int(job.exit_code),
        "error": None if job.error is None else text(job.error),
        "bitrate_kbps": None if job.bitrate_kbps is None else number(job.bitrate_kbps, RATE_DIGITS),
        "reference_decodes": job.reference_decodes,
        "environment": None if job.environment is None else environment_json(job.environment),
        "plan": job.plan,
        "warnings": [text(warning) for warning in warnings],
        "results": [result_json(result) for result in job.results],
    }


def _ndjson(batch: Batch) -> str:
    return "".join(job_line(job) for job in batch.jobs)


def job_line(job: ScoredJob) -> str:
    """A job as one line of NDJSON."""
    line: dict[str, JSON] = {"schema_version": BATCH_SCHEMA, **job_json(job)}
    return json.dumps(line, allow_nan=False, ensure_ascii=False) + "\n"


def _csv(batch: Batch) -> str:
    """One row a job and model, in the order of the list of jobs, its own columns in the middle.

    A job that failed is a row without scores, with its exit code and error.
    """
    own = list(dict.fromkeys(name for job in batch.jobs for name in job.columns))
    heads = [f"{name} (given)" if name in (*LEADING, *MEASURED) else text(name) for name in own]
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow([*LEADING, *heads, *MEASURED])
    for job in batch.jobs:
        leading = [job.row, text(job.distorted), text(job.reference or "")]
        given = [text(job.columns.get(name, "")) for name in own]
        for place, model in enumerate(batch.models):
            rows.writerow([*leading, *given, text(model.name), *_measured(job, place)])
    return out.getvalue()


def _measured(job: ScoredJob, place: int) -> list[object]:
    """The cells after the model's name: empty ones where there is nothing to say."""
    rate = None if job.bitrate_kbps is None else number(job.bitrate_kbps, RATE_DIGITS)
    end = [job.reference_decodes, int(job.exit_code), text(job.error or ""), job.key]
    if job.failed:
        return [*[None] * (4 + len(POOLS)), rate, None, None, *end]
    result = job.results[place]
    scores = [number(value, SCORE_DIGITS) for value in (result.score, *(result.ci95 or (None, None)))]
    pools = [number(result.pooled[name], SCORE_DIGITS) for name in POOLS]
    seen = [result.integrity.frames_scored, result.alignment.offset]
    return [scores[0], result.pool, *scores[1:], *pools, rate, *seen, *end]


RENDERERS: dict[str, Callable[[Batch], str]] = {
    "csv": _csv,
    "json": lambda batch: dump(batch_json(batch)),
    "ndjson": _ndjson,
}
