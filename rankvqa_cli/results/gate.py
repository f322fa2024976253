"""Quality gates: ``[MODEL:]POOL=VALUE``, the words of ``--fail-under``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rankvqa_cli.errors import UsageError
from rankvqa_cli.results.pooling import require_pool
from rankvqa_cli.results.report import SCORE_DIGITS
from rankvqa_cli.types import GateResult, Result


@dataclass(frozen=True)
class Gate:
    """A result of ``model`` (any model where None) passes when its ``pool`` is at least ``threshold``."""

    expression: str
    model: str | None
    pool: str
    threshold: float

    def applies_to(self, result: Result) -> bool:
        return self.model is None or self.model == result.model


def parse_gate(text: str) -> Gate:
    """Read ``[MODEL:]POOL=VALUE``; a bare ``VALUE`` gates the mean.

    Raises UsageError for an unknown pool, or a value that is not a finite number.
    """
    expression = text.strip()
    left, separator, value = expression.rpartition("=")
    try:
        threshold = float(value)
    except ValueError:
        threshold = math.nan
    if not math.isfinite(threshold):
        raise UsageError(
            f"{text!r} is no quality gate: write [MODEL:]POOL=VALUE, for example mean=80 or p5=70"
        )
    if not separator:
        return Gate(expression, None, "mean", threshold)
    # A model may be given as a path; the pool is what follows the last colon.
    model, colon, pool_name = left.rpartition(":")
    if colon and not model:
        raise UsageError(f"{text!r} names no model before the colon: write MODEL:POOL=VALUE or POOL=VALUE")
    return Gate(expression, model or None, require_pool(pool_name), threshold)


def require_models(gates: Iterable[Gate], models: Sequence[str]) -> None:
    """Raise UsageError where a gate names a model that is not among ``models``: it would never be checked."""
    for gate in gates:
        if gate.model is not None and gate.model not in models:
            known = ", ".join(repr(name) for name in models)
            raise UsageError(
                f"the gate {gate.expression!r} names a model that is not run: this run has {known}"
            )


def evaluate(gates: Sequence[Gate], results: Sequence[Result]) -> tuple[GateResult, ...]:
    """Hold each result, in order, against every gate that applies to it, in order, at the precision of the JSON: what
    stands there decides."""
    return tuple(
        GateResult(
            expression=gate.expression,
            value=(value := round(result.pooled[gate.pool], SCORE_DIGITS)),
            passed=value >= gate.threshold,
            input=result.input,
            model=result.model,
            threshold=gate.threshold,
        )
        for result in results
        for gate in gates
        if gate.applies_to(result)
    )


def measured(gate: GateResult) -> str:
    """What a gate has found, in words: the value, and for a drop what it was before.

    A value is rounded to four digits, unless that would make one that failed look as if it had passed.
    """
    value = f"{gate.value:.4f}"
    if not gate.passed and float(value) >= gate.threshold:
        value = repr(gate.value)
    return value if gate.baseline is None else f"{value}, {gate.baseline:.4f} before"


def needed(gate: GateResult) -> str:
    """From where on a gate passes, in words: two digits, and more where there are more."""
    return max(f"{gate.threshold:.2f}", f"{gate.threshold:.{SCORE_DIGITS}f}".rstrip("0"), key=len)
