"""What pruning knows of RankVQA: PQANet, STANet and the readout."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from rankvqa_cli.models.layers import LEVEL_NAMES
from rankvqa_cli.models.pqanet import FEATURE_LEVELS, LEVELS, PQANet
from rankvqa_cli.models.rankvqa_parts import RankVQAConfig, parts_of, stanet_channels
from rankvqa_cli.training.flops import layer_flops
from rankvqa_cli.training.shapes import SIDE, Layer, Shape, layers_of, rows
from rankvqa_cli.training.widths import Channels, Place


@dataclass(frozen=True)
class RankVQAShape:
    """PQANet, with STANet and readout where the configuration has them. Its widths: ``widths.0`` to ``widths.5`` of the
    pyramid, ``dim`` and ``hidden`` of all merge layers. Heads stay as many as they are, each of fewer channels."""

    config: RankVQAConfig

    @property
    def sizes(self) -> dict[str, int]:
        network = self.config.network
        pyramid = {f"widths.{level}": width for level, width in enumerate(network.widths)}
        return pyramid | {"dim": network.dim, "hidden": network.hidden}

    def multiples(self, multiple: int) -> dict[str, int]:
        return dict.fromkeys(self.sizes, multiple) | {"dim": math.lcm(multiple, self.config.network.heads)}

    def resized(self, widths: Mapping[str, int]) -> RankVQAShape:
        old = self.config.network
        network = replace(
            old,
            widths=tuple(widths[f"widths.{level}"] for level in range(len(old.widths))),
            dim=widths["dim"],
            hidden=widths["hidden"],
            energy_widths=old.energy_widths or old.widths,
        )
        return RankVQAShape(replace(self.config, network=network))

    def channels(self) -> list[Channels]:
        return [*self._pyramid(), *self._merging()]

    def _pyramid(self) -> Iterator[Channels]:
        network = self.config.network
        for level, (width, name) in enumerate(zip(network.widths, LEVEL_NAMES, strict=True)):
            first, second = (f"net.moduleExtractor.{name}.{part}" for part in (0, 2))
            yield Channels(f"widths.{level}", width, rows(first), (Place(f"{second}.weight", 1),))
            seen: list[Place] = []
            if level + 1 < len(network.widths):
                seen.append(Place(f"net.moduleExtractor.{LEVEL_NAMES[level + 1]}.0.weight", 1))
            if level < LEVELS:  # reference, distorted and difference of every frame, one after the other
                merging = f"net.merge_layers.{level}.conv_first.weight"
                seen += [Place(merging, 1, width * block) for block in range(3 * network.frames)]
            if self.config.readout:
                seen.append(Place("readout.log_weight", 0, LEVELS + sum(network.widths[:level])))
            if self.config.stanet and level in FEATURE_LEVELS:
                before = [network.widths[each] for each in FEATURE_LEVELS if each < level]
                seen.append(Place("stanet.conv3d_block1.0.weight", 1, sum(before)))
            yield Channels(f"widths.{level}", width, rows(second), tuple(seen))

    def _merging(self) -> Iterator[Channels]:
        network = self.config.network
        dim, hidden, heads = network.dim, network.hidden, network.heads
        for level in range(LEVELS):
            layer = f"net.merge_layers.{level}"
            block = f"{layer}.layers.0.residual_group.blocks.0"
            qkv, proj = f"{block}.attn.qkv", f"{block}.attn.proj"
            fc1, fc2, after = f"{block}.mlp.fc1", f"{block}.mlp.fc2", f"{layer}.conv_after_body"
            tokens = (*rows(f"{layer}.conv_first"), *rows(proj), *rows(fc2))
            taken = tuple(Place(f"{name}.weight", 1) for name in (qkv, fc1, after))
            yield Channels("dim", dim, tokens, taken)
            yield Channels("dim", dim, (*rows(qkv), *rows(qkv, dim)), parts=heads)  # queries and keys
            yield Channels("dim", dim, rows(qkv, 2 * dim), (Place(f"{proj}.weight", 1),), heads)
            yield Channels("hidden", hidden, rows(fc1), (Place(f"{fc2}.weight", 1),))
            yield Channels("dim", dim, rows(after), (Place(f"lins.{level}.model.1.weight", 1),))

    def adjusted(self, tensors: dict[str, Tensor], before: Shape) -> dict[str, Tensor]:
        dim = self.config.network.dim
        scale = math.sqrt(dim / before.sizes["dim"])  # attention divides by the root of a head's channels
        found = dict(tensors)
        for name in tensors:
            if ".attn.qkv." in name:
                found[name] = torch.cat([tensors[name][:dim] * scale, tensors[name][dim:]])
        return found

    def parameters(self) -> dict[str, Tensor]:
        return self._empty()[1]

    def _empty(self) -> tuple[PQANet, dict[str, Tensor], nn.Module | None]:
        with torch.device("meta"):
            network, parts = PQANet(self.config.network).eval(), parts_of(self.config)
        found: dict[str, Tensor] = dict(network.named_parameters())
        for prefix, part in (("stanet.", parts.stanet), ("readout.", parts.readout)):
            if part is not None:
                found |= {prefix + name: value for name, value in part.named_parameters()}
        return network, found, parts.stanet

    def layers(self) -> list[Layer]:
        network, parameters, stanet = self._empty()
        frames = self.config.network.frames
        levels = LEVELS if stanet is None and not self.config.readout else LEVELS + 1
        clip = torch.empty(1, frames, 3, SIDE, SIDE, device="meta")

        def score() -> None:
            reference, distorted = (network.features(clip, levels) for _ in range(2))
            network.level_maps(reference, distorted)
            if stanet is not None:
                channels = stanet_channels(self.config.network)
                stanet.get_submodule("conv3d_block2")(
                    stanet.get_submodule("conv3d_block1")(
                        torch.empty(1, channels, frames, 1, 1, device="meta")
                    )
                )

        return layers_of(parameters, layer_flops(score, parameters))
