from __future__ import annotations

import os

import pytest

from rankvqa_cli.media.messages import MAX_MESSAGES, MessageCollector, damage_in

H264 = "[h264 @ 0x55ab12] "


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (f"{H264}[error] error while decoding MB 3 5", "h264: error while decoding MB 3 5"),
        (
            "[vist#0:0/h264 @ 0x55] [dec:h264 @ 0x66] [warning] corrupt decoded frame",
            "vist#0:0/h264: corrupt decoded frame",
        ),
        ("[warning] x.mp4: corrupt decoded frame in stream 0", "x.mp4: corrupt decoded frame in stream 0"),
        ("[NULL @ 0x55] [error] missing picture", "missing picture"),
        (f"{H264}[info] concealing 5 DC, 5 AC, 5 MV errors", "h264: concealing 5 DC, 5 AC, 5 MV errors"),
        ("[fatal] cannot go on at 0xdeadbeef00", "cannot go on at "),
        (f"{H264}[error] mmco: unref short failure", None),
        ("[swscaler @ 0x1] [warning] deprecated pixel format used", None),
        ("[info]   title : corrupt", None),
        ("[error]", None),
        ("    title : [error] x", None),
    ],
)
def test_what_tells_of_damage(line: str, text: str | None) -> None:
    assert damage_in(line) == text


def collect(data: bytes) -> tuple[str, ...]:
    read, write = os.pipe()
    collector = MessageCollector(os.fdopen(read, "rb"))
    with os.fdopen(write, "wb") as sink:
        sink.write(data)
    collector.join()
    return collector.errors()


def test_lines_that_differ_in_numbers_are_one() -> None:
    lines = b"".join(b"[h264 @ 0x%x] [error] error while decoding MB %d 5\n" % (n, n) for n in range(4000))
    assert collect(lines) == ("h264: error while decoding MB 0 5 (4000 times)",)


def test_the_list_is_bounded() -> None:
    words = [bytes([97 + n // 26, 97 + n % 26]) + b"z" for n in range(400)]
    errors = collect(b"".join(b"[error] %s\xff went wrong\n" % word for word in words))
    assert len(errors) == MAX_MESSAGES + 1
    assert errors[-1] == f"and {400 - MAX_MESSAGES} more lines"


def test_a_message_with_a_newline_is_one_message() -> None:
    data = b"[info] Input\n    Metadata\n[warning] a\nb.mp4: corrupt decoded frame\n[error] last\nwords"
    assert collect(data) == ("a b.mp4: corrupt decoded frame", "last words")


def test_what_ffmpeg_counted_is_no_message() -> None:
    """The last report counts, whatever stands before it."""
    lines = [
        "[info] Input",
        "frame=3",
        "fps=0.00",
        "stream_0_0_q=-0.0",
        "out_time_us=N/A",
        "progress=continue",
    ]
    lines += [
        "[error] bad",
        "frame=302",
        "drop_frames=0",
        "progress=end",
        "[warning] a",
        "frame=y.mp4: corrupt",
    ]
    read, write = os.pipe()
    collector = MessageCollector(os.fdopen(read, "rb"))
    with os.fdopen(write, "wb") as sink:
        sink.write("\n".join(lines).encode())
    collector.join()
    assert collector.frames == 302
    assert collector.errors() == ("bad", "a frame=y.mp4: corrupt")
