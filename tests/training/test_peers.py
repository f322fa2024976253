"""libvmaf's metrics on the frames that the models see."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from conftest import MakeClip

from rankvqa_cli.errors import InputError, UsageError
from rankvqa_cli.training.common_size import write_scaled
from rankvqa_cli.training.peers import PEERS, measure_peers, require_peers

# Where the published measurements of the very same stills stand, and to how many decimals.
COLUMNS = {
    "psnr": ("frame_psnr_y", 3),
    "ssim": ("frame_ssim", 5),
    "ms-ssim": ("frame_msssim", 5),
    "vmaf": ("frame_vmaf_v0.6.1", 3),
    "vmaf_v1": ("frame_vmaf_v1.0.16_3d0h", 3),
}


def test_names() -> None:
    assert require_peers("vmaf, psnr,vmaf") == ("vmaf", "psnr")
    with pytest.raises(UsageError, match="no peer is called 'vmaff': choose from psnr, ssim"):
        require_peers("psnr,vmaff")


def test_psnr_is_what_the_definition_says(make_clip: MakeClip) -> None:
    size = 48 * 64
    reference = make_clip("r.y4m", frames=3, size="64x48")
    frames = reference.read_bytes().split(b"FRAME\n")
    header, planes = frames[0], [np.frombuffer(frame, np.uint8) for frame in frames[1:]]
    raised = [np.r_[p[:size].clip(4, 251) + (n + 1), p[size:]].astype(np.uint8) for n, p in enumerate(planes)]
    distorted = reference.with_name("d.y4m")
    distorted.write_bytes(b"FRAME\n".join([header, *(p.tobytes() for p in raised)]))
    errors = [np.mean((a[:size].astype(float) - b[:size]) ** 2) for a, b in zip(planes, raised, strict=True)]
    expected = np.mean([10 * math.log10(255**2 / error) for error in errors])
    (found,) = measure_peers([distorted], reference, ["psnr"])
    assert found["psnr"] == pytest.approx(expected, abs=1e-3)


def test_several_at_once_of_other_sizes(make_clip: MakeClip) -> None:
    reference = make_clip("r.mp4", "-crf", "1", frames=3, size="256x256")
    good = make_clip("good.mp4", "-crf", "10", frames=3, size="256x256")
    small = make_clip("small.mp4", "-crf", "10", frames=3, size="64x64")
    first, second = measure_peers([good, small], reference, list(PEERS))
    assert set(first) == set(PEERS)
    assert all(first[name] > second[name] for name in PEERS)


def test_other_lengths_and_rates_are_refused(make_clip: MakeClip) -> None:
    reference = make_clip("r.mp4", frames=6)
    with pytest.raises(InputError, match=r"short\.mp4"):
        measure_peers([make_clip("short.mp4", frames=4)], reference, ["psnr"])
    with pytest.raises(InputError, match=r"slow\.mp4"):
        measure_peers([make_clip("slow.mp4", frames=3, rate="25/2")], reference, ["psnr"])


def test_too_small_is_said(make_clip: MakeClip) -> None:
    clip = make_clip("tiny.mp4", frames=2)
    with pytest.raises(InputError, match=r"gave no ms-ssim of .*tiny\.mp4': 64x48 may be too small"):
        measure_peers([clip], clip, ["ms-ssim"])


def test_stills_give_the_published_measurements(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "avt"
    with (folder / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for number in (3, 200, 501):
        row = rows[number]
        distorted = write_scaled(folder / row["frame"], (1920, 1080), tmp_path / "d.y4m")
        reference = write_scaled(folder / row["source"], (1920, 1080), tmp_path / "r.y4m")
        (found,) = measure_peers([distorted], reference, list(PEERS))
        for name, (column, decimals) in COLUMNS.items():
            assert found[name] == pytest.approx(float(row[column]), abs=0.51 * 10**-decimals), (
                row["frame"],
                name,
            )
