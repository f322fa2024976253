"""Heatmaps of real runs: every scored frame once, damage where it is, whole files or none, and scores untouched."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

import rankvqa_cli
from rankvqa_cli.errors import InputError, ModelError, OutputError, UsageError, VqaError
from rankvqa_cli.models.contract import Calibration, Clip, ClipOutput
from rankvqa_cli.models.store import read_model, write_model
from rankvqa_cli.scoring import heatmaps
from rankvqa_cli.scoring.heatmaps import Heatmaps
from rankvqa_cli.types import ClipScore, FrameFormat, Report

MakeClip = Callable[..., Path]
LAYOUT = FrameFormat(64, 48, "yuv420p", 8, (2, 2), full_range=False, matrix="bt709")


@pytest.fixture
def score(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Report]:
    """``rankvqa_cli.score`` with the tiny model, calibrated so that damage costs it much, on one thread, unaligned."""
    header, tensors, _ = read_model(tiny_model)
    model = tmp_path_factory.mktemp("model") / "strict.safetensors"
    write_model(model, replace(header, calibration=Calibration(0.01, 1.0)), tensors)

    def call(inputs: object, reference: object, **options: object) -> Report:
        given: dict[str, object] = {
            "models": [str(model)],
            "threads": 1,
            "device": "cpu",
            "align": "off",
        }
        return rankvqa_cli.score(inputs, reference, **{**given, **options})  # type: ignore[arg-type]

    return call


@pytest.fixture
def source(make_clip: MakeClip) -> Path:
    return make_clip("source.mkv", "-c:v", "ffv1", frames=26, rate="30000/1001")


@pytest.fixture
def damaged(ffmpeg: str, tmp_path: Path, source: Path) -> Path:
    """The source with noise in the right half, from frame 15 on."""
    out = tmp_path / "damaged.mkv"
    noisy = "split[a][b];[b]crop=32:48:32:0,noise=alls=60:allf=t[n];[a][n]overlay=32:0:enable='gte(n,15)'"
    argv = [ffmpeg, "-v", "error", "-nostdin", "-i", str(source), "-filter_complex", noisy]
    subprocess.run([*argv, "-pix_fmt", "yuv420p", "-c:v", "ffv1", str(out)], check=True, timeout=60)
    return out


def read(path: Path) -> tuple[list[np.ndarray], float]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return pictures, float(stream.average_rate or 0)


def quality_panel(picture: np.ndarray) -> np.ndarray:
    """The second panel of a heatmap of 64 x 48 frames."""
    cell = (picture.shape[1] + 4) // 2
    left = cell + (cell - 4 - 64) // 2
    return picture[:48, left : left + 64].astype(int).sum(axis=2)


def temporaries(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".vqa-score")]


def test_picture_shows_the_worst_frame(
    score: Callable[..., Report], source: Path, damaged: Path, tmp_path: Path
) -> None:
    report = score(damaged, source, heatmap=tmp_path / "h.png")
    (heatmap,) = report.heatmaps
    worst = min(report.results[0].clips, key=lambda clip: clip.score)
    assert len(heatmap.frames) == 1
    assert max(15, worst.start) <= heatmap.frames[0] < worst.end
    (picture,), _ = read(tmp_path / "h.png")
    panel = quality_panel(picture)
    assert panel[:, 40:].mean() > panel[:, :24].mean() + 30
    assert temporaries(tmp_path) == []


@pytest.mark.parametrize("hop", [5, 12, 20])
def test_video_shows_every_scored_frame(
    score: Callable[..., Report], source: Path, damaged: Path, tmp_path: Path, hop: int
) -> None:
    plain = score(damaged, source, hop=hop)
    report = score(damaged, source, hop=hop, heatmap=tmp_path / "h.mkv")
    assert report.results[0].frames == plain.results[0].frames
    (heatmap,) = report.heatmaps
    assert heatmap.frames == tuple(frame.index for frame in plain.results[0].frames)
    pictures, rate = read(tmp_path / "h.mkv")
    assert len(pictures) == len(heatmap.frames)
    assert rate == pytest.approx(30000 / 1001, rel=0.01)
    shown = dict(zip(heatmap.frames, pictures, strict=True))
    before, after = (quality_panel(shown[index])[:, 40:].mean() for index in (2, 24))
    assert after > before + 30


def test_video_shorter_than_a_clip(score: Callable[..., Report], make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip("short.mkv", "-c:v", "ffv1", frames=5)
    report = score(clip, clip, heatmap=tmp_path / "h.mp4")
    assert report.heatmaps[0].frames == (0, 1, 2, 3, 4)
    assert len(read(tmp_path / "h.mp4")[0]) == 5


def test_several_inputs_have_a_file_each(
    score: Callable[..., Report], source: Path, damaged: Path, tmp_path: Path
) -> None:
    report = score([damaged, source], source, heatmap=tmp_path / "h.png")
    assert [heatmap.path for heatmap in report.heatmaps] == [
        str(tmp_path / "h.damaged.png"),
        str(tmp_path / "h.source.png"),
    ]
    panels = [quality_panel(read(Path(heatmap.path))[0][0]) for heatmap in report.heatmaps]
    assert panels[0].mean() > panels[1].mean() + 20


def test_failed_run_leaves_nothing(score: Callable[..., Report], source: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(source.read_bytes()[:-20000])
    with pytest.raises(VqaError):
        score(cut, source, heatmap=tmp_path / "h.mp4")
    assert not (tmp_path / "h.mp4").exists()
    assert temporaries(tmp_path) == []


def test_existing_file(score: Callable[..., Report], source: Path, tmp_path: Path) -> None:
    target = tmp_path / "h.png"
    target.write_text("mine")
    with pytest.raises(OutputError, match=r"h\.png.*-y overwrites it"):
        score(source, source, heatmap=target)
    assert target.read_text() == "mine"
    score(source, source, heatmap=target, overwrite=True)
    assert len(read(target)[0]) == 1


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("none/h.png", OutputError, "create its folder first"),
        ("h.gif", UsageError, "suffix"),
        ("h", UsageError, "suffix"),
        ("source.mkv", UsageError, "one of the inputs"),
    ],
)
def test_refused_before_any_work(
    score: Callable[..., Report],
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    error: type[VqaError],
    message: str,
) -> None:
    monkeypatch.setattr("rankvqa_cli.scoring.engine.probe", lambda *_: pytest.fail("probed"))
    with pytest.raises(error, match=message):
        score(source, source, heatmap=tmp_path / name, overwrite=True)


class Model:
    """What ``Painter.add`` asks of a model."""

    calibration = Calibration()
    info = type("Info", (), {"name": "mute"})


def clip(frames: int) -> Clip:
    planes = [torch.full((frames, h, w), 100, dtype=torch.uint8) for h, w in ((48, 64), (24, 32), (24, 32))]
    return Clip(*planes, LAYOUT)


def output(maps: torch.Tensor | None, weights: torch.Tensor | None = None) -> ClipOutput:
    return ClipOutput(50.0, 1.0, maps, weights)


def test_model_without_maps_is_named(tmp_path: Path) -> None:
    with (
        Heatmaps({(0, 0): str(tmp_path / "h.png")}, Fraction(25)) as run,
        pytest.raises(ModelError, match="mute"),
    ):
        run.start(0, 0).add(ClipScore(0, 4, 50.0), clip(4), output(None), Model())  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_weights_are_shown_against_the_average(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    monkeypatch.setattr(
        heatmaps, "picture", lambda each: (shown.append(each), np.zeros((2, 2, 3), np.uint8))[1]
    )
    weights = torch.tensor([[[0.1, 0.3]], [[0.2, 0.4]]])
    maps = torch.tensor([[[1.0, 0.0]]])
    with Heatmaps({(0, 0): str(tmp_path / "h.mp4")}, Fraction(25)) as run:
        painter = run.start(0, 0)
        painter.add(ClipScore(4, 6, 40.0), clip(2), output(maps, weights), Model())  # type: ignore[arg-type]
        painter.add(ClipScore(5, 7, 60.0), clip(2), output(maps, weights), Model())  # type: ignore[arg-type]
        painter.finish()
        painter.publish(False)
    assert [each.index for each in shown] == [4, 5, 6]
    assert [each.score for each in shown] == [40.0, 50.0, 60.0]
    # The frame that both clips cover has the mean of what they say; 0.25 is the average weight of four.
    for each, expected in zip(shown, ([0.4, 1.2], [0.6, 1.4], [0.8, 1.6]), strict=True):
        np.testing.assert_allclose(each.weights, [expected], rtol=1e-6)
        np.testing.assert_allclose(each.quality, [[50.0, 100.0]])
    assert (tmp_path / "h.mp4").exists()


def test_waiting_frames_are_no_more_than_a_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heatmaps, "picture", lambda each: np.zeros((2, 2, 3), np.uint8))
    with Heatmaps({(0, 0): str(tmp_path / "h.mp4")}, Fraction(25)) as run:
        painter = run.start(0, 0)
        for start in range(0, 60, 3):
            painter.add(ClipScore(start, start + 6, 50.0), clip(6), output(torch.ones(6, 2, 2)), Model())  # type: ignore[arg-type]
            assert len(painter._waiting) == 6  # type: ignore[attr-defined]


def test_started_again_is_started_anew(tmp_path: Path) -> None:
    with Heatmaps({(0, 0): str(tmp_path / "h.mp4")}, Fraction(25)) as run:
        for start in (0, 10):
            painter = run.start(0, 0)
            painter.add(ClipScore(start, start + 2, 50.0), clip(2), output(torch.ones(2, 2, 2)), Model())  # type: ignore[arg-type]
        assert len(temporaries(tmp_path)) == 1
        painter.finish()
        assert painter.publish(False) == (10, 11)
    assert [path.name for path in tmp_path.iterdir()] == ["h.mp4"]


def test_large_video_is_reduced_and_a_picture_is_not() -> None:
    big = FrameFormat(2600, 40, "gray", 8, None, full_range=False, matrix="bt709")
    frame = Clip(torch.full((1, 40, 2600), 235, dtype=torch.uint8), None, None, big)
    quality = np.ones((1, 2, 2))
    where = ClipScore(0, 1, 1.0)
    small = heatmaps._frame(where, frame, 0, quality, None, heatmaps.VIDEO_SIDE).pixels
    assert small.shape == (14, 867, 3)
    assert (small == 255).all()
    assert heatmaps._frame(where, frame, 0, quality, None, 0).pixels.shape == (40, 2600, 3)


def test_colour_that_cannot_be_shown() -> None:
    strange = FrameFormat(64, 48, "yuv420p", 8, (2, 2), full_range=False, matrix="ictcp")
    planes = clip(1)
    frame = Clip(planes.luma, planes.cb, planes.cr, strange)
    with pytest.raises(InputError, match="ictcp"):
        heatmaps._frame(ClipScore(0, 1, 1.0), frame, 0, np.ones((1, 2, 2)), None, 0)
