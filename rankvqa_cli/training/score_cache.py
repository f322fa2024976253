"""Scores that were computed once: one JSON line each, keyed by what the files hold and what measured them."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

from rankvqa_cli.errors import InputError, OutputError
from rankvqa_cli.models.files import Digests

FILE = "scores.jsonl"


class ScoreCache:
    """Scores in ``folder``, or in memory only where it is None. A line that was broken off is passed over.

    Raises InputError where the folder's file cannot be read.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / FILE
        self._known: dict[str, float] = {}
        self._digests = Digests()
        for line in self._lines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                entry = json.loads(line)
                self._known[str(entry["key"])] = float(entry["score"])

    def key(
        self, distorted: Path, reference: Path | None, identity: str, size: tuple[int, int] | None
    ) -> str:
        """Key of one score: ``identity`` says what measures, ``size`` at which (width, height) both are compared.

        Raises InputError for a file that cannot be read.
        """
        parts = [self._digests.of(distorted), "" if reference is None else self._digests.of(reference)]
        return hashlib.sha256("\n".join([*parts, identity, str(size)]).encode()).hexdigest()

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

    def _lines(self) -> list[str]:
        try:
            return [] if self._path is None else self._path.read_text("utf-8", "replace").splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise InputError(f"cannot read the cache {str(self._path)!r}: {error.strerror}") from error
