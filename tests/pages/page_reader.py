"""A page as its readers have it: what it shows, and whether that stands in the JSON that it carries."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fractions import Fraction
from html.parser import HTMLParser
from typing import Any

#: Words with numbers in them that are no measurements.
FIXED = ("95 % interval", "95 %", "BD-rate below 0", "BD-quality above 0")
NUMBER = re.compile(r"(?<![\w.])[-+\u2212]?\d+(?:\.\d+)?")
INLINE = frozenset({"wbr", "span", "strong", "code", "button"})


class Reader(HTMLParser):
    """What a page holds: ``documents`` by id, ``data`` (value, pointer, shown), ``texts`` of everything else that
    is read, and every element's (name, attributes)."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.documents: dict[str, Any] = {}
        self.data: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self._open: list[tuple[str, dict[str, str]]] = []
        self._run: list[str] = []
        self.feed(page.decode())
        self._flush()

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attributes}
        self.elements.append((name, given))
        if name not in INLINE:
            self._flush()
        if name != "wbr":
            self._open.append((name, given))
        self.texts += [given[key] for key in ("aria-label", "alt", "title") if key in given]

    def handle_startendtag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(name, attributes)
        self.handle_endtag(name)

    def handle_endtag(self, name: str) -> None:
        if name not in INLINE:
            self._flush()
        assert self._open.pop()[0] == name, f"</{name}> closes something else"

    def handle_data(self, text: str) -> None:
        name, attributes = self._open[-1] if self._open else ("", {})
        if name == "script" and attributes.get("type") == "application/json":
            self.documents[attributes["id"]] = json.loads(text)
        elif name == "data":
            self.data.append((attributes["value"], attributes["data-from"], text))
        elif name not in ("script", "style") and attributes.get("class") != "tick":
            self._run.append(text)

    def _flush(self) -> None:
        if text := "".join(self._run).strip():
            self.texts.append(text)
        self._run = []


def resolve(documents: dict[str, Any], pointer: str) -> Any:
    """What a pointer such as ``#score/results/0/score`` points at."""
    source, *steps = pointer.removeprefix("#").split("/")
    value = documents[source]
    for step in steps:
        name = step.replace("~1", "/").replace("~0", "~")
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value


def faults(page: bytes) -> list[str]:
    """Everything shown as a number that is not in the page's JSON, or not as it is shown."""
    reader = Reader(page)
    found = []
    for value, pointer, shown in reader.data:
        meant = resolve(reader.documents, pointer)
        number = Fraction(meant) if isinstance(meant, str) else meant
        plain = shown.replace("\u2212", "-").removeprefix("+")
        digits = len(plain.partition(".")[2])
        if value != (meant if isinstance(meant, str) else repr(meant)):
            found.append(f"{pointer}: value {value} for {meant!r}")
        elif abs(float(plain) - float(number)) > 0.5 * 10.0**-digits * (1 + 1e-9) + 1e-12:
            found.append(f"{pointer}: {shown} for {meant!r}")
    words = "\n".join(strings(reader.documents))
    numbers = {abs(float(number)) for number in numbers_in(reader.documents)}
    for text in reader.texts:
        left = text
        for fixed in FIXED:
            left = left.replace(fixed, "")
        for token in re.findall(r"\S*\d\S*", left):
            bare = token.strip("\"'(),:;")
            if bare in words or token in words:
                continue
            found += [
                f"{number} in {text!r}"
                for number in NUMBER.findall(bare)
                if abs(float(number.replace("\u2212", "-"))) not in numbers
            ]
    return found


def strings(value: Any) -> Iterator[str]:
    """Every string and name in a document."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)
    elif isinstance(value, str):
        yield value


def numbers_in(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from numbers_in(each)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value
