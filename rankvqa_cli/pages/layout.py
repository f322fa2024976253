"""A page from its sections: one file that asks the network for nothing, with the documents it was made from inside."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from rankvqa_cli.pages.html import Html, tag
from rankvqa_cli.results.heatmap import ANCHORS
from rankvqa_cli.results.report import JSON, TOOL

#: Everything is inside, and the page says so to the browser.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
#: What keeps a page under 5 MB, with the most rows, plots and details that it shows.
MOST_DOCUMENT_BYTES = 1_200_000
MOST_PICTURE_BYTES = 1_200_000
#: What a document that is too big leaves out first; then it has fewer jobs.
_HEAVY = ("frames", "clips", "plan", "pooled")
_JOBS = "jobs"


@dataclass(frozen=True)
class Section:
    """A part of the page. ``key`` is its anchor."""

    key: str
    title: str
    content: Html


@dataclass(frozen=True)
class _Embedded:
    """A document's ``text``, but for what it has ``left_out``."""

    text: str
    left_out: tuple[str, ...]

    def script(self, name: str) -> Html:
        without = " ".join(self.left_out) or None
        return tag("script", Html(self.text), type="application/json", id=name, data_left_out=without)


def page(
    title: str, lead: Sequence[Html], sections: Sequence[Section], documents: Mapping[str, JSON]
) -> bytes:
    """The whole file. ``documents`` are embedded under their names, compact, and without what makes them too big."""
    embedded = {name: _embedded(document) for name, document in documents.items()}
    nav = [tag("li", tag("a", each.title, href=f"#{each.key}")) for each in sections]
    body = [
        tag("section", tag("h2", each.title, id=f"{each.key}-title"), each.content, id=each.key)
        for each in sections
    ]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="generator", content=TOOL),
        tag("title", title),
        tag("style", Html(_resource("page.css").replace("/*heat*/", _heat()))),
    )
    content = tag(
        "body",
        tag("a", "Skip to the results", href="#main", class_="skip"),
        tag("header", tag("h1", title), *lead),
        tag("nav", tag("ul", *nav), aria_label="Sections"),
        tag("main", *body, id="main"),
        _footer(embedded),
        *(each.script(name) for name, each in embedded.items()),
        tag("script", Html(_resource("page.js"))),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, content, lang='en')}\n".encode()


def _footer(embedded: Mapping[str, _Embedded]) -> Html:
    """What is inside, and what of it is not."""
    left_out = list(dict.fromkeys(name for each in embedded.values() for name in each.left_out))
    left_out = [f"the last {each}" if each == _JOBS else each for each in left_out]
    without = f", without {' and '.join(left_out)}, which the run writes with -o" if left_out else ""
    return tag(
        "footer", tag("p", f"Made by {TOOL}. The numbers of this page are inside it, as JSON{without}.")
    )


def _embedded(document: JSON) -> _Embedded:
    left_out: list[str] = []
    text = _compact(document)
    for heavy in _HEAVY:
        if len(text) <= MOST_DOCUMENT_BYTES:
            break
        document = _without(document, heavy)
        left_out.append(heavy)
        text = _compact(document)
    while len(text) > MOST_DOCUMENT_BYTES and isinstance(document, dict):
        jobs = document.get(_JOBS)
        if not isinstance(jobs, list) or not jobs:
            break
        document = document | {_JOBS: jobs[: (len(jobs) - 1) * MOST_DOCUMENT_BYTES // len(text)]}
        text = _compact(document)
        if _JOBS not in left_out:
            left_out.append(_JOBS)
    return _Embedded(text, tuple(left_out))


def _compact(document: JSON) -> str:
    """JSON that no HTML parser takes for markup."""
    written = json.dumps(document, separators=(",", ":"), allow_nan=False)
    return written.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _without(document: JSON, name: str) -> JSON:
    """The document with every list or object called ``name`` empty."""
    if isinstance(document, dict):
        return {
            key: type(value)() if key == name and isinstance(value, list | dict) else _without(value, name)
            for key, value in document.items()
        }
    return [_without(each, name) for each in document] if isinstance(document, list) else document


def _heat() -> str:
    """The heatmaps' colours, from the best quality to the worst, as CSS has them."""
    return ", ".join(f"rgb({red} {green} {blue})" for red, green, blue in ANCHORS)


def _resource(name: str) -> str:
    return files("rankvqa_cli.pages").joinpath(name).read_text(encoding="utf-8")
