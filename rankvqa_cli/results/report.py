"""A report as JSON, schema 1.0. Its keys are a promise; numbers are finite or null; rounding happens here."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import TypeAlias

from rankvqa_cli.types import (
    Alignment,
    ComparisonPlan,
    Environment,
    GateResult,
    ModelInfo,
    PlannedInput,
    Report,
    Result,
)

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"

SCHEMA_VERSION = "1.0"
TOOL = "vqa-score"
SCORE_DIGITS = 6
TIME_DIGITS = 6


def report_json(report: Report) -> dict[str, JSON]:
    """The whole report; ``gates`` holds every result, in order, against every gate that applies to it."""
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {
            "name": TOOL,
            "version": report.tool_version,
            "argv": [text(argument) for argument in report.argv],
        },
        "environment": environment_json(report.environment),
        "models": [model_json(model) for model in report.models],
        "plan": plan_json(report.plan, report.results),
        "results": [result_json(result) for result in report.results],
        "gates": [gate_json(gate) for gate in report.gates],
    }


def explain_json(plan: ComparisonPlan, alignments: Sequence[Alignment]) -> dict[str, JSON]:
    """What ``--explain --format json`` prints: the plan as in a report, and each input's alignment."""
    return {
        "schema_version": SCHEMA_VERSION,
        "plan": plan_json(plan),
        "alignments": [alignment_json(alignment) for alignment in alignments],
    }


def result_json(result: Result) -> dict[str, JSON]:
    """One input scored by one model, with its clips and frames."""
    integrity = result.integrity
    return {
        "input": text(result.input),
        "reference": None if result.reference is None else text(result.reference),
        "model": text(result.model),
        "score": number(result.score, SCORE_DIGITS),
        "pool": result.pool,
        "pooled": {name: number(value, SCORE_DIGITS) for name, value in result.pooled.items()},
        "ci95": None if result.ci95 is None else [number(value, SCORE_DIGITS) for value in result.ci95],
        "clips": [
            {
                "start": clip.start,
                "end": clip.end,
                "score": number(clip.score, SCORE_DIGITS),
                "padded": clip.padded,
            }
            for clip in result.clips
        ],
        "frames": [
            {
                "index": frame.index,
                "pts_time": number(frame.pts_time, TIME_DIGITS),
                "score": number(frame.score, SCORE_DIGITS),
            }
            for frame in result.frames
        ],
        "integrity": {
            "frames_expected": integrity.frames_expected,
            "frames_decoded": integrity.frames_decoded,
            "frames_scored": integrity.frames_scored,
            "ffmpeg_returncode": integrity.ffmpeg_returncode,
            "decode_errors": [text(error) for error in integrity.decode_errors],
        },
        "alignment": alignment_json(result.alignment),
        "wall_s": number(result.wall_s, 3),
        "fps": number(result.fps, 3),
        **({"members": _members_json(result)} if result.members else {}),
    }


def _members_json(result: Result) -> list[JSON]:
    """Each member's own view, pooled like the score, and of every clip in order."""
    return [
        {
            "name": text(member.name),
            "weight": number(member.weight, SCORE_DIGITS),
            "score": number(member.score, SCORE_DIGITS),
            "clips": [number(clip.members[i], SCORE_DIGITS) for clip in result.clips],
        }
        for i, member in enumerate(result.members)
    ]


def plan_json(plan: ComparisonPlan, results: Sequence[Result] = ()) -> dict[str, JSON]:
    """Reference and inputs; an input's ``warnings`` take in those of its results."""
    inputs: list[JSON] = []
    for planned in plan.inputs:
        own = [result for result in results if result.input == planned.info.spec.path]
        said = [warning for result in own for warning in result.warnings]
        inputs.append(_planned_json(planned, said))
    return {
        "reference": None if plan.reference is None else _planned_json(plan.reference, ()),
        "inputs": inputs,
    }


def alignment_json(alignment: Alignment) -> dict[str, JSON]:
    return {"offset": alignment.offset, "confidence": number(alignment.confidence, 4)}


def _planned_json(planned: PlannedInput, said: Sequence[str]) -> dict[str, JSON]:
    info, delivered = planned.info, planned.format
    warnings = dict.fromkeys([*info.warnings, *planned.warnings, *said])
    return {
        "path": text(info.spec.path),
        "container": info.container,
        "codec": info.codec,
        "width": info.width,
        "height": info.height,
        "pix_fmt": info.pix_fmt,
        "bit_depth": info.bit_depth,
        "range": range_name(info.full_range),
        "matrix": info.matrix,
        "primaries": info.primaries,
        "transfer": info.transfer,
        "frame_rate": ratio(info.frame_rate),
        "frames": info.frames,
        "sample_aspect_ratio": ratio(info.sample_aspect_ratio),
        "rotation": info.rotation,
        "interlaced": info.interlaced,
        "variable_frame_rate": info.variable_frame_rate,
        "delivered": {
            "width": delivered.width,
            "height": delivered.height,
            "pix_fmt": delivered.pix_fmt,
            "bit_depth": delivered.bit_depth,
            "range": range_name(delivered.full_range),
            "matrix": delivered.matrix,
            "transfer": delivered.transfer,
        },
        "pairing": pairing_name(planned),
        "steps": [text(step) for step in planned.steps],
        "warnings": [text(warning) for warning in warnings],
    }


def environment_json(environment: Environment) -> dict[str, JSON]:
    """What scored, and where."""
    return {
        "ffmpeg": environment.ffmpeg,
        "torch": environment.torch,
        "device": environment.device,
        "precision": environment.precision,
        "threads": environment.threads,
    }


def model_json(model: ModelInfo) -> dict[str, JSON]:
    return {
        "name": text(model.name),
        "kind": model.kind,
        "weights_sha256": model.weights_sha256,
        "clip_frames": model.clip_frames,
        "scale": text(model.scale),
        "provenance": text(model.provenance),
    }


def gate_json(gate: GateResult) -> dict[str, JSON]:
    """One result held against one gate."""
    compared = {} if gate.baseline is None else {"baseline": number(gate.baseline, SCORE_DIGITS)}
    return {
        "expression": text(gate.expression),
        "input": text(gate.input),
        "model": text(gate.model),
        "value": number(gate.value, SCORE_DIGITS),
        "threshold": number(gate.threshold, SCORE_DIGITS),
        **compared,
        "passed": gate.passed,
    }


def range_name(full: bool) -> str:
    return "full" if full else "limited"


def pairing_name(planned: PlannedInput) -> str:
    """How frames of the reference find theirs: by presentation time, or by their order."""
    return "time" if planned.pairing else "order"


def ratio(value: Fraction) -> str:
    """A rate or an aspect as FFmpeg writes it: ``30000/1001``, ``25/1``."""
    return f"{value.numerator}/{value.denominator}"


def number(value: float, digits: int) -> float | None:
    """``value`` rounded, or None where it is not finite: JSON has no word for that."""
    return round(float(value), digits) if math.isfinite(value) else None


#: Signs by which what comes after a name would be read the other way round, a score for example.
TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")


def text(value: str) -> str:
    """``value`` fit for UTF-8: a file name's undecodable bytes become U+FFFD."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
