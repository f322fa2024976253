"""FFmpeg's stderr: drained by a thread so that it can never block the process, and boiled down to what
tells of damage.
"""

from __future__ import annotations

import re
import threading
from typing import IO

MAX_MESSAGES = 20
_MAX_LENGTH = 300
_LEVELLED = re.compile(
    r"^(?:\[(?P<who>[^\]]*?)(?: @ 0x[0-9a-fA-F]+)?\] )?"
    r"(?:\[[^\]]* @ 0x[0-9a-fA-F]+\] )*\[(?P<level>[a-z]+)\] (?P<text>.*)$"
)
_ADDRESS = re.compile(r" @ 0x[0-9a-fA-F]+|0x[0-9a-fA-F]{6,}")
_VARYING = re.compile(r"\b[0-9a-fA-F]{6,}\b|\d+")
_SEVERE = {"error", "fatal", "panic"}
_NOBODY = {"NULL"}
_DAMAGE_WORDS = re.compile(r"corrupt|truncat|prematurely|partial file|invalid data", re.IGNORECASE)
"""What makes a mere warning tell of damage: FFmpeg goes on after corrupt packets and frames with no more than that."""

_CONCEALMENT = re.compile(r"^concealing \d+ DC")
"""Lost macroblocks painted over: with several threads FFmpeg says no more of them than this, as information."""

_HARMLESS = re.compile(r"mmco: unref short failure")
"""Said at the error level of sound files: H.264 cut at an open GOP frees references that it never had."""


_PROGRESS = re.compile(
    r"^(?:frame=\s*(?P<frames>\d+)|(?:fps|bitrate|total_size|out_time\w*|\w+_frames|speed|progress|stream_\w+)=.*)$"
)
"""A line of what FFmpeg says for ``-progress``."""


class MessageCollector:
    """Reads ``stream`` to its end in a thread of its own, keeping at most ``MAX_MESSAGES`` different lines.

    Lines that differ only in numbers (macroblock positions, timestamps) count as one.
    """

    frames: int | None = None
    """How many frames FFmpeg has counted, where it was told to (``-progress``); complete after ``join``."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._seen: dict[str, tuple[str, int]] = {}
        self._left_out = 0
        self._pending = ""
        self._thread = threading.Thread(target=self._drain, name="ffmpeg-stderr", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Waits for the end of the stream and closes it."""
        self._thread.join()
        self._stream.close()

    def errors(self) -> tuple[str, ...]:
        """The lines, each with how often it came; complete after ``join``."""
        lines = [text if count == 1 else f"{text} ({count} times)" for text, count in self._seen.values()]
        if self._left_out:
            lines.append(f"and {self._left_out} more lines")
        return tuple(lines)

    def _drain(self) -> None:
        for raw in self._stream:
            line = raw.decode("utf-8", "replace").rstrip()
            if (progress := _PROGRESS.match(line)) is not None:
                self.frames = int(progress["frames"] or self.frames or 0)
                continue
            if _LEVELLED.match(line) is None:
                # A name with a newline in it: the message goes on.
                self._pending = f"{self._pending} {line}"[:_MAX_LENGTH]
                continue
            self._take(self._pending)
            self._pending = line
        self._take(self._pending)

    def _take(self, line: str) -> None:
        text = damage_in(line)
        if text is None:
            return
        key = _VARYING.sub("#", text)
        if key in self._seen:
            first, count = self._seen[key]
            self._seen[key] = (first, count + 1)
        elif len(self._seen) < MAX_MESSAGES:
            self._seen[key] = (text, 1)
        else:
            self._left_out += 1


def damage_in(line: str) -> str | None:
    """What a line of FFmpeg's log (``-loglevel level+info``) says of damage, without addresses; None where
    it says nothing of the kind.
    """
    match = _LEVELLED.match(line)
    if match is None or _HARMLESS.search(match["text"]):
        return None
    level, text = match["level"], match["text"].strip()
    telling = {"warning": _DAMAGE_WORDS, "info": _CONCEALMENT}.get(level)
    if level not in _SEVERE and (telling is None or not telling.search(text)):
        return None
    who = match["who"]
    whole = f"{who}: {text}" if who and who not in _NOBODY else text
    return _ADDRESS.sub("", whole)[:_MAX_LENGTH]
