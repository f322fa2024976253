"""What a lossless file holds is what the reader delivers, byte for byte; what is converted comes out as computed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from rankvqa_cli.media.rawsize import raw_frame_bytes
from rankvqa_cli.media.yuv import split_planes
from rankvqa_cli.types import RawFormat

from .reading import alone, look, plan_pair, read_all, read_file, write_raw

FORMATS = [
    *[(name, 8) for name in ("yuv420p", "yuv422p", "yuv444p", "gray", "yuvj420p")],
    *[(f"{name}{depth}le", depth) for name in ("yuv420p", "gray") for depth in (10, 12, 16)],
    ("yuv422p10le", 10),
    ("yuv444p12le", 12),
]


def encode(
    ffmpeg: str, raw: RawFormat, source: Path, out: Path, *extra: str, colour_range: str = "tv"
) -> None:
    """Makes ``out`` of raw frames, tagged as BT.709 in ``colour_range``, which has to stand before and after -i."""
    tags = ["-color_range", colour_range, "-colorspace", "bt709"]
    before = ["-f", "rawvideo", "-s", f"{raw.width}x{raw.height}", "-pix_fmt", raw.pix_fmt, *tags]
    argv = [ffmpeg, "-v", "error", "-y", *before, "-i", str(source), *tags, *extra, str(out)]
    subprocess.run(argv, check=True, timeout=60)


@pytest.mark.parametrize(("pix_fmt", "depth"), FORMATS)
def test_raw_frames_arrive_unchanged(tmp_path: Path, pix_fmt: str, depth: int) -> None:
    for width, height in ((63, 47), (1, 1)):
        path = tmp_path / "x.yuv"
        frame_bytes = raw_frame_bytes(RawFormat(width, height, pix_fmt))
        raw = write_raw(path, pix_fmt, width, height, 3, depth, frame_bytes)
        planned = alone(look(path, raw=raw))
        assert planned.format.bit_depth == depth
        assert planned.format.frame_bytes == frame_bytes
        assert planned.steps == ()
        whole = read_all(planned)
        assert whole.frames.tobytes() == path.read_bytes()
        assert (whole.end.returncode, whole.end.errors) == (0, ())


@pytest.mark.parametrize(
    ("pix_fmt", "depth", "colour_range"),
    [
        ("yuv420p", 8, "tv"),
        ("yuv420p", 8, "pc"),
        ("yuv444p10le", 10, "pc"),
        ("gray", 8, "tv"),
        ("gray10le", 10, "pc"),
    ],
)
def test_lossless_files_arrive_unchanged(
    tmp_path: Path, ffmpeg: str, pix_fmt: str, depth: int, colour_range: str
) -> None:
    path, coded = tmp_path / "x.yuv", tmp_path / "x.mkv"
    raw = write_raw(path, pix_fmt, 63, 47, 3, depth, raw_frame_bytes(RawFormat(63, 47, pix_fmt)))
    encode(ffmpeg, raw, path, coded, "-c:v", "ffv1", colour_range=colour_range)
    info = look(coded)
    assert (info.frames, info.full_range) == (3, colour_range == "pc")
    against_itself = plan_pair(coded, coded)
    assert read_all(alone(info)).frames.tobytes() == path.read_bytes()
    assert read_all(against_itself.inputs[0]).frames.tobytes() == path.read_bytes()
    assert against_itself.inputs[0].steps == ()


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p10le", "gray"])
def test_y4m_arrives_unchanged(tmp_path: Path, ffmpeg: str, pix_fmt: str) -> None:
    depth = 10 if "10" in pix_fmt else 8
    path, coded = tmp_path / "x.yuv", tmp_path / "x.y4m"
    raw = write_raw(path, pix_fmt, 63, 47, 3, depth, raw_frame_bytes(RawFormat(63, 47, pix_fmt)))
    encode(ffmpeg, raw, path, coded, "-strict", "-1")
    assert read_file(coded).frames.tobytes() == path.read_bytes()


RAMP_WIDTH, RAMP_HEIGHT = 256, 16


def make_ramp(ffmpeg: str, out: Path, pix_fmt: str, depth: int, colour_range: str) -> None:
    """A luma ramp over the nominal range, neutral chroma, lossless."""
    low, high = (0, 2**depth - 1) if colour_range == "pc" else (16 << depth - 8, 235 << depth - 8)
    kind = np.uint8 if depth == 8 else np.dtype("<u2")
    luma = np.broadcast_to(np.linspace(low, high, RAMP_WIDTH).round(), (RAMP_HEIGHT, RAMP_WIDTH)).astype(kind)
    rest = b""
    if not pix_fmt.startswith("gray"):
        across, down = {"420": (2, 2), "422": (2, 1), "444": (1, 1)}[pix_fmt[3:6]]
        rest = np.full(2 * RAMP_WIDTH // across * (RAMP_HEIGHT // down), 128 << depth - 8, kind).tobytes()
    raw_file = out.with_suffix(".yuv")
    raw_file.write_bytes(luma.tobytes() + rest)
    raw = RawFormat(RAMP_WIDTH, RAMP_HEIGHT, pix_fmt)
    encode(ffmpeg, raw, raw_file, out, "-c:v", "ffv1", colour_range=colour_range)


def nominal(luma: np.ndarray, depth: int, full_range: bool) -> np.ndarray:
    """Black 0, white 1."""
    if full_range:
        return luma / (2**depth - 1)
    return (luma.astype(np.float64) - (16 << depth - 8)) / (219 << depth - 8)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (("yuv420p", 8, "tv"), ("yuv420p10le", 10, "tv")),
        (("yuv420p10le", 10, "tv"), ("yuv420p", 8, "tv")),
        (("yuv420p10le", 10, "tv"), ("yuv420p12le", 12, "tv")),
        (("yuv420p", 8, "pc"), ("yuv420p", 8, "tv")),
        (("yuv420p", 8, "tv"), ("yuv420p", 8, "pc")),
        (("yuv420p", 8, "tv"), ("yuv444p10le", 10, "pc")),
        (("yuv422p", 8, "tv"), ("yuv420p", 8, "tv")),
        (("gray", 8, "tv"), ("yuv420p", 8, "tv")),
        (("gray", 8, "pc"), ("yuv420p", 8, "tv")),
        (("gray", 8, "tv"), ("gray10le", 10, "tv")),
        (("gray", 8, "tv"), ("yuv420p10le", 10, "tv")),
        (("yuv420p", 8, "tv"), ("gray", 8, "tv")),
        (("yuv420p", 8, "tv"), ("gray", 8, "pc")),
        (("yuv420p", 8, "pc"), ("gray10le", 10, "tv")),
    ],
)
def test_conversion_keeps_the_light(
    tmp_path: Path, ffmpeg: str, source: tuple[str, int, str], target: tuple[str, int, str]
) -> None:
    """Whatever depth, range and layout the reference asks for, the same light comes out, to 1.5 8-bit steps."""
    make_ramp(ffmpeg, tmp_path / "ref.mkv", *target)
    make_ramp(ffmpeg, tmp_path / "dist.mkv", *source)
    plan = plan_pair(tmp_path / "ref.mkv", tmp_path / "dist.mkv")
    (planned,) = plan.inputs
    assert plan.reference is not None
    assert planned.format == plan.reference.format
    assert planned.format.bit_depth == max(source[1], target[1])
    expected = np.linspace(0, 1, RAMP_WIDTH)
    for one in (plan.reference, planned):
        luma, cb, cr = split_planes(read_all(one).frames, one.format)
        light = nominal(luma[0, 0], one.format.bit_depth, one.format.full_range)
        assert np.abs(light - expected).max() < 1.5 / 219
        for chroma in (cb, cr):
            assert chroma is None or np.abs(chroma.astype(int) - (1 << one.format.bit_depth - 1)).max() <= 1


def test_equal_range_and_depth_change_no_luma_code(tmp_path: Path, ffmpeg: str) -> None:
    make_ramp(ffmpeg, tmp_path / "ref.mkv", "gray", 8, "tv")
    make_ramp(ffmpeg, tmp_path / "dist.mkv", "yuv422p", 8, "tv")
    plan = plan_pair(tmp_path / "ref.mkv", tmp_path / "dist.mkv")
    assert plan.reference is not None
    assert plan.inputs[0].steps == ("chroma from 4:2:2 to 4:0:0",)
    assert (read_all(plan.inputs[0]).frames == read_all(plan.reference).frames).all()
