"""PatchNet as a model that scores clips: planes in, calibrated scores out, a few frames at a time."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from rankvqa_cli.models.code_values import planes_of, units_of
from rankvqa_cli.models.contract import Clip, ClipOutput
from rankvqa_cli.models.landing import Landing
from rankvqa_cli.models.maps import summed
from rankvqa_cli.models.patchnet import (
    Features,
    PatchNet,
    PatchNetConfig,
    ReserveStem,
    Stem,
    Units,
    over_places,
)
from rankvqa_cli.models.proof import Proof
from rankvqa_cli.models.store import ModelFile, model_info, restored
from rankvqa_cli.models.workers import Workers

#: On a CPU, frames are computed together as long as they have no more pixels than this: beyond, they leave the caches.
#: Elsewhere a clip's are, as long as there is memory.
CHUNK_PIXELS = 1_500_000
#: Chunks in work at a time, whatever the number of threads: memory grows with them.
MOST_CHUNKS = 4
#: By how much features in bfloat16 may differ from float32's, of their mean, and where that is nothing. Rounding makes
#: at most 0.004.
ROUNDED, NOTHING = 0.05, 1e-3


class Seen(NamedTuple):
    """Of N frames of a distorted clip: ``energies`` (N, K), and where they are, ``by_place`` (N, h, w), or None."""

    energies: Tensor
    by_place: Tensor | None


class Look(NamedTuple):
    """One chunk: the reserve (K,) of the clip where it was measured or known, and what is ``seen`` of each distorted
    clip."""

    reserve: Tensor | None
    seen: list[Seen]


class PatchNetModel:
    """FullReferenceModel of a trained PatchNet. Works on native planes; 4:4:4 and 4:2:2 chroma is averaged to 4:2:0,
    video without chroma counts as neutral grey. A clip's features differ by the mean over its frames.

    On a CPU every thread works on a chunk of frames of its own: operations of such a small network are too short to be
    shared. So the number of threads changes no bit of a score either. Another device is given a clip's work at once and
    not waited for until its scores are asked for.
    """

    def __init__(self, header: ModelFile, network: PatchNet, sha256: str) -> None:
        self.info = model_info(header, sha256)
        self.clip_frames = header.clip_frames
        self.calibration = header.calibration
        self.network = network.eval()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.keep_maps = False
        self.device = torch.device("cpu")
        self._exact: PatchNet | None = None
        self._proof = Proof(ROUNDED, NOTHING)
        self._stems: dict[tuple[PatchNet, Units, torch.dtype], tuple[Stem, ReserveStem]] = {}
        self._most_pixels: int | None = None
        self._adapted: list[str] = []
        self._workers = Workers("patchnet", MOST_CHUNKS)

    def to(self, device: torch.device, dtype: torch.dtype) -> PatchNetModel:
        """See FullReferenceModel. The readout, the filters on planes and all that measures the reserve stay in float32
        whatever ``dtype`` is: a smooth picture's reserve is less than what bfloat16 rounds away and adds."""
        self.device = device
        self._stems.clear()
        if dtype == torch.float32:
            self._exact = None
        else:
            self._exact = (self._exact or copy.deepcopy(self.network)).to(device=device)
        self.network.to(device=device, dtype=dtype)
        exact = ("detail_luma", "detail_chroma", "luma8", "chroma16", "readout")
        for name in exact:
            self.network.get_submodule(name).to(dtype=torch.float32)
        return self

    def score_clips(self, reference: Clip, distorted: Sequence[Clip]) -> list[ClipOutput]:
        """See FullReferenceModel. ``maps``, where asked for, are (T, ceil(H / 8), ceil(W / 8))."""
        return self._outputs(self._begin(reference, distorted))

    def begin_clips(
        self, reference: Clip, distorted: Sequence[Clip]
    ) -> Callable[[], list[ClipOutput]] | None:
        """See Overlapping: the workers go on to the next clips' chunks, instead of waiting for each other, and so does
        a device that has its work queued."""
        self._workers.hire(self.device)
        if self.keep_maps:
            return None
        if self.device.type != "cpu":
            return partial(self._landed, self._launched(reference, distorted))
        if not self._workers.hired:
            return None
        return partial(self._outputs, self._begin(reference, distorted))

    def adapted(self) -> tuple[str, ...]:
        """See Adapting."""
        said = tuple(self._adapted)
        self._adapted.clear()
        return said

    def observe(self, reference: Clip, distorted: Sequence[Clip]) -> tuple[Tensor, list[Tensor]]:
        """What the readout is given: the reference's reserve (K,), and the energies (K,) of each distorted clip."""
        reserve, seen = _seen(self._begin(reference, distorted))
        return reserve, [_mean(each) for each in seen]

    def _outputs(self, looks: Sequence[Future[Look]]) -> list[ClipOutput]:
        reserve, seen = _seen(looks)
        # By a worker, too: this thread would share a hundred numbers with others, and wait until those have a core.
        outputs = [self._workers.submit(self._output, each, reserve) for each in seen]
        return [each.result() for each in outputs]

    @torch.inference_mode()
    def _launched(self, reference: Clip, distorted: Sequence[Clip]) -> Landing:
        """The distances of clips, queued on a device."""
        reserve, seen = _seen(self._begin(reference, distorted))
        return Landing(torch.cat([self._distance(each, reserve) for each in seen]))

    def _landed(self, landing: Landing) -> list[ClipOutput]:
        return [ClipOutput(self.calibration(distance), distance) for distance in landing.numbers()]

    def _begin(self, reference: Clip, distorted: Sequence[Clip]) -> list[Future[Look]]:
        """A look at every chunk, in the frames' order. Where a device's memory does not do, of smaller chunks."""
        self._workers.hire(self.device)
        frames, pixels = len(reference.luma), reference.format.width * reference.format.height
        while True:
            chunks = chunks_of(frames, pixels, self._at_once(frames * pixels))
            try:
                return self._looks(reference, distorted, chunks)
            except torch.cuda.OutOfMemoryError:
                count = max(chunk.stop - chunk.start for chunk in chunks)
                if count == 1:
                    raise
            fewer = -(-count // 2)
            self._most_pixels = fewer * pixels
            torch.cuda.empty_cache()
            self._adapted.append(
                f"{self.device} ran out of memory: {self.info.name} takes {fewer} frames at a time instead of {count}, "
                "which is slower"
            )

    def _at_once(self, clip: int) -> int:
        """Pixels that are computed together, of a clip with so many."""
        if self._most_pixels is not None:
            return self._most_pixels
        return CHUNK_PIXELS if self.device.type == "cpu" else clip

    def _looks(
        self, reference: Clip, distorted: Sequence[Clip], chunks: Sequence[slice]
    ) -> list[Future[Look]]:
        middle = len(reference.luma) // 2
        speaks = next(i for i, chunk in enumerate(chunks) if chunk.start <= middle < chunk.stop)
        # The chunk with the middle frame, which speaks for the content, goes first: maps are weighed by its reserve.
        first = self._workers.submit(
            self._look, reference, distorted, chunks[speaks], middle - chunks[speaks].start, None
        )
        reserve = first.result().reserve if self.keep_maps else None
        return [
            first
            if i == speaks
            else self._workers.submit(self._look, reference, distorted, chunk, None, reserve)
            for i, chunk in enumerate(chunks)
        ]

    @torch.inference_mode()
    def _output(self, seen: list[Seen], reserve: Tensor) -> ClipOutput:
        """From what is seen of the chunks of a clip."""
        distance = float(self._distance(seen, reserve))
        maps = [each.by_place for each in seen if each.by_place is not None]
        if not maps:
            return ClipOutput(score=self.calibration(distance), distance=distance)
        joined = torch.cat(maps)
        whole = float(joined.double().mean())  # the maps' mean is to be the distance they led to
        return ClipOutput(
            self.calibration(distance), distance, joined * (distance / whole if whole > 0 else 0.0)
        )

    def _distance(self, seen: Sequence[Seen], reserve: Tensor) -> Tensor:
        """(1,) float32."""
        distance: Tensor = self.network.readout(_mean(seen).unsqueeze(0), reserve.unsqueeze(0))
        return distance

    @torch.inference_mode()
    def _look(
        self,
        reference: Clip,
        distorted: Sequence[Clip],
        chunk: slice,
        middle: int | None,
        reserve: Tensor | None,
    ) -> Look:
        """Look at some frames. ``middle`` is where among them the clip's middle frame is, whose reserve is then
        measured; otherwise ``reserve`` is what has been measured, where maps are asked for."""
        units, network = units_of(reference.format), self.network
        # bfloat16 holds code values of 8 bits, and no more.
        halved = network.down16.weight.dtype == torch.bfloat16 and reference.format.bit_depth == 8
        dtype = torch.bfloat16 if halved else torch.float32
        stem, reserve_stem = self._laid_out(network, units, dtype)
        described = network.features(*planes_of(reference, chunk, dtype, self.device), stem)
        if middle is not None:
            one = Features(*(each[middle : middle + 1] for each in described))
            if self._exact is not None:
                own, reserve_stem = self._laid_out(self._exact, units, torch.float32)
                exact = self._exact.features(one.luma.float(), one.chroma.float(), own)
                self._require_alike(one, exact)
                one = exact
            reserve = (self._exact or network).reserve_energies(one, reserve_stem)[0]
        seen = []
        for clip in distorted:
            features = network.features(*planes_of(clip, chunk, dtype, self.device), stem)
            differences = network.differences(described, features, stem)
            maps = None
            if self.keep_maps and reserve is not None:
                whole = summed(network.by_place(differences, reserve), 1)
                maps = whole[:, : -(-reference.format.height // 8), : -(-reference.format.width // 8)]
            seen.append(Seen(over_places(differences), maps))
        return Look(reserve, seen)

    def _laid_out(self, network: PatchNet, units: Units, dtype: torch.dtype) -> tuple[Stem, ReserveStem]:
        """``network.stem`` and ``reserve_stem``, laid out once, since that takes as long as a small picture's products:
        what describes frames is not trained any more."""
        key = network, units, dtype
        if key not in self._stems:
            self._stems[key] = network.stem(units, dtype), network.reserve_stem(units, dtype)
        return self._stems[key]

    def _require_alike(self, rough: Features, exact: Features) -> None:
        """Of the first frame of each size: is what was computed in bfloat16 what float32 makes of it? Raises
        DeviceError."""
        height, width = exact.luma.shape[-2:]
        if self.device.type == "cpu" and self._proof.is_due((height, width)):
            self._proof.require((height, width), rough.pyramid, exact.pyramid)


def _seen(looks: Sequence[Future[Look]]) -> tuple[Tensor, list[list[Seen]]]:
    """The reference's reserve (K,), and what is seen of the chunks of each distorted clip."""
    found = [each.result() for each in looks]
    reserve = next(each.reserve for each in found if each.reserve is not None)
    return reserve, [list(seen) for seen in zip(*(each.seen for each in found), strict=True)]


def _mean(seen: Sequence[Seen]) -> Tensor:
    """Over all frames of a clip: (K,) float32."""
    return torch.cat([each.energies for each in seen]).double().mean(dim=0).float()


def chunks_of(frames: int, pixels: int, most: int) -> list[slice]:
    """Frames of a clip, of so many ``pixels`` each, that are computed together: with no more than ``most``, or one."""
    step = max(1, min(frames, most // pixels))
    step = -(-frames // -(-frames // step))  # as even as can be
    return [slice(at, min(at + step, frames)) for at in range(0, frames, step)]


def build(header: ModelFile, tensors: dict[str, Tensor], sha256: str) -> PatchNetModel:
    """Builder of the architecture ``patchnet`` (see models.registry)."""
    network = restored(PatchNet, PatchNetConfig.from_json(header.config), tensors)
    return PatchNetModel(header, network, sha256)
