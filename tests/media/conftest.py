from __future__ import annotations

import shutil

import pytest

from rankvqa_cli.media.ffmpeg import BINARY_VARIABLE


@pytest.fixture(params=["packaged", "on PATH"])
def either_ffmpeg(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, ffmpeg: str) -> str:
    """Runs a test with the packaged FFmpeg and, where the machine has another, with that one too."""
    found = shutil.which("ffmpeg")
    if request.param == "on PATH" and found is None:
        pytest.skip("no FFmpeg on PATH to test beside the packaged one")
    binary = ffmpeg if request.param == "packaged" else str(found)
    monkeypatch.setenv(BINARY_VARIABLE, binary)
    return binary
