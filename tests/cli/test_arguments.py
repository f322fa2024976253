from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from rankvqa_cli.cli.score import command
from rankvqa_cli.cli.talk import Talk, level_in
from rankvqa_cli.errors import UsageError


def parse(*args: str) -> dict[str, object]:
    return command.make_context("score", list(args), obj=Talk()).params


def test_ffmpegs_options_are_one_option_with_a_value() -> None:
    params = parse(
        *[
            "-i",
            "a.mp4",
            "-ref",
            "b.mp4",
            "-ss",
            "1.5",
            "-t",
            "00:01:02.5",
            "-frames",
            "10",
            "-threads",
            "2",
            "-loglevel",
            "error",
        ]
    )
    assert params["inputs"] == ("a.mp4",)
    assert params["reference"] == ("b.mp4",)
    assert params["seek"] == 1.5
    assert params["size"] is None  # -ss is not -s -s
    assert params["duration"] == 62.5
    assert (params["frames"], params["threads"], params["loglevel"]) == (10, 2, "error")


def test_raw_options() -> None:
    given = "-f rawvideo -s 64x48 -pix_fmt yuv422p10le -framerate 30000/1001"
    params = parse(
        *given.split(),
        *["-ref_f", "rawvideo", "-ref_s", "cif", "-ref_pix_fmt", "gray", "-ref_framerate", "25"],
        "x",
    )
    assert params["input_format"] == params["ref_format"] == "rawvideo"
    assert (params["size"], params["ref_size"]) == ((64, 48), (352, 288))
    assert (params["pix_fmt"], params["ref_pix_fmt"]) == ("yuv422p10le", "gray")
    assert (params["framerate"], params["ref_framerate"]) == (Fraction(30000, 1001), Fraction(25))


@pytest.mark.parametrize(
    "args",
    [
        ["--ref", "y", "--pix-fmt", "gray", "--threads", "3", "-fail-under", "80", "-pool", "p5"],
        ["-ref=y", "--pix_fmt=gray", "--threads=3", "--fail-under=80", "--pool=p5"],
        ["--ref=y", "-pix-fmt", "gray", "-threads", "3", "--fail_under", "80", "-pool=p5"],
    ],
)
def test_one_dash_or_two(args: list[str]) -> None:
    params = parse(*args)
    assert params["reference"] == ("y",)
    assert (params["pix_fmt"], params["threads"]) == ("gray", 3)
    assert (params["fail_under"], params["pool"]) == (("80",), "p5")


def test_values_may_look_like_options() -> None:
    params = parse("-i", "-x.mp4", "-ref", "--ref", "--align", "-3", "-i", "-y", "--fail-under", "mean=80")
    assert params["inputs"] == ("-x.mp4", "-y")
    assert params["reference"] == ("--ref",)
    assert params["align"] == -3
    assert params["fail_under"] == ("mean=80",)
    assert params["overwrite"] is False


def test_bare_paths_are_inputs_in_order() -> None:
    params = parse("a", "-i", "b", "-", "-y", "./-c", "-i", "d=e", "--", "-f", "--help", "--")
    assert params["inputs"] == ("a", "b", "-", "./-c", "d=e", "-f", "--help", "--")
    assert params["overwrite"] is True


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["-rfe", "x"], "no option is called '-rfe': did you mean -ref?"),
        (["-framse", "3"], "no option is called '-framse': did you mean -frames?"),
        (["--alow-short"], "no option is called '--alow-short': did you mean --allow-short?"),
        (["--modle", "x"], "no option is called '--modle': did you mean --model?"),
        (["-yn"], "no option is called '-yn'"),
        (["-ifile.mp4"], "no option is called '-ifile.mp4'"),
        (["-t5"], "no option is called '-t5'"),
        (["--i", "x"], "no option is called '--i'"),
        (["---ref", "x"], "no option is called '---ref'"),
        (["-hide_banner"], "no option is called '-hide_banner'"),
        (["-3"], "no option is called '-3'"),
        (["-i", "x", "-ref"], "option '-ref' needs a value: -ref FILE"),
        (["-i"], "option '-i' needs a value: -i FILE"),
        (["--precision"], "option '--precision' needs a value: --precision auto|fp32|bf16"),
        (["-y=1"], "option '-y' takes no value"),
        (["--allow-short=yes"], "option '--allow-short' takes no value"),
    ],
)
def test_mistakes_are_errors(args: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(*args)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_file_that_looks_like_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "-x.mp4").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"to score the file of that name, write -i -x\.mp4"):
        parse("-x.mp4")


@pytest.mark.parametrize(
    ("argv", "level"),
    [
        ([], "info"),
        (["-i", "x", "-loglevel", "quiet"], "quiet"),
        (["--loglevel", "debug", "-i"], "debug"),
        (["-loglevel=error"], "error"),
        (["-loglevel", "nonsense"], "info"),
        (["-i", "loglevel", "quiet"], "info"),
        (["-loglevel"], "info"),
    ],
)
def test_level_of_an_unparsed_command_line(argv: list[str], level: str) -> None:
    assert level_in(argv) == level


@pytest.mark.parametrize(
    ("args", "summary"),
    [
        (["x.mp4"], None),
        (["x.mp4", "--summary"], ""),
        (["--summary", "x.mp4"], ""),
        (["--summary", "out.md", "x.mp4"], "out.md"),
        (["--summary", "-y", "x.mp4"], ""),
        (["--summary=any/name", "x.mp4"], "any/name"),
        (["-summary", "--", "x.mp4"], ""),
    ],
)
def test_a_file_that_may_be_left_out_takes_no_video(args: list[str], summary: str | None) -> None:
    params = parse(*args)
    assert params["summary"] == summary
    assert params["inputs"] == ("x.mp4",)
    assert params["overwrite"] is ("-y" in args)
