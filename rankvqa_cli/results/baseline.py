"""An earlier run's JSON, of one command or a batch, to hold results against: what it knows of the same content.

A result is compared with the earlier one of the same model (by sha256) and the same content: the same reference and the
same input by their paths, or else by their names without folders. Where both runs have one input of a reference, these
two are compared, whatever they are called.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from rankvqa_cli.errors import InputError
from rankvqa_cli.results.report import SCHEMA_VERSION, ratio, text
from rankvqa_cli.types import PlannedInput

#: What must be as it was for two runs to have seen the same content: width, height, rate, frames.
Facts: TypeAlias = "tuple[int, int, str, int | None]"


@dataclass(frozen=True)
class Earlier:
    """One result of an earlier run. ``sha256`` is of the model's weights; ``facts`` are of the reference, or of the
    input where there is none."""

    input: str
    reference: str | None
    model: str
    sha256: str
    pooled: dict[str, float]
    facts: Facts


@dataclass(frozen=True)
class Baseline:
    """The results of an earlier run that were written to ``path``."""

    path: str
    results: tuple[Earlier, ...]

    def of_content(self, input: str, reference: str | None, *, alone: bool) -> list[Earlier]:
        """What it has, by any model, of what is now ``input`` against ``reference``; ``alone``: no other input is
        scored now. Raises InputError where that is nothing, or cannot be told."""
        known = [each for each in self.results if _alike(each.reference, reference)]
        found = [each for each in known if each.input == text(input)]
        found = found or [each for each in known if _alike(each.input, input)]
        if not found and reference is not None and alone and len({each.input for each in known}) == 1:
            found = known
        if not found:
            against = "" if reference is None else f" against {os.path.basename(reference)!r}"
            raise InputError(
                f"the baseline {self.path!r} knows nothing of {input!r}{against}, but of {self._inputs()}: "
                "compare with a run of the same content"
            )
        if len(inputs := dict.fromkeys((each.input, each.reference) for each in found)) > 1:
            raise InputError(
                f"the baseline {self.path!r} has {len(inputs)} inputs called {os.path.basename(input)!r}: "
                "give the path as it was then"
            )
        return found

    def of_model(self, input: str, reference: str | None, model: str, *, alone: bool) -> Earlier:
        """The one by ``model``. Raises InputError where there is none."""
        found = self.of_content(input, reference, alone=alone)
        for each in found:
            if each.model == text(model):
                return each
        there = ", ".join(repr(each.model) for each in found)
        raise InputError(
            f"the baseline {self.path!r} has no score of {input!r} by {model!r}, but by {there}: "
            "score with that model, or write the baseline anew"
        )

    def require_facts(self, earlier: Earlier, facts: Facts) -> None:
        """Raise InputError where the reference, or the input without one, is not the video that it was."""
        if facts != earlier.facts:
            name = os.path.basename(earlier.reference or earlier.input)
            raise InputError(
                f"the baseline {self.path!r} saw another {name!r}: {_words(earlier.facts)}, now {_words(facts)}; "
                "compare with a run of the same content"
            )

    def elsewhere(self, earlier: Earlier, input: str, reference: str | None) -> str | None:
        """What to say where the content of ``earlier`` is taken for that of ``input`` by its name alone: the reference,
        or the input without one, was in a folder of another name. None where nothing is to be said."""
        then, now = earlier.reference or earlier.input, text(reference or input)
        folders = [os.path.basename(os.path.dirname(path)) for path in (then, now)]
        if not all(folders) or folders[0] == folders[1]:
            return None
        return f"the baseline {self.path!r} is of {then!r}, which {now!r} is taken for, by its name"

    def _inputs(self) -> str:
        names = list(dict.fromkeys(repr(each.input) for each in self.results))
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return (", ".join(names[:3]) or "nothing") + more


def facts_of(planned: PlannedInput) -> Facts:
    info = planned.info
    return (info.width, info.height, ratio(info.frame_rate), info.frames)


def facts_in_plan(plan: Any, input: int = 0) -> Facts:
    """Those of the reference in the JSON of a plan, or of its ``input`` without one."""
    planned = plan["reference"] or plan["inputs"][input]
    return (planned["width"], planned["height"], planned["frame_rate"], planned["frames"])


def read_baseline(path: str) -> Baseline:
    """Read the JSON of an earlier run. Raises InputError where it is not that, or of another schema."""
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise InputError(f"cannot read the baseline {path!r}: {why}") from error
    except (ValueError, RecursionError):
        raise InputError(
            f"the baseline {path!r} is no JSON: give the .json that an earlier run wrote with -o"
        ) from None
    schema = data.get("schema_version") if isinstance(data, dict) else None
    if not isinstance(schema, str) or not data.keys() & {"results", "jobs"}:
        raise InputError(
            f"the baseline {path!r} holds no scores of vqa-score: give the .json that an earlier run wrote with -o"
        )
    if schema.partition(".")[0] != SCHEMA_VERSION.partition(".")[0]:
        raise InputError(
            f"the baseline {path!r} has schema {schema}, this version writes {SCHEMA_VERSION}: write it anew"
        )
    try:
        return Baseline(path, tuple(_results(data)))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"the baseline {path!r} is damaged ({type(error).__name__}: {error}): write it anew"
        ) from error


def _results(data: dict[str, Any]) -> Iterator[Earlier]:
    weights = {str(model["name"]): str(model["weights_sha256"]) for model in data["models"]}
    for part in data.get("jobs", [data]):
        if not part["results"]:
            continue  # a job that failed
        plan = part["plan"]
        places = {each["path"]: place for place, each in enumerate(plan["inputs"])}
        for each in part["results"]:
            yield Earlier(
                input=str(each["input"]),
                reference=None if each["reference"] is None else str(each["reference"]),
                model=str(each["model"]),
                sha256=weights[each["model"]],
                pooled={str(name): _score(value) for name, value in each["pooled"].items()},
                facts=facts_in_plan(plan, places[each["input"]]),
            )


def _score(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no score")
    return value


def _alike(then: str | None, now: str | None) -> bool:
    if then is None or now is None:
        return then is now
    return os.path.basename(then) == os.path.basename(text(now))


def _words(facts: Facts) -> str:
    width, height, rate, frames = facts
    return f"{width}x{height}, {'unknown' if frames is None else frames} frames at {rate}"
