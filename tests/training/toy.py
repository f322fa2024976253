"""A task of one small network with dropout and a frozen layer, for tests of the loop. As a program, it is trained."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from rankvqa_cli.training import parallel
from rankvqa_cli.training.loop import LoopOptions, fit

OPTIONS = LoopOptions(steps=12, rate=0.02, warmup=2, save_every=2, check_every=4, seed=5, average=0.9)


class ToyTask:
    """Fits a fixed linear map. ``seen`` collects the indices that were drawn; ``kill_at`` ends the process there."""

    def __init__(self, *, width: int = 8, kill_at: int = -1, poison_at: int = -1) -> None:
        torch.manual_seed(11)
        self.module = nn.Sequential(
            nn.Linear(4, width), nn.Linear(width, width), nn.Dropout(0.5), nn.Linear(width, 1)
        )
        self.module[1].requires_grad_(False)
        self.module.register_buffer("index", torch.arange(3))
        self.seen: list[int] = []
        self.dtypes: set[torch.dtype] = set()
        self.kill_at, self.poison_at = kill_at, poison_at

    def losses(self, index: int) -> dict[str, Tensor]:
        if index == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.seen.append(index)
        x = torch.randn(6, 4, generator=torch.Generator().manual_seed(index))
        found = self.module(x).squeeze(1)
        self.dtypes.add(found.dtype)
        error = found.float() - x.sum(dim=1)
        worth = float("nan") if index == self.poison_at else 1.0
        return {"square": worth * error.square().mean(), "size": 0.1 * found.float().abs().mean()}

    def validate(self, module: nn.Module) -> dict[str, float]:
        x = torch.ones(1, 4)
        return {"at_one": float(module(x)), "draw": float(torch.rand(()))}


def main(folder: Path, accumulate: int, kill_at: int) -> None:
    options = LoopOptions(**{**vars(OPTIONS), "accumulate": accumulate})
    with parallel.processes(torch.device("cpu")) as world:
        average = fit(ToyTask(kill_at=kill_at), options, folder, lambda line: None)
        torch.save(average, folder / f"average-{world.rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
