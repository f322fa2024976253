"""A corpus of one tiny source, made once by the real code."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rankvqa_cli.training.manifest import CorpusOptions
from rankvqa_cli.training.sources import Source

OPTIONS = CorpusOptions(
    frames=4,
    clip_frames=2,
    patches=2,
    ladders=2,
    rungs=2,
    degraded=3,
    codecs=("x264", "mpeg2"),
    tuples=20,
    fold=-1,
    still_width=272,
    still_height=264,
)


@pytest.fixture(scope="session")
def source_video(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "moving.mkv"
    argv = [
        ffmpeg,
        "-v",
        "error",
        "-nostdin",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=272x264:rate=25,noise=alls=8:allf=t",
    ]
    subprocess.run([*argv, "-frames:v", "6", "-c:v", "ffv1", str(path)], check=True, timeout=60)
    return path


@pytest.fixture(scope="session")
def corpus(source_video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished corpus folder of one source."""
    from rankvqa_cli.training.corpus import make_corpus

    folder = tmp_path_factory.mktemp("corpus")
    source = Source(source_video, "moving", "moving")
    make_corpus([source], OPTIONS, folder, 1, lambda name: None)
    return folder
