"""What option values may look like, in FFmpeg's words. Each function raises UsageError for what it cannot
read."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Any

import click

from rankvqa_cli.errors import UsageError

_CLOCK = re.compile(r"(?:(\d+):)?([0-5]?\d):([0-5]?\d(?:\.\d*)?)")
_PLAIN = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(s|ms|us)?")
_PER_SECOND = {None: 1.0, "s": 1.0, "ms": 1e3, "us": 1e6}
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
_SIZES = {
    "qcif": (176, 144),
    "cif": (352, 288),
    "4cif": (704, 576),
    "qvga": (320, 240),
    "vga": (640, 480),
    "ntsc": (720, 480),
    "pal": (720, 576),
    "nhd": (640, 360),
    "hd480": (852, 480),
    "hd720": (1280, 720),
    "hd1080": (1920, 1080),
    "2k": (2048, 1080),
    "4k": (4096, 2160),
    "uhd2160": (3840, 2160),
    "uhd4320": (7680, 4320),
}
_RATES = {
    "ntsc": Fraction(30000, 1001),
    "pal": Fraction(25),
    "film": Fraction(24),
    "ntsc-film": Fraction(24000, 1001),
}
_DEVICE = re.compile(r"auto|cpu|cuda(:\d{1,3})?")


class Finite(click.FloatRange):
    """A FloatRange without NaN, which no comparison puts out of a range, and without infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = float(super().convert(value, param, ctx))
        if not math.isfinite(found):
            self.fail(f"{value} is no finite number.", param, ctx)
        return found


def seconds(text: str) -> float:
    """A time or duration as FFmpeg writes it: ``12.5``, ``500ms``, ``01:02:03.5``. Never negative."""
    if match := _PLAIN.fullmatch(text.strip()):
        return float(match.group(1)) / _PER_SECOND[match.group(2)]
    if match := _CLOCK.fullmatch(text.strip()):
        hours, minutes, rest = match.groups()
        return int(hours or 0) * 3600 + int(minutes) * 60 + float(rest)
    raise UsageError(f"{text!r} is no time: write seconds (12.5), 500ms or [HH:]MM:SS[.m]")


def size(text: str) -> tuple[int, int]:
    """(width, height) of ``WxH``, or of one of FFmpeg's names for a size."""
    name = text.strip().lower()
    if name in _SIZES:
        return _SIZES[name]
    match = _SIZE.fullmatch(name)
    if match is None or 0 in (found := (int(match.group(1)), int(match.group(2)))):
        raise UsageError(f"{text!r} is no frame size: write WIDTHxHEIGHT, for example 1920x1080")
    return found


def rate(text: str) -> Fraction:
    """Frames a second, exactly: ``25``, ``29.97``, ``30000/1001``, ``ntsc``, ``pal``, ``film``,
    ``ntsc-film``."""
    name = text.strip().lower()
    if name in _RATES:
        return _RATES[name]
    try:
        found = Fraction(name)
    except (ValueError, ZeroDivisionError):
        found = Fraction(0)
    if not 0 < found <= 100_000:
        raise UsageError(f"{text!r} is no frame rate: write for example 25, 29.97 or 30000/1001")
    return found


def alignment(text: str) -> str | int:
    """``auto``, ``off``, or a whole number of frames, which may be negative."""
    name = text.strip()
    if name in ("auto", "off"):
        return name
    try:
        return int(name)
    except ValueError:
        raise UsageError(
            f"{text!r} is no alignment: write auto, off, or a number of frames such as -3"
        ) from None


def device(text: str) -> str:
    """``auto``, ``cpu``, ``cuda`` or ``cuda:N``."""
    if not _DEVICE.fullmatch(text.strip()):
        raise UsageError(f"{text!r} is no device: write auto, cpu, cuda or cuda:N")
    return text.strip()
