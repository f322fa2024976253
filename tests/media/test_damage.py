"""FFmpeg exits 0 on damaged files: what it says and how many frames it gives have to tell instead."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from conftest import MakeClip

from rankvqa_cli.errors import InputError
from rankvqa_cli.media.ffmpeg import strict_decoder

from .reading import alone, look, read_all

NOISY = "-vf", "noise=alls=4:allf=t"
FRAMES = 40
CODECS = {
    "x264.mp4": ("-crf", "26", "-movflags", "+faststart"),
    "x264.mkv": ("-crf", "26"),
    "x264.ts": ("-crf", "26"),
    "hashed.mp4": ("-c:v", "libx265", "-x265-params", "hash=1:log-level=0", "-movflags", "+faststart"),
    "av1.mp4": ("-c:v", "libsvtav1", "-preset", "12", "-crf", "35", "-movflags", "+faststart"),
    "vp9.webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "300k"),
    "mpeg2.mpg": ("-c:v", "mpeg2video", "-q:v", "2", "-bf", "2"),
    "mpeg4.avi": ("-c:v", "mpeg4", "-q:v", "2"),
    "ffv1.mkv": ("-c:v", "ffv1", "-level", "3", "-slicecrc", "1"),
}


@pytest.fixture(params=CODECS)
def clean(request: pytest.FixtureRequest, make_clip: MakeClip) -> Path:
    return make_clip(request.param, *NOISY, *CODECS[request.param], frames=FRAMES, size="160x96")


def tells(path: Path) -> tuple[bool, str]:
    """Whether reading shows that the file is damaged, and by what."""
    try:
        info = look(path)
        whole = read_all(alone(info))
    except InputError as error:
        return True, str(error)
    short = info.frames is not None and whole.read != info.frames
    return short or bool(
        whole.end.errors or whole.end.returncode
    ), f"{whole.read} of {info.frames}, {whole.end}"


def test_flipped_bits_are_noticed_and_sound_files_are_not_accused(clean: Path, either_ffmpeg: str) -> None:
    told, why = tells(clean)
    assert not told, why
    if clean.name == "vp9.webm" and strict_decoder("vp9", "yuv420p") is None:
        pytest.skip("this FFmpeg has no libvpx: its own VP9 decoder notices next to nothing")
    sound = clean.read_bytes()
    for seed in range(3):
        chance = random.Random(seed)
        damaged = bytearray(sound)
        for _ in range(40):
            damaged[chance.randrange(len(sound) * 4 // 10, len(sound) * 6 // 10)] ^= 1 << chance.randrange(8)
        clean.write_bytes(damaged)
        told, why = tells(clean)
        assert told, f"seed {seed}: {why}"


@pytest.mark.parametrize("name", ["x264.mp4", "av1.mp4", "x264.mkv", "vp9.webm"])
def test_truncated_files_come_out_short(make_clip: MakeClip, name: str, either_ffmpeg: str) -> None:
    path = make_clip(name, *NOISY, *CODECS[name], frames=FRAMES, size="160x96")
    sound = path.read_bytes()
    path.write_bytes(sound[: len(sound) * 6 // 10])
    info = look(path)
    whole = read_all(alone(info))
    assert 0 < whole.read < FRAMES
    assert whole.end.errors or whole.read < (info.frames or 0)
    if name.endswith("mp4"):
        assert info.frames == FRAMES, "the index in front says what there should be"
        assert any("truncated" in warning for warning in info.warnings)


def test_an_mp4_without_its_index_is_an_input_error(make_clip: MakeClip) -> None:
    path = make_clip("x.mp4", frames=10)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(InputError, match="check the file"):
        look(path)


def test_truncated_raw_and_y4m(make_clip: MakeClip) -> None:
    path = make_clip("x.y4m", frames=5)
    path.write_bytes(path.read_bytes()[:-100])
    info = look(path)
    assert (info.frames, read_all(alone(info)).read) == (5, 4)


@pytest.mark.shared
def test_real_clips_are_not_accused(shared: Path) -> None:
    for name in (
        "frog_480p30.mp4",
        "lsvq_1724_406x720.mp4",
        "sunset_hlg_1080p30_5f.mov",
        "park_joy_480x270_10f.y4m",
    ):
        told, why = tells(shared / "data" / "clips" / name)
        assert not told, f"{name}: {why}"
