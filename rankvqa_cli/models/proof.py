"""Products in bfloat16, held against float32's: some libraries get some of them wrong, and a score of those would be a
lie."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from rankvqa_cli.errors import DeviceError
from rankvqa_cli.models.compute import has_amx

#: Releases of PyTorch whose products in bfloat16 were held against float32's for pictures of many shapes, on CPUs with
#: AMX.
HELD = ("2.13",)


def is_held() -> bool:
    """Whether products in bfloat16 of this PyTorch on such a CPU are known to be right where this package asks for
    them."""
    return has_amx() and torch.__version__.startswith(tuple(f"{release}." for release in HELD))


class Proof:
    """For which sizes of pictures a network's products in bfloat16 were seen to be right. Libraries choose among many
    products by the size.

    What is computed may differ by the share ``rounded`` of float32's mean, and by ``nothing`` where that is nothing.
    """

    def __init__(self, rounded: float, nothing: float) -> None:
        self._rounded, self._nothing = rounded, nothing
        self._seen: set[Hashable] = set()

    def is_due(self, size: tuple[int, int]) -> bool:
        """Whether pictures of a ``size`` (height, width) are still to be proven; True once, for whoever does it."""
        due = size not in self._seen
        self._seen.add(size)
        return due

    def require(self, size: tuple[int, int], found: Sequence[Tensor], true: Sequence[Tensor]) -> None:
        """DeviceError where what was ``found`` in bfloat16 is not what is ``true`` in float32; the size is due again
        then."""
        for rough, exact in zip(found, true, strict=True):
            off = float((rough.float() - exact).abs().mean())
            if not off <= self._rounded * float(exact.abs().mean()) + self._nothing:
                self._seen.discard(size)
                raise DeviceError(
                    f"products in bfloat16 are wrong on this machine, for pictures of {size[1]}x{size[0]}: "
                    "score with --precision fp32"
                )
