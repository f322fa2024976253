"""Numbers on their way from a device: asked for at once and read later, so that nobody waits in between."""

from __future__ import annotations

import torch
from torch import Tensor


class Landing:
    """``values`` (N,) of any device. On CUDA the copy stands behind the work that was queued before, and not behind
    what is queued after."""

    def __init__(self, values: Tensor) -> None:
        self._values = values
        self._landed: torch.cuda.Event | None = None
        if values.device.type == "cuda":
            self._values = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            self._values.copy_(values, non_blocking=True)
            self._landed = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._landed.record(torch.cuda.current_stream(values.device))

    def numbers(self) -> list[float]:
        """Waits until they are there."""
        if self._landed is not None:
            self._landed.synchronize()
        return [float(value) for value in self._values]
