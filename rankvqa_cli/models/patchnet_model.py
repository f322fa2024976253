"""PatchNet as a model that scores clips: planes in, calibrated scores out, a few frames at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from rankvqa_cli.models.contract import Clip, ClipOutput
from rankvqa_cli.models.maps import summed
from rankvqa_cli.models.patchnet import Features, PatchNet, PatchNetConfig, Units, frame_distances
from rankvqa_cli.models.store import ModelFile, model_info
from rankvqa_cli.types import FrameFormat

#: Frames computed together.
CHUNK_FRAMES = 2
#: From this many pixels on, frames go one by one: as fast, and the maps of fewer frames are in memory.
LARGE_PIXELS = 1_500_000
#: Chunks in work at a time, whatever the number of threads: memory grows with them.
MOST_CHUNKS = 4
#: Luma sides are padded (by repeating the edge) to a multiple of this.
ALIGNMENT = 8


P = ParamSpec("P")
T = TypeVar("T")


def units_of(format: FrameFormat) -> Units:
    """From code values to the network's units: nominal luma and chroma, each -2 to 2.

    Nominal ranges are those of ITU-R BT.709 and BT.2100: 219 and 224 steps at 8 bits in limited range.
    """
    unit = float(2 ** (format.bit_depth - 8))
    peak = float(2**format.bit_depth - 1)
    black, swing = (0.0, peak) if format.full_range else (16 * unit, 219 * unit)
    chroma_swing = peak if format.full_range else 224 * unit
    return Units(4 / swing, black + swing / 2, 4 / chroma_swing, 128 * unit)


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
    video without chroma counts as neutral grey. The distance of a clip is the mean over its frames.

    On a CPU every thread works on a chunk of frames of its own: operations of such a small network are too short to be
    shared. So the number of threads changes no bit of a score either.
    """

    def __init__(self, header: ModelFile, network: PatchNet, sha256: str) -> None:
        self.info = model_info(header, sha256)
        self.clip_frames = header.clip_frames
        self.calibration = header.calibration
        self.network = network.eval()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.keep_maps = False
        self.device = torch.device("cpu")
        self._workers: ThreadPoolExecutor | None = None
        self._threads = 1

    def to(self, device: torch.device, dtype: torch.dtype) -> PatchNetModel:
        """See FullReferenceModel. The stem and the readout stay in float32 whatever ``dtype`` is."""
        self.device = device
        self.network.to(device=device, dtype=dtype)
        for part in (self.network.stem_luma, self.network.stem_chroma, self.network.readout):
            if part is not None:
                part.to(dtype=torch.float32)
        return self

    def score_clips(self, reference: Clip, distorted: Sequence[Clip]) -> list[ClipOutput]:
        """See FullReferenceModel. ``maps``, where asked for, are (T, ceil(H / 8), ceil(W / 8))."""
        yardstick, parts = self._compared(reference, distorted)
        return [self._output(pieces, yardstick) for pieces in parts]

    def observe(self, reference: Clip, distorted: Sequence[Clip]) -> tuple[Tensor, list[Tensor]]:
        """What the readout is given: the reference's reserve (K,), and the energies (K,) of each distorted clip."""
        yardstick, parts = self._compared(reference, distorted)
        return yardstick, [_mean(pieces) for pieces in parts]

    def _compared(
        self, reference: Clip, distorted: Sequence[Clip]
    ) -> tuple[Tensor, list[list[tuple[Tensor, Tensor | None]]]]:
        """What ``_yardstick`` says of the reference, and ``_compare`` of each distorted clip's chunks."""
        frames = len(reference.luma)
        chunks = chunks_of(frames, reference.format.width * reference.format.height)
        self._hire(torch.get_num_threads() if self.device.type == "cpu" else 1)
        wave = min(self._threads, MOST_CHUNKS)
        yardstick = self._submit(self._yardstick, reference)
        parts: list[list[tuple[Tensor, Tensor | None]]] = [[] for _ in distorted]
        before: list[Tensor] | None = None
        for first in range(0, len(chunks), wave):
            work = chunks[first : first + wave]
            clips = [reference, *distorted]
            pending = [[self._submit(self._describe, clip, chunk) for clip in clips] for chunk in work]
            described = [[each.result() for each in row] for row in pending]
            compared = []
            for features in described:
                for i in range(len(distorted)):
                    last = None if before is None else (before[0], before[i + 1])
                    compared.append(self._submit(self._compare, features[0], features[i + 1], last))
                before = [each.p16[-1:] for each in features]
            for position, each in enumerate(compared):
                parts[position % len(distorted)].append(each.result())
        return yardstick.result(), parts

    @torch.inference_mode()
    def _output(self, pieces: list[tuple[Tensor, Tensor | None]], yardstick: Tensor) -> ClipOutput:
        """From what ``_compare`` says of the chunks of a clip, and what it is measured against."""
        mean = _mean(pieces)
        if self.network.readout is None:
            distance = float(mean.double() / yardstick.double())
        else:
            distance = float(self.network.readout(mean.unsqueeze(0), yardstick.unsqueeze(0)))
        maps = [found for _, found in pieces if found is not None]
        if not maps:
            return ClipOutput(score=self.calibration(distance), distance=distance)
        joined = torch.cat(maps)
        whole = float(joined.double().mean())  # the maps' mean is to be the distance they led to
        return ClipOutput(
            self.calibration(distance), distance, joined * (distance / whole if whole > 0 else 0.0)
        )

    def _hire(self, threads: int) -> None:
        """Have ``threads`` workers that run their operations alone."""
        if threads == self._threads:
            return
        if self._workers is not None:
            self._workers.shutdown()
        self._workers = None
        self._threads = threads
        if threads > 1:
            self._workers = ThreadPoolExecutor(
                threads, "patchnet", initializer=torch.set_num_threads, initargs=(1,)
            )

    def _submit(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        if self._workers is not None:
            return self._workers.submit(work, *args, **kwargs)
        done: Future[T] = Future()
        done.set_result(work(*args, **kwargs))
        return done

    @torch.inference_mode()
    def _yardstick(self, reference: Clip) -> Tensor:
        """What a clip is measured against: its reserve (K,), or without a readout what distances are divided by (). Its
        middle frame speaks for its content."""
        if self.network.readout is None and float(self.network.reserve_power) == 0.0:
            return torch.ones(())
        middle = len(reference.luma) // 2
        planes = self._planes(reference, slice(middle, middle + 1))
        units = units_of(reference.format)
        features = self.network.features(*planes, units)
        if self.network.readout is not None:
            return self.network.reserve_energies(features, *planes, units)[0]
        return self.network.content_scale(self.network.reserve(features, *planes, units))[0]

    @torch.inference_mode()
    def _describe(self, clip: Clip, chunk: slice) -> Features:
        return self.network.features(*self._planes(clip, chunk), units_of(clip.format))

    @torch.inference_mode()
    def _compare(
        self, reference: Features, distorted: Features, before: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor | None]:
        """Of a chunk's frames, distances (N,) or what the readout is given (N, K), and by place (N, h, w) where that is
        asked for; ``before`` is the chunk ahead's last frame at 1/16, of both."""
        frames = len(reference.p16)
        gates = self.network.gates(reference, frames, None if before is None else before[0])
        error = None if before is None else before[1] - before[0]
        maps = self.network.compare(reference, distorted, gates, frames, error)
        by_place = summed(maps, 0) if self.keep_maps else None
        if self.network.readout is None:
            return frame_distances(maps), by_place
        return self.network.energies(reference, distorted, maps), by_place

    def _planes(self, clip: Clip, chunk: slice) -> tuple[Tensor, Tensor]:
        """Frames of a clip: luma (N, 1, H, W) and chroma (N, 2, H/2, W/2) code values, float32, padded."""
        luma = clip.luma[chunk].to(self.device).unsqueeze(1).float()
        height, width = (-(-side // ALIGNMENT) * ALIGNMENT for side in luma.shape[-2:])
        if clip.cb is None or clip.cr is None or clip.format.chroma is None:
            neutral = float(2 ** (clip.format.bit_depth - 1))
            chroma = luma.new_full((len(luma), 2, height // 2, width // 2), neutral)
        else:
            chroma = torch.stack([clip.cb[chunk], clip.cr[chunk]], dim=1).to(self.device).float()
            chroma = _pad(_subsampled(chroma, clip.format.chroma), height // 2, width // 2)
        return _pad(luma, height, width), chroma


def _mean(pieces: list[tuple[Tensor, Tensor | None]]) -> Tensor:
    """Over all frames of a clip: () or (K,) float32."""
    return torch.cat([found for found, _ in pieces]).double().mean(dim=0).float()


def chunks_of(frames: int, pixels: int) -> list[slice]:
    """Frames of a clip that are computed together. The first two always are: the first takes its motion from the
    second."""
    step = 1 if pixels >= LARGE_PIXELS else CHUNK_FRAMES
    first = min(max(step, 2), frames)
    return [slice(0, first), *(slice(at, min(at + step, frames)) for at in range(first, frames, step))]


def build(header: ModelFile, tensors: dict[str, Tensor], sha256: str) -> PatchNetModel:
    """Builder of the architecture ``patchnet`` (see models.registry)."""
    network = PatchNet(PatchNetConfig.from_json(header.config))
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return PatchNetModel(header, network, sha256)
