"""Which version this is; the number itself stands in ``pyproject.toml`` only."""

from __future__ import annotations

import re
from pathlib import Path

DISTRIBUTION = "vqa-score"


def version() -> str:
    """The installed distribution's version, or a checkout's that runs without having been installed."""
    import importlib.metadata  # takes longer than all else here: whoever starts FFmpeg first does not wait for it

    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        project = Path(__file__).resolve().parents[1] / "pyproject.toml"
        try:
            found = re.search(r'^version = "(.+)"$', project.read_text(encoding="utf-8"), re.MULTILINE)
        except OSError:
            found = None
        return found.group(1) if found else "unknown"
