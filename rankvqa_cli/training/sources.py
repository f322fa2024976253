"""Where a corpus comes from: a folder or a list of videos and stills, and the FFmpeg that reads and encodes them."""

from __future__ import annotations

import csv
import math
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import imageio_ffmpeg

from rankvqa_cli.errors import InputError, OutputError, UsageError
from rankvqa_cli.media.ffmpeg import find_ffmpeg

VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".mov", ".webm", ".y4m", ".avi", ".ts", ".mpg"})
STILL_SUFFIXES = frozenset({".webp", ".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True)
class Source:
    """One pristine clip to be made. ``content`` groups what must stay on one side of a split.

    ``reduce`` divides the size of a video; ``start_s`` is where the stretch begins, from the first frame on. Stills
    ignore both.
    """

    path: Path
    content: str
    name: str
    start_s: float = 0.0
    reduce: float = 1.0

    @property
    def is_still(self) -> bool:
        return self.path.suffix.lower() in STILL_SUFFIXES


def list_sources(where: Path) -> list[Source]:
    """A folder's videos and stills, each its own content, or a CSV: path, and optionally content, start_s, reduce.

    Paths in a CSV are relative to it. Raises UsageError or InputError naming the row that cannot be used.
    """
    if where.is_dir():
        files = sorted(p for p in where.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES | STILL_SUFFIXES)
        if not files:
            raise UsageError(f"no video or still in {str(where)!r}")
        return _all_named([Source(path=p, content=p.stem, name=p.stem) for p in files], where)
    try:
        rows = list(csv.DictReader(where.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise InputError(f"cannot read the source list {str(where)!r}: {reason}") from error
    if not rows:
        raise UsageError(f"the source list {str(where)!r} names no source: give a column path")
    sources = []
    for number, row in enumerate(rows, start=2):
        path = where.parent / (row.get("path") or "")
        if not path.is_file():
            raise InputError(f"{str(where)!r} row {number}: no such file {str(path)!r}")
        try:
            start, reduce = float(row.get("start_s") or 0), float(row.get("reduce") or 1)
        except ValueError as error:
            raise UsageError(f"{str(where)!r} row {number}: {error}") from error
        if not (math.isfinite(start) and start >= 0 and math.isfinite(reduce) and reduce >= 1):
            given = f"start_s {start:g}, reduce {reduce:g}"
            raise UsageError(f"{str(where)!r} row {number}: {given}: give 0 or more seconds, and 1 or more")
        name = path.stem + (f"_{start:g}s" if start else "") + (f"_r{reduce:g}" if reduce != 1 else "")
        sources.append(Source(path, row.get("content") or path.stem, name, start, reduce))
    return _all_named(sources, where)


def _all_named(sources: list[Source], where: Path) -> list[Source]:
    """Each source has a folder of its own, so each needs a name of its own."""
    names = [source.name for source in sources]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UsageError(f"{str(where)!r} lists {repeated[0]!r} more than once")
    return sources


@lru_cache(maxsize=4)
def _has_filters(binary: str) -> bool:
    listed = subprocess.run(
        [binary, "-hide_banner", "-filters"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return b" libvmaf " in listed.stdout and b" xpsnr " in listed.stdout


def corpus_ffmpeg() -> str:
    """The FFmpeg that makes corpora: the usual one where it has libvmaf and xpsnr, else imageio-ffmpeg's.

    Distributions often build FFmpeg without them. Raises InputError where neither has both.
    """
    for binary in (find_ffmpeg(), str(imageio_ffmpeg.get_ffmpeg_exe())):
        if _has_filters(binary):
            return binary
    raise InputError(
        "no FFmpeg with libvmaf and xpsnr found, which labels need: install imageio-ffmpeg, "
        "or set VQA_SCORE_FFMPEG"
    )


def corpus_ffmpeg_version() -> str:
    """First line of the binary's ``-version``: encoders differ between versions, so a corpus keeps to one."""
    done = subprocess.run(
        [corpus_ffmpeg(), "-version"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return done.stdout.decode("utf-8", "replace").partition("\n")[0].partition(" Copyright")[0].strip()


def run_ffmpeg(
    arguments: list[str], *, stdin: bytes | None = None, subject: str = "", folder: Path | None = None
) -> bytes:
    """Run FFmpeg (in ``folder``) to its end; returns its stdout.

    Raises InputError with its last line if it fails, OutputError where it had no room to write.
    """
    command = [corpus_ffmpeg(), "-hide_banner", "-loglevel", "error", "-y", *arguments]
    if stdin is None:
        command.insert(1, "-nostdin")
    done = subprocess.run(command, input=stdin, capture_output=True, check=False, cwd=folder)
    if done.returncode != 0:
        text = done.stderr.decode("utf-8", "replace").strip()
        if "No space left on device" in text:
            raise OutputError(f"FFmpeg had no room to write {subject or arguments[-1]!r}")
        lines = text.splitlines() or ["no message"]
        raise InputError(f"FFmpeg failed on {subject or arguments[-1]!r}: {lines[-1]}")
    return done.stdout
