from __future__ import annotations

from fractions import Fraction

import pytest

from rankvqa_cli.cli.rawvideo import RawOptions, raw_formats
from rankvqa_cli.errors import UsageError
from rankvqa_cli.types import RawFormat

NOTHING = RawOptions()
SIZED = RawOptions(size=(64, 48))
RAW = RawOptions("rawvideo", (64, 48), "yuv420p10le", Fraction(50))
LAYOUT = RawFormat(64, 48, "yuv420p10le", Fraction(50))


def test_files_with_headers_need_nothing() -> None:
    assert raw_formats(["a.mp4"], "b.mp4", NOTHING, NOTHING) == (None, None)
    assert raw_formats(["a.yuv"], None, NOTHING, NOTHING) == (None, None)


def test_f_holds_for_both() -> None:
    assert raw_formats(["a.yuv"], "b.yuv", RAW, NOTHING) == (LAYOUT, LAYOUT)
    assert raw_formats(["-"], "b", RAW, NOTHING) == (LAYOUT, LAYOUT)
    assert raw_formats(["a.yuv"], None, RAW, NOTHING) == (LAYOUT, None)


def test_ffmpegs_defaults() -> None:
    raw, _ = raw_formats(["a.bin"], None, RawOptions("rawvideo", (64, 48)), NOTHING)
    assert raw == RawFormat(64, 48, "yuv420p", Fraction(25))


def test_the_reference_may_differ() -> None:
    raw, ref_raw = raw_formats(["a.yuv"], "b.yuv", RAW, RawOptions(size=(128, 96), pix_fmt="gray"))
    assert raw == LAYOUT
    assert ref_raw == RawFormat(128, 96, "gray", Fraction(50))


def test_a_reference_with_a_header_beside_raw_inputs() -> None:
    assert raw_formats(["a.yuv"], "b.mp4", RAW, NOTHING) == (LAYOUT, None)
    assert raw_formats(["a.yuv"], "b.Y4M", RAW, NOTHING) == (LAYOUT, None)
    assert raw_formats(["a.yuv"], "b.bin", RAW, RawOptions("auto")) == (LAYOUT, None)
    assert raw_formats(["a.yuv"], "b.mp4", RAW, RawOptions("rawvideo")) == (LAYOUT, LAYOUT)


def test_a_raw_reference_beside_inputs_with_headers() -> None:
    raw, ref_raw = raw_formats(["a.mp4"], "b.yuv", NOTHING, RawOptions("rawvideo", (64, 48)))
    assert (raw, ref_raw) == (None, RawFormat(64, 48))
    raw, ref_raw = raw_formats(["a.mp4"], "b.yuv", NOTHING, SIZED)
    assert (raw, ref_raw) == (None, RawFormat(64, 48))


def test_a_size_makes_a_yuv_file_raw() -> None:
    assert raw_formats(["a.yuv"], "b.YUV", SIZED, NOTHING) == (RawFormat(64, 48), RawFormat(64, 48))
    assert raw_formats(["a.yuv"], "b.mp4", SIZED, NOTHING) == (RawFormat(64, 48), None)
    assert raw_formats(["a.mp4"], "b.yuv", SIZED, NOTHING) == (None, RawFormat(64, 48))


@pytest.mark.parametrize(
    ("inputs", "reference", "given", "given_ref", "message"),
    [
        (["a.yuv"], None, RawOptions("rawvideo"), NOTHING, "add -s WIDTHxHEIGHT"),
        (["a.mp4"], "b.yuv", NOTHING, RawOptions("rawvideo"), "add -ref_s WIDTHxHEIGHT"),
        (["a.mp4"], "b.mp4", SIZED, NOTHING, "add -f rawvideo"),
        (["a.mp4"], None, RawOptions(pix_fmt="gray"), NOTHING, "add -f rawvideo"),
        (["a.yuv"], "b.mp4", RAW, RawOptions(pix_fmt="gray"), "add -ref_f rawvideo"),
        (["a.yuv"], None, RAW, SIZED, "add -ref_f rawvideo"),
        (["a.yuv", "b.mp4"], None, SIZED, NOTHING, "score them in two runs"),
    ],
)
def test_refuses(
    inputs: list[str], reference: str | None, given: RawOptions, given_ref: RawOptions, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        raw_formats(inputs, reference, given, given_ref)
