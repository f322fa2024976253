"""Encodes of two contents in two codecs, and a list of them."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Rows = list[dict[str, str]]


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory, ffmpeg: str) -> Path:
    """``one.mp4`` and ``two.mp4``, each with encodes ``NAME_CODEC_CRF.mp4``: 64x48, 14 frames. Not to be changed."""
    folder = tmp_path_factory.mktemp("media")

    def run(*argv: str) -> None:
        subprocess.run([ffmpeg, "-v", "error", "-nostdin", "-y", *argv], check=True, timeout=120)

    for name, source in (("one", "testsrc2"), ("two", "testsrc")):
        lavfi = ("-f", "lavfi", "-i", f"{source}=size=64x48:rate=25", "-frames:v", "14")
        run(*lavfi, "-pix_fmt", "yuv420p", "-crf", "4", str(folder / f"{name}.mp4"))
        for crf in ("30", "42"):
            for codec, encoder in (("x264", "libx264"), ("mpeg4", "mpeg4")):
                quality = ("-crf", crf) if codec == "x264" else ("-q:v", str(int(crf) // 3))
                out = folder / f"{name}_{codec}_{crf}.mp4"
                run("-i", str(folder / f"{name}.mp4"), "-c:v", encoder, *quality, str(out))
    return folder


@pytest.fixture
def rows(media: Path) -> Rows:
    """Eight jobs, content by content."""
    return [
        {
            "distorted": str(media / f"{name}_{codec}_{crf}.mp4"),
            "reference": str(media / f"{name}.mp4"),
            "codec": codec,
            "crf": crf,
        }
        for name in ("one", "two")
        for codec in ("x264", "mpeg4")
        for crf in ("30", "42")
    ]


@pytest.fixture
def listing(tmp_path: Path) -> Callable[[Rows], Path]:
    """Writes rows as ``jobs.csv``."""

    def write(rows: Rows) -> Path:
        path = tmp_path / "jobs.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write
