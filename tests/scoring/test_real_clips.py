"""Real media and the shipped model: identity on every kind of clip, and order along a ladder."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from rankvqa_cli import score

CLIPS = [
    "bbb_1080p60_120f.mp4",
    "bbb_2160p_10s.mkv",
    "bbb_720p25.mp4",
    "cockatoo_720p20.mp4",
    "dog_720p30.mp4",
    "frog_480p30.mp4",
    "konvid_10053703034.mp4",
    "konvid_2999049224.mp4",
    "lights_hlg_2160p60_5f.mov",
    "lsvq_1724_406x720.mp4",
    "park_joy_480x270_10f.y4m",
    "sunset_hlg_1080p30_5f.mov",
    "survey1_1080p30.mp4",
    "ugc_hyzm_720p24.mp4",
]


@pytest.mark.parametrize("name", CLIPS)
def test_identical_is_exactly_100(shared: Path, name: str) -> None:
    clip = shared / "data" / "clips" / name
    (result,) = score(clip, clip, frames=3, align="off").results
    assert result.score == 100.0
    assert {frame.score for frame in result.frames} == {100.0}


@pytest.mark.parametrize("name", ["park_joy_480x270_10f.y4m", "lsvq_1724_406x720.mp4"])
def test_identical_is_exactly_100_in_bf16(shared: Path, name: str) -> None:
    clip = shared / "data" / "clips" / name
    assert score(clip, clip, frames=2, precision="bf16").results[0].score == 100.0


def test_bf16_agrees_with_fp32(shared: Path, ffmpeg: str, tmp_path: Path) -> None:
    """At most 0.2 points, as the README says: the stem stays in float32, the rest rounds to 8 bits."""
    source = shared / "data" / "clips" / "park_joy_480x270_10f.y4m"
    for crf in (24, 40):
        encode = tmp_path / f"{crf}.mkv"
        argv = [ffmpeg, "-v", "error", "-nostdin", "-i", str(source), "-crf", str(crf), str(encode)]
        subprocess.run(argv, check=True, timeout=60)
        full, half = (
            score(encode, source, precision=precision).results[0].score for precision in ("fp32", "bf16")
        )
        assert half == pytest.approx(full, abs=0.2)
        assert full < 100.0


def test_score_falls_along_a_ladder(shared: Path, ffmpeg: str, tmp_path: Path) -> None:
    source = shared / "data" / "davis" / "kite-surf.mp4"
    encodes = []
    for crf in (18, 28, 38, 48):
        encodes.append(tmp_path / f"{crf}.mkv")
        argv = [ffmpeg, "-v", "error", "-nostdin", "-i", str(source), "-crf", str(crf), str(encodes[-1])]
        subprocess.run(argv, check=True, timeout=60)
    scores = [result.score for result in score(encodes, source).results]
    assert all(better > worse for better, worse in pairwise(scores)), scores


@pytest.mark.parametrize("model", ["rankvqa-mini", "rankvqa"])
def test_colour_that_luma_metrics_cannot_see(shared: Path, ffmpeg: str, tmp_path: Path, model: str) -> None:
    """Hue, saturation and chroma alone: each lowers the score, more at higher strength."""
    source = shared / "data" / "clips" / "park_joy_480x270_10f.y4m"
    kinds = [("hue=h=8", "hue=h=30"), ("hue=s=0.8", "hue=s=0.4"), ("gblur=2:planes=6", "gblur=8:planes=6")]
    files = []
    for filters in (each for kind in kinds for each in kind):
        files.append(tmp_path / f"{len(files)}.y4m")
        argv = [ffmpeg, "-v", "error", "-nostdin", "-i", str(source), "-vf", filters, str(files[-1])]
        subprocess.run(argv, check=True, timeout=60)
    results = score(files, source, frames=6, align="off", models=[model]).results
    for weak, strong in zip(results[::2], results[1::2], strict=True):
        assert 100.0 > weak.score > strong.score
