"""Rewrite a folder's ``scores.csv`` (frame, source, content, mos, ci95 ...) as the CSV that ``vqa-score evaluate``
and ``vqa-score train`` take.

    python benchmarks/scored_csv.py ../shared/data/avt scored.csv --leave-out water_netflix
    python benchmarks/scored_csv.py ../shared/data/avt left_out.csv --left-out runs/*/left_out.csv

The other columns are kept, and ``test`` is the folder of the frame. ``--left-out`` adds what ``vqa-score train
--leave-out`` said of contents that it had not seen as the column ``left_out``, and keeps the rows that have it.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

RENAMED = {"frame": "distorted", "source": "reference", "ci95": "ci"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--leave-out", nargs="*", default=[], help="contents to leave out (prefixes)")
    parser.add_argument(
        "--left-out", nargs="*", type=Path, default=[], help="left_out.csv of one run a content"
    )
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    scores: dict[Path, str] = {}
    for path in arguments.left_out:
        with path.open(newline="") as file:
            scores |= {Path(row["distorted"]).resolve(): row["score"] for row in csv.DictReader(file)}
    with (folder / "scores.csv").open(newline="") as source, arguments.output.open("w", newline="") as target:
        reader = csv.DictReader(source)
        names = [RENAMED.get(name, name) for name in reader.fieldnames or ()]
        writer = csv.writer(target)
        writer.writerow([*names, "test", *(["left_out"] if scores else [])])
        for row in reader:
            distorted = folder / row["frame"]
            if any(row["content"].startswith(prefix) for prefix in arguments.leave_out):
                continue
            if scores and distorted not in scores:
                continue
            cells = row | {"frame": str(distorted), "source": str(folder / row["source"])}
            added = [scores[distorted]] if scores else []
            writer.writerow([*cells.values(), distorted.parent.name, *added])


if __name__ == "__main__":
    main()
