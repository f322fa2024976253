"""Jobs out of a folder: file names taken apart by a pattern, and the name of the reference put together."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rankvqa_cli.errors import UsageError

#: What is taken for a video where no pattern says which files are meant.
VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".y4m", ".avi", ".ts", ".m2ts", ".mpg", ".mxf", ".flv"),
    *(".ivf", ".obu", ".264", ".265", ".266", ".h264", ".h265", ".hevc", ".vvc", ".yuv"),
)
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Pattern:
    """How files are called: ``{content}_{codec}_{crf}.mp4``, relative to a folder, ``/`` between folders.

    Each field matches as much as it can, the first one first, but no ``/``: in ``a_b_x264_30`` the content is ``a_b``.
    The same field twice matches the same text; ``*`` matches anything within a name.
    """

    text: str
    fields: tuple[str, ...]
    expression: re.Pattern[str]

    def match(self, name: str) -> dict[str, str] | None:
        """The fields of ``name``, None where it is not called so."""
        found = self.expression.fullmatch(name)
        return None if found is None else {field: found.group(field) for field in self.fields}


def parse_pattern(text: str) -> Pattern:
    """The pattern ``text``. Raises UsageError where it is none."""
    expression = ""
    fields: list[str] = []
    for literal, field in _pieces(text):
        expression += "[^/]*".join(map(re.escape, literal.split("*")))
        if field is None:
            continue
        expression += f"(?P={field})" if field in fields else f"(?P<{field}>[^/]+)"
        fields.append(field)
    return Pattern(text, tuple(dict.fromkeys(fields)), re.compile(expression))


def fill(template: str, columns: Mapping[str, str]) -> str:
    """``template`` with its fields filled in from ``columns``. Raises UsageError for a field that they do not have."""
    filled = ""
    for literal, field in _pieces(template):
        filled += literal
        if field is None:
            continue
        if field not in columns:
            known = ", ".join(columns) or "none"
            raise UsageError(
                f"{template!r} asks for {{{field}}}, and the jobs have no such column: they have {known}"
            )
        filled += columns[field]
    return filled


def files_in(folder: str, pattern: Pattern | None) -> list[tuple[str, dict[str, str]]]:
    """(path below ``folder``, fields) of every file that ``pattern`` matches, in the order of their names.

    Without a pattern these are all files of ``folder`` itself that are called like videos. Hidden files and folders are
    passed over.
    """
    if pattern is None:
        return [(name, {}) for name in videos_below(folder) if os.sep not in name]
    matched = ((name, pattern.match(name.replace(os.sep, "/"))) for name in _below(folder))
    return sorted((name, fields) for name, fields in matched if fields is not None)


def videos_below(folder: str) -> list[str]:
    """Paths below ``folder`` of all files that are called like videos, but hidden ones, in the order of their names."""
    return sorted(name for name in _below(folder) if name.lower().endswith(VIDEO_SUFFIXES))


def _below(folder: str) -> Iterator[str]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                yield os.path.relpath(os.path.join(place, name), folder)


def _pieces(text: str) -> list[tuple[str, str | None]]:
    """Literal text, and the name of the field behind it or None."""
    try:
        pieces = list(string.Formatter().parse(text))
    except ValueError as error:
        raise UsageError(f"{text!r} is no pattern ({error}): write names of fields in braces") from error
    for _, field, form, conversion in pieces:
        if field is not None and (form or conversion or not _FIELD.fullmatch(field)):
            raise UsageError(f"{text!r} is no pattern: {{{field}}} is no name; use letters, digits and _")
    return [(literal, field) for literal, field, _, _ in pieces]
