"""What every scoring runs inside: no gradients, a number of threads, and memory that may run out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from rankvqa_cli.errors import DeviceError
from rankvqa_cli.models.compute import Compute

_OUT_OF_MEMORY = re.compile(r"not enough memory|can't allocate memory|out of memory", re.IGNORECASE)


@contextmanager
def computing(compute: Compute) -> Iterator[None]:
    """Score inside: no gradients, ``compute.threads`` threads, and on CUDA no float32 products of 10 bits, which cuDNN
    would take else.

    Restores the caller's settings. Running out of memory inside becomes a DeviceError.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(compute.threads)
    try:
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            if compute.device.type == "cuda":
                stack.enter_context(torch.backends.cudnn.flags(enabled=True, allow_tf32=False))
            yield
    except (MemoryError, RuntimeError) as error:
        # PyTorch's CPU allocator has no exception of its own.
        if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)):
            raise DeviceError(
                f"out of memory on {compute.device}: score fewer inputs at once, smaller frames, "
                "or on another device"
            ) from error
        raise
    finally:
        torch.set_num_threads(before)
