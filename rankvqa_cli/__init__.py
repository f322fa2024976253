"""vqa-score: learned video quality metrics for the shell.

``rankvqa_cli.score(inputs, reference, ...)`` is the Python API; it is imported when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rankvqa_cli.scoring.engine import score

__all__ = ["score"]


def __getattr__(name: str) -> object:
    if name == "score":
        from rankvqa_cli.scoring.engine import score

        return score
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
