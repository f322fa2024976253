"""What pruning knows of PatchNet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rankvqa_cli.models.patchnet import PatchNet, PatchNetConfig
from rankvqa_cli.training.flops import layer_flops
from rankvqa_cli.training.shapes import SIDE, Layer, Shape, layers_of, rows
from rankvqa_cli.training.widths import Channels, Place

#: Frames of the clip pair whose FLOPs are counted.
FRAMES = 12


@dataclass(frozen=True)
class PatchNetShape:
    """PatchNet. Its widths: ``luma``, ``chroma``, ``pyramid.0``, ``mixed`` and ``plain`` (the features at 1/16 that
    chroma is added to, and the others), ``pyramid.2``."""

    config: PatchNetConfig

    @property
    def sizes(self) -> dict[str, int]:
        c = self.config
        p8, p16, p32 = c.pyramid
        first = {"luma": c.luma, "chroma": c.chroma, "pyramid.0": p8}
        return first | {"mixed": c.mixed, "plain": p16 - c.mixed, "pyramid.2": p32}

    def multiples(self, multiple: int) -> dict[str, int]:
        return dict.fromkeys(self.sizes, multiple)

    def resized(self, widths: Mapping[str, int]) -> PatchNetShape:
        pyramid = widths["pyramid.0"], widths["mixed"] + widths["plain"], widths["pyramid.2"]
        own = {name: widths[name] for name in ("luma", "chroma", "mixed")}
        return PatchNetShape(replace(self.config, pyramid=pyramid, **own))

    def channels(self) -> list[Channels]:
        c = self.config
        p8, p16, p32 = c.pyramid

        def read(*before: int) -> Place:
            return Place("readout.log_weight", 0, sum(before))

        def at16(name: str, count: int, first: int, *made: Place) -> Channels:
            used = Place("down32.weight", 1, first), read(c.luma, c.chroma, p8, first)
            return Channels(name, count, (*rows("down16", first), *made), used)

        return [
            Channels("luma", c.luma, (Place("detail_luma.weight", 0),), (read(),)),
            Channels("chroma", c.chroma, (Place("detail_chroma.weight", 0),), (read(c.luma),)),
            Channels("pyramid.0", p8, rows("luma8"), (Place("down16.weight", 1), read(c.luma, c.chroma))),
            at16("mixed", c.mixed, 0, Place("chroma16.weight", 0)),
            at16("plain", p16 - c.mixed, c.mixed),
            Channels("pyramid.2", p32, rows("down32"), (Place("conv32.weight", 1),)),
            Channels("pyramid.2", p32, rows("conv32"), (read(c.luma, c.chroma, p8, p16),)),
        ]

    def adjusted(self, tensors: dict[str, Tensor], before: Shape) -> dict[str, Tensor]:
        return tensors

    def parameters(self) -> dict[str, Tensor]:
        return dict(self._empty().named_parameters())

    def _empty(self) -> PatchNet:
        with torch.device("meta"):
            return PatchNet(self.config)

    def layers(self) -> list[Layer]:
        network = self._empty()
        parameters: dict[str, Tensor] = dict(network.named_parameters())
        luma = torch.empty(FRAMES, 1, SIDE, SIDE, device="meta")
        chroma = torch.empty(FRAMES, 2, SIDE // 2, SIDE // 2, device="meta")

        def score() -> None:
            for _ in range(2):  # as the module's own layers, whose weights can be told apart
                network.levels(network.luma8(luma), network.chroma16(chroma))
            network.detail_luma(luma)
            network.detail_chroma(chroma)

        return layers_of(parameters, layer_flops(score, parameters))
