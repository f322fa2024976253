"""Fixtures for every test: a folder of models of its own, small synthetic clips, a tiny model, the shared media."""

from __future__ import annotations

import csv
import dataclasses
import os
import subprocess
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Protocol

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"
REQUIRE_SHARED = "VQA_SCORE_REQUIRE_SHARED"


class MakeClip(Protocol):
    def __call__(
        self,
        name: str,
        *extra: str,
        frames: int = 12,
        size: str = "64x48",
        rate: int | str = 25,
        source: str = "testsrc2",
        pix_fmt: str = "yuv420p",
    ) -> Path: ...


def pytest_configure() -> None:
    """The networks of the tests are so small that a second thread only waits: one, set before torch is imported."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever asks for the shared media is marked so, whether or not the test says it."""
    for item in items:
        if "shared" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.shared)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A shared test that is skipped where the media must be there is a failure, not a quiet line."""
    report = yield
    if report.skipped and os.environ.get(REQUIRE_SHARED) and item.get_closest_marker("shared"):
        report.outcome = "failed"
        report.longrepr = f"skipped although {REQUIRE_SHARED} is set: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's own models."""
    monkeypatch.setenv("VQA_SCORE_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder ../shared beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip(f"NOT TESTED: the media in {SHARED} are absent")
    return SHARED


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    """The FFmpeg that comes with imageio-ffmpeg: it has every encoder the tests use, whatever the machine has."""
    import imageio_ffmpeg

    return str(imageio_ffmpeg.get_ffmpeg_exe())


@pytest.fixture
def make_clip(ffmpeg: str, tmp_path: Path) -> MakeClip:
    """Builds a clip from a lavfi source in the test's own folder: ``make_clip("a.mp4", "-crf", "30", frames=20)``.

    The name's suffix chooses the container, ``extra`` goes before the output; ``.yuv`` gives raw frames.
    """

    def make(
        name: str,
        *extra: str,
        frames: int = 12,
        size: str = "64x48",
        rate: int | str = 25,
        source: str = "testsrc2",
        pix_fmt: str = "yuv420p",
    ) -> Path:
        path = tmp_path / name
        raw = ["-f", "rawvideo"] if name.endswith(".yuv") else []
        lavfi = f"{source}{':' if '=' in source else '='}size={size}:rate={rate}"
        argv = [ffmpeg, "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", lavfi, "-frames:v", str(frames)]
        argv += ["-pix_fmt", pix_fmt, "-threads", "1", *extra, *raw, f"file:{path}"]
        subprocess.run(argv, check=True, timeout=60)
        return path

    return make


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file of a few thousand random parameters (fixed seed). Shared by all tests: copy it before a change."""
    import torch

    from rankvqa_cli.models.contract import Calibration
    from rankvqa_cli.models.patchnet import TINY, PatchNet
    from rankvqa_cli.models.store import ModelFile, write_model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(20)
        network = PatchNet(TINY)
    path = tmp_path_factory.mktemp("tiny") / "tiny.safetensors"
    header = ModelFile(
        name="tiny",
        kind="full-reference",
        architecture="patchnet",
        config=dataclasses.asdict(TINY),
        calibration=Calibration(),
        clip_frames=12,
        provenance="random parameters, for tests",
    )
    write_model(path, header, network.state_dict())
    return path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file, by its name, was decoded for scoring; small pictures for an alignment do not count."""
    from rankvqa_cli.media.reader import FrameReader

    count: Counter[str] = Counter()
    begin = FrameReader.open

    def counted(reader: FrameReader) -> None:
        if reader._process is None and reader._scaler == "bicubic":
            count[Path(reader._planned.info.spec.path).name] += 1
        begin(reader)

    monkeypatch.setattr(FrameReader, "open", counted)
    return count


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory, ffmpeg: str) -> Path:
    """``one.mp4`` and ``two.mp4``, each with encodes ``NAME_CODEC_CRF.mp4``: 64x48, 14 frames. Not to be changed."""
    folder = tmp_path_factory.mktemp("media")

    def run(*argv: str) -> None:
        subprocess.run([ffmpeg, "-v", "error", "-nostdin", "-y", *argv], check=True, timeout=120)

    for name, source in (("one", "testsrc2"), ("two", "testsrc")):
        lavfi = ("-f", "lavfi", "-i", f"{source}=size=64x48:rate=25", "-frames:v", "14")
        run(*lavfi, "-pix_fmt", "yuv420p", "-crf", "4", str(folder / f"{name}.mp4"))
        for crf in ("30", "42"):
            for codec, encoder in (("x264", "libx264"), ("mpeg4", "mpeg4")):
                quality = ("-crf", crf) if codec == "x264" else ("-q:v", str(int(crf) // 3))
                out = folder / f"{name}_{codec}_{crf}.mp4"
                run("-i", str(folder / f"{name}.mp4"), "-c:v", encoder, *quality, str(out))
    return folder


@pytest.fixture
def rows(media: Path) -> list[dict[str, str]]:
    """Eight jobs, content by content."""
    return [
        {
            "distorted": str(media / f"{name}_{codec}_{crf}.mp4"),
            "reference": str(media / f"{name}.mp4"),
            "codec": codec,
            "crf": crf,
        }
        for name in ("one", "two")
        for codec in ("x264", "mpeg4")
        for crf in ("30", "42")
    ]


@pytest.fixture
def listing(tmp_path: Path) -> Callable[[list[dict[str, str]]], Path]:
    """Writes rows as ``jobs.csv``."""

    def write(rows: list[dict[str, str]]) -> Path:
        path = tmp_path / "jobs.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write
