"""Frames that nobody looks at stay with FFmpeg; the others, and how many there are, are those of a whole read."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import MakeClip
from numpy.typing import NDArray

from rankvqa_cli.errors import InputError
from rankvqa_cli.media.reader import FrameReader, StreamEnd
from rankvqa_cli.media.sparse import SparseReader
from rankvqa_cli.types import PlannedInput, ReadOptions

from .reading import DEFAULTS, alone, look, read_all

NOTHING = 7  # what buffers hold before


def read_sparsely(
    planned: PlannedInput, every: int | None, options: ReadOptions = DEFAULTS
) -> tuple[list[NDArray[np.uint8] | None], StreamEnd, int]:
    """Every frame, None where it was not delivered; how FFmpeg ended; and how many frames it gave."""
    found: list[NDArray[np.uint8] | None] = []
    with SparseReader(planned, options, every) as reader:
        while True:
            buffer = np.full(planned.format.frame_bytes, NOTHING, np.uint8)
            if not reader.read_into(memoryview(buffer)):
                break
            found.append(buffer if reader.delivered else None)
            assert reader.delivered or (buffer == NOTHING).all()
        return found, reader.finish(), reader.frames_read


def assert_as_whole(planned: PlannedInput, every: int, options: ReadOptions = DEFAULTS) -> int:
    """What is looked at is what a whole read gives. Returns how many frames there are."""
    whole = read_all(planned, options)
    found, end, read = read_sparsely(planned, every, options)
    count = len(whole.frames)
    assert (len(found), read, end.returncode) == (count, whole.read, whole.end.returncode)
    assert bool(end.errors) == bool(whole.end.errors)
    looked_at = {*range(0, count, every), count - 1}
    for n in looked_at:
        frame = found[n]
        assert frame is not None
        assert np.array_equal(frame, whole.frames[n])
    return count


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("x.mkv", ("-c:v", "ffv1")),
        ("x.mp4", ("-c:v", "libx264", "-bf", "3", "-g", "7")),
        ("x.y4m", ()),
        ("x.webm", ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8")),
    ],
)
@pytest.mark.parametrize("every", [2, 6, 19, 50])
def test_what_is_looked_at_is_what_a_whole_read_gives(
    make_clip: MakeClip, name: str, arguments: tuple[str, ...], every: int, either_ffmpeg: str
) -> None:
    assert assert_as_whole(alone(look(make_clip(name, *arguments, frames=20))), every) == 20


@pytest.mark.parametrize(
    ("options", "frames"),
    [
        (ReadOptions(frames=11), 11),
        (ReadOptions(seek_s=0.2), 15),
        (ReadOptions(seek_s=0.2, duration_s=0.4), 10),
        (ReadOptions(deinterlace=True, threads=2), 20),
    ],
)
def test_limits_are_those_of_a_whole_read(
    make_clip: MakeClip, options: ReadOptions, frames: int, either_ffmpeg: str
) -> None:
    path = make_clip("x.mp4", "-c:v", "libx264", "-bf", "2", frames=20)
    assert assert_as_whole(alone(look(path, options), options), 4, options) == frames


@pytest.mark.parametrize("expected", [3, 12, 13, 19, 21, 24, 100])
def test_a_file_may_have_more_or_fewer_frames_than_it_says(
    make_clip: MakeClip, expected: int, either_ffmpeg: str
) -> None:
    planned = alone(look(make_clip("x.mkv", "-c:v", "ffv1", frames=20)))
    assert assert_as_whole(replace(planned, info=replace(planned.info, frames=expected)), 6) == 20


@pytest.mark.parametrize("name", ["x.mkv", "x.y4m"])
def test_a_truncated_file_has_its_last_frame_looked_at(make_clip: MakeClip, name: str) -> None:
    path = make_clip(name, "-c:v", "ffv1" if name == "x.mkv" else "rawvideo", frames=20)
    planned = alone(look(path))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 5])
    assert 5 < assert_as_whole(planned, 9) < 20


def test_all_are_delivered_where_nobody_knows_how_many_there_are(make_clip: MakeClip) -> None:
    planned = alone(look(make_clip("x.mkv", "-c:v", "ffv1", frames=9)))
    unknown = replace(planned, info=replace(planned.info, frames=None))
    for each, every in ((unknown, 4), (planned, None), (planned, 1)):
        found, end, read = read_sparsely(each, every)
        assert all(frame is not None for frame in found)
        assert (len(found), read, end.returncode) == (9, 9, 0)


def test_finish_counts_what_was_not_read(make_clip: MakeClip) -> None:
    planned = alone(look(make_clip("x.mp4", frames=20)))
    for before in (0, 1, 3):
        with SparseReader(planned, DEFAULTS, 6) as reader:
            for _ in range(before):
                assert reader.read_into(memoryview(bytearray(planned.format.frame_bytes)))
            assert reader.finish().returncode == 0
            assert (reader.frames_read, reader.frames_delivered) == (20, before)


def test_no_frame_at_all_is_an_error(make_clip: MakeClip) -> None:
    path = make_clip("x.mkv", "-c:v", "ffv1", frames=5)
    planned = alone(look(path))
    path.write_bytes(b"nothing")
    for reader in (FrameReader(planned, DEFAULTS), SparseReader(planned, DEFAULTS, 3)):
        with reader, pytest.raises(InputError, match="gives no frame"):
            reader.read_into(memoryview(bytearray(planned.format.frame_bytes)))


def test_a_killed_decoder_ends_what_is_read(make_clip: MakeClip, tmp_path: Path) -> None:
    planned = alone(look(make_clip("x.mkv", "-c:v", "ffv1", frames=300, size="640x360")))
    buffer = memoryview(bytearray(planned.format.frame_bytes))
    with SparseReader(planned, DEFAULTS, 4) as reader:
        assert reader.read_into(buffer)
        reader.kill()
        assert sum(reader.read_into(buffer) for _ in range(300)) < 100


def test_the_decoder_of_a_few_frames_leaves_threads_to_whoever_looks_at_them(make_clip: MakeClip) -> None:
    planned = alone(look(make_clip("x.mkv", "-c:v", "ffv1")))
    two = ReadOptions(threads=2)
    for reader, threads in ((FrameReader(planned, two), "2"), (SparseReader(planned, two, 3), "1")):
        argv = reader._argv()
        assert argv[argv.index("-threads") + 1] == threads


def test_the_last_frame_of_a_damaged_file_is_decoded_again_as_the_others_were(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decoders give more or fewer frames of it with other numbers of threads."""
    planned = alone(look(make_clip("x.mkv", "-c:v", "ffv1", frames=7)))
    longer = replace(planned, info=replace(planned.info, frames=9))
    begun: list[list[str]] = []
    run = subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda argv, **options: begun.append(argv) or run(argv, **options)
    )
    found, _, read = read_sparsely(longer, 4, ReadOptions(threads=2))
    assert (len(found), read) == (7, 7)
    assert [argv[argv.index("-threads") + 1] for argv in begun] == ["1", "1"]


def test_a_last_frame_that_comes_to_nothing_a_second_time_ends_the_video(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was decoded before stays, and so does what FFmpeg says of the damage."""
    planned = alone(look(make_clip("x.mkv", "-c:v", "ffv1", frames=7)))
    longer = replace(planned, info=replace(planned.info, frames=9))

    def nothing(self: FrameReader, buffer: memoryview) -> bool:
        raise InputError("FFmpeg gives no frame")

    monkeypatch.setattr("rankvqa_cli.media.sparse._OneFrame.read_into", nothing)
    found, end, read = read_sparsely(longer, 4)
    assert (len(found), end.returncode, read) == (6, 0, 7)
    assert [n for n, frame in enumerate(found) if frame is not None] == [0, 4]
