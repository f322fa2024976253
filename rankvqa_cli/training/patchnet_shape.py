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
    """PatchNet. Its widths: ``luma``, ``chroma``, ``pyramid.0`` to ``pyramid.2``, ``trunk``."""

    config: PatchNetConfig

    @property
    def sizes(self) -> dict[str, int]:
        config = self.config
        pyramid = {f"pyramid.{level}": width for level, width in enumerate(config.pyramid)}
        return {"luma": config.luma, "chroma": config.chroma} | pyramid | {"trunk": config.trunk}

    def multiples(self, multiple: int) -> dict[str, int]:
        return dict.fromkeys(self.sizes, multiple)

    def resized(self, widths: Mapping[str, int]) -> PatchNetShape:
        p8, p16, p32 = (widths[f"pyramid.{level}"] for level in range(3))
        return PatchNetShape(
            replace(
                self.config,
                luma=widths["luma"],
                chroma=widths["chroma"],
                pyramid=(p8, p16, p32),
                trunk=widths["trunk"],
            )
        )

    def channels(self) -> list[Channels]:
        c = self.config
        p8, p16, p32 = c.pyramid

        def error(level: int, *offsets: int) -> list[Place]:
            names = (f"visible{level}.log_threshold", f"merge{level}.weight")
            return [Place(name, 1, offset) for name in names for offset in offsets]

        def read(*before: int) -> list[Place]:
            return [Place("readout.log_weight", 0, 3 + sum(before))] if c.readout else []

        def trunk(makes: str, gate: str, head: int, *seen: Place) -> Channels:
            # Masked by the gate's channel of the same number; laid flat, log_head holds the three levels in turn.
            gates = (Place(f"{gate}.weight", 0), Place(f"{gate}.bias", 0)) if gate else ()
            heads = () if head < 0 else (Place("log_head", None, head * c.trunk),)
            return Channels("trunk", c.trunk, (Place(f"{makes}.weight", 0),), (*gates, *heads, *seen))

        return [
            Channels(
                "luma",
                c.luma,
                (Place("stem_luma.weight", 0),),
                (Place("down8.weight", 1), *error(8, 0), *read()),
            ),
            Channels(
                "chroma",
                c.chroma,
                (Place("stem_chroma.weight", 0),),
                (Place("mix8.weight", 1), *error(8, c.luma), *read(c.luma)),
            ),
            Channels("pyramid.0", p8, (*rows("down8"), Place("mix8.weight", 0)), (Place("conv8.weight", 1),)),
            Channels(
                "pyramid.0",
                p8,
                rows("conv8"),
                (
                    Place("down16.weight", 1),
                    Place("gate8.weight", 1),
                    *error(8, c.luma + c.chroma),
                    *read(c.luma, c.chroma),
                ),
            ),
            Channels("pyramid.1", p16, rows("down16"), (Place("conv16.weight", 1),)),
            Channels(
                "pyramid.1",
                p16,
                rows("conv16"),
                (
                    Place("down32.weight", 1),
                    Place("gate16.weight", 1),
                    Place("gate16.weight", 1, p16),
                    *error(16, 0, p16, 2 * p16),
                    *read(c.luma, c.chroma, p8),
                ),
            ),
            Channels("pyramid.2", p32, rows("down32"), (Place("conv32.weight", 1),)),
            Channels(
                "pyramid.2",
                p32,
                rows("conv32"),
                (Place("gate32.weight", 1), *error(32, 0, p32), *read(c.luma, c.chroma, p8, p16)),
            ),
            trunk("merge8", "gate8", 0, Place("merge16.weight", 1, 3 * p16)),
            trunk("merge16", "gate16", -1, Place("trunk16.weight", 1)),
            trunk("trunk16", "", 1, Place("merge32.weight", 1, 2 * p32)),
            trunk("merge32", "gate32", -1, Place("trunk32.weight", 1)),
            trunk("trunk32", "", 2),
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
            network.compare(reference, distorted, network.gates(reference, FRAMES), FRAMES)

        return layers_of(parameters, layer_flops(score, parameters))
