"""RankDVQA as a model that scores clips: PQANet over whole frames or patch by patch, and STANet where it is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from rankvqa_cli.models import colour
from rankvqa_cli.models.contract import Clip, ClipOutput
from rankvqa_cli.models.dense import Comparison
from rankvqa_cli.models.layers import normalised
from rankvqa_cli.models.patches import PatchGrid, patch_grid, pool
from rankvqa_cli.models.pqanet import FEATURE_LEVELS, LEVELS, PQANet, PQANetConfig
from rankvqa_cli.models.stanet import STANet
from rankvqa_cli.models.store import ModelFile, model_info

ColourInput = Literal["luma", "rgb", "ycbcr"]
Mode = Literal["dense", "tiles"]

MIN_SIDE = (
    32  # smaller frames are padded to this by repeating the edge: one place at the last level that counts
)
MAP_LEVEL = 2  # maps are given at the size of this level, 1/8 of the frame
_STANET = "stanet."  # prefix of STANet's tensors in a model file; PQANet's keep the released names


@dataclass(frozen=True)
class RankVQAConfig:
    """What the network sees and how a frame is covered.

    ``input``: ``luma`` is code values over the largest (as published), ``rgb`` and ``ycbcr`` are nominal
    values. ``mode``: ``dense`` runs the network once over whole frames and pools its maps over the patches;
    ``tiles`` runs every patch alone, as published. ``patch`` and ``stride`` are in pixels.
    """

    network: PQANetConfig = field(default_factory=PQANetConfig)
    input: ColourInput = "luma"
    mode: Mode = "dense"
    patch: int = 256
    stride: int = 256
    stanet: bool = False


class RankVQA:
    """FullReferenceModel of PQANet. ``keep_maps`` asks for maps: (1, ceil(H / 8), ceil(W / 8)), in dense mode only.

    With ``exact_identity`` in the network's configuration identical clips have distance 0 and score exactly
    100; released checkpoints run as published, where that does not hold.
    """

    def __init__(
        self, header: ModelFile, config: RankVQAConfig, network: PQANet, stanet: STANet | None, sha256: str
    ) -> None:
        self.info = model_info(header, sha256)
        self.clip_frames = header.clip_frames
        self.calibration = header.calibration
        self.config = config
        self.network = network.eval()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.stanet = None if stanet is None else stanet.eval()
        self.keep_maps = False
        self.device = torch.device("cpu")

    def to(self, device: torch.device, dtype: torch.dtype) -> RankVQA:
        """See FullReferenceModel. The first convolution and STANet stay in float32 whatever ``dtype`` is."""
        self.device = device
        self.network.to(device=device, dtype=dtype)
        self.network.keep_input_precise()
        if self.stanet is not None:
            self.stanet.to(device=device)
        return self

    @torch.inference_mode()
    def score_clips(self, reference: Clip, distorted: Sequence[Clip]) -> list[ClipOutput]:
        """See FullReferenceModel. Clips have ``clip_frames`` frames."""
        run = self._dense if self.config.mode == "dense" else self._tiles
        return run(reference, distorted)

    def _dense(self, reference: Clip, distorted: Sequence[Clip]) -> list[ClipOutput]:
        height, width = reference.luma.shape[1:]
        grid = self._grid(max(height, MIN_SIDE), max(width, MIN_SIDE))
        comparisons = [Comparison(self.network) for _ in distorted]
        positions: list[list[Tensor]] = [[] for _ in distorted]
        for t in range(len(reference.luma)):
            features = self.network.frame_features(self._frame(reference, t), LEVELS)
            described = [normalised(level) for level in features]
            for i, clip in enumerate(distorted):
                features = self.network.frame_features(self._frame(clip, t), self._levels)
                comparisons[i].add(described, features)
                if self.stanet is not None:
                    pooled = [pool(features[level].float(), 2 << level, grid) for level in FEATURE_LEVELS]
                    positions[i].append(torch.cat(pooled, dim=1))
        outputs = []
        for comparison, seen in zip(comparisons, positions, strict=True):
            maps = comparison.maps()
            quality = [pool(level_map.double(), 2 << level, grid) for level, level_map in enumerate(maps)]
            kept = _summed(maps)[..., : -(-height // 8), : -(-width // 8)] if self.keep_maps else None
            outputs.append(self._output(torch.cat(quality, dim=1).sum(dim=1), seen, kept))
        return outputs

    def _tiles(self, reference: Clip, distorted: Sequence[Clip]) -> list[ClipOutput]:
        grid = self._grid(*reference.luma.shape[1:])
        qualities: list[list[Tensor]] = [[] for _ in distorted]
        positions: list[list[Tensor]] = [[] for _ in distorted]
        for corner in grid.corners:
            described = self.network.features(self._patch(reference, corner, grid), LEVELS)
            for i, clip in enumerate(distorted):
                features = self.network.features(self._patch(clip, corner, grid), self._levels)
                maps = self.network.level_maps(described, features)
                qualities[i].append(torch.stack([level.double().mean() for level in maps]).sum())
                if self.stanet is not None:
                    pooled = [features[level][0].float().mean(dim=(2, 3)) for level in FEATURE_LEVELS]
                    positions[i].append(torch.cat(pooled, dim=1))
        outputs = []
        for quality, patches in zip(qualities, positions, strict=True):
            seen = [
                torch.stack(by_patch, dim=-1).view(1, -1, *grid.shape)
                for by_patch in zip(*patches, strict=True)
            ]
            outputs.append(self._output(torch.stack(quality).view(1, *grid.shape), seen, None))
        return outputs

    @property
    def _levels(self) -> int:
        """Levels of the distorted pyramid that are needed: STANet looks at one more than PQANet."""
        return LEVELS if self.stanet is None else LEVELS + 1

    def _grid(self, height: int, width: int) -> PatchGrid:
        return patch_grid(height, width, self.config.patch, self.config.stride)

    def _output(self, quality: Tensor, positions: list[Tensor], maps: Tensor | None) -> ClipOutput:
        """``quality`` (1, R, C); ``positions``, one (1, channels, R, C) a frame, where STANet weighs them."""
        if self.stanet is None:
            distance = float(quality.mean())
        else:
            distance = float(self.stanet(quality, torch.stack(positions, dim=1)))
        return ClipOutput(score=self.calibration(distance), distance=distance, maps=maps)

    def _frame(self, clip: Clip, t: int) -> Tensor:
        """Frame ``t`` as the network takes it: (1, C, H, W), sides at least MIN_SIDE."""
        return self._seen(colour.frames(clip, t, t + 1))

    def _patch(self, clip: Clip, corner: tuple[int, int], grid: PatchGrid) -> Tensor:
        """All frames of one patch: (1, T, C, h, w), sides at least MIN_SIDE."""
        part, top, left = colour.window(clip, *corner, grid.height, grid.width)
        rectangle = (slice(top, top + grid.height), slice(left, left + grid.width))
        return self._seen(part, rectangle).unsqueeze(0)

    def _seen(self, clip: Clip, rectangle: tuple[slice, slice] = (slice(None), slice(None))) -> Tensor:
        """Code values to the network's input, (T, C, H, W) float32 in about 0 to 1, of a rectangle of the clip."""
        clip = colour.on(clip, self.device)
        if self.config.input == "luma":
            x = colour.code_luma(clip)
        elif self.config.input == "rgb":
            x = colour.rgb(clip)
        else:
            x = colour.ycbcr(clip)
            x[:, 1:] += 0.5  # the network centres its inputs on 0.5
        x = x[..., rectangle[0], rectangle[1]]
        below, right = (max(0, MIN_SIDE - side) for side in x.shape[-2:])
        if below or right:
            x = F.pad(x, (0, right, 0, below), mode="replicate")
        return x.contiguous(memory_format=torch.channels_last)


def _summed(maps: Sequence[Tensor]) -> Tensor:
    """The level maps added up at the size of MAP_LEVEL: (1, 1, h, w) each -> (1, h, w) float32."""
    height, width = maps[MAP_LEVEL].shape[-2:]
    total = torch.zeros(1, height, width, device=maps[0].device)
    for level, level_map in enumerate(maps):
        if level < MAP_LEVEL:
            resized = F.adaptive_avg_pool2d(level_map, (height, width))
        else:
            resized = F.interpolate(level_map, (height, width), mode="bilinear")
        total += resized[:, 0]
    return total


def config_from_json(values: dict[str, Any]) -> RankVQAConfig:
    """A configuration from a model file's header. Raises ValueError or TypeError where it is not one."""
    network = dict(values["network"])
    config = RankVQAConfig(
        **{**values, "network": PQANetConfig(**{**network, "widths": tuple(network["widths"])})}
    )
    sizes = (config.patch, config.stride, config.network.frames, *config.network.widths)
    if not all(type(size) is int and size > 0 for size in sizes) or len(config.network.widths) != LEVELS + 1:
        raise ValueError("the configuration's sizes are not positive whole numbers")
    if config.input not in get_args(ColourInput) or config.mode not in get_args(Mode):
        raise ValueError("the configuration names an unknown input or mode")
    return config


def stanet_channels(config: PQANetConfig) -> int:
    """Features a position that STANet is given: the widths of the levels it looks at."""
    return sum(config.widths[level] for level in FEATURE_LEVELS)


def build(header: ModelFile, tensors: dict[str, Tensor], sha256: str) -> RankVQA:
    """Builder of the architecture ``rankvqa`` (see models.registry). Tensors of STANet carry the prefix ``stanet.``."""
    config = config_from_json(header.config)
    network = PQANet(config.network)
    expected = {
        name: buffer.clone() for name, buffer in network.named_buffers() if not buffer.is_floating_point()
    }
    values = {
        name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()
    }
    network.load_state_dict({name: value for name, value in values.items() if not name.startswith(_STANET)})
    for name, buffer in expected.items():
        if not torch.equal(network.get_buffer(name), buffer):
            raise ValueError(f"{name} is not the index of a {config.network.window}-place window")
    stanet = STANet(stanet_channels(config.network)) if config.stanet else None
    rest = {name[len(_STANET) :]: value for name, value in values.items() if name.startswith(_STANET)}
    if stanet is not None:
        stanet.load_state_dict(rest)
    elif rest:
        raise ValueError("it holds STANet's tensors, but the header says there is none")
    if header.clip_frames != config.network.frames:
        raise ValueError("clip_frames and the network's frames differ")
    return RankVQA(header, config, network, stanet, sha256)
