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
    """PatchNet. Its widths: ``luma``, ``chroma``, ``pyramid.0`` to ``pyramid.2``."""

    config: PatchNetConfig

    @property
    def sizes(self) -> dict[str, int]:
        config = self.config
        pyramid = {f"pyramid.{level}": width for level, width in enumerate(config.pyramid)}
        return {"luma": config.luma, "chroma": config.chroma} | pyramid

    def multiples(self, multiple: int) -> dict[str, int]:
        return dict.fromkeys(self.sizes, multiple)

    def resized(self, widths: Mapping[str, int]) -> PatchNetShape:
        p8, p16, p32 = (widths[f"pyramid.{level}"] for level in range(3))
        return PatchNetShape(
            replace(self.config, luma=widths["luma"], chroma=widths["chroma"], pyramid=(p8, p16, p32))
        )

    def channels(self) -> list[Channels]:
        c = self.config
        p8, p16, p32 = c.pyramid

        def read(*before: int) -> Place:
            return Place("readout.log_weight", 0, sum(before))

        return [
            Channels("luma", c.luma, (Place("detail_luma.weight", 0),), (read(),)),
            Channels("chroma", c.chroma, (Place("detail_chroma.weight", 0),), (read(c.luma),)),
            Channels("pyramid.0", p8, rows("luma8"), (Place("down16.weight", 1), read(c.luma, c.chroma))),
            Channels(
                "pyramid.1",
                p16,
                (*rows("down16"), Place("chroma16.weight", 0)),
                (Place("down32.weight", 1), read(c.luma, c.chroma, p8)),
            ),
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
            reference, distorted = (network.features(luma, chroma) for _ in range(2))
            network.energies(reference, distorted)

        return layers_of(parameters, layer_flops(score, parameters))
