from __future__ import annotations

import os
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from conftest import MakeClip

from rankvqa_cli.errors import InputError, UsageError
from rankvqa_cli.media.container import _may_be_fields
from rankvqa_cli.media.rawsize import raw_frame_bytes
from rankvqa_cli.types import RawFormat, ReadOptions

from .reading import alone, look, read_all, read_file


def test_an_ordinary_file(make_clip: MakeClip) -> None:
    info = look(make_clip("x.mp4", "-bf", "2", frames=20, size="96x64", rate="30000/1001"))
    assert (info.width, info.height, info.pix_fmt, info.bit_depth, info.chroma) == (
        96,
        64,
        "yuv420p",
        8,
        (2, 2),
    )
    assert (info.frames, len(info.pts_times), info.pts_times[0]) == (20, 20, 0.0)
    assert info.pts_times[-1] == pytest.approx(19 * 1001 / 30000, abs=1e-4)
    assert info.frame_rate == Fraction(30000, 1001)
    assert (info.codec, info.container.split(",")[0]) == ("h264", "mov")
    assert (info.variable_frame_rate, info.interlaced, info.full_range, info.rotation) == (
        False,
        False,
        False,
        0,
    )


def test_missing_colour_tags_are_assumed_and_said(make_clip: MakeClip) -> None:
    info = look(make_clip("x.mp4"))
    assert {"range", "matrix"} <= set(info.assumed)
    assert (info.matrix, info.full_range) == ("smpte170m", False)
    assert any("no colour tag for range and matrix: taken as limited, smpte170m" in w for w in info.warnings)


def test_colour_tags_are_read(make_clip: MakeClip) -> None:
    tags = "setparams=range=pc:color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc"
    info = look(make_clip("x.mp4", "-vf", f"format=yuv420p10le,{tags}", pix_fmt="yuv420p10le"))
    assert (info.matrix, info.primaries, info.transfer) == ("bt2020nc", "bt2020", "smpte2084")
    assert (info.full_range, info.bit_depth, info.assumed) == (True, 10, ())


@pytest.mark.parametrize(
    "name", ["x.mkv", "x.ts", "x.mpg", "x.avi", "x.webm", "x.h264", "x.y4m", "x.mov", "x.flv", "x.gif"]
)
def test_every_container_counts_its_frames(make_clip: MakeClip, name: str) -> None:
    extra = {
        "x.mpg": ["-c:v", "mpeg2video", "-bf", "2"],
        "x.webm": ["-c:v", "libvpx", "-lag-in-frames", "10"],
    }.get(name, [])
    path = make_clip(name, *extra, frames=30, pix_fmt="bgr8" if name == "x.gif" else "yuv420p")
    info = look(path)
    whole = read_file(path)
    assert info.frames == len(whole.frames) == 30
    assert (whole.end.returncode, whole.end.errors) == (0, ())
    assert len(info.pts_times) == (0 if name == "x.h264" else 30)


def test_frames_before_an_edit_are_not_counted(make_clip: MakeClip, ffmpeg: str, tmp_path: Path) -> None:
    source, cut = make_clip("x.mp4", "-bf", "2", "-g", "50", frames=40), tmp_path / "cut.mp4"
    subprocess.run(
        [ffmpeg, "-v", "error", "-ss", "0.6", "-i", str(source), "-c", "copy", str(cut)], check=True
    )
    assert look(cut).frames == 25
    assert (read_file(cut).frames == read_file(source).frames[15:]).all()


@pytest.mark.parametrize("name", ["x.mkv", "x.ts"])
def test_pictures_that_lost_their_references_to_a_cut_are_not_counted(
    make_clip: MakeClip, ffmpeg: str, tmp_path: Path, name: str, either_ffmpeg: str
) -> None:
    gop = "open-gop=1:keyint=12:bframes=3:scenecut=0"
    source, cut = make_clip(name, "-x264-params", gop, frames=50), tmp_path / f"cut-{name}"
    subprocess.run(
        [ffmpeg, "-v", "error", "-ss", "0.7", "-i", str(source), "-c", "copy", str(cut)], check=True
    )
    info, whole = look(cut), read_file(cut)
    assert info.frames == len(info.pts_times) == len(whole.frames)
    assert 20 < len(whole.frames) < 50
    assert whole.end.errors == ()


def test_variable_frame_rate(make_clip: MakeClip) -> None:
    info = look(make_clip("x.mkv", "-vf", "select='not(eq(mod(n,5),3))'", "-fps_mode", "vfr", frames=20))
    assert info.variable_frame_rate
    assert any("variable frame rate" in warning for warning in info.warnings)


def test_interlaced_video_is_a_warning(make_clip: MakeClip) -> None:
    path = make_clip("x.mp4", "-flags", "+ilme+ildct", "-x264-params", "tff=1", frames=10, size="64x64")
    info = look(path)
    assert info.interlaced
    assert any("interlaced: scored as it is" in warning for warning in info.warnings)
    options = ReadOptions(deinterlace=True)
    woven, calm = read_file(path), read_file(path, options)
    assert len(woven.frames) == len(calm.frames) == 10
    assert (woven.frames != calm.frames).any()
    assert "deinterlaced (bwdif)" in alone(look(path, options), options).steps


def test_progressive_video_is_not_touched_by_deinterlacing(make_clip: MakeClip) -> None:
    path = make_clip("x.mp4", frames=5)
    assert (read_file(path).frames == read_file(path, ReadOptions(deinterlace=True)).frames).all()


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_applied(
    make_clip: MakeClip, ffmpeg: str, tmp_path: Path, degrees: int, either_ffmpeg: str
) -> None:
    path, turned = make_clip("x.mp4", "-qp", "0", size="64x32", frames=2), tmp_path / "turned.mp4"
    argv = [
        ffmpeg,
        "-v",
        "error",
        "-display_rotation",
        str(degrees),
        "-i",
        str(path),
        "-c",
        "copy",
        str(turned),
    ]
    subprocess.run(argv, check=True)
    info = look(turned)
    assert info.rotation == degrees
    assert (info.width, info.height) == ((64, 32) if degrees == 180 else (32, 64))
    luma = read_file(path).frames[0][: 64 * 32].reshape(32, 64)
    shown = read_file(turned).frames[0][: 64 * 32].reshape(info.height, info.width)
    assert (shown == np.rot90(luma, degrees // 90)).all()
    assert any(f"rotated by {degrees}" in step for step in alone(info).steps)


def test_sample_aspect_ratio(make_clip: MakeClip) -> None:
    assert look(make_clip("x.mp4", "-vf", "setsar=16/11")).sample_aspect_ratio == Fraction(16, 11)


@pytest.mark.parametrize(
    ("name", "pix_fmt", "rgb"),
    [
        ("x.png", "rgba", True),
        ("x.jpg", "yuvj420p", False),
        ("x.webp", "yuv420p", False),
        ("x.bmp", "bgr24", True),
    ],
)
def test_single_pictures_are_videos_of_one_frame(
    make_clip: MakeClip, name: str, pix_fmt: str, rgb: bool
) -> None:
    info = look(make_clip(name, "-update", "1", frames=1, pix_fmt=pix_fmt))
    assert (info.frames, info.width, info.height) == (1, 64, 48)
    assert info.full_range == (name != "x.webp")
    planned = alone(info)
    assert any("converted from RGB" in step for step in planned.steps) == rgb
    assert ("alpha dropped" in planned.steps) == (pix_fmt == "rgba")
    assert planned.format.chroma == ((1, 1) if rgb else (2, 2))
    assert len(read_all(planned).frames) == 1


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("missing.mp4", "No such file"),
        ("folder", "is a directory"),
        ("empty.mp4", "is empty"),
        ("text.mp4", "check the file"),
        ("text.txt", "check the file"),
        ("raw.yuv", "-f rawvideo -s WxH"),
        ("sound.mp4", "no video stream"),
        ("pipe", "not a regular file"),
        ("nul\0.mp4", "cannot be opened"),
    ],
)
def test_bad_files_are_input_errors_of_one_line(tmp_path: Path, ffmpeg: str, name: str, what: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "raw.yuv").write_bytes(bytes(range(256)) * 40)
    os.mkfifo(tmp_path / "pipe")
    for text in ("text.mp4", "text.txt"):
        (tmp_path / text).write_text("frame,score\n" + "1,2\n" * 300)
    if name == "sound.mp4":
        argv = [ffmpeg, "-v", "error", "-f", "lavfi", "-i", "sine=d=0.2", str(tmp_path / name)]
        subprocess.run(argv, check=True)
    with pytest.raises(InputError, match=what) as caught:
        look(f"{tmp_path}/{name}")
    assert "\n" not in str(caught.value)
    assert name in str(caught.value) or "\\x00" in str(caught.value)


def test_cover_art_is_no_video(make_clip: MakeClip, ffmpeg: str, tmp_path: Path) -> None:
    cover, song = make_clip("x.jpg", "-update", "1", frames=1, pix_fmt="yuvj420p"), tmp_path / "song.mp3"
    sound = ["-f", "lavfi", "-i", "sine=d=0.2", "-i", str(cover), "-map", "0", "-map", "1"]
    subprocess.run([ffmpeg, "-v", "error", *sound, "-disposition:v", "attached_pic", str(song)], check=True)
    with pytest.raises(InputError, match="no video stream"):
        look(song)


def test_the_largest_of_several_streams_is_taken(make_clip: MakeClip, ffmpeg: str, tmp_path: Path) -> None:
    small, large = make_clip("s.mp4", size="32x32"), make_clip("l.mp4", "-qp", "0", size="64x64")
    both = tmp_path / "both.mkv"
    argv = [
        ffmpeg,
        "-v",
        "error",
        "-i",
        str(small),
        "-i",
        str(large),
        "-map",
        "0",
        "-map",
        "1",
        "-c",
        "copy",
        str(both),
    ]
    subprocess.run(argv, check=True)
    info = look(both)
    assert (info.width, info.start.stream) == (64, 1)
    assert (read_file(both).frames == read_file(large).frames).all()


@pytest.mark.parametrize(
    "name",
    ["-x.mp4", "a b.mp4", "a'b\"c.mp4", "a\nb.mp4", "a%d.mp4", "a%03d.png", "x:y.mkv", "*.png", "[x].jpg"],
)
def test_names_are_only_names(make_clip: MakeClip, name: str, either_ffmpeg: str) -> None:
    picture = name.endswith(("png", "jpg"))
    plain = make_clip(
        "plain" + Path(name).suffix, *(["-update", "1"] if picture else []), frames=1 if picture else 4
    )
    path = plain.rename(plain.with_name(name))
    assert look(path).frames == len(read_file(path).frames) == (1 if picture else 4)


def test_raw_video_has_to_divide_its_file(tmp_path: Path) -> None:
    path = tmp_path / "x.yuv"
    path.write_bytes(bytes(3 * 96 + 5))
    assert raw_frame_bytes(RawFormat(8, 8)) == 96
    with pytest.raises(InputError, match=r"3 frames of 8x8 yuv420p .* 5 bytes left over"):
        look(path, raw=RawFormat(8, 8))
    with pytest.raises(UsageError, match=r"did you mean .*yuv420p"):
        look(path, raw=RawFormat(8, 8, "yuv42p"))


@pytest.mark.parametrize(
    ("pix_fmt", "frame_bytes"),
    [
        ("yuv420p", 63 * 47 + 2 * 32 * 24),
        ("yuv422p10le", 2 * (63 * 47 + 2 * 32 * 47)),
        ("gray12le", 2 * 63 * 47),
        ("nv12", 63 * 47 + 2 * 32 * 24),
        ("p010le", 2 * (63 * 47 + 2 * 32 * 24)),
        ("yuyv422", 64 * 47 * 2),
        ("rgb24", 63 * 47 * 3),
        ("rgba64le", 63 * 47 * 8),
        ("gbrp10le", 63 * 47 * 6),
        ("monow", 8 * 47),
    ],
)
def test_the_size_of_a_raw_frame_is_ffmpegs(make_clip: MakeClip, pix_fmt: str, frame_bytes: int) -> None:
    raw = RawFormat(63, 47, pix_fmt)
    path = make_clip("x.yuv", "-vf", "scale=63:47", frames=2, pix_fmt=pix_fmt)
    assert raw_frame_bytes(raw) == frame_bytes
    assert path.stat().st_size == 2 * frame_bytes
    whole = read_all(alone(look(path, raw=raw)))
    assert len(whole.frames) == 2
    assert whole.end.errors == ()


@pytest.mark.parametrize(
    "raw",
    [
        RawFormat(0, 8),
        RawFormat(8, 8, "pal8"),
        RawFormat(8, 8, "vaapi"),
        RawFormat(8, 8, frame_rate=Fraction(0)),
    ],
)
def test_raw_formats_without_sense_are_usage_errors(tmp_path: Path, raw: RawFormat) -> None:
    (tmp_path / "x.yuv").write_bytes(bytes(96))
    with pytest.raises(UsageError):
        look(tmp_path / "x.yuv", raw=raw)


def test_nothing_behind_the_end(make_clip: MakeClip) -> None:
    path = make_clip("x.mp4", frames=10)
    with pytest.raises(InputError, match="no frame at or after 5 s"):
        look(path, ReadOptions(seek_s=5))


def test_packets_of_one_field_are_no_count_of_frames() -> None:
    frames = [n / 25 for n in range(20)]
    fields = [n / 50 for n in range(40)]
    assert not _may_be_fields(0, frames, Fraction(25))
    assert _may_be_fields(0, fields, Fraction(25))
    assert _may_be_fields(20, frames, Fraction(25))
