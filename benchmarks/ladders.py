"""Does the score fall at every step of a CRF ladder? The order is known by construction: same source, same codec.

    python benchmarks/ladders.py ../shared/data/davis
    python benchmarks/ladders.py ../shared/data/davis --without-reference --codec x264

Encodes every video of a folder with x264, x265 and SVT-AV1 at CRF 18 to 48 in steps of 6, scores all encodes of a
source in one run, and counts the steps at which the score falls.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from itertools import pairwise
from pathlib import Path

from rankvqa_cli import score
from rankvqa_cli.training.sources import corpus_ffmpeg

CRFS = range(18, 49, 6)
CODECS = {
    "x264": ["-c:v", "libx264", "-preset", "medium"],
    "x265": ["-c:v", "libx265", "-preset", "medium", "-x265-params", "log-level=none"],
    "svtav1": ["-c:v", "libsvtav1", "-preset", "8"],
}


def ladder(
    source: Path, folder: Path, models: list[str], codecs: list[str], *, alone: bool
) -> dict[str, list[float]]:
    """Scores of ``source`` by codec, in the order of CRFS; ``alone`` judges encodes without it."""
    encodes = []
    for codec in codecs:
        options = CODECS[codec]
        for crf in CRFS:
            path = folder / f"{codec}-{crf}.mkv"
            argv = [
                corpus_ffmpeg(),
                "-v",
                "error",
                "-nostdin",
                "-y",
                "-i",
                str(source),
                "-map",
                "0:v:0",
                *options,
            ]
            subprocess.run([*argv, "-crf", str(crf), str(path)], check=True, stderr=subprocess.DEVNULL)
            encodes.append(path)
    report = score(encodes, None if alone else source, models=models, threads=2)
    found = {Path(result.input).stem: result.score for result in report.results}
    return {codec: [found[f"{codec}-{crf}"] for crf in CRFS] for codec in codecs}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of source videos")
    parser.add_argument("-m", "--model", action="append", default=[], help="one model of vqa-score")
    parser.add_argument("--without-reference", action="store_true", help="judge the encodes by themselves")
    parser.add_argument("--codec", action="append", choices=list(CODECS), help="repeatable  [default: all]")
    parser.add_argument("-o", "--output", type=Path, help="write every score as JSON")
    arguments = parser.parse_args()
    everything: dict[str, dict[str, list[float]]] = {}
    steps = fallen = 0
    for source in sorted(
        path for path in arguments.folder.iterdir() if path.suffix in {".mp4", ".mkv", ".y4m"}
    ):
        with tempfile.TemporaryDirectory() as folder:
            everything[source.stem] = ladder(
                source,
                Path(folder),
                arguments.model,
                arguments.codec or list(CODECS),
                alone=arguments.without_reference,
            )
        for codec, scores in everything[source.stem].items():
            steps += len(scores) - 1
            fallen += sum(better > worse for better, worse in pairwise(scores))
            print(f"{source.stem}\t{codec}\t" + "\t".join(f"{value:.3f}" for value in scores), flush=True)
    if arguments.output:
        arguments.output.write_text(json.dumps(everything, indent=1))
    print(f"{fallen} of {steps} steps fall ({100 * fallen / steps:.2f} %)")


if __name__ == "__main__":
    main()
