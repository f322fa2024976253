"""Agreement of vqa-score with people beside PSNR, SSIM, MS-SSIM and VMAF on the very same frames.

    python benchmarks/accuracy.py --data ../shared/data/avt

The folder holds ``scores.csv`` (frame, source, content, mos, height ...) with paths of stills relative to it. Both
stills are brought to 1920x1080, yuv420p, limited range, bicubic, and compared as stills. Nothing is fitted to the
scores here but the logistic of PLCC and RMSE. Contents named by ``--leave-out`` are not aligned with their source.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from rankvqa_cli import score
from rankvqa_cli.training.evaluation import agreement, srocc_within
from rankvqa_cli.training.sources import corpus_ffmpeg
from rankvqa_cli.types import RawFormat

SIZE = (1920, 1080)
PEERS = {
    "PSNR-Y": "psnr_y",
    "SSIM": "float_ssim",
    "MS-SSIM": "float_ms_ssim",
    "VMAF v0.6.1": "vmaf_v061",
    "VMAF v1.0.16": "vmaf_v1",
}
GRAPH = (
    "libvmaf=log_fmt=json:log_path=log.json:n_threads=2:feature=name=psnr|name=float_ssim|name=float_ms_ssim:"
    "model=version=vmaf_v0.6.1\\\\:name=vmaf_v061|version=vmaf_v1.0.16_3d0h\\\\:name=vmaf_v1"
)


def to_raw(still: Path, raw: Path) -> None:
    """Write ``still`` as one raw frame of the common size."""
    filters = f"scale={SIZE[0]}:{SIZE[1]}:flags=bicubic:out_range=tv,format=yuv420p"
    argv = [
        corpus_ffmpeg(),
        "-v",
        "error",
        "-nostdin",
        "-y",
        "-i",
        str(still),
        "-vf",
        filters,
        "-f",
        "rawvideo",
        str(raw),
    ]
    subprocess.run(argv, check=True)


def peers(folder: Path, distorted: str, reference: str) -> dict[str, float]:
    """libvmaf's metrics of two raw frames in ``folder``."""
    raw = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{SIZE[0]}x{SIZE[1]}"]
    argv = [corpus_ffmpeg(), "-v", "error", "-nostdin", *raw, "-i", distorted, *raw, "-i", reference]
    subprocess.run([*argv, "-lavfi", GRAPH, "-f", "null", "-"], check=True, cwd=folder)
    metrics = json.loads((folder / "log.json").read_text())["frames"][0]["metrics"]
    return {name: metrics[key] for name, key in PEERS.items()}


def measure(data: Path, leave_out: list[str], models: list[str], with_peers: bool) -> list[dict[str, object]]:
    """One row a stimulus: test, content, height, mos, and a score a metric."""
    listed = [
        row
        for row in csv.DictReader((data / "scores.csv").open(newline=""))
        if not any(row["content"].startswith(prefix) for prefix in leave_out)
    ]
    rows: list[dict[str, object]] = []
    layout = RawFormat(*SIZE)
    by_source: dict[str, list[dict[str, str]]] = {}
    for row in listed:
        by_source.setdefault(row["source"], []).append(row)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for source, members in by_source.items():
            to_raw(data / source, folder / "reference.yuv")
            names = [f"{i}.yuv" for i in range(len(members))]
            for name, row in zip(names, members, strict=True):
                to_raw(data / row["frame"], folder / name)
            report = score(
                [folder / name for name in names],
                folder / "reference.yuv",
                models=models,
                raw=layout,
                ref_raw=layout,
                threads=2,
            )
            for i, (name, row) in enumerate(zip(names, members, strict=True)):
                # Height within one test: the two together name the group that viewers compared.
                test = Path(row["frame"]).parts[-2]
                kept: dict[str, object] = {"frame": row["frame"], "test": test, "mos": float(row["mos"])}
                kept |= {"content": row["content"], "height": row["height"]}
                per_input = [r for r in report.results if r.input == str(folder / names[i])]
                kept["scores"] = {f"vqa-score {r.model}": r.score for r in per_input}
                if with_peers:
                    kept["scores"] |= peers(folder, name, "reference.yuv")
                rows.append(kept)
                (folder / name).unlink()
            print(f"{len(rows)} of {len(listed)}", file=sys.stderr)
    return rows


def table(rows: list[dict[str, object]]) -> str:
    """The results as a Markdown table."""
    metrics = list(rows[0]["scores"])
    tests = sorted({str(row["test"]) for row in rows})
    head = [
        "metric",
        *[f"SROCC {test}" for test in tests],
        "SROCC pooled",
        "PLCC",
        "KROCC",
        "RMSE",
        "within one height",
    ]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for metric in metrics:
        scores = [row["scores"][metric] for row in rows]
        mos = [row["mos"] for row in rows]
        cells = []
        for test in tests:
            chosen = [i for i, row in enumerate(rows) if row["test"] == test]
            cells.append(agreement([scores[i] for i in chosen], [mos[i] for i in chosen]).srocc)
        pooled = agreement(scores, mos)
        within, _ = srocc_within(scores, mos, [(row["test"], row["height"]) for row in rows], least=20)
        cells += [pooled.srocc, pooled.plcc, pooled.krocc, pooled.rmse, within]
        lines.append("| " + " | ".join([metric, *[f"{cell:.3f}" for cell in cells]]) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with scores.csv")
    parser.add_argument(
        "--leave-out", nargs="*", default=["water_netflix"], help="contents to leave out (prefixes)"
    )
    parser.add_argument("-m", "--model", action="append", default=[], help="model of vqa-score (repeatable)")
    parser.add_argument("--no-peers", action="store_true", help="only vqa-score")
    parser.add_argument("-o", "--output", type=Path, help="write every score as JSON")
    arguments = parser.parse_args()
    rows = measure(arguments.data, arguments.leave_out, arguments.model, not arguments.no_peers)
    if arguments.output:
        arguments.output.write_text(json.dumps(rows, indent=1))
    print(table(rows))


if __name__ == "__main__":
    main()
