"""A corpus broken off at any moment, begun otherwise, on a full disk, or damaged: never a mix, never half of one."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rankvqa_cli.errors import InputError, OutputError, UsageError
from rankvqa_cli.training import corpus as making
from rankvqa_cli.training.corpus import make_corpus, make_source
from rankvqa_cli.training.datasets import load_corpus, split_by_content
from rankvqa_cli.training.manifest import CorpusOptions, only_run
from rankvqa_cli.training.sources import Source, run_ffmpeg

from .conftest import OPTIONS

COMMAND = [sys.executable, "-m", "rankvqa_cli", "corpus", "sources", "--fold", "-1", "--frames", "12"]
COMMAND += [
    "--ladders",
    "1",
    "--rungs",
    "2",
    "--degraded",
    "2",
    "--patches",
    "1",
    "--codecs",
    "x264",
    "--jobs",
    "1",
]


def test_killed_and_started_again_ends_like_an_unbroken_run(ffmpeg: str, tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    for name, lavfi in (("a", "testsrc2"), ("b", "mandelbrot"), ("c", "smptebars")):
        argv = [
            ffmpeg,
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            f"{lavfi}=size=264x264:rate=25",
            "-frames:v",
            "12",
        ]
        video = tmp_path / "sources" / f"{name}.mkv"
        subprocess.run([*argv, "-pix_fmt", "yuv420p", "-c:v", "ffv1", str(video)], check=True, timeout=60)
    subprocess.run([*COMMAND, "-o", "whole"], cwd=tmp_path, check=True, capture_output=True, timeout=300)

    broken = tmp_path / "broken"
    run = subprocess.Popen([*COMMAND, "-o", "broken"], cwd=tmp_path, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and run.poll() is None:
        # In the middle of a source, another one being there.
        if list(broken.glob("*/index.json")) and list(broken.glob(".making-*/source.yuv")):
            break
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert not (broken / "manifest.json").exists(), "it was whole before it could be killed"
    with pytest.raises(InputError, match="not a finished corpus"):
        load_corpus(broken)
    before = {path: path.stat().st_mtime_ns for path in broken.glob("*/dist.npy")}

    subprocess.run([*COMMAND, "-o", "broken"], cwd=tmp_path, check=True, capture_output=True, timeout=300)
    assert (broken / "manifest.json").read_bytes() == (tmp_path / "whole" / "manifest.json").read_bytes()
    assert before
    assert all(path.stat().st_mtime_ns == written for path, written in before.items())
    assert not list(broken.glob(".making-*"))
    assert len(load_corpus(broken)) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 2}, "seed 1, not 2"),
        ({"patches": 3}, "patches 2, not 3"),
        ({"codecs": ("x264",)}, "codecs"),
        ({"degraded": 0}, "degraded 3, not 0"),
    ],
)
def test_other_options_are_not_mixed_in(
    corpus: Path, source_video: Path, change: dict[str, object], message: str
) -> None:
    options = replace(OPTIONS, **change)  # type: ignore[arg-type]
    before = (corpus / "manifest.json").read_bytes()
    with pytest.raises(UsageError, match=f"holds a corpus made otherwise.*{message}"):
        make_corpus([Source(source_video, "moving", "moving")], options, corpus, 1, lambda name: None)
    assert (corpus / "manifest.json").read_bytes() == before


def test_another_source_of_the_same_name_is_not_taken_for_it(corpus: Path, source_video: Path) -> None:
    with pytest.raises(UsageError, match="made of another source"):
        make_source(Source(source_video, "moving", "moving", reduce=1.02), OPTIONS, corpus)


def test_a_folder_of_something_else_is_refused(corpus: Path, source_video: Path, tmp_path: Path) -> None:
    shutil.copytree(corpus / "moving", tmp_path / "moving")
    with pytest.raises(UsageError, match=r"no options\.json"):
        make_corpus([Source(source_video, "moving", "moving")], OPTIONS, tmp_path, 1, lambda name: None)


def test_a_second_run_waits_its_turn(source_video: Path, tmp_path: Path) -> None:
    with only_run(tmp_path), pytest.raises(OutputError, match="another run is at work"):
        make_corpus([Source(source_video, "moving", "moving")], OPTIONS, tmp_path, 1, lambda name: None)


def test_a_full_disk_leaves_nothing_behind(
    source_video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(path: Path, array: np.ndarray) -> None:
        path.write_bytes(b"\x93NUMPY")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(making.np, "save", save)
    with pytest.raises(OutputError, match=rf"{tmp_path.name}.*'moving'.*No space left"):
        make_source(Source(source_video, "moving", "moving"), replace(OPTIONS, degraded=0), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_ffmpeg_without_room_is_an_output_error() -> None:
    arguments = ["-f", "lavfi", "-i", "testsrc2", "-frames:v", "2", "-f", "rawvideo", "/dev/full"]
    with pytest.raises(OutputError, match="no room"):
        run_ffmpeg(arguments)


def test_options_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="do not fit"):
        CorpusOptions(frames=8)
    with pytest.raises(UsageError, match="a patch of 512"):
        CorpusOptions(patch=512)
    with pytest.raises(UsageError, match="no fold 5 of 5"):
        CorpusOptions(fold=5)


@pytest.fixture
def copied(corpus: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(corpus, tmp_path / "corpus"))


@pytest.mark.parametrize("part", ["index.json", "ref.npy", "dist.npy"])
def test_truncated_file_is_named(copied: Path, part: str) -> None:
    path = copied / "moving" / part
    os.truncate(path, path.stat().st_size - 100)
    with pytest.raises(InputError, match=rf"moving/{part}' is damaged"):
        load_corpus(copied)
    path.unlink()
    with pytest.raises(InputError, match=rf"moving/{part}' is damaged"):
        load_corpus(copied)


def test_arrays_that_do_not_fit_are_named(copied: Path) -> None:
    path = copied / "moving" / "dist.npy"
    np.save(path, np.load(path)[:-1])
    with pytest.raises(InputError, match=r"moving/dist\.npy' is damaged .*does not fit"):
        load_corpus(copied)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda index: index["labels"].pop("xpsnr"), "xpsnr"),
        (
            lambda index: index["labels"]["vmaf"][2].__setitem__(1, float("nan")),
            "vmaf of version 2, patch 1 is not",
        ),
        (lambda index: index["labels"]["vmaf"][2].__setitem__(1, None), "vmaf of version 2, patch 1 is not"),
        (lambda index: index["labels"]["ssim"].pop(), "ssim has"),
        (lambda index: index["orders"][0].__setitem__(0, 99), "order 0 names no two versions"),
        (lambda index: index["orders"][0].__setitem__(3, [1.5, 1]), "order 0 names no two versions"),
        (lambda index: index["versions"][0]["steps"][0].__setitem__("codec", "h266"), "unknown codec 'h266'"),
    ],
)
def test_damaged_index_is_named(copied: Path, damage: object, message: str) -> None:
    path = copied / "moving" / "index.json"
    index = json.loads(path.read_text())
    assert callable(damage)
    damage(index)
    path.write_text(json.dumps(index))
    with pytest.raises(InputError, match=rf"moving/index\.json' is damaged \(.*{message}"):
        load_corpus(copied)


def test_a_corpus_of_another_version_is_refused(copied: Path) -> None:
    path = copied / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"format": 1}))
    with pytest.raises(InputError, match="another version"):
        load_corpus(copied)


def test_one_content_is_not_split(corpus: Path) -> None:
    shards = load_corpus(corpus)
    assert split_by_content(shards, -1, 5) == (shards, [])
    with pytest.raises(InputError, match="one content only"):
        split_by_content(shards, 0, 5)
