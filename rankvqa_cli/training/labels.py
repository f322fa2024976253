"""Objective labels of patch clips: libvmaf's models and elementary features, many patches in one FFmpeg run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rankvqa_cli.errors import InputError
from rankvqa_cli.training.sources import run_ffmpeg

#: Name of a label -> key of libvmaf's per-frame metrics.
LABELS = {"vmaf": "vmaf_v061", "vmaf_v1": "vmaf_v1", "psnr_y": "psnr_y", "ssim": "float_ssim"}


def label_patches(
    reference: NDArray[np.uint8], distorted: NDArray[np.uint8], size: int, scratch: Path
) -> dict[str, NDArray[np.float32]]:
    """Mean score a patch clip. Both arrays are (patches, frames, size * size * 3 / 2) uint8; each label is (patches,).

    The patches are strung together into one video. VMAF's motion feature is the smaller of the differences to the
    frame before and after, so a cut between two patches leaves it untouched.
    """
    patches, frames = reference.shape[:2]
    paths = scratch / "labels_ref.yuv", scratch / "labels_dis.yuv"
    for path, array in zip(paths, (reference, distorted), strict=True):
        array.tofile(path)
    log = scratch / "labels.json"
    raw = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{size}x{size}", "-r", "25"]
    models = "version=vmaf_v0.6.1\\\\:name=vmaf_v061|version=vmaf_v1.0.16_3d0h\\\\:name=vmaf_v1"
    graph = f"libvmaf=log_fmt=json:log_path={log.name}:n_threads=1:model={models}:feature=name=psnr|name=float_ssim"
    # In the scratch folder, so that no path needs escaping inside the filter graph.
    arguments = [*raw, "-i", paths[1].name, *raw, "-i", paths[0].name, "-lavfi", graph, "-f", "null", "-"]
    run_ffmpeg(arguments, subject="libvmaf", folder=scratch)
    if not log.exists():  # libvmaf gives up without a word, and FFmpeg exits with 0
        raise InputError(
            f"libvmaf wrote no scores for patches of {size} x {size}; its features need larger ones"
        )
    entries = json.loads(log.read_text())["frames"]
    if len(entries) != patches * frames:
        raise InputError(f"libvmaf scored {len(entries)} of {patches * frames} frames in {str(scratch)!r}")
    for path in (*paths, log):
        path.unlink()
    return {
        label: np.array([entry["metrics"][key] for entry in entries], np.float32)
        .reshape(patches, frames)
        .mean(axis=1)
        for label, key in LABELS.items()
    }
