"""RankDVQA as a model that scores clips: PQANet over whole frames or patch by patch, and STANet where it is trained."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from rankvqa_cli.models import colour
from rankvqa_cli.models.contract import Clip, ClipOutput
from rankvqa_cli.models.evidence import (
    Evidence,
    Gatherer,
    joined,
    normalised_levels,
    patch_evidence,
    uniform,
)
from rankvqa_cli.models.maps import summed
from rankvqa_cli.models.patches import PatchGrid, patch_grid, pool
from rankvqa_cli.models.pqanet import FEATURE_LEVELS, LEVELS, PQANet
from rankvqa_cli.models.rankvqa_parts import RankVQAConfig, RankVQAParts, config_from_json, load_parts
from rankvqa_cli.models.reserve import low_passed
from rankvqa_cli.models.store import ModelFile, model_info

MIN_SIDE = (
    32  # smaller frames are padded to this by repeating the edge: one place at the last level that counts
)
MAP_LEVEL = 2  # maps are given at the size of this level, 1/8 of the frame


@dataclass(frozen=True)
class Observed:
    """One distorted clip: its evidence, STANet's ``positions`` (T, channels, R, C), and maps where they are kept."""

    evidence: Evidence
    positions: Tensor | None
    maps: Tensor | None


class RankVQA:
    """FullReferenceModel of PQANet. ``keep_maps`` asks for maps, (1, ceil(H / 8), ceil(W / 8)) in dense mode only, and
    for STANet's weights.

    With ``exact_identity`` in the network's configuration identical clips have distance 0 and score exactly
    100; released checkpoints run as published, where that does not hold.
    """

    def __init__(
        self, header: ModelFile, config: RankVQAConfig, network: PQANet, parts: RankVQAParts, sha256: str
    ) -> None:
        self.info = model_info(header, sha256)
        self.clip_frames = header.clip_frames
        self.calibration = header.calibration
        self.config = config
        self.network = network.eval()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.stanet = None if parts.stanet is None else parts.stanet.eval()
        self.readout = None if parts.readout is None else parts.readout.eval()
        self.keep_maps = False
        self.device = torch.device("cpu")

    def to(self, device: torch.device, dtype: torch.dtype) -> RankVQA:
        """See FullReferenceModel. The first convolution, STANet and the readout stay in float32 whatever ``dtype``
        is."""
        self.device = device
        self.network.to(device=device, dtype=dtype)
        self.network.keep_input_precise()
        for part in (self.stanet, self.readout):
            if part is not None:
                part.to(device=device)
        return self

    def in_patches(self, patch: int) -> RankVQA:
        """The same model, which shares all its parts, with patches of ``patch`` pixels side by side."""
        other = copy(self)
        other.config = replace(self.config, patch=patch, stride=patch)
        return other

    @torch.inference_mode()
    def score_clips(self, reference: Clip, distorted: Sequence[Clip]) -> list[ClipOutput]:
        """See FullReferenceModel. Clips have ``clip_frames`` frames."""
        reserve, seen = self.observe(reference, distorted)
        return [self._output(each, reserve) for each in seen]

    @torch.inference_mode()
    def observe(self, reference: Clip, distorted: Sequence[Clip]) -> tuple[Evidence | None, list[Observed]]:
        """What is pooled into distances: the reference's reserve (None without a readout), and each distorted clip."""
        return (
            self._dense(reference, distorted)
            if self.config.mode == "dense"
            else self._tiles(reference, distorted)
        )

    def _dense(self, reference: Clip, distorted: Sequence[Clip]) -> tuple[Evidence | None, list[Observed]]:
        height, width = reference.luma.shape[1:]
        grid = patch_grid(max(height, MIN_SIDE), max(width, MIN_SIDE), self.config.patch, self.config.stride)
        frames = 1 if all(colour.is_still(clip) for clip in (reference, *distorted)) else len(reference.luma)
        channels = self.readout is not None

        def gatherer() -> Gatherer:
            return Gatherer(self.network, grid, frames, channels=channels)

        gatherers, reserve = [gatherer() for _ in distorted], gatherer()
        positions: list[list[Tensor]] = [[] for _ in distorted]
        for t in range(frames):
            picture = self._frame(reference, t)
            pyramid = self.network.frame_features(picture, self._reference_levels)
            described = normalised_levels(pyramid)
            if channels:
                soft = self.network.frame_features(low_passed(picture), self._reference_levels)
                reserve.add(pyramid, described, soft)
            for i, clip in enumerate(distorted):
                features = self.network.frame_features(self._frame(clip, t), self._levels)
                gatherers[i].add(pyramid, described, features[: len(pyramid)])
                if self.stanet is not None:
                    pooled = [pool(features[level].float(), 2 << level, grid) for level in FEATURE_LEVELS]
                    positions[i].append(torch.cat(pooled, dim=1))
        seen = []
        for gathered, described_by in zip(gatherers, positions, strict=True):
            evidence, maps = gathered.finish()
            kept = (
                summed(maps, MAP_LEVEL)[..., : -(-height // 8), : -(-width // 8)] if self.keep_maps else None
            )
            seen.append(Observed(evidence, torch.cat(described_by) if described_by else None, kept))
        return reserve.finish()[0] if channels else None, seen

    def _tiles(self, reference: Clip, distorted: Sequence[Clip]) -> tuple[Evidence | None, list[Observed]]:
        height, width = reference.luma.shape[1:]
        grid = patch_grid(height, width, self.config.patch, self.config.stride)
        channels = self.readout is not None
        reserves: list[Evidence] = []
        patches: list[list[Evidence]] = [[] for _ in distorted]
        positions: list[list[Tensor]] = [[] for _ in distorted]
        for corner in grid.corners:
            patch = self._patch(reference, corner, grid)
            pyramid = self.network.features(patch, self._reference_levels)
            if channels:
                soft = self.network.features(low_passed(patch[0]).unsqueeze(0), self._reference_levels)
                reserves.append(patch_evidence(self.network, pyramid, soft, channels=True))
            for i, clip in enumerate(distorted):
                features = self.network.features(self._patch(clip, corner, grid), self._levels)
                seen = features[: len(pyramid)]
                patches[i].append(patch_evidence(self.network, pyramid, seen, channels=channels))
                if self.stanet is not None:
                    pooled = [features[level][0].float().mean(dim=(2, 3)) for level in FEATURE_LEVELS]
                    positions[i].append(torch.cat(pooled, dim=1))
        found = [
            Observed(
                joined(evidence, grid.shape),
                torch.unflatten(torch.stack(described, dim=-1), -1, grid.shape) if described else None,
                None,
            )
            for evidence, described in zip(patches, positions, strict=True)
        ]
        return joined(reserves, grid.shape) if channels else None, found

    @property
    def _levels(self) -> int:
        """Levels of the distorted pyramid that are needed: STANet and the readout look at one more than PQANet."""
        return LEVELS if self.stanet is None and self.readout is None else LEVELS + 1

    @property
    def _reference_levels(self) -> int:
        return LEVELS if self.readout is None else LEVELS + 1

    def _output(self, seen: Observed, reserve: Evidence | None) -> ClipOutput:
        weights = self._weights(seen)
        energies = seen.evidence.energies(weights)
        if self.readout is None or reserve is None:
            distance = float(energies.double().sum())
        else:
            yardstick = reserve.energies(weights)
            distance = float(self.readout(energies.unsqueeze(0), yardstick.unsqueeze(0)))
        maps = seen.maps
        if maps is not None and self.readout is not None:  # the maps' mean is to be the distance they led to
            mean = float(maps.double().mean())
            maps = maps * (distance / mean if mean > 0 else 0.0)
        kept = weights if self.keep_maps and self.stanet is not None else None
        return ClipOutput(self.calibration(distance), distance, maps, kept)

    def _weights(self, seen: Observed) -> Tensor:
        """What each frame of each patch counts: (T, R, C), adding up to 1."""
        if self.stanet is None or seen.positions is None:
            shape = seen.evidence.levels.shape[1:]
            frames = 1 if seen.evidence.channels is None else len(seen.evidence.channels)
            return uniform(frames, (shape[0], shape[1]), self.device)
        return self.stanet.weights(seen.positions.unsqueeze(0))[0]

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
        x = colour.network_input(colour.on(clip, self.device), self.config.input)
        x = x[..., rectangle[0], rectangle[1]]
        below, right = (max(0, MIN_SIDE - side) for side in x.shape[-2:])
        if below or right:
            x = F.pad(x, (0, right, 0, below), mode="replicate")
        return x.contiguous(memory_format=torch.channels_last)


def build(header: ModelFile, tensors: dict[str, Tensor], sha256: str) -> RankVQA:
    """Builder of the architecture ``rankvqa`` (see models.registry)."""
    config = config_from_json(header.config)
    network, parts = load_parts(config, tensors)
    if header.clip_frames != config.network.frames:
        raise ValueError("clip_frames and the network's frames differ")
    return RankVQA(header, config, network, parts, sha256)
