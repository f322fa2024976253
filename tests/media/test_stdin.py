"""Videos on stdin, in a process of its own that has one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import MakeClip

from rankvqa_cli.media.stdin import StdinFeeder

from .reading import read_file

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import hashlib, json, sys
from rankvqa_cli.errors import VqaError
from rankvqa_cli.media.plan import make_plan
from rankvqa_cli.media.probe import probe
from rankvqa_cli.media.reader import FrameReader
from rankvqa_cli.types import InputSpec, RawFormat, ReadOptions
arguments = json.loads(sys.argv[1])
raw = RawFormat(*arguments["raw"]) if "raw" in arguments else None
options = ReadOptions(**arguments.get("options", {}))
try:
    info = probe(InputSpec("-", raw), options)
    planned = make_plan(None, [info], options).inputs[0]
    digest, count = hashlib.sha256(), 0
    with FrameReader(planned, options) as reader:
        buffer = bytearray(reader.format.frame_bytes)
        while reader.read_into(memoryview(buffer)):
            digest.update(buffer)
            count += 1
        end = reader.finish()
    said = [info.width, info.height, info.pix_fmt, info.frames, count, digest.hexdigest(), list(end.errors)]
    print(json.dumps(said))
except VqaError as error:
    print(type(error).__name__, error)
"""


def run(data: bytes, **arguments: object) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-c", PROGRAM, json.dumps(arguments)]
    done = subprocess.run(argv, input=data, capture_output=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def digest_of(path: Path, first: int = 0, count: int | None = None) -> str:
    import hashlib

    frames = read_file(path).frames[first : None if count is None else first + count]
    return hashlib.sha256(frames.tobytes()).hexdigest()


def test_y4m_is_not_missing_a_byte(make_clip: MakeClip, either_ffmpeg: str) -> None:
    path = make_clip("x.y4m", "-vf", "scale=63:47", frames=9)
    assert json.loads(run(path.read_bytes())) == [63, 47, "yuv420p", None, 9, digest_of(path), []]


def test_limits_count_frames(make_clip: MakeClip) -> None:
    path = make_clip("x.y4m", frames=20)
    said = json.loads(run(path.read_bytes(), options={"seek_s": 0.2, "duration_s": 0.4}))
    assert said[4:] == [10, digest_of(path, 5, 10), []]


def test_raw_frames(make_clip: MakeClip) -> None:
    path = make_clip("x.yuv", frames=5)
    said = json.loads(run(path.read_bytes(), raw=[64, 48, "yuv420p"]))
    assert said[:5] == [64, 48, "yuv420p", None, 5]


def test_a_partial_last_frame_is_an_error(make_clip: MakeClip) -> None:
    for name, arguments in (("x.yuv", {"raw": [64, 48, "yuv420p"]}), ("x.y4m", {})):
        data = make_clip(name, frames=5).read_bytes()
        said = json.loads(run(data[:-1000], **arguments))
        assert said[4] == 4
        assert said[6]


@pytest.mark.parametrize(
    ("data", "what"), [(b"", "stdin is empty"), (b"\x00\x00\x00\x20ftypisom" * 9, "not a y4m stream")]
)
def test_anything_else_is_an_input_error(data: bytes, what: str) -> None:
    answer = run(data)
    assert answer.startswith("InputError ")
    assert what in answer


def test_a_feeder_that_waits_for_input_can_be_stopped() -> None:
    source_read, source_write = os.pipe()
    sink_read, sink_write = os.pipe()
    feeder = StdinFeeder(source_read, b"head", os.fdopen(sink_write, "wb", buffering=0))
    assert os.read(sink_read, 100) == b"head"
    os.write(source_write, b"more")
    assert os.read(sink_read, 100) == b"more"
    started = time.monotonic()
    feeder.stop()
    assert time.monotonic() - started < 5
    assert os.read(sink_read, 100) == b"", "the sink is closed"
    assert not [thread for thread in threading.enumerate() if thread.name == "ffmpeg-stdin"]
    for descriptor in (source_read, source_write, sink_read):
        os.close(descriptor)


def test_a_feeder_without_a_reader_ends() -> None:
    source_read, source_write = os.pipe()
    sink_read, sink_write = os.pipe()
    os.close(sink_read)
    feeder = StdinFeeder(source_read, b"head", os.fdopen(sink_write, "wb", buffering=0))
    feeder.stop()
    os.close(source_read)
    os.close(source_write)
