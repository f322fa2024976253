"""What scoring a video without a reference costs, beside FFmpeg decoding the same file and throwing its frames away.

    python benchmarks/alone.py
    python benchmarks/alone.py --source film.mkv --size 3840x2160 --frames 600 --threads 4
    python benchmarks/alone.py --file encode.mp4

Whole commands, start to exit, in turn; the video is the good source of ``speed.py``, whose many bits take long to
decode, or a file as it is. Peak memory is of the command and its children.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

import speed


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--size", default="1920x1080", metavar="WxH")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--source", type=Path, help="a video to scale (default: FFmpeg's lavfi)")
    parser.add_argument(
        "--file", type=Path, help="a video to score as it is (then no --size, --frames, --source)"
    )
    parser.add_argument("--model", default="ptm")
    parser.add_argument("--ffmpeg")
    arguments = parser.parse_args()
    ffmpeg = arguments.ffmpeg or speed._bundled_ffmpeg()
    environment = {**os.environ, "VQA_SCORE_FFMPEG": ffmpeg}
    threads = ["-threads", str(arguments.threads)]
    scored: list[speed.Run] = []
    decoded: list[speed.Run] = []
    with tempfile.TemporaryDirectory(prefix="vqa-alone-") as name:
        folder = Path(name)
        what, video = str(arguments.file), arguments.file
        if video is None:
            what = f"{arguments.frames} frames of {arguments.size}"
            video, _ = speed._media(ffmpeg, folder, arguments.size, arguments.frames, arguments)
        score = [sys.executable, "-m", "rankvqa_cli", "-m", arguments.model, "-i", str(video), *threads, "-y"]
        score += ["-loglevel", "error", "--no-progress", "-o", str(folder / speed.RESULTS)]
        decode = [
            ffmpeg,
            "-v",
            "error",
            "-nostdin",
            *threads,
            "-i",
            str(video),
            "-map",
            "0:v",
            "-f",
            "null",
            "-",
        ]
        for _ in range(arguments.runs):
            scored.append(speed._measure(score, environment, speed._read_ours, folder))
            decoded.append(speed._measure(decode, environment, lambda _, __: (0.0, None), folder))
    walls, ratios = (
        sorted(values)
        for values in (
            [run.wall_s for run in scored],
            [a.wall_s / b.wall_s for a, b in zip(scored, decoded, strict=True)],
        )
    )
    print(
        f"{what}, {arguments.threads} threads, {arguments.runs} runs, "
        f"{arguments.model} {scored[-1].score:.2f}: {statistics.median(walls):.2f} s "
        f"({walls[0]:.2f} to {walls[-1]:.2f}), "
        f"{statistics.median(run.cpu_s for run in scored):.1f} s of CPU, "
        f"{max(run.peak_bytes for run in scored) / 2**20:.0f} MiB at most; "
        f"decoding alone {statistics.median(run.wall_s for run in decoded):.2f} s, "
        f"{statistics.median(ratios):.1f} times as long"
    )


if __name__ == "__main__":
    main()
