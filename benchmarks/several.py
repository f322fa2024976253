"""What several encodes of one reference cost in one command, against as many single runs of the same files.

    python benchmarks/several.py
    python benchmarks/several.py --encodes 8 --size 1920x1080 --frames 240 --threads 2

Whole commands, start to exit, in turn; the source and its x264 encodes (rate factors 20, 22, ...) are made by FFmpeg.
The scores of both ways have to be the same.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import speed


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--encodes", type=int, default=8)
    parser.add_argument("--size", default="1920x1080", metavar="WxH")
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--source", type=Path, help="a video to scale (default: FFmpeg's lavfi)")
    parser.add_argument("--ffmpeg")
    arguments = parser.parse_args()
    ffmpeg = arguments.ffmpeg or speed._bundled_ffmpeg()
    environment = {**os.environ, "VQA_SCORE_FFMPEG": ffmpeg}
    with tempfile.TemporaryDirectory(prefix="vqa-several-") as name:
        folder = Path(name)
        source, _ = speed._media(ffmpeg, folder, arguments.size, arguments.frames, arguments)
        encodes = []
        for number in range(arguments.encodes):
            encodes.append(folder / f"{number}.mp4")
            command = [ffmpeg, "-v", "error", "-nostdin", "-y", "-i", str(source)]
            subprocess.run([*command, *speed._x264(20 + 2 * number), str(encodes[-1])], check=True)
        ours = [sys.executable, "-m", "rankvqa_cli", "-threads", str(arguments.threads), "-ref", str(source)]
        together, scores = _run(
            [*ours, *(part for each in encodes for part in ("-i", str(each)))], environment
        )
        single = [_run([*ours, "-i", str(each)], environment) for each in encodes]
    alone = sum(seconds for seconds, _ in single)
    same = [line.split("\t")[-1] for line in scores] == [line for _, lines in single for line in lines]
    print(
        f"{arguments.encodes} encodes of {arguments.frames} frames at {arguments.size}, {arguments.threads} threads: "
        f"{together:.1f} s in one command, {alone:.1f} s one by one, {together / alone:.0%}; "
        f"scores {'the same' if same else 'DIFFER'}"
    )
    if not same:
        raise SystemExit(1)


def _run(command: Sequence[str], environment: dict[str, str]) -> tuple[float, list[str]]:
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return time.perf_counter() - started, done.stdout.splitlines()


if __name__ == "__main__":
    main()
