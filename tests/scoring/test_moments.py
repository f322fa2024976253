"""Pictures of the worst moments: the right clips, the right frames, and scores as without them."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from conftest import MakeClip
from fake_reports import result

import rankvqa_cli
from rankvqa_cli.models.contract import Calibration, Clip, ClipOutput
from rankvqa_cli.scoring.moments import SIDE, Moments, keeping
from rankvqa_cli.types import ClipScore, FrameFormat, Report

LAYOUT = FrameFormat(8, 8, "gray", 8, None, full_range=True, matrix="bt709")


class Judge:
    """A model as far as moments need one."""

    calibration = Calibration()
    keep_maps = False


def clip(grey: int) -> Clip:
    return Clip(torch.full((12, 8, 8), grey, dtype=torch.uint8), None, None, LAYOUT)


def seen(scores: list[float], count: int, *, hop: int = 12) -> list[tuple[int, float]]:
    """(start, score) of what is kept of clips with these scores, the worst first."""
    moments = Moments(count)
    moments.start(0, 0)
    for place, score in enumerate(scores):
        where = ClipScore(place * hop, place * hop + 12, score)
        output = ClipOutput(score, 1.0, torch.ones(1, 2, 2))
        moments.see((0, 0), where, clip(200), clip(100), output, Judge())  # type: ignore[arg-type]
    pictures = moments.pictures((result("a.mp4", "tiny", 40.0),))
    return [(moment.clip.start, moment.clip.score) for moment in pictures]


@pytest.mark.parametrize(
    ("scores", "hop", "kept"),
    [
        ([50, 40, 30, 60, 20], 12, [(48, 20), (24, 30)]),
        ([50, 50, 50], 12, [(0, 50), (12, 50)]),
        ([90], 12, [(0, 90)]),
        ([50, 40, 30, 60, 55], 6, [(12, 30), (24, 55)]),
        ([30, 20, 40, 50], 6, [(6, 20), (18, 50)]),
        ([60, 50, 40, 30], 6, [(18, 30)]),
    ],
)
def test_the_worst_clips_that_share_no_frame(
    scores: list[float], hop: int, kept: list[tuple[int, float]]
) -> None:
    assert seen(scores, 2, hop=hop) == kept


def test_nothing_is_asked_of_models_for_no_pictures() -> None:
    judge = Judge()
    assert keeping(0, [judge]) is None  # type: ignore[list-item]
    assert judge.keep_maps is False


def shown(data: bytes | None) -> np.ndarray:
    assert data is not None
    with av.open(io.BytesIO(data), format="jpeg_pipe") as container:
        (frame,) = container.decode(video=0)
        return frame.to_ndarray(format="rgb24").astype(float)


@pytest.fixture
def strict(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Report]:
    """``rankvqa_cli.score`` with the tiny model, calibrated so that damage costs it much."""
    from rankvqa_cli.models.store import read_model, write_model

    header, tensors, _ = read_model(tiny_model)
    model = tmp_path_factory.mktemp("model") / "strict.safetensors"
    write_model(model, replace(header, calibration=Calibration(0.01, 1.0)), tensors)

    def call(*files: Path, **options: int) -> Report:
        *inputs, reference = files
        return rankvqa_cli.score(inputs, reference, models=[str(model)], threads=1, align="off", **options)  # type: ignore[arg-type]

    return call


def test_they_show_the_damage(strict: Callable[..., Report], make_clip: MakeClip, ffmpeg: str) -> None:
    """The source is grey; the right half of one copy is white in frames 15 to 20."""
    source = make_clip("source.mkv", "-c:v", "ffv1", frames=36, source="color=c=gray")
    damaged = source.with_name("damaged.mkv")
    box = "drawbox=x=32:y=0:w=32:h=48:color=white:t=fill:enable='between(n,15,20)'"
    argv = [ffmpeg, "-v", "error", "-nostdin", "-i", str(source), "-vf", box, "-c:v", "ffv1", str(damaged)]
    subprocess.run(argv, check=True, timeout=60)

    report = strict(damaged, source, source, moments=2)
    plain = strict(damaged, source, source)
    assert plain.moments == ()
    assert [each.pooled for each in report.results] == [each.pooled for each in plain.results]

    worst, second, *perfect = report.moments
    assert (worst.input, worst.clip.start) == (str(damaged), 12)
    assert worst.clip in report.results[0].clips
    assert 15 <= worst.frame <= 20
    assert second.clip.score > worst.clip.score
    assert [each.input for each in perfect] == [str(source)] * len(perfect)

    frame, reference, quality = (shown(each) for each in (worst.distorted, worst.reference, worst.quality))
    assert frame.shape == reference.shape == quality.shape == (48, 64, 3)
    assert frame[:, 40:].mean() > reference[:, 40:].mean() + 80
    assert np.abs(frame[:, :24] - reference[:, :24]).mean() < 3
    assert np.abs(quality[:, 40:] - quality[:, :24].mean()).mean() > 20


def test_pictures_are_reduced(strict: Callable[..., Report], make_clip: MakeClip) -> None:
    wide = make_clip("wide.mkv", "-c:v", "ffv1", size="1300x40", frames=12)
    (moment,) = strict(wide, wide, moments=3).moments
    assert shown(moment.distorted).shape[1] == -(-1300 // 3) <= SIDE
