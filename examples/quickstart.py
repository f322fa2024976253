#!/usr/bin/env python3
"""Make a clip, encode it at three qualities, score the encodes. Needs no media file and no network.

The clip comes from one of FFmpeg's lavfi sources and x264 makes the encodes, with the FFmpeg that vqa-score finds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import imageio_ffmpeg

from rankvqa_cli.media.ffmpeg import find_ffmpeg

CRFS = (18, 32, 44)
SECONDS = 2


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-m", "--model", help="a model's name or file (default: the default model)")
    parser.add_argument("--size", default="640x360", help="frame size of the clip")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="vqa-score-") as folder:
        source = Path(folder) / "source.mp4"
        encode(
            ["-f", "lavfi", "-i", f"mandelbrot=size={options.size}:rate=25"], ["-t", str(SECONDS)], 1, source
        )
        encodes = [Path(folder) / f"crf{crf}.mp4" for crf in CRFS]
        for crf, path in zip(CRFS, encodes, strict=True):
            encode(["-i", str(source)], [], crf, path)

        command = ["-ref", str(source)]
        for path in encodes:
            command += ["-i", str(path)]
        if options.model:
            command += ["-m", options.model]
        print("$ vqa-score", *(Path(word).name if folder in word else word for word in command), flush=True)
        done = subprocess.run(
            [sys.executable, "-m", "rankvqa_cli", *command, "--format", "json", "-loglevel", "error"],
            stdout=subprocess.PIPE,
        )
        if done.returncode != 0:
            return done.returncode
        show(json.loads(done.stdout)["results"])
    return 0


def encode(before: list[str], after: list[str], crf: int, path: Path) -> None:
    colours = [
        "-pix_fmt",
        "yuv420p",
        "-color_range",
        "tv",
        "-colorspace",
        "bt709",
        "-color_primaries",
        "bt709",
    ]
    argv = [
        ffmpeg_with_x264(),
        "-v",
        "error",
        "-nostdin",
        "-y",
        *before,
        *after,
        *colours,
        "-color_trc",
        "bt709",
    ]
    subprocess.run([*argv, "-c:v", "libx264", "-crf", str(crf), str(path)], check=True)


def ffmpeg_with_x264() -> str:
    """The FFmpeg that vqa-score finds, or the one inside imageio-ffmpeg where that one was built without x264."""
    found = find_ffmpeg()
    encoders = subprocess.run([found, "-v", "error", "-encoders"], capture_output=True, text=True).stdout
    return found if "libx264" in encoders else str(imageio_ffmpeg.get_ffmpeg_exe())


def show(results: list[dict]) -> None:
    print(f"{'encode':<12}{'kbit/s':>8}{'score':>9}   95 % interval")
    for result in results:
        path = Path(result["input"])
        rate = path.stat().st_size * 8 / 1000 / SECONDS
        low, high = result["ci95"]
        print(f"{path.name:<12}{rate:>8.0f}{result['score']:>9.2f}   {low:.2f} to {high:.2f}")


if __name__ == "__main__":
    sys.exit(main())
