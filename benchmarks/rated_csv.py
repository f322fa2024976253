"""Stills that people have rated, from one folder or several, as ``select-models`` and ``train --model ptm`` take them.

    python benchmarks/rated_csv.py rated.csv ../shared/data/avt=1920x1080 ../shared/data/iqt=1080x1080

Each folder has a ``scores.csv`` with the columns frame or image, content, mos, ci95 and height; after the equals sign
is the size that its stills were shown at. Contents of different folders are told apart by the folder's name.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

NAMES = ("distorted", "mos", "ci", "content", "test", "height", "shown")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path)
    parser.add_argument("folders", nargs="+", metavar="FOLDER=WxH")
    arguments = parser.parse_args()
    with arguments.output.open("w", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(NAMES)
        for given in arguments.folders:
            name, _, shown = given.rpartition("=")
            folder = Path(name).resolve()
            with (folder / "scores.csv").open(newline="") as source:
                for row in csv.DictReader(source):
                    file = folder / (row.get("frame") or row["image"])
                    content = f"{folder.name}/{row['content']}"
                    writer.writerow(
                        [file, row["mos"], row["ci95"], content, file.parent.name, row["height"], shown]
                    )


if __name__ == "__main__":
    main()
