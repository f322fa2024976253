from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from rankvqa_cli.errors import InputError
from rankvqa_cli.media.y4m import parse_header
from rankvqa_cli.media.y4m_stream import FrameFollower, read_y4m


def test_everything_in_a_header() -> None:
    header = parse_header(
        b"YUV4MPEG2 W720 H576 F30000:1001 It A16:15 C422p10 XYSCSS=422P10 XCOLORRANGE=FULL", "x"
    )
    assert (header.width, header.height, header.pix_fmt) == (720, 576, "yuv422p10le")
    assert header.frame_rate == Fraction(30000, 1001)
    assert header.sample_aspect_ratio == Fraction(16, 15)
    assert header.interlaced
    assert header.range_code == 2


def test_what_a_short_header_leaves_open() -> None:
    header = parse_header(b"YUV4MPEG2 W2 H2 F0:0 Ip A0:0", "x")
    assert (header.pix_fmt, header.frame_rate, header.sample_aspect_ratio) == ("yuv420p", 25, 1)
    assert (header.interlaced, header.range_code) == (False, 0)


@pytest.mark.parametrize(
    ("word", "pix_fmt"),
    [("Cmono", "gray"), ("Cmono16", "gray16le"), ("C420p12", "yuv420p12le"), ("C444alpha", "yuva444p")],
)
def test_chroma_words(word: str, pix_fmt: str) -> None:
    assert parse_header(f"YUV4MPEG2 W2 H2 {word}".encode(), "x").pix_fmt == pix_fmt


@pytest.mark.parametrize(
    "line",
    [
        b"RIFF",
        b"YUV4MPEG2 H2",
        b"YUV4MPEG2 Wx H2",
        b"YUV4MPEG2 W0 H2",
        b"YUV4MPEG2 W2 H2 C420p99",
        b"YUV4MPEG2",
    ],
)
def test_what_is_no_header_is_refused(line: bytes) -> None:
    with pytest.raises(InputError, match="stdin"):
        parse_header(line, "stdin")


HEAD = b"YUV4MPEG2 W2 H2 F50:1 Cmono\n"


@pytest.mark.parametrize("line", [b"FRAME\n", b"FRAME Ip XABC\n"])
@pytest.mark.parametrize("cut", [0, 1, 3, 4, 6])
def test_a_cut_frame_is_counted_as_lost(tmp_path: Path, line: bytes, cut: int) -> None:
    data = HEAD + 3 * (line + b"1234")
    (tmp_path / "x.y4m").write_bytes(data[: len(data) - cut])
    stream = read_y4m(str(tmp_path / "x.y4m"), len(data) - cut)
    assert stream.frames == 3
    assert stream.times == ((0.0, 0.02) if cut else (0.0, 0.02, 0.04))
    assert bool(stream.warnings) == (cut > 0)


def test_no_complete_frame_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "x.y4m").write_bytes(HEAD + b"FRAME\n12")
    with pytest.raises(InputError, match="single complete frame"):
        read_y4m(str(tmp_path / "x.y4m"), len(HEAD) + 8)


@pytest.mark.parametrize("step", [1, 2, 5, 1000])
def test_the_follower_knows_where_frames_end(step: int) -> None:
    data = 3 * b"FRAME\n1234" + b"FRAME I\n\n\n\n\n"
    follower = FrameFollower(HEAD)
    boundaries = {0, 10, 20, 30, len(data)}
    for place in range(0, len(data), step):
        follower.feed(data[place : place + step])
        assert follower.in_the_middle == (min(place + step, len(data)) not in boundaries)
