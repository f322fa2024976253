"""Floating-point operations of a network, layer by layer, counted while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

#: Functions with (input, weight) as their first arguments.
_WEIGHTED = (F.conv2d, F.conv3d, F.linear)
_PRODUCTS = (torch.matmul, Tensor.matmul, Tensor.__matmul__)


class _Counter(TorchFunctionMode):
    def __init__(self, names: Mapping[int, str]) -> None:
        super().__init__()
        self._names = names
        self._last = ""
        self.found: dict[str, int] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in _WEIGHTED:
            weight = args[1]
            self._last = self._names.get(id(weight), self._last)
            self._add(2 * result.numel() * weight.numel() // weight.shape[0])
        elif func in _PRODUCTS:
            self._add(2 * result.numel() * args[0].shape[-1])
        return result

    def _add(self, count: int) -> None:
        self.found[self._last] = self.found.get(self._last, 0) + count


def layer_flops(work: Callable[[], object], parameters: Mapping[str, Tensor]) -> dict[str, int]:
    """FLOPs of ``work``, by the name of the parameter that is the weight; works on the meta device too.

    Convolutions, linear layers and matrix products count, a multiplication and an addition as two; biases, activations
    and normalisations do not. Products of what is no parameter (attention) count for the layer before them.
    """
    counter = _Counter({id(parameter): name for name, parameter in parameters.items()})
    with torch.no_grad(), counter:
        work()
    return counter.found
