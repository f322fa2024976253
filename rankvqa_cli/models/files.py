"""Files of models and of what is scored or trained on: read as a whole, hashed, and written whole or not at all.

Knows no torch."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from rankvqa_cli.errors import InputError, ModelError, OutputError


def read_whole(path: Path, what: str) -> tuple[bytes, str]:
    """All bytes of a regular file, at once, so that what is hashed is what is parsed; and their sha256 in hex.

    ``what`` names the file's part in messages ("the network"). Raises ModelError, also for folders, pipes and devices,
    which may never end.
    """
    try:
        if path.exists() and not path.is_file():
            raise ModelError(
                f"{what} {str(path)!r} is not a file but a folder, pipe or device; check the path"
            )
        data = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{what} {str(path)!r} does not exist; check the path") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelError(f"cannot read {what} {str(path)!r}: {reason}") from error
    return data, hashlib.sha256(data).hexdigest()


def sha256_of(path: Path) -> str:
    """Of the whole file, in hex. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Digests:
    """The sha256 of what is scored or trained on; each file is read once."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def of(self, file: str | Path) -> str:
        """In hex. Raises InputError for a file that cannot be read."""
        place = os.path.realpath(file)
        if place not in self._known:
            try:
                self._known[place] = sha256_of(Path(place))
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                raise InputError(f"{str(file)!r} cannot be read ({reason}): check the name") from error
        return self._known[place]


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` through a temporary file beside it; nothing is left behind on failure
    (OutputError)."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"cannot write {str(path)!r}: {reason}; check the folder and the free space"
        ) from error
