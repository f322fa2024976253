"""Tables that say what they are, to eyes and to screen readers."""

from __future__ import annotations

from collections.abc import Sequence

from rankvqa_cli.pages.html import Html, tag

#: A table of more rows than this scrolls by itself, with its head in sight.
_MANY = 25
#: A table shows no more rows than this; the JSON has the others.
MOST_ROWS = 300


def table(
    caption: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numeric: Sequence[int] = (),
    sortable: bool = False,
    failed: Sequence[int] = (),
    most: int = MOST_ROWS,
) -> Html:
    """A table whose first column heads its rows. ``numeric`` columns are set to the right, ``failed`` rows stand out.
    Of more than ``most`` rows the first are shown.

    It scrolls by itself where the screen is narrow, also from the keyboard.
    """
    heads = [
        tag("th", head, scope="col", class_="n" if place in numeric else None)
        for place, head in enumerate(header)
    ]
    body = []
    for number, row in enumerate(rows[:most]):
        cells = [
            tag("th", cell, scope="row", class_="n" if 0 in numeric else None)
            if place == 0
            else tag("td", cell, class_="n" if place in numeric else None)
            for place, cell in enumerate(row)
        ]
        body.append(tag("tr", *cells, class_="failed" if number in failed else None))
    if len(rows) > most:
        caption += " (the first rows; the JSON of the run has all)"
    inner = tag(
        "table",
        tag("caption", tag("span", caption)),
        tag("thead", tag("tr", *heads)),
        tag("tbody", *body),
        class_="sortable" if sortable and len(rows) > 1 else None,
    )
    kind = "scroll tall" if len(rows) > _MANY else "scroll"
    return tag("div", inner, class_=kind, role="region", aria_label=caption, tabindex=0)


def facts(caption: str, names: Sequence[str], columns: Sequence[tuple[str, Sequence[str]]]) -> Html:
    """The same facts about several things: a column a thing where they are few, else a row."""
    if len(columns) <= 3:
        header = ["", *(head for head, _ in columns)]
        rows = [[name, *(cells[place] for _, cells in columns)] for place, name in enumerate(names)]
        return table(caption, header, rows)
    return table(caption, ["", *names], [[head, *cells] for head, cells in columns])


def bullets(lines: Sequence[str], class_: str | None = None) -> Html:
    return tag("ul", *(tag("li", line) for line in lines), class_=class_)
