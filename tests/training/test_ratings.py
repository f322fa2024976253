"""The CSV of a rated set: what is read, what is kept out, and every fault by its row."""

from __future__ import annotations

from pathlib import Path

import pytest

from rankvqa_cli.errors import InputError, UsageError
from rankvqa_cli.training.ratings import read_ratings, row_filter


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a1.png", "a2.png", "b1.png", "a.png", "b.png"):
        (tmp_path / name).touch()
    return tmp_path


def rows_of(folder: Path, text: str, **how: object) -> list[str]:
    (folder / "set.csv").write_text(text)
    return [rating.distorted.name for rating in read_ratings(folder / "set.csv", **how).rows]  # type: ignore[arg-type]


def test_columns_of_every_kind(folder: Path) -> None:
    (folder / "set.csv").write_text(
        "\ufeffdistorted,reference,mos,ci,content,height\n"
        'a1.png,a.png,-3.5,0.5,"grass, wet",720\nb1.png,,70,,water,1080\n'
    )
    first, second = read_ratings(folder / "set.csv").rows
    assert (first.distorted, first.reference) == (folder / "a1.png", folder / "a.png")
    assert (first.mos, first.ci, first.content) == (-3.5, 0.5, "grass, wet")
    assert (second.row, second.reference, second.ci, second.columns["height"]) == (3, None, None, "1080")


def test_contents_are_the_references_where_nothing_else_is_said(folder: Path) -> None:
    (folder / "set.csv").write_text("distorted,reference,mos\na1.png,a.png,1\nb1.png,b.png,2\n")
    assert [rating.content for rating in read_ratings(folder / "set.csv").rows] == ["a", "b"]


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        (["content!=w*"], ["a1.png", "a2.png"]),
        (["content=gra*"], ["a1.png", "a2.png"]),
        (["content!=grass"], ["a2.png", "b1.png"]),
        (["content!=gravel", "mos!=2"], ["a1.png", "b1.png"]),
        (["content=*"], ["a1.png", "a2.png", "b1.png"]),
    ],
)
def test_filters(folder: Path, filters: list[str], kept: list[str]) -> None:
    text = "distorted,mos,content\na1.png,1,grass\na2.png,2,gravel\nb1.png,3,water\n"
    assert rows_of(folder, text, filters=filters) == kept


def test_a_filter_that_leaves_one_content(folder: Path) -> None:
    with pytest.raises(InputError, match="fewer than two contents after content=grass"):
        rows_of(folder, "distorted,mos,content\na1.png,1,grass\nb1.png,2,b\n", filters=["content=grass"])


def test_rows_that_are_filtered_out_may_be_broken(folder: Path) -> None:
    text = "distorted,mos,content\na1.png,1,a\ngone.png,nan,w\nb1.png,2,b\n"
    assert rows_of(folder, text, filters=["content!=w"]) == ["a1.png", "b1.png"]


@pytest.mark.parametrize("text", ["content", "=x", "!=x", ""])
def test_no_filter(text: str) -> None:
    with pytest.raises(UsageError, match="is no filter"):
        row_filter(text)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("gone.png,a.png,1,,a", "row 2: no such file .*gone.png"),
        ("a1.png,gone.png,1,,a", "row 2: no such file .*gone.png"),
        (",a.png,1,,a", "row 2: no file in the column distorted"),
        ("a1.png,a.png,,,a", "row 2: the mos '' is no number"),
        ("a1.png,a.png,five,,a", "row 2: the mos 'five' is no number"),
        ("a1.png,a.png,nan,,a", "row 2: the mos nan is no finite number"),
        ("a1.png,a.png,inf,,a", "row 2: the mos inf is no finite number"),
        ("a1.png,a.png,1,-0.1,a", "row 2: the ci -0.1 is negative"),
        ("a1.png,a.png,1,x,a", "row 2: the ci 'x' is no number"),
        ("a1.png,a.png,1,,a\na1.png,b.png,2,,b", "row 3: .*a1.png' stands in row 2 already"),
        ("a1.png,a.png,1,,a\na2.png,a.png,2,,a", "fewer than two contents"),
        ("a1.png,,1,,", "row 2: no content, and no reference to name one"),
        ("a1.png,a.png,1,,a,more", "row 2 has more cells than the header"),
    ],
)
def test_faults_name_the_row(folder: Path, rows: str, message: str) -> None:
    (folder / "set.csv").write_text(f"distorted,reference,mos,ci,content\n{rows}\n")
    with pytest.raises(InputError, match=message):
        read_ratings(folder / "set.csv")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n", "no column 'distorted': it has a, b"),
        (b"", "no column 'distorted': it has none"),
        (b"distorted,mos,mos\n", "two columns of one name"),
        (b"distorted,mos\n\xff\xfe,1\n", "no CSV in UTF-8"),
    ],
)
def test_no_rated_set(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "set.csv").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_ratings(tmp_path / "set.csv")


def test_columns_that_are_asked_for(folder: Path) -> None:
    text = "distorted,mos,scene,vmaf\na1.png,1,x,50\nb1.png,2,y,none\n"
    for how in ({"content": "place"}, {"filters": ["place=x"]}):
        with pytest.raises(UsageError, match="no column 'place': it has distorted, mos, scene, vmaf"):
            rows_of(folder, text, **how)
    ratings = read_ratings(folder / "set.csv", content="scene")
    with pytest.raises(InputError, match="row 3: the vmaf 'none' is no number"):
        ratings.numbers("vmaf")
