"""What RankVQA is made of: its configuration, PQANet, STANet and the readout, and how a model file holds them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from rankvqa_cli.models.colour import ColourInput
from rankvqa_cli.models.pqanet import FEATURE_LEVELS, LEVELS, PQANet, PQANetConfig
from rankvqa_cli.models.reserve import Readout
from rankvqa_cli.models.stanet import STANet

Mode = Literal["dense", "tiles"]

#: What the level maps count at first in a readout, against 1 for each level of the pyramid.
MAPS_SHARE = 0.01

_PARTS = (
    "stanet.",
    "readout.",
)  # prefixes of other tensors in a model file; PQANet's keep the released names


@dataclass(frozen=True)
class RankVQAConfig:
    """What the network sees and how a frame is covered.

    ``input``: ``luma`` is code values over the largest (as published), ``rgb`` and ``ycbcr`` are nominal
    values. ``mode``: ``dense`` runs the network once over whole frames and pools its maps over the patches;
    ``tiles`` runs every patch alone, as published. ``patch`` and ``stride`` are in pixels. ``readout``: distances are
    read off all features, measured against the reference's reserve (see models.reserve).
    """

    network: PQANetConfig = field(default_factory=PQANetConfig)
    input: ColourInput = "luma"
    mode: Mode = "dense"
    patch: int = 256
    stride: int = 256
    stanet: bool = False
    readout: bool = False


@dataclass(frozen=True)
class RankVQAParts:
    """What pools the evidence: STANet's weights (None: all places alike) and the readout (None: a plain sum)."""

    stanet: STANet | None
    readout: Readout | None


def config_from_json(values: dict[str, Any]) -> RankVQAConfig:
    """A configuration from a model file's header. Raises ValueError or TypeError where it is not one."""
    network = dict(values["network"])
    network["widths"] = tuple(network["widths"])
    if network.get("energy_widths") is not None:
        network["energy_widths"] = tuple(network["energy_widths"])
    config = RankVQAConfig(**{**values, "network": PQANetConfig(**network)})
    scaled = config.network.energy_widths or config.network.widths
    sizes = (config.patch, config.stride, config.network.frames, *config.network.widths, *scaled)
    counts = {len(config.network.widths), len(scaled)}
    if not all(type(size) is int and size > 0 for size in sizes) or counts != {LEVELS + 1}:
        raise ValueError("the configuration's sizes are not positive whole numbers")
    if config.input not in get_args(ColourInput) or config.mode not in get_args(Mode):
        raise ValueError("the configuration names an unknown input or mode")
    return config


def config_to_json(config: RankVQAConfig) -> dict[str, Any]:
    """The configuration as a model file's header holds it, without tuples."""
    values = asdict(config)
    network = values["network"]
    network["widths"] = list(config.network.widths)
    if config.network.energy_widths is None:
        del network["energy_widths"]  # of pruned networks only: headers without it say the same
    else:
        network["energy_widths"] = list(config.network.energy_widths)
    return values


def stanet_channels(config: PQANetConfig) -> int:
    """Features a position that STANet is given: the widths of the levels it looks at."""
    return sum(config.widths[level] for level in FEATURE_LEVELS)


def readout_groups(config: PQANetConfig) -> tuple[int, ...]:
    """The groups of features a readout is given: the levels' maps, then the channels of each level."""
    return (LEVELS, *config.widths)


def new_readout(config: PQANetConfig) -> Readout:
    """An untrained readout. The level maps begin with a small share: what they say of one content's versions does not
    carry over to other contents as well as the channels do (weights/LOG.md)."""
    groups = readout_groups(config)
    return Readout(groups, [MAPS_SHARE] + [1.0] * (len(groups) - 1))


def parts_of(config: RankVQAConfig) -> RankVQAParts:
    """Untrained parts as the configuration asks for them."""
    return RankVQAParts(
        STANet(stanet_channels(config.network)) if config.stanet else None,
        new_readout(config.network) if config.readout else None,
    )


def load_parts(config: RankVQAConfig, tensors: dict[str, Tensor]) -> tuple[PQANet, RankVQAParts]:
    """A network and its parts with the tensors of a model file, in float32. Tensors of STANet and of the readout carry
    the prefixes ``stanet.`` and ``readout.``. Raises ValueError or RuntimeError where they do not fit."""
    network = PQANet(config.network)
    expected = {
        name: buffer.clone() for name, buffer in network.named_buffers() if not buffer.is_floating_point()
    }
    values = {
        name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()
    }
    network.load_state_dict({name: value for name, value in values.items() if not name.startswith(_PARTS)})
    for name, buffer in expected.items():
        if not torch.equal(network.get_buffer(name), buffer):
            raise ValueError(f"{name} is not the index of a {config.network.window}-place window")
    parts = parts_of(config)
    for prefix, part in zip(_PARTS, (parts.stanet, parts.readout), strict=True):
        own = {name[len(prefix) :]: value for name, value in values.items() if name.startswith(prefix)}
        if part is not None:
            part.load_state_dict(own)
        elif own:
            raise ValueError(f"it holds tensors of {prefix[:-1]}, but the header says there is none")
    return network, parts


def parts_tensors(network: PQANet, parts: RankVQAParts) -> dict[str, Tensor]:
    """The tensors of a model file, as ``load_parts`` takes them."""
    tensors = dict(network.state_dict())
    for prefix, part in zip(_PARTS, (parts.stanet, parts.readout), strict=True):
        if part is not None:
            tensors |= {prefix + name: value for name, value in part.state_dict().items()}
    return tensors
