"""HTML from Python values: what is not markup already is escaped, so that no file's name can become any."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from rankvqa_cli.results.report import TURNING

_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_PART_END = re.compile(r"([/_.,-])(?=\w)")
_SHORT = 20
_VOID = frozenset({"img", "meta", "path", "rect", "line", "polyline"})


class Html(str):
    """Markup, which is not escaped again."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: str | int | float | None) -> Html:
    """``<name attribute="...">children</name>``. An attribute's underscores become hyphens, but for a last one, which
    keeps it apart from Python's words; None leaves it out, and the empty string stands alone."""
    written = []
    for key, value in attributes.items():
        if value is not None:
            label = key.removesuffix("_").replace("_", "-")
            written.append(f" {label}" if value == "" else f' {label}="{escaped(str(value))}"')
    opening = f"<{name}{''.join(written)}"
    return Html(f"{opening}/>" if name in _VOID else f"{opening}>{join(children)}</{name}>")


def breakable(name: str) -> Html:
    """A name, say of a file, that may go over to the next line behind each of its parts if it is long."""
    if len(name) <= _SHORT:
        return tag("span", name, class_="whole")
    return Html(_PART_END.sub(r"\1<wbr>", escaped(name)))


def join(children: Iterable[str]) -> Html:
    return Html("".join(child if isinstance(child, Html) else escaped(child) for child in children))


def escaped(words: str) -> Html:
    """``words`` as text or an attribute's value; what HTML cannot write, or turns round, is shown as U+FFFD."""
    return Html(html.escape(TURNING.sub("\ufffd", _UNWRITABLE.sub("\ufffd", words))))
