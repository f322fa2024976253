from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from rankvqa_cli.errors import UsageError
from rankvqa_cli.media.ffmpeg import (
    BINARY_VARIABLE,
    count_options,
    decode_argv,
    ffmpeg_version,
    file_url,
    find_ffmpeg,
    passthrough_options,
    queue_options,
    strict_decoder,
)


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_the_variable_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = script(tmp_path / "my-ffmpeg", "echo ffmpeg version 7.7.7 Copyright")
    script(tmp_path / "ffmpeg", "echo ffmpeg version 6.6.6 Copyright")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv(BINARY_VARIABLE, str(chosen))
    assert find_ffmpeg() == str(chosen)
    assert ffmpeg_version() == "7.7.7"
    monkeypatch.delenv(BINARY_VARIABLE)
    assert find_ffmpeg() == str(tmp_path / "ffmpeg")


def test_without_either_the_packaged_binary_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ffmpeg: str
) -> None:
    monkeypatch.delenv(BINARY_VARIABLE, raising=False)
    monkeypatch.delenv("IMAGEIO_FFMPEG_EXE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_ffmpeg() == ffmpeg
    assert ffmpeg_version()


@pytest.mark.parametrize("value", ["/nowhere/ffmpeg", "no-such-program\n"])
def test_a_wrong_variable_is_an_error_not_a_fallback(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(BINARY_VARIABLE, value)
    with pytest.raises(UsageError, match=BINARY_VARIABLE) as caught:
        find_ffmpeg()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("body", ["echo hello", "exit 3"])
def test_a_program_that_is_not_ffmpeg_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    monkeypatch.setenv(BINARY_VARIABLE, str(script(tmp_path / "fake", body)))
    with pytest.raises(UsageError, match="does not answer"):
        ffmpeg_version()


def test_the_option_against_duplicated_frames_follows_the_version() -> None:
    assert passthrough_options("4.4.2-0ubuntu0.22.04.1") == {"vsync": "passthrough"}
    assert passthrough_options("5.0") == {"vsync": "passthrough"}
    for version in ("5.1.9-0+deb12u1", "n9.0.2-17-g2a571b6068", "N-118000-gabcdef", "10.0"):
        assert passthrough_options(version) == {"fps_mode": "passthrough"}


def test_frames_are_queued_by_the_reader_alone_where_ffmpeg_can_be_told_so() -> None:
    for version in ("7.0.2", "n9.0.2-17-g2a571b6068", "10.0"):
        assert queue_options(version) == {"thread_queue_size": "1"}
    for version in ("4.4.2-0ubuntu0.22.04.1", "5.1.9-0+deb12u1", "6.1.1", "N-118000-gabcdef"):
        assert queue_options(version) == {}


def test_frames_are_counted_in_one_report_where_ffmpeg_can_be_told_so() -> None:
    for version in ("4.4.2-0ubuntu0.22.04.1", "5.1.9-0+deb12u1", "n9.0.2-17-g2a571b6068", "N-118000-gabcdef"):
        assert count_options(version)[:3] == ("-progress", "pipe:2", "-stats_period")
    assert count_options("4.3.8-0+deb11u3") == ("-progress", "pipe:2")


def test_names_are_data() -> None:
    assert file_url("-") == "pipe:0"
    for name in ("-x.mp4", "http://host/x", "a 'b'\n%d.mp4", "concat:a|b"):
        assert file_url(name) == f"file:{name}"
    argv = decode_argv("-x.mp4", {}, ["null"], frames=3, threads=2)
    assert argv[argv.index("-i") + 1] == "file:-x.mp4"
    assert argv[argv.index("-protocol_whitelist") + 1] == "file,pipe"
    assert argv.index("-protocol_whitelist") < argv.index("-i") < argv.index("-frames:v")
    assert "-nostdin" in argv


def test_vp9_goes_through_the_decoder_that_notices_damage() -> None:
    decoders = subprocess.run(
        [find_ffmpeg(), "-hide_banner", "-decoders"], capture_output=True, text=True, check=True
    )
    expected = "libvpx-vp9" if "libvpx-vp9" in decoders.stdout else None
    assert strict_decoder("vp9", "yuv420p") == expected
    assert strict_decoder("vp9", "yuv420p10le") is None
    assert strict_decoder("h264", "yuv420p") is None
