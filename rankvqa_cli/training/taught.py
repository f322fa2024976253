"""What pairs of a corpus are ranked by, in the words of ``train --teach``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from rankvqa_cli.errors import UsageError
from rankvqa_cli.training.tasks import RankingWeights
from rankvqa_cli.training.teacher_task import TeacherWeights

#: The words, and the loss weights of the teacher and of a student that each takes.
TEACHER = {"order": ("order",), "label": ("label",), "damage": ("damage", "amount")}
STUDENT = {"order": ("order",), "label": ("pairs",), "damage": ("damage", "amount")}

Weights = TypeVar("Weights", TeacherWeights, RankingWeights)


def teacher_weights(teach: str | None) -> TeacherWeights:
    """Loss weights that leave out what ``teach``, a list of the words with commas, does not name; None names all.

    Raises UsageError for another word.
    """
    return _only(teach, TEACHER, TeacherWeights())


def student_weights(teach: str | None) -> RankingWeights:
    """The same for a student."""
    return _only(teach, STUDENT, RankingWeights())


def _only(teach: str | None, takes: Mapping[str, tuple[str, ...]], weights: Weights) -> Weights:
    if teach is None:
        return weights
    named = [word.strip() for word in teach.split(",")]
    unknown = [word for word in named if word not in takes]
    if unknown:
        raise UsageError(f"--teach takes {', '.join(takes)}, not {unknown[0]!r}")
    off = {field: 0.0 for word, fields in takes.items() if word not in named for field in fields}
    return replace(weights, **off)
