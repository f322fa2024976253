"""Every number on a page stands in the JSON that the page carries, and that is the JSON of the run."""

from __future__ import annotations

import json

import pytest
from made_pages import batch, comparison, pages, score_report
from page_reader import Reader, faults

from rankvqa_cli.results.batch_files import batch_json
from rankvqa_cli.results.comparison_json import comparison_json
from rankvqa_cli.results.report import report_json

KINDS = ("score", "batch", "comparison", "csv")


@pytest.fixture(scope="module")
def made() -> dict[str, bytes]:
    return pages()


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_is_in_the_json(kind: str, made: dict[str, bytes]) -> None:
    assert faults(made[kind]) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_shows_plenty(kind: str, made: dict[str, bytes]) -> None:
    """The test above looks at something."""
    assert len(Reader(made[kind]).data) > 60


def test_the_json_is_that_of_the_run(made: dict[str, bytes]) -> None:
    def plain(document: object) -> object:
        return json.loads(json.dumps(document))

    assert Reader(made["score"]).documents == {"score": plain(report_json(score_report()))}
    assert Reader(made["batch"]).documents == {"batch": plain(batch_json(batch()))}
    assert Reader(made["comparison"]).documents == {
        "comparison": plain(comparison_json(comparison())),
        "batch": plain(batch_json(batch())),
    }
    assert list(Reader(made["csv"]).documents) == ["comparison"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b">88.", b">89."),
        (b'value="88.', b'value="89.'),
        (b"<h2 ", b"<p>4711</p><h2 "),
        (b'alt="Frame', b'alt="4711 Frame'),
    ],
)
def test_a_number_that_is_not_in_the_json_is_found(old: bytes, new: bytes, made: dict[str, bytes]) -> None:
    assert old in made["score"]
    assert faults(made["score"].replace(old, new, 1)) != []
