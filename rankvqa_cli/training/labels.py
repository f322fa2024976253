"""Objective labels of patch clips, many patches in one FFmpeg run, and what two clips' labels say of their order."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rankvqa_cli.errors import InputError, OutputError
from rankvqa_cli.training.sources import run_ffmpeg

#: XPSNR and SSIM in dB are infinite for equal frames: both are cut off here, far above what anybody sees.
CEILING_DB = 60.0

LABELS = ("vmaf", "vmaf_v1", "xpsnr", "ssim", "psnr_y")

#: A difference that is just clear, in one source's versions: VMAF points, XPSNR in dB, SSIM in dB (see ``ssim_db``).
CLEAR = {"vmaf": 6.0, "vmaf_v1": 6.0, "xpsnr": 1.0, "ssim": 1.0}

#: Across sources only VMAF is compared, and a clear difference has to be larger.
CLEAR_ACROSS = {"vmaf": 10.0, "vmaf_v1": 10.0}

_XPSNR = re.compile(r"XPSNR y: *(\S+) +XPSNR u: *(\S+) +XPSNR v: *(\S+)")
_SSIM = re.compile(r" Y:(\S+) ")


def label_patches(
    reference: NDArray[np.uint8], distorted: NDArray[np.uint8], size: int, scratch: Path
) -> tuple[dict[str, NDArray[np.float32]], tuple[str, ...]]:
    """Mean score a patch clip, and FFmpeg's arguments. Both arrays are (patches, frames, size * size * 3 / 2) uint8;
    each label is (patches,).

    ``vmaf`` is v0.6.1 and ``vmaf_v1`` v1.0.16_3d0h, 0 to 100. ``xpsnr`` is (4 Y + U + V) / 6 in dB, each component cut
    off at 60 dB. ``ssim`` is FFmpeg's, of luma, ``psnr_y`` libvmaf's, in dB.

    The patches are strung together into one video. VMAF's motion feature is the smaller of the differences to the
    frame before and after, so a cut between two patches leaves it untouched; a video's first frame has none before it,
    so a frame of the last patch comes first and is not counted. XPSNR weighs a frame by its difference to
    the one before, so the first frame of every patch is left out of its mean where there are others.
    """
    patches, frames = reference.shape[:2]
    paths = scratch / "labels_ref.yuv", scratch / "labels_dis.yuv"
    for path, array in zip(paths, (reference, distorted), strict=True):
        with path.open("wb") as file:
            array[-1, -1].tofile(file)
            array.tofile(file)
    logs = scratch / "vmaf.json", scratch / "xpsnr.txt", scratch / "ssim.txt"
    raw = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{size}x{size}", "-r", "25"]
    models = "version=vmaf_v0.6.1\\\\:name=vmaf|version=vmaf_v1.0.16_3d0h\\\\:name=vmaf_v1"
    graph = "[0:v]split=3[d0][d1][d2];[1:v]split=3[r0][r1][r2];"
    graph += (
        f"[d0][r0]libvmaf=log_fmt=json:log_path={logs[0].name}:n_threads=1:model={models}:feature=name=psnr,"
    )
    graph += (
        f"nullsink;[d1][r1]xpsnr=stats_file={logs[1].name},nullsink;[d2][r2]ssim=stats_file={logs[2].name}"
    )
    # In the scratch folder, so that no path needs escaping inside the filter graph.
    arguments = [*raw, "-i", paths[1].name, *raw, "-i", paths[0].name, "-lavfi", graph, "-f", "null", "-"]
    run_ffmpeg(arguments, subject="libvmaf", folder=scratch)
    if not logs[0].exists():  # libvmaf gives up without a word, and FFmpeg exits with 0
        raise InputError(
            f"libvmaf wrote no scores for patches of {size} x {size}; its features need larger ones"
        )
    frame_scores = _read_logs(*logs)
    for path in (*paths, *logs):
        path.unlink()
    means = {}
    for name, values in frame_scores.items():
        if len(values) != 1 + patches * frames:
            raise OutputError(f"the log of {name} has {len(values)} of {1 + patches * frames} frames")
        first = 1 if name == "xpsnr" and frames > 1 else 0
        means[name] = np.array(values[1:], np.float32).reshape(patches, frames)[:, first:].mean(axis=1)
    return means, tuple(arguments)


def _read_logs(vmaf: Path, xpsnr: Path, ssim: Path) -> dict[str, list[float]]:
    """Scores a frame. A log that is cut short gives fewer; what cannot be read at all gives none."""
    try:
        entries = [frame["metrics"] for frame in json.loads(vmaf.read_text())["frames"]]
    except (ValueError, KeyError):
        entries = []
    scores = {name: [float(entry[name]) for entry in entries] for name in ("vmaf", "vmaf_v1", "psnr_y")}
    components = [[min(float(x), CEILING_DB) for x in found] for found in _XPSNR.findall(xpsnr.read_text())]
    scores["xpsnr"] = [(4 * y + u + v) / 6 for y, u, v in components]
    scores["ssim"] = [float(y) for y in _SSIM.findall(ssim.read_text())]
    return scores


def ssim_db(ssim: NDArray[np.float32]) -> NDArray[np.float32]:
    """-10 log10(1 - SSIM), cut off at 60 dB: its steps mean about the same everywhere on the scale."""
    return np.asarray(-10 * np.log10(np.maximum(1 - ssim, 10 ** (-CEILING_DB / 10))), np.float32)


def preference(
    a: Mapping[str, NDArray[np.float32]], b: Mapping[str, NDArray[np.float32]], *, same_source: bool
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """What labels say of pairs: sign (1 where ``a`` is better, -1 where ``b`` is, 0 where left out) and certainty.

    ``a`` and ``b`` map LABELS to arrays of one shape, which is that of both results; a label that is not finite leaves
    its pair out. In one source VMAF v0.6.1 and v1, XPSNR and SSIM are asked, across sources the two VMAFs. Each
    difference is measured in units of a clear one (CLEAR, CLEAR_ACROSS). A pair counts where all have the same sign
    and their mean is at least 1 unit; its certainty is 0.75 there, 0.9 at 2 units, 0.96 at 3.
    """
    clear = CLEAR if same_source else CLEAR_ACROSS
    with np.errstate(invalid="ignore"):
        units = np.stack([(_scaled(a, name) - _scaled(b, name)) / unit for name, unit in clear.items()])
        mean = units.mean(axis=0)
        agreed = (np.sign(units) == np.sign(mean)).all(axis=0) & (np.abs(mean) >= 1)
        sign = np.where(agreed, np.sign(mean), 0).astype(np.int8)
        certainty = np.where(agreed, 1 / (1 + 3.0 ** -np.abs(mean)), 0).astype(np.float32)
    return sign, certainty


def _scaled(labels: Mapping[str, NDArray[np.float32]], name: str) -> NDArray[np.float32]:
    values = np.asarray(labels[name], np.float32)
    return ssim_db(values) if name == "ssim" else values
