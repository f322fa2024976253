"""Lists of jobs: what is read, and that every fault is named by its row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rankvqa_cli.batch.joblist import read_jobs
from rankvqa_cli.batch.naming import fill, parse_pattern
from rankvqa_cli.errors import InputError, UsageError


def written(path: Path, *lines: str) -> str:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return str(path)


def test_a_csv_keeps_its_other_columns_and_its_paths_are_relative_to_it(tmp_path: Path) -> None:
    source = written(
        tmp_path / "jobs.csv", "codec,distorted,reference,crf", "x264,a/b.mp4,ref.mp4,30", "x265,/c.mp4,,31"
    )
    listed = read_jobs(source, reference="sources/{codec}.y4m")
    assert listed.names == ("codec", "crf")
    one, two = listed.jobs
    assert (one.row, one.distorted, one.reference) == (2, f"{tmp_path}/a/b.mp4", f"{tmp_path}/ref.mp4")
    assert one.columns == {"codec": "x264", "crf": "30"}
    assert (two.row, two.distorted, two.reference) == (3, "/c.mp4", "sources/x265.y4m")


def test_json_lines(tmp_path: Path) -> None:
    lines = [
        json.dumps({"distorted": "a.mp4", "reference": "r.mp4", "crf": 30, "final": True, "note": None}),
        "",
        json.dumps({"distorted": "b.mp4", "reference": "r.mp4", "codec": "x265"}),
    ]
    listed = read_jobs(written(tmp_path / "jobs.jsonl", *lines))
    assert [job.row for job in listed.jobs] == [1, 3]
    assert listed.jobs[0].columns == {"crf": "30", "final": "true", "note": ""}
    assert listed.names == ("crf", "final", "note", "codec")


def test_lines_end_where_json_lines_end(tmp_path: Path) -> None:
    text = "one\u2028two\x85three\x1cfour"
    lines = [json.dumps({"distorted": "a", "reference": "r", "note": text}, ensure_ascii=False), "\r"]
    (job,) = read_jobs(written(tmp_path / "jobs.jsonl", *lines)).jobs
    assert job.columns == {"note": text}


def test_a_folder_by_pattern(tmp_path: Path) -> None:
    for name in (
        "a/x264_30.mp4",
        "a/x265_31.mp4",
        "b/x264_30.mp4",
        "b/notes.txt",
        "a/.x264_9.mp4",
        "a/ref.y4m",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    listed = read_jobs(
        str(tmp_path), pattern="{content}/{codec}_{crf}.mp4", reference=f"{tmp_path}/{{content}}/ref.y4m"
    )
    assert [(job.row, job.columns) for job in listed.jobs] == [
        (1, {"content": "a", "codec": "x264", "crf": "30"}),
        (2, {"content": "a", "codec": "x265", "crf": "31"}),
        (3, {"content": "b", "codec": "x264", "crf": "30"}),
    ]
    assert listed.jobs[2].reference == f"{tmp_path}/b/ref.y4m"
    assert listed.left_out == ()
    some = read_jobs(str(tmp_path), pattern="a/{codec}_{crf}.mp4", reference=f"{tmp_path}/a/ref.y4m")
    assert (len(some.jobs), some.left_out) == (
        2,
        ("b/x264_30.mp4",),
    )  # neither the reference nor what is no video
    flat = read_jobs(str(tmp_path / "a"), reference=f"{tmp_path}/a/ref.y4m")
    assert [Path(job.distorted).name for job in flat.jobs] == [
        "x264_30.mp4",
        "x265_31.mp4",
    ]  # not the reference
    with pytest.raises(InputError, match=r"no file that matches '\{c\}\.webm'"):
        read_jobs(str(tmp_path), pattern="{c}.webm")


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("a.csv", ["distorted,crf", "a.mp4,3"], "row 1 has no column 'reference': it has distorted, crf"),
        ("a.csv", ["reference", "a.mp4"], "row 1 has no column 'distorted'"),
        ("a.csv", ["distorted,reference"], "lists no job"),
        ("a.csv", ["distorted,reference", ",r.mp4"], "row 2: no file in the column distorted"),
        ("a.csv", ["distorted,reference", "a,r", "b,r", "./a,r"], "row 4: .* stands in row 2 already"),
        ("a.csv", ["distorted,reference", "a,r,x"], "row 2 has more cells"),
        ("a.jsonl", ['{"distorted": "a", "reference": "r"}', "{"], "row 2 is no JSON"),
        ("a.jsonl", ["[1]"], "row 1 is no JSON object"),
        ("a.jsonl", ['{"distorted": "a", "reference": ["r"]}'], "row 1: reference holds no single value"),
        ("a.jsonl", ['{"distorted": "a"}'], "has no column 'reference'"),
        ("a.jsonl", ["[" * 100_000], "row 1 is no JSON"),
        ("a.json", ['{"kind": "comparison"}'], "neither a list of jobs .* nor a batch's results"),
        ("a.jsonl", ['{"distorted": "a\\u0000", "reference": "r"}'], r"row 1: .*x00' is no file's name"),
        ("a.csv", ["distorted,reference", "a,r\0"], r"row 2: .*x00' is no file's name"),
        ("a.jsonl", ['{"distorted": "\\ud800", "reference": "r"}'], "row 1 holds half a character"),
        ("a.jsonl", ['{"distorted": "a", "reference": "r", "\\udfff": 1}'], "row 1 holds half a character"),
    ],
)
def test_faults_are_named_by_their_row(tmp_path: Path, name: str, lines: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_jobs(written(tmp_path / name, *lines))


def test_a_list_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the list of jobs"):
        read_jobs(str(tmp_path / "none.csv"))
    with pytest.raises(UsageError, match="--pattern is for folders"):
        read_jobs(written(tmp_path / "a.csv", "distorted,reference", "a,b"), pattern="{a}")


def test_patterns() -> None:
    pattern = parse_pattern("{content}/{content}_*_{crf}.mp4")
    assert pattern.match("dog/dog_fast_30.mp4") == {"content": "dog", "crf": "30"}
    assert pattern.match("dog/cat_fast_30.mp4") is None
    split = parse_pattern("{content}_{codec}_{crf}.mp4").match("big_dog_x264_30.mp4")
    assert split == {"content": "big_dog", "codec": "x264", "crf": "30"}
    assert pattern.match("dog/dog_fa/st_30.mp4") is None
    assert parse_pattern("a.b{x}").match("aXb1") is None
    for wrong in ("{", "{0}", "{a.b}", "{a!r}", "{a:3}", "{}"):
        with pytest.raises(UsageError, match="is no pattern"):
            parse_pattern(wrong)
    with pytest.raises(
        UsageError, match=r"asks for \{codec\}, and the jobs have no such column: they have crf"
    ):
        fill("{codec}.mp4", {"crf": "3"})
