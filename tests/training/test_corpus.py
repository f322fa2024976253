"""Corpus: what a source becomes, that it is the same every time, and that rows that cannot be used are named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rankvqa_cli.errors import InputError, UsageError
from rankvqa_cli.training.corpus import list_sources, make_source
from rankvqa_cli.training.encodes import CODECS, Encode, draw_ladders
from rankvqa_cli.training.sources import Source

from .conftest import OPTIONS


def test_shapes_labels_and_order(corpus: Path) -> None:
    reference = np.load(corpus / "moving" / "ref.npy")
    distorted = np.load(corpus / "moving" / "dist.npy")
    index = json.loads((corpus / "moving" / "index.json").read_text())
    assert reference.shape == (2, 2, 256 * 256 * 3 // 2)
    assert distorted.shape == (4, 2, 2, 256 * 256 * 3 // 2)
    assert not np.array_equal(distorted[0], reference)
    for label in ("vmaf", "vmaf_v1", "psnr_y", "ssim"):
        assert np.isfinite(index["labels"][label]).all()
    # Within a ladder of the source's own size the finer quantiser has the higher PSNR.
    psnr = np.array(index["labels"]["psnr_y"]).mean(axis=1)
    encodes = [Encode(e["codec"], e["quality"], e["scale"]) for e in index["encodes"]]
    orders = [(i, j) for i, a in enumerate(encodes) for j, b in enumerate(encodes) if a.is_better_than(b)]
    assert orders
    assert all(psnr[i] > psnr[j] for i, j in orders)


def test_a_source_comes_out_the_same_again(corpus: Path, source_video: Path, tmp_path: Path) -> None:
    make_source(Source(source_video, "moving", "moving"), OPTIONS, tmp_path)
    for part in ("ref.npy", "dist.npy", "index.json"):
        assert (tmp_path / "moving" / part).read_bytes() == (corpus / "moving" / part).read_bytes()


def test_still_gets_a_camera(ffmpeg: str, tmp_path: Path) -> None:
    import subprocess

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
    make_source(source, replace(OPTIONS, seed=seed), out)
    return out


def test_too_small_a_source_is_named(source_video: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"moving\.mkv.*smaller than the patch"):
        make_source(Source(source_video, "m", "m"), replace(OPTIONS, patch=288), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_too_short_a_source_is_named(source_video: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"moving\.mkv.* gives 6 frames"):
        make_source(Source(source_video, "m", "m"), replace(OPTIONS, frames=8), tmp_path)


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
    ],
)
def test_bad_list_names_the_row(tmp_path: Path, rows: str, message: str, kind: type[Exception]) -> None:
    (tmp_path / "a.mp4").touch()
    listing = tmp_path / "list.csv"
    listing.write_text("path,start_s\n" + rows)
    with pytest.raises(kind, match=message):
        list_sources(listing)


def test_ladders_cover_their_range() -> None:
    encodes = draw_ladders(np.random.default_rng(5), ladders=5, rungs=4)
    assert {encode.codec for encode in encodes} == set(CODECS)
    for first in range(0, 20, 4):
        rungs = encodes[first : first + 4]
        assert [e.quality for e in rungs] == sorted(e.quality for e in rungs)
        assert CODECS[rungs[0].codec].fine <= rungs[0].quality
    assert all(encode.scale == 1.0 for encode in encodes[:12])


def test_order_holds_only_where_constructed() -> None:
    fine = Encode("x264", 20, 1.0)
    assert fine.is_better_than(Encode("x264", 23, 1.0))
    assert not fine.is_better_than(Encode("x264", 22, 1.0))
    assert not fine.is_better_than(Encode("x265", 30, 1.0))
    assert not fine.is_better_than(Encode("x264", 30, 0.5))
