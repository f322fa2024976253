"""Several processes, one training: those that torchrun started, joined by gloo on CPUs and by NCCL on CUDA."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from rankvqa_cli.errors import VqaError

T = TypeVar("T")

#: How long processes wait for one another. The first one validates while the others wait, and torchrun ends them all
#: where one fails, so this only has to be longer than any validation.
PATIENCE = timedelta(hours=12)


@dataclass(frozen=True)
class World:
    """Which process this is, ``rank`` of ``size``; the first one, 0, does all writing and talking."""

    rank: int = 0
    size: int = 1


def world() -> World:
    """Where this process stands among those joined by ``processes``."""
    if dist.is_available() and dist.is_initialized():
        return World(dist.get_rank(), dist.get_world_size())
    return World()


def local_device(name: str) -> str:
    """``name``, or for several processes the CUDA device of this one's own that ``auto`` and ``cuda`` mean."""
    if _launched() and name in ("auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{os.environ['LOCAL_RANK']}"
    return name


@contextmanager
def processes(device: torch.device) -> Iterator[World]:
    """Join the processes that torchrun started, for as long as the block runs; alone where it started none."""
    if not _launched():
        yield World()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield world()
        dist.barrier()  # a process that leaves while another is still talking to it takes that one down
    finally:
        dist.destroy_process_group()


def _launched() -> bool:
    return dist.is_available() and dist.is_torchelastic_launched() and int(os.environ["WORLD_SIZE"]) > 1


def once(work: Callable[[], T]) -> T:
    """What ``work`` returns or raises (VqaError) in the first process, in every process."""
    here = world()
    if here.size == 1:
        return work()
    outcome: list[tuple[T | None, VqaError | None]] = [(None, None)]
    if here.rank == 0:
        try:
            outcome = [(work(), None)]
        except VqaError as error:
            outcome = [(None, error)]
    dist.broadcast_object_list(outcome, src=0)
    result, failed = outcome[0]
    if failed is not None:
        raise failed
    return result  # type: ignore[return-value]


def first_alone(work: Callable[[], T]) -> T:
    """``work()`` in every process, the first one before the others, for work that leaves a cache behind."""
    here = world()
    if here.size == 1:
        return work()
    if here.rank == 0:
        result = work()
    dist.barrier()
    return result if here.rank == 0 else work()


def add_up(values: Tensor) -> Tensor:
    """Sum of ``values`` over all processes, in place."""
    if world().size > 1:
        dist.all_reduce(values)
    return values


def add_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Sum of every parameter's gradient over all processes; none where no process has one."""
    if world().size == 1:
        return
    given = [parameter.grad for parameter in parameters]
    present = [float(gradient is not None) for gradient in given]
    pieces = [
        parameter.new_zeros(parameter.numel()) if gradient is None else gradient.flatten()
        for parameter, gradient in zip(parameters, given, strict=True)
    ]
    # One message for all of them: many small ones would each cost a round trip.
    flat = add_up(torch.cat([*pieces, pieces[0].new_tensor(present)]))
    sizes = [piece.numel() for piece in pieces]
    *sums, counts = flat.split([*sizes, len(sizes)])  # type: ignore[no-untyped-call]
    for parameter, total, count in zip(parameters, sums, counts.tolist(), strict=True):
        parameter.grad = total.view_as(parameter) if count else None
