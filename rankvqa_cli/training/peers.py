"""The metrics that everybody knows, measured by libvmaf on the frames that the models see."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rankvqa_cli.errors import InputError, UsageError
from rankvqa_cli.media.plan import make_plan
from rankvqa_cli.media.probe import probe
from rankvqa_cli.media.reader import reader_argv
from rankvqa_cli.media.threads import usable_cpus
from rankvqa_cli.training.sources import corpus_ffmpeg_version, run_ffmpeg
from rankvqa_cli.types import FrameFormat, InputSpec, PlannedInput, ReadOptions


@dataclass(frozen=True)
class Peer:
    """What libvmaf is asked for (one of ``feature`` and ``version`` is set), and its ``key`` in libvmaf's log."""

    key: str
    feature: str = ""
    version: str = ""


PEERS = {
    "psnr": Peer("psnr_y", feature="psnr"),
    "ssim": Peer("float_ssim", feature="float_ssim"),
    "ms-ssim": Peer("float_ms_ssim", feature="float_ms_ssim"),
    "vmaf": Peer("vmaf_v061", version="vmaf_v0.6.1"),
    "vmaf_v1": Peer("vmaf_v1", version="vmaf_v1.0.16_3d0h"),
}


def require_peers(text: str) -> tuple[str, ...]:
    """The names in a list such as ``psnr,vmaf``. Raises UsageError for one that nobody knows."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in PEERS:
            raise UsageError(f"no peer is called {name!r}: choose from {', '.join(PEERS)}")
    return names


def peer_identities(names: Sequence[str]) -> dict[str, str]:
    """What each peer's scores depend on besides the files: libvmaf's own name for it, and the FFmpeg it is in."""
    binary = corpus_ffmpeg_version()
    return {name: f"{PEERS[name].version or PEERS[name].feature} of libvmaf in {binary}" for name in names}


def measure_peers(
    distorted: Sequence[Path],
    reference: Path,
    names: Sequence[str],
    threads: int | None = None,
) -> list[dict[str, float]]:
    """For each file, its mean over the frames by name: PSNR of luma in dB, (MS-)SSIM 0 to 1, VMAF 0 to 100.

    The frames are those of the comparison plan that scoring makes: the distorted at the reference's size. They are
    paired from the first on; no offset is looked for. Raises InputError where lengths or frame rates differ.
    """
    options = ReadOptions(threads=threads)
    infos = [probe(InputSpec(str(file)), options) for file in distorted]
    plan = make_plan(probe(InputSpec(str(reference)), options), infos, options)
    assert plan.reference is not None
    measured = []
    with tempfile.TemporaryDirectory(prefix="vqa-peers-") as scratch:
        folder = Path(scratch)
        frames = _decode(plan.reference, options, folder / "reference.yuv")
        for file, planned in zip(distorted, plan.inputs, strict=True):
            if planned.pairing:
                raise InputError(
                    f"{str(file)!r} has another frame rate than its reference: no peers measure that"
                )
            found = _decode(planned, options, folder / "distorted.yuv")
            if found != frames:
                raise InputError(
                    f"{str(file)!r} has {found} frames and its reference {frames}: cut them to one length"
                )
            log = _libvmaf(
                folder, planned.format, plan.reference.format, names, threads or usable_cpus(), file
            )
            if len(log) != frames:
                raise InputError(f"libvmaf scored {len(log)} of {frames} frames of {str(file)!r}")
            measured.append(
                {name: float(np.mean([frame[PEERS[name].key] for frame in log])) for name in names}
            )
    return measured


def _decode(planned: PlannedInput, options: ReadOptions, raw: Path) -> int:
    """Write the planned frames to ``raw``; how many they are."""
    with raw.open("wb") as file:
        ended = subprocess.run(
            reader_argv(planned, options),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.PIPE,
            check=False,
        )
    frames = raw.stat().st_size // planned.format.frame_bytes
    if ended.returncode != 0 or not frames:
        lines = ended.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"]
        raise InputError(f"FFmpeg failed on {planned.info.spec.path!r}: {lines[-1]}")
    return frames


def _libvmaf(
    folder: Path,
    distorted: FrameFormat,
    reference: FrameFormat,
    names: Sequence[str],
    threads: int,
    subject: Path,
) -> list[dict[str, float]]:
    """libvmaf's metrics, frame by frame, of the two raw files in ``folder``."""
    features = "|".join(f"name={PEERS[name].feature}" for name in names if PEERS[name].feature)
    models = "|".join(
        f"version={PEERS[name].version}\\\\:name={PEERS[name].key}" for name in names if PEERS[name].version
    )
    graph = f"libvmaf=log_fmt=json:log_path=log.json:n_threads={threads}"
    graph += f":feature={features}" if features else ""
    graph += f":model={models}" if models else ""
    arguments: list[str] = []
    for form, name in ((distorted, "distorted.yuv"), (reference, "reference.yuv")):
        size = f"{form.width}x{form.height}"
        arguments += ["-f", "rawvideo", "-pix_fmt", form.pix_fmt, "-s", size, "-r", "25", "-i", name]
    log = folder / "log.json"
    log.unlink(missing_ok=True)
    # In the scratch folder, so that no path needs escaping inside the filter graph.
    run_ffmpeg([*arguments, "-lavfi", graph, "-f", "null", "-"], subject=str(subject), folder=folder)
    # libvmaf leaves out what it cannot measure, or gives up, without a word; FFmpeg exits with 0.
    frames = json.loads(log.read_text(encoding="utf-8"))["frames"] if log.exists() else [{"metrics": {}}]
    missing = [name for name in names if any(PEERS[name].key not in frame["metrics"] for frame in frames)]
    if missing:
        raise InputError(
            f"libvmaf gave no {', '.join(missing)} of {str(subject)!r}: "
            f"{distorted.width}x{distorted.height} may be too small for it"
        )
    return [frame["metrics"] for frame in frames]
