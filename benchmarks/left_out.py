"""Agreement with people on contents left out: pool the ``left_out.csv`` files of ``vqa-score train --leave-out``.

    python benchmarks/left_out.py ../shared/data/avt runs/*/left_out.csv

Every still was scored by the run that never saw its content. The folder's ``scores.csv`` gives test and height, and the
peers' scores measured on the same frames.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from rankvqa_cli.training.evaluation import agreement, srocc_within

PEERS = ("frame_psnr_y", "frame_ssim", "frame_msssim", "frame_vmaf_v0.6.1", "frame_vmaf_v1.0.16_3d0h")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder with scores.csv")
    parser.add_argument("left_out", type=Path, nargs="+", help="left_out.csv of one run a content")
    arguments = parser.parse_args()
    scores: dict[Path, float] = {}
    for path in arguments.left_out:
        with path.open(newline="") as file:
            scores |= {Path(row["distorted"]).resolve(): float(row["score"]) for row in csv.DictReader(file)}
    with (arguments.folder / "scores.csv").open(newline="") as file:
        listed = [row | {"at": (arguments.folder / row["frame"]).resolve()} for row in csv.DictReader(file)]
    rows = [row for row in listed if row["at"] in scores]
    mos = [float(row["mos"]) for row in rows]
    groups = [(Path(row["frame"]).parts[-2], row["height"]) for row in rows]
    columns = {"vqa-score": [scores[row["at"]] for row in rows]}
    columns |= {name.removeprefix("frame_"): [float(row[name]) for row in rows] for name in PEERS}
    print("| metric | stills | SROCC | PLCC | KROCC | RMSE (MOS) | SROCC within one height of one test |")
    print("|---|---|---|---|---|---|---|")
    for name, values in columns.items():
        found = agreement(values, mos)
        within, _ = srocc_within(values, mos, groups, least=20)
        cells = (found.srocc, found.plcc, found.krocc, found.rmse, within)
        print(f"| {name} | {found.count} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |")


if __name__ == "__main__":
    main()
