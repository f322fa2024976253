"""Which file shows which input and model, where ``--heatmap`` names one file for all."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rankvqa_cli.errors import UsageError
from rankvqa_cli.results.writers import STDOUT, Target

FORMAT = "heatmap"


def heatmap_targets(path: str, inputs: Sequence[str], models: Sequence[str]) -> dict[tuple[int, int], Target]:
    """The file of each (input, model), by their places; no models stand for the default one.

    One input and one model have ``path`` itself. Several inputs add the input's name without folder and suffix,
    several models the model's: ``out.png`` becomes ``out.720p.rankvqa.png``. Raises UsageError where two would be
    called alike, and for stdout.
    """
    if path == STDOUT:
        raise UsageError("a heatmap is a file: give --heatmap a name that ends in .png or .mp4")
    stem, suffix = os.path.splitext(path)
    taken: dict[str, tuple[int, int]] = {}
    for i, name in enumerate(inputs):
        for m, model in enumerate(models or [""]):
            parts = [stem]
            if len(inputs) > 1:
                parts.append("stdin" if name == "-" else _bare(name))
            if len(models) > 1:
                parts.append(_bare(model))
            file = ".".join(parts) + suffix
            if file in taken:
                other, _ = taken[file]
                raise UsageError(
                    f"the heatmaps of {inputs[other]!r} and {name!r} would both be {file!r}: score them one by one"
                )
            taken[file] = (i, m)
    return {place: Target(file, FORMAT) for file, place in taken.items()}


def _bare(name: str) -> str:
    return os.path.splitext(os.path.basename(name))[0]
