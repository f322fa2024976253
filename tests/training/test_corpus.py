"""Corpus: what a source becomes, that it is the same every time, and that sources that cannot be used are named."""

from __future__ import annotations

import csv
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rankvqa_cli.errors import InputError, UsageError
from rankvqa_cli.models.files import sha256_of
from rankvqa_cli.training.corpus import check_sources, make_source
from rankvqa_cli.training.datasets import load_corpus
from rankvqa_cli.training.orders import SURE
from rankvqa_cli.training.sources import Source, list_sources

from .conftest import OPTIONS


def test_shapes_labels_and_orders(corpus: Path) -> None:
    shard = load_corpus(corpus)[0]
    assert shard.reference.shape == (2, 2, 256 * 256 * 3 // 2)
    assert shard.distorted.shape == (7, 2, 2, 256 * 256 * 3 // 2)
    assert len(shard.versions) == 7
    assert not np.array_equal(shard.distorted[0], shard.reference)
    assert shard.labels.keys() == {"vmaf", "vmaf_v1", "xpsnr", "ssim", "psnr_y"}
    # Within a ladder the finer quantiser has the higher PSNR.
    ladders = [i for i, version in enumerate(shard.versions) if version.family == "codec"]
    pairs = [(i, j, p) for i, j, p in np.argwhere(shard.better >= SURE) if i in ladders and j in ladders]
    assert len(pairs) >= 4
    assert all(shard.labels["psnr_y"][i, p] > shard.labels["psnr_y"][j, p] for i, j, p in pairs)


def test_manifest_names_every_file(corpus: Path) -> None:
    manifest = json.loads((corpus / "manifest.json").read_text())
    files = {str(path.relative_to(corpus)) for path in corpus.rglob("*") if path.is_file()}
    assert set(manifest["sha256"]) == files - {"manifest.json", ".lock"}
    assert all(sha256_of(corpus / file) == digest for file, digest in manifest["sha256"].items())
    assert manifest["split"] == {"fold": -1, "folds": 5, "held_out": []}
    assert manifest["ffmpeg"].startswith("ffmpeg version")


def test_index_has_every_command(corpus: Path) -> None:
    index = json.loads((corpus / "moving" / "index.json").read_text())
    assert index["rate"] == "25"
    assert "SOURCE" in index["ffmpeg"]["source"]
    assert any("libvmaf" in part and "xpsnr" in part for part in index["ffmpeg"]["labels"])
    for version in index["versions"]:
        encodes = [step for step in version["steps"] if step["step"] == "encode"]
        assert len(version["ffmpeg"]) == 2 * len(encodes)
        for encode, command in zip(encodes, version["ffmpeg"][::2], strict=True):
            assert str(encode["quality"]) in command
            assert command[-1] == "ENCODED"


def test_a_source_comes_out_the_same_again(corpus: Path, source_video: Path, tmp_path: Path) -> None:
    make_source(Source(source_video, "moving", "moving"), OPTIONS, tmp_path)
    for part in ("ref.npy", "dist.npy", "index.json"):
        assert (tmp_path / "moving" / part).read_bytes() == (corpus / "moving" / part).read_bytes()


def test_tuples_name_what_the_corpus_holds(corpus: Path) -> None:
    shard = load_corpus(corpus)[0]
    with (corpus / "tuples.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        assert (row["side"], row["form"], row["source_a"]) == ("training", "one", "moving")
        assert row["source_a"] == row["source_b"]
        assert row["patch_a"] == row["patch_b"]
        a, b, patch = int(row["version_a"]), int(row["version_b"]), int(row["patch_a"])
        assert a != b
        assert 0.75 <= float(row["certainty"]) <= 1
        if row["by"] == "construction":
            first, second = (a, b) if row["better"] == "a" else (b, a)
            assert shard.better[first, second, patch] == pytest.approx(float(row["certainty"]), abs=1e-4)


def test_still_gets_a_camera(ffmpeg: str, tmp_path: Path) -> None:
    still = tmp_path / "still.png"
    argv = [ffmpeg, "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x600", "-frames:v", "1", str(still)]
    subprocess.run(argv, check=True, timeout=60)
    source = Source(still, "still", "still")
    moving = [np.load(make(source, seed, tmp_path) / "still" / "ref.npy") for seed in (1, 2)]
    assert moving[0].shape == (2, 2, 256 * 256 * 3 // 2)
    assert not np.array_equal(moving[0], moving[1])


def make(source: Source, seed: int, folder: Path) -> Path:
    out = folder / f"seed{seed}"
    out.mkdir()
    make_source(source, replace(OPTIONS, seed=seed, degraded=0), out)
    return out


def test_too_small_a_source_is_named(source_video: Path, tmp_path: Path) -> None:
    source = Source(source_video, "m", "m", reduce=1.05)
    with pytest.raises(
        InputError, match=r"moving\.mkv' is 256x248 after reduction by 1.05: smaller than the patch"
    ):
        make_source(source, OPTIONS, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_too_short_a_source_is_named(source_video: Path) -> None:
    with pytest.raises(InputError, match=r"moving\.mkv' gives 6 frames from 0 s; 8 are needed"):
        check_sources([Source(source_video, "m", "m")], replace(OPTIONS, frames=8))


def test_each_source_keeps_its_rate(ffmpeg: str, tmp_path: Path) -> None:
    """A list may mix rates, also one that MPEG-2 does not know."""
    for name, rate in (("slow", "20"), ("film", "24000/1001")):
        lavfi = f"testsrc2=size=264x264:rate={rate}"
        argv = [ffmpeg, "-v", "error", "-f", "lavfi", "-i", lavfi, "-frames:v", "4", "-c:v", "ffv1"]
        subprocess.run([*argv, str(tmp_path / f"{name}.mkv")], check=True, timeout=60)
    options = replace(OPTIONS, codecs=("mpeg2",), ladders=1, degraded=0, patches=1)
    for name, rate in (("slow", "20"), ("film", "24000/1001")):
        make_source(Source(tmp_path / f"{name}.mkv", name, name), options, tmp_path)
        assert json.loads((tmp_path / name / "index.json").read_text())["rate"] == rate


def test_variable_rate_is_named(ffmpeg: str, tmp_path: Path) -> None:
    video = tmp_path / "jumps.mkv"
    argv = [ffmpeg, "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=264x264", "-frames:v", "6"]
    argv += ["-vf", "setpts=N*N*0.04/TB", "-fps_mode", "passthrough", "-c:v", "ffv1", str(video)]
    subprocess.run(argv, check=True, timeout=60)
    with pytest.raises(InputError, match=r"jumps\.mkv' has a variable frame rate"):
        check_sources([Source(video, "j", "j")], OPTIONS)


@pytest.mark.parametrize("name", ["broken.mp4", "broken.png"])
def test_unreadable_source_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no picture in here" * 20)
    with pytest.raises(InputError, match=name):
        check_sources([Source(tmp_path / name, "b", "b")], OPTIONS)


def test_one_content_cannot_be_split(source_video: Path) -> None:
    with pytest.raises(InputError, match="one content only"):
        check_sources([Source(source_video, "m", "m")], replace(OPTIONS, fold=0))


def test_list_of_sources(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    listing = tmp_path / "list.csv"
    listing.write_text("path,content,start_s,reduce\na.mp4,animal,1.5,2\na.mp4,animal,,\n")
    first, second = list_sources(listing)
    assert (first.content, first.name, first.start_s, first.reduce) == ("animal", "a_1.5s_r2", 1.5, 2.0)
    assert (second.name, second.start_s) == ("a", 0.0)
    assert [source.content for source in list_sources(tmp_path)] == ["a"]


@pytest.mark.parametrize(
    ("rows", "message", "kind"),
    [
        ("a.mp4\nb.mp4\n", r"row 3: no such file", InputError),
        ("a.mp4\na.mp4\n", r"'a' more than once", UsageError),
        ("a.mp4,x\n", r"row 2: could not convert", UsageError),
        ("a.mp4,nan\n", r"row 2: start_s nan", UsageError),
        ("a.mp4,-1\n", r"row 2: start_s -1", UsageError),
        ("", "names no source", UsageError),
    ],
)
def test_bad_list_names_the_row(tmp_path: Path, rows: str, message: str, kind: type[Exception]) -> None:
    (tmp_path / "a.mp4").touch()
    listing = tmp_path / "list.csv"
    listing.write_text("path,start_s\n" + rows)
    with pytest.raises(kind, match=message):
        list_sources(listing)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    for suffix in ("mp4", "png"):
        (tmp_path / f"a.{suffix}").touch()
    with pytest.raises(UsageError, match="'a' more than once"):
        list_sources(tmp_path)
