from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from conftest import MakeClip
from tracker import stop_tracker

from rankvqa_cli.errors import InputError
from rankvqa_cli.media import reader as reader_module
from rankvqa_cli.media.ffmpeg import BINARY_VARIABLE
from rankvqa_cli.media.reader import FrameReader
from rankvqa_cli.types import FrameFormat, InputSpec, PlannedInput, RawFormat, ReadOptions

from .reading import DEFAULTS, alone, look, plan_pair, read_all, read_file

TINY = FrameFormat(4, 4, "gray", 8, None, False, "bt601")


def children() -> set[int]:
    """Processes, zombies included, that are ours."""
    stop_tracker()
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == os.getpid():
                found.add(int(entry.name))
    return found


def drainers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("ffmpeg-")]


@pytest.fixture
def fake_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program to write Python into that is run in FFmpeg's place; ``planned`` goes with it."""
    program = tmp_path / "fake-ffmpeg"
    monkeypatch.setenv(BINARY_VARIABLE, str(program))
    return program


def behave(program: Path, body: str) -> PlannedInput:
    preamble = "import sys, time, os\nif '-version' in sys.argv: print('ffmpeg version 9.9'); sys.exit()\n"
    program.write_text(f"#!{sys.executable}\n{preamble}out = sys.stdout.buffer\n{body}\n")
    program.chmod(0o755)
    source = program.with_name("x.yuv")
    source.write_bytes(bytes(16 * 5))
    planned = alone(look(source, raw=RawFormat(4, 4, "gray")))
    assert planned.format == TINY
    return planned


def test_frames_come_in_order_and_the_end_is_clean(make_clip: MakeClip, either_ffmpeg: str) -> None:
    path = make_clip("x.mkv", "-c:v", "ffv1", frames=7, source="testsrc")
    planned = alone(look(path))
    buffer = np.empty((7, planned.format.frame_bytes), np.uint8)
    with FrameReader(planned, ReadOptions(threads=1)) as reader:
        assert reader.format == planned.format
        for n in range(7):
            assert reader.read_into(memoryview(buffer[n]))
            assert reader.frames_read == reader.frames_delivered == n + 1
        assert not reader.read_into(memoryview(buffer[0]))
        assert not reader.read_into(memoryview(buffer[0]))
        end = reader.finish()
    assert (end.returncode, end.errors) == (0, ())
    assert len({frame.tobytes() for frame in buffer}) == 7
    assert not children()
    assert not drainers()


def test_a_buffer_of_another_size_is_refused(make_clip: MakeClip) -> None:
    reader = FrameReader(alone(look(make_clip("x.mp4", frames=2))), DEFAULTS)
    with reader, pytest.raises(ValueError, match="buffer of 10 bytes"):
        reader.read_into(memoryview(bytearray(10)))


def test_finish_reads_the_rest(make_clip: MakeClip) -> None:
    planned = alone(look(make_clip("x.mp4", frames=9)))
    with FrameReader(planned, DEFAULTS) as reader:
        reader.read_into(memoryview(bytearray(planned.format.frame_bytes)))
        assert reader.finish().returncode == 0
        assert (reader.frames_read, reader.frames_delivered) == (9, 1)


def test_an_interrupted_consumer_leaves_nothing_behind(make_clip: MakeClip) -> None:
    planned = alone(look(make_clip("x.mp4", frames=300, size="320x240")))
    buffer = memoryview(bytearray(planned.format.frame_bytes))

    def consume() -> None:
        with FrameReader(planned, DEFAULTS) as reader:
            reader.read_into(buffer)
            assert len(children()) == 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consume()
    assert not children()
    assert not drainers()


def test_closing_twice_or_unopened_is_nothing_special(make_clip: MakeClip) -> None:
    planned = alone(look(make_clip("x.mp4", frames=2)))
    unopened = FrameReader(planned, DEFAULTS)
    unopened.close()
    with pytest.raises(ValueError, match="closed"):
        unopened.read_into(memoryview(bytearray(planned.format.frame_bytes)))
    with FrameReader(planned, DEFAULTS) as reader:
        reader.close()
    reader.close()
    assert not children()


def test_kill_wakes_a_waiting_reader(fake_ffmpeg: Path) -> None:
    planned = behave(fake_ffmpeg, "out.write(bytes(16)); out.flush(); time.sleep(60)")
    with FrameReader(planned, DEFAULTS) as reader:
        buffer = memoryview(bytearray(16))
        assert reader.read_into(buffer)
        timer = threading.Timer(0.2, reader.kill)
        timer.start()
        started = time.monotonic()
        assert not reader.read_into(buffer)
        assert time.monotonic() - started < 20
        timer.join()
    assert not children()


def test_exit_status_partial_frame_and_a_flood_of_messages_are_kept(fake_ffmpeg: Path) -> None:
    flood = "sys.stderr.write('[h264 @ 0x55] [error] bad thing 7\\n' * 40000)"
    whole = read_all(behave(fake_ffmpeg, f"{flood}\nout.write(bytes(16 * 2 + 5)); out.flush(); sys.exit(3)"))
    assert whole.read == len(whole.frames) == 2
    assert whole.end.returncode == 3
    assert whole.end.errors == (
        "h264: bad thing 7 (40000 times)",
        "the last frame is incomplete: 5 of 16 bytes",
    )


def test_no_frame_at_all_is_an_input_error(fake_ffmpeg: Path) -> None:
    planned = behave(
        fake_ffmpeg, "sys.stderr.write('[error] Decoder (codec none) not found\\n'); sys.exit(1)"
    )
    with pytest.raises(InputError, match=r"no frame of '.*x.yuv' \(Decoder \(codec none\) not found\)"):
        read_all(planned)
    planned = behave(fake_ffmpeg, "sys.exit(69)")
    with pytest.raises(InputError, match="it ends with status 69"):
        read_all(planned)
    assert not children()


def test_a_decoder_that_does_not_end_is_killed_and_told_of(
    fake_ffmpeg: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "_EXIT_PATIENCE_S", 0.2)
    whole = read_all(behave(fake_ffmpeg, "out.write(bytes(16)); out.flush(); os.close(1); time.sleep(60)"))
    assert whole.end.returncode == -9
    assert "did not end" in whole.end.errors[0]


def test_a_binary_that_cannot_start_is_an_input_error(make_clip: MakeClip, fake_ffmpeg: Path) -> None:
    planned = alone(look(make_clip("x.mp4", frames=2)))
    fake_ffmpeg.write_text("#!/nowhere/python\n")
    fake_ffmpeg.chmod(0o755)
    with pytest.raises(Exception, match="fake-ffmpeg") as caught:
        read_all(planned)
    assert type(caught.value).__name__ in {"InputError", "UsageError"}


def test_pairing_repeats_and_passes_over(make_clip: MakeClip) -> None:
    planned = alone(look(make_clip("x.mkv", "-c:v", "ffv1", frames=10, source="testsrc")))
    frames = read_all(planned).frames
    pairing = (0, 0, 0, 1, 4, 4, 5, 7)
    whole = read_all(replace(planned, pairing=pairing))
    assert (whole.frames == frames[list(pairing)]).all()
    assert whole.read == 10, "the rest is decoded too, to see how it ends"


def test_half_the_frame_rate_is_delivered_on_the_references_time(make_clip: MakeClip) -> None:
    reference = make_clip("ref.mp4", frames=24, rate=60)
    half = make_clip("half.mkv", "-c:v", "ffv1", frames=12, rate=30)
    planned = plan_pair(reference, half).inputs[0]
    frames = read_file(half).frames
    assert (read_all(planned).frames == np.repeat(frames, 2, axis=0)).all()


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.ts", "x.avi", "x.y4m", "x.h264"])
def test_limits_deliver_what_they_promise(make_clip: MakeClip, name: str, either_ffmpeg: str) -> None:
    extra = () if name == "x.y4m" else ("-bf", "2", "-g", "8")
    codec = ("-c:v", "libx264", "-x264-params", "open-gop=1") if extra else ()
    path = make_clip(name, *codec, *extra, frames=30)
    everything = read_file(path).frames
    for options, first, count in (
        (ReadOptions(seek_s=0.5), 13, 17),
        (ReadOptions(seek_s=0.5, duration_s=0.2), 13, 5),
        (ReadOptions(frames=4), 0, 4),
        (ReadOptions(seek_s=1.0, frames=400), 25, 5),
    ):
        info = look(path, options)
        whole = read_all(alone(info, options), options)
        assert info.frames == count
        assert whole.end.errors == ()
        assert (whole.frames == everything[first : first + count]).all()
        if info.pts_times:
            assert info.pts_times[0] == pytest.approx(first / 25, abs=0.002)


def test_a_start_off_zero_does_not_move_the_seek(make_clip: MakeClip, either_ffmpeg: str) -> None:
    path = make_clip("x.mkv", "-output_ts_offset", "3.2", "-bf", "2", "-g", "8", frames=30)
    options = ReadOptions(seek_s=0.5)
    assert (read_file(path, options).frames == read_file(path).frames[13:]).all()


def test_limits_of_raw_video(tmp_path: Path) -> None:
    data = np.random.default_rng(1).integers(0, 256, (20, 16), dtype=np.uint8)
    (tmp_path / "x.yuv").write_bytes(data.tobytes())
    options = ReadOptions(seek_s=0.2, duration_s=0.3)
    info = look(tmp_path / "x.yuv", options, RawFormat(4, 4, "gray", Fraction(20)))
    assert info.frames == 6
    assert (read_all(alone(info, options), options).frames == data[4:10]).all()


def test_one_pixel_and_one_frame(make_clip: MakeClip, either_ffmpeg: str) -> None:
    path = make_clip("x.mkv", "-vf", "scale=1:1", "-c:v", "ffv1", frames=1)
    whole = read_file(path)
    assert whole.frames.shape == (1, 3)
    reference = make_clip("big.mkv", "-c:v", "ffv1", "-vf", "scale=63:47", frames=1)
    assert read_all(plan_pair(reference, path).inputs[0]).frames.shape == (1, 63 * 47 + 2 * 32 * 24)
    assert read_all(plan_pair(path, reference).inputs[0]).frames.shape == (1, 3)


def test_a_size_that_changes_on_the_way_is_scaled(make_clip: MakeClip, tmp_path: Path) -> None:
    sizes = ("64x48", "32x32", "64x48")
    parts = [
        make_clip(f"{n}.png", "-update", "1", frames=1, size=size, pix_fmt="rgb24")
        for n, size in enumerate(sizes)
    ]
    both = tmp_path / "both.png"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    whole = read_file(both)
    assert whole.frames.shape == (3, 64 * 48 * 3)
    assert (whole.frames[0] == whole.frames[2]).all()
    assert look(both).frames == 3


def test_planned_paths_are_read_as_they_were_probed(make_clip: MakeClip) -> None:
    planned = alone(look(make_clip("x.mp4", frames=2)))
    gone = replace(planned, info=replace(planned.info, spec=InputSpec("/nowhere/x\n.mp4")))
    with pytest.raises(InputError, match=r"no frame of '/nowhere/x\\n.mp4' \(.*No such file") as caught:
        read_all(gone)
    assert "\n" not in str(caught.value)


def test_whoever_reads_is_told_whether_there_is_something(fake_ffmpeg: Path) -> None:
    go = fake_ffmpeg.with_name("go")
    waits = "while not os.path.exists(sys.argv[0].replace('fake-ffmpeg', 'go')): time.sleep(0.01)\n"
    planned = behave(fake_ffmpeg, waits + "out.write(bytes(16))")
    with FrameReader(planned, ReadOptions()) as reader:
        assert not reader.ready(0)
        assert not reader.ready(0.05)
        go.touch()
        assert reader.ready(60)
        assert reader.read_into(memoryview(bytearray(16)))
        assert reader.ready(60)  # it has ended, which is something to read as well
        assert not reader.read_into(memoryview(bytearray(16)))
        assert reader.ready(0)
