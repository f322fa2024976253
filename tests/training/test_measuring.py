"""What is measured when: one call a reference, copies of one size, and nothing twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest import MakeClip

from rankvqa_cli.errors import InputError, OutputError
from rankvqa_cli.media.probe import probe
from rankvqa_cli.training import measuring
from rankvqa_cli.training.measuring import Instrument, measure_set
from rankvqa_cli.training.ratings import Ratings, read_ratings
from rankvqa_cli.training.score_cache import ScoreCache
from rankvqa_cli.types import InputSpec, ReadOptions


class Recorder:
    """Scores a file by the number in its name, and remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], str | None]] = []

    def __call__(self, files: Sequence[Path], reference: Path | None) -> list[dict[str, float]]:
        self.calls.append(([file.name for file in files], reference.name if reference else None))
        return [{"m": float(file.stem.strip("ab") or 0)} for file in files]


@pytest.fixture
def ratings(tmp_path: Path) -> Ratings:
    rows = ["distorted,reference,mos"]
    for name, reference in (("a1", "a"), ("b2", "b"), ("a3", "a"), ("b4", "b")):
        (tmp_path / f"{name}.png").write_text(name)
        (tmp_path / f"{reference}.png").write_text(reference)
        rows.append(f"{name}.png,{reference}.png,{name[1]}")
    (tmp_path / "set.csv").write_text("\n".join(rows) + "\n")
    return read_ratings(tmp_path / "set.csv")


def instrument(measure: measuring.Measure, identity: str = "one", needs_reference: bool = True) -> Instrument:
    return Instrument({"m": identity}, needs_reference, measure)


def test_one_call_a_reference_and_the_order_of_the_rows(ratings: Ratings) -> None:
    recorder, finished = Recorder(), []
    scores = measure_set(ratings, [instrument(recorder)], None, ScoreCache(None), finished.append)
    assert scores == {"m": [1.0, 2.0, 3.0, 4.0]}
    assert recorder.calls == [(["a1.png", "a3.png"], "a.png"), (["b2.png", "b4.png"], "b.png")]
    assert finished == [2, 2]


def test_what_needs_no_reference_gets_none(ratings: Ratings) -> None:
    recorder = Recorder()
    measure_set(ratings, [instrument(recorder, needs_reference=False)], None, ScoreCache(None))
    assert {reference for _, reference in recorder.calls} == {None}


def test_nothing_is_measured_twice_until_something_changes(ratings: Ratings, tmp_path: Path) -> None:
    folder = tmp_path / "cache"

    def again(identity: str = "one") -> list[tuple[list[str], str | None]]:
        recorder = Recorder()
        scores = measure_set(ratings, [instrument(recorder, identity)], None, ScoreCache(folder))
        assert scores == {"m": [1.0, 2.0, 3.0, 4.0]}
        return recorder.calls

    assert len(again()) == 2
    assert again() == []
    assert len(again("another model")) == 2
    file = folder / "scores.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[1:]) + '{"key": "broken o')
    assert again() == [(["a1.png"], "a.png")]


def test_a_score_belongs_to_files_metric_and_size(tmp_path: Path) -> None:
    one, other, same = (tmp_path / name for name in ("one", "other", "same"))
    for file, text in ((one, "1"), (other, "2"), (same, "1")):
        file.write_text(text)
    key = ScoreCache(None).key
    keys = [
        key(one, None, "m", None),
        key(other, None, "m", None),
        key(one, one, "m", None),
        key(one, other, "m", None),
        key(one, None, "n", None),
        key(one, None, "m", (64, 48)),
    ]
    assert len(set(keys)) == len(keys)
    assert key(same, None, "m", None) == keys[0]


def test_a_cache_that_cannot_be_written(ratings: Ratings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write the cache"):
        measure_set(ratings, [instrument(Recorder())], None, ScoreCache(tmp_path / "file"))


def test_a_cache_or_a_file_that_cannot_be_read(ratings: Ratings, tmp_path: Path) -> None:
    (tmp_path / "cache" / "scores.jsonl").mkdir(parents=True)
    with pytest.raises(InputError, match="cannot read the cache"):
        ScoreCache(tmp_path / "cache")
    with pytest.raises(InputError, match=r"gone\.png.* cannot be read"):
        ScoreCache(None).key(tmp_path / "gone.png", None, "m", None)


def test_faults_are_about_the_users_file_and_its_row(ratings: Ratings) -> None:
    def fails(files: Sequence[Path], reference: Path | None) -> list[dict[str, float]]:
        raise InputError(f"{str(files[-1])!r} is no video")

    with pytest.raises(InputError, match=r"set\.csv' row 4: '.*a3\.png' is no video"):
        measure_set(ratings, [instrument(fails)], None, ScoreCache(None))


def test_a_row_without_the_reference_that_is_needed(tmp_path: Path) -> None:
    (tmp_path / "set.csv").write_text("distorted,reference,mos,content\na,r,1,a\nb,,2,b\n")
    ratings = read_ratings(tmp_path / "set.csv", need_files=False)
    with pytest.raises(InputError, match="row 3: m needs a reference, and the row names none"):
        measure_set(ratings, [instrument(Recorder())], None, ScoreCache(None))


def test_both_are_brought_to_one_size(make_clip: MakeClip, tmp_path: Path) -> None:
    make_clip("a1.mp4", frames=3, size="64x48")
    make_clip("a.mp4", frames=3, size="96x64")
    make_clip("b1.png", frames=1, size="32x32", pix_fmt="rgb24")
    make_clip("b.png", frames=1, size="64x64", pix_fmt="rgb24")
    (tmp_path / "set.csv").write_text("distorted,reference,mos\na1.mp4,a.mp4,1\nb1.png,b.png,2\n")
    seen = []

    def measure(files: Sequence[Path], reference: Path | None) -> list[dict[str, float]]:
        assert reference is not None
        for file in (*files, reference):
            info = probe(InputSpec(str(file)), ReadOptions())
            seen.append((info.width, info.height, info.pix_fmt, info.full_range, info.frames))
        return [{"m": 1.0} for _ in files]

    measure_set(read_ratings(tmp_path / "set.csv"), [instrument(measure)], (80, 60), ScoreCache(None))
    assert seen == [(80, 60, "yuv420p", False, 3)] * 2 + [(80, 60, "yuv420p", False, 1)] * 2
