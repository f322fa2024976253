"""Gates against an earlier run: ``FILE:[MODEL:]POOL=DELTA``, the words of ``--fail-drop``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rankvqa_cli.errors import InputError, UsageError
from rankvqa_cli.results.baseline import Baseline, Facts, facts_of, read_baseline
from rankvqa_cli.results.gate import Gate, parse_gate, require_models
from rankvqa_cli.results.report import SCORE_DIGITS
from rankvqa_cli.types import ComparisonPlan, GateResult, ModelInfo, Result

#: An input and its reference, None without one, by their paths.
Pair: TypeAlias = "tuple[str, str | None]"


@dataclass(frozen=True)
class DropGate:
    """A result passes when its ``gate.pool`` is at most ``gate.threshold`` points below the ``baseline``'s."""

    expression: str
    baseline: Baseline
    gate: Gate


def parse_drop(expression: str) -> tuple[str, Gate]:
    """The baseline's path and the gate in ``FILE:[MODEL:]POOL=DELTA``. Both may have colons: the longest path that is a
    file is meant. Raises UsageError, and InputError where there is no such file."""
    words = expression.strip()
    colons = [at for at, sign in enumerate(words) if sign == ":"]
    cut = max((at for at in colons if os.path.isfile(words[:at])), default=None)
    if cut is None:
        named = words.partition(":")[0]
        if not colons or not named:
            raise UsageError(
                f"{expression!r} names no baseline: write FILE:POOL=DELTA, as in main.json:mean=1"
            )
        raise InputError(f"there is no baseline {named!r}: give the .json that an earlier run wrote with -o")
    gate = parse_gate(words[cut + 1 :])
    if gate.threshold < 0:
        raise UsageError(f"{expression!r} is no drop: it is counted in points from 0 on")
    if gate.pool == "stdev":
        raise UsageError(f"{expression!r} is no loss of quality: choose another pool than stdev")
    return words[:cut], gate


def read_drops(expressions: Sequence[str]) -> tuple[DropGate, ...]:
    """The gates with their baselines, each file read once. Raises UsageError and InputError."""
    parsed = [(words.strip(), *parse_drop(words)) for words in expressions]
    baselines = {path: read_baseline(path) for path in dict.fromkeys(path for _, path, _ in parsed)}
    return tuple(DropGate(words, baselines[path], gate) for words, path, gate in parsed)


def require_videos(drops: Iterable[DropGate], plan: ComparisonPlan) -> None:
    """Raise InputError where a baseline knows nothing of an input, or its reference was another video."""
    require_facts(drops, pairs_of(plan), [facts_of(plan.reference or planned) for planned in plan.inputs])


def require_facts(drops: Iterable[DropGate], pairs: Sequence[Pair], facts: Sequence[Facts]) -> None:
    """The same by what is known of the reference, or the input without one, of each of ``pairs``."""
    for drop in drops:
        for pair, known in zip(pairs, facts, strict=True):
            found = drop.baseline.of_content(*pair, alone=len(pairs) == 1)
            drop.baseline.require_facts(found[0], known)


def taken_for(drops: Iterable[DropGate], pairs: Sequence[Pair]) -> list[str]:
    """What to say of contents that a baseline knows by their names alone. Raises InputError where it knows nothing of
    what is to be scored."""
    said = [
        drop.baseline.elsewhere(drop.baseline.of_content(*pair, alone=len(pairs) == 1)[0], *pair)
        for drop in drops
        for pair in pairs
    ]
    return list(dict.fromkeys(each for each in said if each is not None))


def require_weights(drops: Iterable[DropGate], pairs: Sequence[Pair], models: Sequence[ModelInfo]) -> None:
    """Raise UsageError where a gate names a model that is not run, InputError where a baseline has no score by a model
    that is held against it or not that pool, or one by other weights of that name."""
    for drop in drops:
        require_models([drop.gate], [model.name for model in models])
        for model in models:
            if drop.gate.model not in (None, model.name):
                continue
            for pair in pairs:
                earlier = drop.baseline.of_model(*pair, model.name, alone=len(pairs) == 1)
                if earlier.sha256 != model.weights_sha256:
                    raise InputError(
                        f"the baseline {drop.baseline.path!r} was scored by other weights of {model.name!r} "
                        f"(sha256 {earlier.sha256[:12]}, now {model.weights_sha256[:12]}): write it anew"
                    )
                if drop.gate.pool not in earlier.pooled:
                    raise InputError(
                        f"the baseline {drop.baseline.path!r} has no {drop.gate.pool} of {pair[0]!r}: write it anew"
                    )


def evaluate_drops(drops: Sequence[DropGate], results: Sequence[Result]) -> tuple[GateResult, ...]:
    """Hold each result, in order, against every gate that applies to it, in order, at the precision of the JSON: the
    same score as before has dropped by 0. Raises InputError as ``require_weights`` does."""
    alone = len({(result.input, result.reference) for result in results}) == 1
    return tuple(
        _held(drop, result, alone=alone)
        for result in results
        for drop in drops
        if drop.gate.applies_to(result)
    )


def pairs_of(plan: ComparisonPlan) -> list[Pair]:
    reference = None if plan.reference is None else plan.reference.info.spec.path
    return [(planned.info.spec.path, reference) for planned in plan.inputs]


def _held(drop: DropGate, result: Result, *, alone: bool) -> GateResult:
    earlier = drop.baseline.of_model(result.input, result.reference, result.model, alone=alone)
    before, value = earlier.pooled[drop.gate.pool], round(result.pooled[drop.gate.pool], SCORE_DIGITS)
    threshold = round(before - drop.gate.threshold, SCORE_DIGITS)
    return GateResult(
        expression=drop.expression,
        value=value,
        passed=value >= threshold,
        input=result.input,
        model=result.model,
        threshold=threshold,
        baseline=before,
    )
