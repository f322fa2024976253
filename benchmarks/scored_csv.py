"""Rewrite a folder's ``scores.csv`` (frame, source, content, mos) as the CSV that ``vqa-score train --scored`` takes.

python benchmarks/scored_csv.py ../shared/data/avt scored.csv --leave-out water_netflix
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--leave-out", nargs="*", default=[], help="contents to leave out (prefixes)")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    with (folder / "scores.csv").open(newline="") as source, arguments.output.open("w", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(["distorted", "reference", "mos", "content"])
        for row in csv.DictReader(source):
            if not any(row["content"].startswith(prefix) for prefix in arguments.leave_out):
                writer.writerow([folder / row["frame"], folder / row["source"], row["mos"], row["content"]])


if __name__ == "__main__":
    main()
