"""How a model orders the held-out part of a corpus, whole clips, as the scoring engine would run it.

    python benchmarks/held_out.py CORPUS -m rankvqa -m rankvqa-mini --fold 0

Prints for each model the SROCC with the mean of VMAF v0.6.1 and v1 on all patches, the share of pairs ordered by
construction that it orders so, and the share of pairs of encodes by different codecs on which two of VMAF, XPSNR and
SSIM clearly agree that it orders so (see ``training.held_out``).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from rankvqa_cli.models import registry
from rankvqa_cli.models.allocator import keep_pages
from rankvqa_cli.models.compute import choose
from rankvqa_cli.training.datasets import load_corpus, split_by_content
from rankvqa_cli.training.held_out import measure_held_out
from rankvqa_cli.training.planes import AS_THEY_ARE, as_clip, to_planes

LABELS = ("vmaf", "vmaf_v1")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("-m", "--model", action="append", required=True)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--places", type=int, default=2)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    keep_pages()
    compute = choose("auto", arguments.precision, arguments.threads)
    torch.set_num_threads(compute.threads)
    _, held_out = split_by_content(load_corpus(arguments.corpus), arguments.fold, arguments.folds)
    for name in arguments.model:
        model = registry.load(name).to(compute.device, compute.dtype)
        distances = []
        for shard in held_out:
            found = [
                [
                    output.distance
                    for version in shard.distorted
                    for output in model.score_clips(
                        as_clip(*to_planes(shard.reference[place], AS_THEY_ARE)),
                        [as_clip(*to_planes(version[place], AS_THEY_ARE))],
                    )
                ]
                for place in range(arguments.places)
            ]
            distances.append(np.array(found, np.float32).T)
        usable = [range(len(shard.versions)) for shard in held_out]
        figures = measure_held_out(held_out, distances, arguments.places, LABELS, usable)
        print(name, *(f"{key} {value:.4f}" for key, value in figures.items()), sep="\t", flush=True)


if __name__ == "__main__":
    main()
