"""Places in a JSON document, which write themselves into a page with a note of where they stand in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from rankvqa_cli.pages.html import Html, escaped, tag
from rankvqa_cli.results.report import JSON

#: What is shown where there is nothing to show.
NOTHING = Html('<span class="none">none</span>')


@dataclass(frozen=True)
class Node:
    """The ``value`` at ``path`` of the document that the page carries under the id ``source``."""

    value: JSON
    source: str
    path: tuple[str | int, ...] = ()

    def __getitem__(self, key: str | int) -> Node:
        """An object's or an array's element. Raises KeyError or IndexError."""
        if isinstance(self.value, dict) and isinstance(key, str):
            return Node(self.value[key], self.source, (*self.path, key))
        if isinstance(self.value, list) and isinstance(key, int):
            return Node(self.value[key], self.source, (*self.path, key))
        raise KeyError(key)

    def __iter__(self) -> Iterator[Node]:
        """An array's elements; none where there is no array."""
        count = len(self.value) if isinstance(self.value, list) else 0
        return (self[index] for index in range(count))

    def items(self) -> Iterator[tuple[str, Node]]:
        """An object's members; none where there is no object."""
        names = list(self.value) if isinstance(self.value, dict) else []
        return ((name, self[name]) for name in names)

    def __contains__(self, key: str) -> bool:
        return isinstance(self.value, dict) and key in self.value

    @property
    def there(self) -> bool:
        """Neither null, nor empty."""
        return self.value is not None and self.value not in ("", [], {})

    @property
    def number(self) -> float:
        """Raises TypeError where there is none."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise TypeError(f"{self.pointer} is no number")
        return float(self.value)

    @property
    def text(self) -> str:
        """A string as it is, null as nothing, anything else as JSON has it."""
        if self.value is None:
            return ""
        return self.value if isinstance(self.value, str) else json.dumps(self.value, ensure_ascii=False)

    @property
    def pointer(self) -> str:
        """``#source/path``, the path as in RFC 6901."""
        steps = (str(step).replace("~", "~0").replace("/", "~1") for step in self.path)
        return "#" + "/".join((self.source, *steps))

    def shown(self, digits: int | None = None, *, signed: bool = False) -> Html:
        """The value for a reader, a number with ``digits`` decimals (None: all it has)."""
        if not self.there:
            return NOTHING
        if isinstance(self.value, bool):
            return Html("yes" if self.value else "no")
        if isinstance(self.value, int | float):
            return tag(
                "data", words(self.value, digits, signed), value=repr(self.value), data_from=self.pointer
            )
        return escaped(self.text)


def words(value: float, digits: int | None, signed: bool = False) -> str:
    """A number for a reader, with a true minus sign."""
    plain = repr(value) if digits is None else f"{value:.{digits}f}"
    if float(plain) == 0:
        plain = plain.lstrip("-")
    elif signed and value > 0:
        plain = f"+{plain}"
    return plain.replace("-", "\N{MINUS SIGN}")


def interval(pair: Node, digits: int, *, signed: bool = False) -> Html:
    """``low to high``."""
    if not pair.there:
        return NOTHING
    low, high = (end.shown(digits, signed=signed) for end in pair)
    return Html(f"{low} to {high}")
