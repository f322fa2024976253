"""Pages in a headless Chromium: no complaint, nothing asked of the network, readable on every screen and on paper."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from headless import Browser
from made_pages import ODD, pages
from page_reader import Reader

KINDS = ("score", "batch", "comparison", "csv")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    written = {}
    for kind, data in pages().items():
        written[kind] = folder / f"{kind}.html"
        written[kind].write_bytes(data)
    return written


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.mark.parametrize("kind", KINDS)
def test_no_complaint_and_nothing_asked_of_the_network(
    kind: str, made: dict[str, Path], browser: Browser
) -> None:
    browser.screen(1280)
    browser.requests()
    browser.open(made[kind])
    browser.run("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert browser.logs() == []
    asked = [url for url in browser.requests() if not url.startswith(("data:", "chrome:"))]
    assert asked == [made[kind].as_uri()]
    assert made[kind].stat().st_size < 5_000_000
    assert browser.run("return [...document.images].every(each => each.complete && each.naturalWidth > 0)")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_hangs_over_the_edge(kind: str, made: dict[str, Path], browser: Browser) -> None:
    browser.open(made[kind])
    browser.run("document.querySelectorAll('details').forEach(each => each.open = true)")
    for width in (320, 390, 768, 1280):
        browser.screen(width)
        assert browser.run("return document.documentElement.scrollWidth") <= width
    small = "return [...document.querySelectorAll('.tick, td, li, figcaption')]"
    sizes = browser.run(small + ".map(each => parseFloat(getComputedStyle(each).fontSize))")
    assert min(sizes) >= 12


CONTRAST = """
const luminance = (text) => {
  const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (each) => {
  for (; each; each = each.parentElement) {
    const colour = getComputedStyle(each).backgroundColor;
    if (!/, 0\\)$/.test(colour)) return colour;
  }
};
return [...document.querySelectorAll('h1, h2, p, td, th, a, .tick, .mark, .none, .verdict, figcaption, summary')]
  .map(each => [luminance(getComputedStyle(each).color), luminance(ground(each))])
  .map(([one, other]) => (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05));
"""


@pytest.mark.parametrize("dark", [False, True])
def test_words_stand_out_from_their_ground(dark: bool, made: dict[str, Path], browser: Browser) -> None:
    """4.5 to 1 is what WCAG 2 asks of text at its level AA."""
    browser.screen(1280, dark=dark)
    browser.open(made["comparison"])
    assert min(browser.run(CONTRAST)) >= 4.5
    ground = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") is not dark


@pytest.mark.parametrize("dark", [False, True])
def test_paper_is_white_and_has_nothing_to_click_on(
    dark: bool, made: dict[str, Path], browser: Browser
) -> None:
    browser.screen(1280, dark=dark, media="print")
    browser.open(made["comparison"])
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    shown = "return [...document.querySelectorAll(arguments[0])].filter(each => each.offsetHeight).length"
    assert browser.run(shown, "nav, .scrub, .save") == 0
    assert browser.run(shown, "figure") > 3
    browser.screen(1280)
    assert browser.pdf().startswith(b"%PDF")


def frames_said(browser: Browser) -> Any:
    return browser.run("return document.querySelector('.scrub output').textContent")


def test_frames_can_be_read_from_the_keyboard(made: dict[str, Path], browser: Browser) -> None:
    browser.screen(1280)
    browser.open(made["score"])
    frames = Reader(made["score"].read_bytes()).documents["score"]["results"][0]["frames"]
    browser.run("document.querySelector('.scrub input').focus()")
    for place in (1, 2, 3):
        browser.press("right")
        frame = frames[place]
        said = f"frame {frame['index']} at {frame['pts_time']:.2f} s: {frame['score']:.2f}"
        assert frames_said(browser) == said
    slider = "return document.querySelector('.scrub input').getAttribute(arguments[0])"
    assert browser.run(slider, "aria-valuetext") == said
    assert browser.run(slider, "aria-label") == "Frame"
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert browser.run(outline) == "solid"


def test_the_keyboard_reaches_everything_that_does_something(made: dict[str, Path], browser: Browser) -> None:
    browser.screen(1280)
    browser.open(made["comparison"])
    seen = set()
    browser.run("document.body.tabIndex = -1; document.body.focus()")
    for _ in range(40):
        browser.press("tab")
        seen.add(browser.run("return document.activeElement.className || document.activeElement.tagName"))
    assert {"skip", "A", "scroll", "BUTTON", "SUMMARY"} <= seen


def test_columns_are_sorted_by_their_numbers(made: dict[str, Path], browser: Browser) -> None:
    browser.screen(1280)
    browser.open(made["batch"])
    heads = "return [...document.querySelectorAll('#jobs table.sortable th button')].map(each => each.textContent)"
    place = browser.run(heads).index("score")
    column = (
        "return [...document.querySelectorAll('#jobs table.sortable tbody tr')]"
        ".map(row => row.cells[arguments[0]].textContent)"
    )
    before = browser.run(column, place)
    for ascending in (True, False):
        browser.run(
            "document.querySelectorAll('#jobs table.sortable th button')[arguments[0]].click()", place
        )
        after = [float(text) for text in browser.run(column, place) if text]
        assert after == sorted(after, reverse=not ascending)
        state = browser.run(
            "return document.querySelectorAll('#jobs table.sortable th')[arguments[0]].ariaSort", place
        )
        assert state == ("ascending" if ascending else "descending")
    assert sorted(browser.run(column, place)) == sorted(before)


@pytest.mark.parametrize("kind", KINDS)
def test_it_can_be_heard(kind: str, made: dict[str, Path]) -> None:
    """Headings in order, tables with captions and heads, pictures with words, one main part."""
    elements = Reader(made[kind].read_bytes()).elements
    names = [name for name, _ in elements]
    levels = [int(name[1]) for name in names if name in ("h1", "h2", "h3")]
    assert levels[0] == 1
    assert levels.count(1) == names.count("main") == names.count("nav") == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert names.count("caption") == names.count("table") > 0
    for name, given in elements:
        if name == "th":
            assert given.get("scope") in ("col", "row")
        if name == "img":
            assert given["alt"]
        if given.get("role") in ("img", "region"):
            assert given["aria-label"]
    assert ("html", {"lang": "en"}) in elements
    anchors = {given["href"].removeprefix("#") for name, given in elements if name == "a"}
    assert anchors <= {given.get("id") for _, given in elements}


def test_a_name_is_nothing_but_a_name(made: dict[str, Path], browser: Browser) -> None:
    browser.open(made["score"])
    assert ODD in browser.run("return document.querySelector('#results tbody').textContent")
    assert browser.run("return document.querySelectorAll('b').length") == 0
