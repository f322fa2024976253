#!/usr/bin/env python3
"""Score from Python: one function, the command line's options as arguments, frozen dataclasses back.

python examples/python_use.py source.mp4 encode.mp4
"""

from __future__ import annotations

import argparse
import sys

import rankvqa_cli
from rankvqa_cli.errors import VqaError


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source")
    parser.add_argument("encode")
    parser.add_argument("-m", "--model", action="append", default=[], help="a model's name or file")
    options = parser.parse_args()

    try:
        report = rankvqa_cli.score(options.encode, options.source, models=options.model, fail_under=["p5=70"])
    except VqaError as error:  # every expected failure; the subclasses say which kind it is
        print(f"cannot score: {error}", file=sys.stderr)
        return int(error.exit_code)

    for result in report.results:
        print(f"{result.model}: {result.score:.2f}")
        if result.ci95 is not None:  # a single clip of a longer video has none
            print("  95 %: {:.2f} to {:.2f}".format(*result.ci95))
        worst = sorted(result.frames, key=lambda frame: frame.score)[:3]
        for frame in worst:
            print(f"  frame {frame.index} at {frame.pts_time:.2f} s: {frame.score:.2f}")
    for gate in report.gates:
        print(f"{gate.expression}: {'passed' if gate.passed else 'failed'} with {gate.value:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
