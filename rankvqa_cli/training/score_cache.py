"""Scores that were computed once: one JSON line each, keyed by what the files hold and what measured them."""

from __future__ import annotations

import contextlib
import hashlib
import json
from functools import lru_cache
from pathlib import Path

from rankvqa_cli.errors import OutputError

FILE = "scores.jsonl"


class ScoreCache:
    """Scores in ``folder``, or in memory only where it is None. A line that was broken off is passed over."""

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / FILE
        self._known: dict[str, float] = {}
        if self._path is not None and self._path.exists():
            for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    entry = json.loads(line)
                    self._known[str(entry["key"])] = float(entry["score"])

    def get(self, key: str) -> float | None:
        return self._known.get(key)

    def put(self, key: str, score: float) -> None:
        """Keep ``score``; it is on disk when this returns. Raises OutputError."""
        self._known[key] = score
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, "score": score}) + "\n")
        except OSError as error:
            raise OutputError(f"cannot write the cache {str(self._path)!r}: {error.strerror}") from error


def score_key(distorted: Path, reference: Path | None, identity: str, size: tuple[int, int] | None) -> str:
    """Key of one score: ``identity`` says what measures, ``size`` at which (width, height) both are compared."""
    parts = [_digest(distorted), "" if reference is None else _digest(reference), identity, str(size)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@lru_cache(maxsize=4096)
def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
