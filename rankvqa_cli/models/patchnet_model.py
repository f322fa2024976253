"""PatchNet as a model that scores clips: planes in, calibrated scores out, a few frames at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from rankvqa_cli.models.contract import Clip, ClipOutput
from rankvqa_cli.models.patchnet import Features, PatchNet, PatchNetConfig, frame_distances
from rankvqa_cli.models.store import ModelFile, model_info
from rankvqa_cli.types import FrameFormat

#: Frames computed together. Two keep the quarter-resolution maps of 1080p near the caches; more leave them.
CHUNK_FRAMES = 2
#: Luma sides are padded (by repeating the edge) to a multiple of this.
ALIGNMENT = 8


def normalise(luma: Tensor, chroma: Tensor, format: FrameFormat) -> tuple[Tensor, Tensor]:
    """Code values (float32) to the network's units, in place: nominal luma -2 to 2, nominal chroma -2 to 2.

    Nominal ranges are those of ITU-R BT.709/BT.2100: 219 and 224 steps at 8 bits in limited range.
    """
    unit = float(2 ** (format.bit_depth - 8))
    peak = float(2**format.bit_depth - 1)
    black, swing = (0.0, peak) if format.full_range else (16 * unit, 219 * unit)
    chroma_swing = peak if format.full_range else 224 * unit
    luma.sub_(black + swing / 2).mul_(4 / swing)
    chroma.sub_(128 * unit).mul_(4 / chroma_swing)
    return luma, chroma


def _pad(planes: Tensor, height: int, width: int) -> Tensor:
    h, w = planes.shape[-2:]
    if (h, w) == (height, width):
        return planes
    return F.pad(planes, (0, width - w, 0, height - h), mode="replicate")


def _subsampled(planes: Tensor, chroma: tuple[int, int]) -> Tensor:
    """Chroma planes (N, 2, h, w) of any subsampling to 4:2:0 by area mean."""
    kernel = (2 if chroma[1] == 1 else 1, 2 if chroma[0] == 1 else 1)
    if kernel == (1, 1):
        return planes
    return F.avg_pool2d(planes, kernel, ceil_mode=True, count_include_pad=False)


class PatchNetModel:
    """FullReferenceModel of a trained PatchNet. Works on native planes; 4:4:4 and 4:2:2 chroma is averaged to 4:2:0,
    video without chroma counts as neutral grey. The distance of a clip is the mean over its frames."""

    def __init__(self, header: ModelFile, network: PatchNet, sha256: str) -> None:
        self.info = model_info(header, sha256)
        self.clip_frames = header.clip_frames
        self.calibration = header.calibration
        self.network = network.eval()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.device = torch.device("cpu")

    def to(self, device: torch.device, dtype: torch.dtype) -> PatchNetModel:
        """See FullReferenceModel. The stem stays in float32 whatever ``dtype`` is."""
        self.device = device
        self.network.to(device=device, dtype=dtype)
        for stem in (self.network.stem_luma, self.network.stem_chroma):
            stem.to(dtype=torch.float32)
        return self

    @torch.inference_mode()
    def score_clips(self, reference: Clip, distorted: Sequence[Clip]) -> list[ClipOutput]:
        """See FullReferenceModel. ``maps`` of the outputs are None."""
        frames = len(reference.luma)
        sums: list[list[Tensor]] = [[] for _ in distorted]
        errors: list[Tensor | None] = [None] * len(distorted)
        before: Features | None = None
        scale = 1.0
        normalised = float(self.network.reserve_power) != 0.0
        for start in range(0, frames, CHUNK_FRAMES):
            stop = min(start + CHUNK_FRAMES, frames)
            planes = self._planes(reference, start, stop)
            described = self.network.features(*planes)
            if normalised and start <= frames // 2 < stop:
                # One frame speaks for the clip's content.
                at = slice(frames // 2 - start, frames // 2 - start + 1)
                middle = Features(*(part[at] for part in described))
                reserve = self.network.reserve(middle, planes[0][at], planes[1][at])
                scale = float(self.network.content_scale(reserve))
            gates = self.network.gates(described, stop - start, before)
            for i, clip in enumerate(distorted):
                features = self.network.features(*self._planes(clip, start, stop))
                maps, errors[i] = self.network.compare(described, features, gates, stop - start, errors[i])
                sums[i].append(frame_distances(maps))
            before = _last_frame(described)
        distances = [float(torch.cat(parts).double().mean()) / scale for parts in sums]
        return [ClipOutput(score=self.calibration(distance), distance=distance) for distance in distances]

    def _planes(self, clip: Clip, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Frames start to stop of a clip: luma (N, 1, H, W) and chroma (N, 2, H/2, W/2), padded, normalised."""
        luma = clip.luma[start:stop].to(self.device).unsqueeze(1).float()
        height, width = (-(-side // ALIGNMENT) * ALIGNMENT for side in luma.shape[-2:])
        if clip.cb is None or clip.cr is None or clip.format.chroma is None:
            neutral = float(2 ** (clip.format.bit_depth - 1))
            chroma = luma.new_full((len(luma), 2, height // 2, width // 2), neutral)
        else:
            chroma = torch.stack([clip.cb[start:stop], clip.cr[start:stop]], dim=1).to(self.device).float()
            chroma = _pad(_subsampled(chroma, clip.format.chroma), height // 2, width // 2)
        return normalise(_pad(luma, height, width), chroma, clip.format)


def _last_frame(features: Features) -> Features:
    """The last frame only, for the next chunk's motion; the rest of it is not needed there."""
    return features._replace(p16=features.p16[-1:])


def build(header: ModelFile, tensors: dict[str, Tensor], sha256: str) -> PatchNetModel:
    """Builder of the architecture ``patchnet`` (see models.registry)."""
    network = PatchNet(PatchNetConfig.from_json(header.config))
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return PatchNetModel(header, network, sha256)
