"""From ``-f rawvideo -s -pix_fmt -framerate`` and their ``-ref_`` twins to the layouts of headerless
video."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from rankvqa_cli.errors import UsageError
from rankvqa_cli.types import RawFormat

RAW_SUFFIXES = (".yuv", ".raw")
HEADER_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".y4m", ".avi", ".ts", ".m2ts", ".mts", ".mpg", ".mpeg"),
    *(".mxf", ".flv", ".ogv", ".wmv", ".3gp", ".ivf", ".nut", ".gif"),
)


@dataclass(frozen=True)
class RawOptions:
    """What the command line says about headerless video; None where it says nothing."""

    format: str | None = None
    size: tuple[int, int] | None = None
    pix_fmt: str | None = None
    framerate: Fraction | None = None

    @property
    def has_details(self) -> bool:
        return (self.size, self.pix_fmt, self.framerate) != (None, None, None)


def raw_formats(
    inputs: Sequence[str], reference: str | None, given: RawOptions, given_ref: RawOptions
) -> tuple[RawFormat | None, RawFormat | None]:
    """Layout of the inputs and of the reference, None for those with a header.

    ``-f rawvideo`` holds for the reference too, unless ``-ref_f`` speaks or its suffix is a container's.
    Without ``-f``, a size makes raw video of files called .yuv or .raw, as in FFmpeg. What ``-ref_``
    options leave open is as for the inputs. Raises UsageError where a size is missing, or where options
    would have no effect.
    """
    merged = RawOptions(
        given_ref.format,
        given_ref.size or given.size,
        given_ref.pix_fmt or given.pix_fmt,
        given_ref.framerate or given.framerate,
    )
    raw = _layout(given, "-s") if _inputs_are_raw(inputs, given) else None
    ref_raw = _layout(merged, "-ref_s") if _reference_is_raw(reference, given, merged) else None

    if given_ref.has_details and ref_raw is None:
        raise UsageError(
            "-ref_s, -ref_pix_fmt and -ref_framerate describe a raw reference: add -ref_f rawvideo if it is that"
        )
    if given.has_details and raw is None and ref_raw is None:
        raise UsageError(
            "-s, -pix_fmt and -framerate describe raw video: add -f rawvideo if the input is that"
        )
    return raw, ref_raw


def _inputs_are_raw(inputs: Sequence[str], given: RawOptions) -> bool:
    if given.format is not None:
        return True
    headerless = [name for name in inputs if _suffix(name) in RAW_SUFFIXES]
    if given.size is None or not headerless:
        return False
    others = [name for name in inputs if name not in headerless]
    if others:
        raise UsageError(f"{headerless[0]!r} is raw video and {others[0]!r} is not: score them in two runs")
    return True


def _reference_is_raw(reference: str | None, given: RawOptions, merged: RawOptions) -> bool:
    if reference is None:
        return False
    if merged.format is not None:
        return merged.format == "rawvideo"
    if given.format is not None:
        return _suffix(reference) not in HEADER_SUFFIXES
    return merged.size is not None and _suffix(reference) in RAW_SUFFIXES


def _layout(given: RawOptions, option: str) -> RawFormat:
    if given.size is None:
        raise UsageError(f"raw video has no header that says its frame size: add {option} WIDTHxHEIGHT")
    width, height = given.size
    return RawFormat(width, height, given.pix_fmt or "yuv420p", given.framerate or Fraction(25))


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()
