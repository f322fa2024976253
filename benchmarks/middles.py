"""How models order scored stills by the middle 640x360 of each, for ablations: a tenth of the time of whole pictures.

    python benchmarks/middles.py avt.csv -m base1.safetensors -m luma.safetensors --cache cache

Prints for each model the SROCC on all stills, and the mean of those within one height of one test, by their sizes.
Pictures are brought to 1920x1080 first, as stage two of ``train`` sees them, and kept in the cache.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

from rankvqa_cli.models import registry
from rankvqa_cli.models.compute import choose
from rankvqa_cli.models.contract import Clip
from rankvqa_cli.training.planes import as_clip
from rankvqa_cli.training.scored import ScoredSet, load_scored, planes_of

ROWS, COLUMNS = slice(360, 720), slice(640, 1280)
AT_ONCE = 16


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scores", type=Path)
    parser.add_argument("-m", "--model", action="append", required=True)
    parser.add_argument("--cache", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    compute = choose("cpu", "bf16")
    scored = load_scored(arguments.scores, arguments.cache)
    with arguments.scores.open(newline="") as file:
        groups = [(row["test"], row["height"]) for row in csv.DictReader(file)]
    mos = np.array([stimulus.mos for stimulus in scored.stimuli])
    for name in arguments.model:
        model = registry.load(name).to(compute.device, compute.dtype)
        scores = np.zeros(len(mos))
        for reference in sorted(set(scored.reference_at)):
            members = [i for i, at in enumerate(scored.reference_at) if at == reference]
            for first in range(0, len(members), AT_ONCE):
                some = members[first : first + AT_ONCE]
                clips = [_middle(scored, scored.distorted_at[i]) for i in some]
                found = model.score_clips(_middle(scored, reference), clips)
                scores[some] = [-output.distance for output in found]
        within = [np.array([g == group for g in groups]) for group in sorted(set(groups))]
        inside = [(float(spearmanr(scores[w], mos[w]).statistic), int(w.sum())) for w in within]
        mean = sum(value * count for value, count in inside) / len(mos)
        print(name, f"{spearmanr(scores, mos).statistic:.4f}", f"{mean:.4f}", sep="\t", flush=True)


def _middle(scored: ScoredSet, at: int) -> Clip:
    luma, chroma = planes_of(scored, at)
    rows, columns = (slice(side.start // 2, side.stop // 2) for side in (ROWS, COLUMNS))
    return as_clip(luma[:, ROWS, COLUMNS].contiguous(), chroma[:, :, rows, columns].contiguous())


if __name__ == "__main__":
    main()
