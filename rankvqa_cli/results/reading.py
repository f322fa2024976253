"""Jobs of a batch back from the JSON that ``batch_files`` wrote."""

from __future__ import annotations

from typing import Any

from rankvqa_cli.results.batch import ScoredJob
from rankvqa_cli.results.batch_files import BATCH_SCHEMA
from rankvqa_cli.types import (
    Alignment,
    ClipScore,
    Environment,
    FrameScore,
    Integrity,
    MemberView,
    ModelInfo,
    Result,
)


def job_from_json(data: dict[str, Any]) -> ScoredJob:
    """The job that ``batch_files.job_json`` wrote, its numbers as they were rounded there.

    Raises KeyError, TypeError or ValueError where it is none of this schema.
    """
    if data.get("schema_version", BATCH_SCHEMA) != BATCH_SCHEMA:
        raise ValueError(f"schema {data['schema_version']!r} instead of {BATCH_SCHEMA!r}")
    warnings = tuple(str(each) for each in data["warnings"])
    environment = data["environment"]
    return ScoredJob(
        row=int(data["row"]),
        distorted=str(data["distorted"]),
        reference=data["reference"],
        columns={str(name): str(cell) for name, cell in data["columns"].items()},
        key=str(data["key"]),
        results=tuple(_result(each, warnings) for each in data["results"]),
        bitrate_kbps=data["bitrate_kbps"],
        reference_decodes=data["reference_decodes"],
        plan=data["plan"],
        environment=None if environment is None else Environment(**environment),
        exit_code=int(data["exit_code"]),
        error=data["error"],
    )


def model_from_json(data: dict[str, Any]) -> ModelInfo:
    """The model that ``report.model_json`` wrote. Raises TypeError where it is none."""
    return ModelInfo(**data)


def _result(data: dict[str, Any], warnings: tuple[str, ...]) -> Result:
    members = data.get("members", [])
    offset = data["alignment"]
    return Result(
        input=data["input"],
        reference=data["reference"],
        model=data["model"],
        score=data["score"],
        pool=data["pool"],
        pooled=data["pooled"],
        ci95=None if data["ci95"] is None else (data["ci95"][0], data["ci95"][1]),
        clips=tuple(
            ClipScore(members=tuple(member["clips"][i] for member in members), **clip)
            for i, clip in enumerate(data["clips"])
        ),
        frames=tuple(FrameScore(**frame) for frame in data["frames"]),
        integrity=Integrity(
            **{**data["integrity"], "decode_errors": tuple(data["integrity"]["decode_errors"])}
        ),
        alignment=Alignment(offset["offset"], offset["confidence"]),
        wall_s=data["wall_s"],
        fps=data["fps"],
        warnings=warnings,
        members=tuple(MemberView(each["name"], each["weight"], each["score"]) for each in members),
    )
