"""Frames into files: what comes out is what went in, errors are one line, and no process stays."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from rankvqa_cli.errors import OutputError, UsageError
from rankvqa_cli.media import encode
from rankvqa_cli.media.encode import FrameWriter, encoding_of

RATE = Fraction(30000, 1001)


@pytest.fixture(autouse=True)
def _binary(ffmpeg: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VQA_SCORE_FFMPEG", ffmpeg)


def frames(count: int) -> list[np.ndarray]:
    """Flat colours that differ, one a frame: 48 x 64."""
    rng = np.random.default_rng(1)
    return [np.broadcast_to(rng.integers(30, 220, 3, dtype=np.uint8), (48, 64, 3)) for _ in range(count)]


def write(path: Path, pictures: list[np.ndarray]) -> None:
    with FrameWriter(str(path), encoding_of(str(path)), RATE, name=str(path), threads=1) as writer:
        for picture in pictures:
            writer.write(picture)
        writer.finish()


def read(path: Path) -> tuple[list[np.ndarray], Fraction | None]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)], stream.average_rate


def test_png_is_exact(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (33, 47, 3), dtype=np.uint8)
    write(tmp_path / "a %d b.png", [noise])
    (found,), _ = read(tmp_path / "a %d b.png")
    np.testing.assert_array_equal(found, noise)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_video_has_every_frame_its_rate_and_its_colours(tmp_path: Path, suffix: str) -> None:
    given = frames(7)
    write(tmp_path / f"a{suffix}", given)
    found, rate = read(tmp_path / f"a{suffix}")
    assert rate is not None
    assert float(rate) == pytest.approx(float(RATE), rel=0.01)
    for one, two in zip(given, found, strict=True):
        # Within what 8-bit 4:2:0 and the codec cost: a wrong matrix or range would be 10 and more off.
        assert np.abs(one.astype(int) - two).mean() < 4


def test_unknown_suffix() -> None:
    with pytest.raises(UsageError, match=r"out\.gif.*\.png"):
        encoding_of("out.gif")


def test_ffmpeg_without_the_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "has_encoder", lambda name: name == "mpeg4")
    assert encoding_of("OUT.MP4").encoder == "mpeg4"
    with pytest.raises(OutputError, match="no encoder libvpx-vp9 or libvpx"):
        encoding_of("out.webm")


def test_leanest_encoder_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "has_encoder", lambda name: name == "mpeg4")
    write(tmp_path / "a.mp4", frames(3))
    assert len(read(tmp_path / "a.mp4")[0]) == 3


def test_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "none" / "a.mp4"
    with pytest.raises(OutputError, match=r"none/a\.mp4'.*FFmpeg does not encode it") as caught:
        write(missing, frames(50))
    assert "\n" not in str(caught.value)


def test_given_up_in_the_middle(tmp_path: Path) -> None:
    writer = FrameWriter(str(tmp_path / "a.mp4"), encoding_of("a.mp4"), RATE, name="a.mp4")
    with writer:
        writer.write(frames(1)[0])
        process = writer._process
        assert process is not None
        assert process.poll() is None
    assert process.returncode is not None
    writer.close()


def test_frames_of_one_size() -> None:
    with FrameWriter("/dev/null", encoding_of("a.mp4"), RATE, name="a.mp4") as writer:
        writer.write(frames(1)[0])
        with pytest.raises(ValueError, match="after frames of"):
            writer.write(np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(ValueError, match="no frame"):
        FrameWriter("x", encoding_of("a.mp4"), RATE, name="x").finish()
