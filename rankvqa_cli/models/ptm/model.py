"""An ensemble as a model that scores: frames in, fused quality and each member's own view out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from rankvqa_cli.errors import ModelError
from rankvqa_cli.models.contract import Clip, Opinion
from rankvqa_cli.models.ptm.contract import FrozenNetwork
from rankvqa_cli.models.ptm.ensemble import Ensemble, member_path, open_members, read_ensemble
from rankvqa_cli.models.ptm.fusion import Fusion, FusionConfig
from rankvqa_cli.models.ptm.views import Moment
from rankvqa_cli.models.store import ModelFile, read_model, restored
from rankvqa_cli.models.workers import Workers
from rankvqa_cli.types import ModelInfo

#: The architecture that the head's file names.
HEAD = "ptm-fusion"
#: Moments in work at a time, whatever the number of threads: memory grows with them.
MOST_MOMENTS = 4


class Ptm:
    """A ``contract.NoReferenceModel``."""

    def __init__(
        self, ensemble: Ensemble, sha256: str, networks: Sequence[FrozenNetwork], fusion: Fusion
    ) -> None:
        self.info = ModelInfo(
            name=ensemble.name,
            kind="no-reference",
            weights_sha256=sha256,
            clip_frames=ensemble.clip_frames,
            scale=ensemble.scale,
            provenance=ensemble.provenance,
        )
        self.clip_frames = ensemble.clip_frames
        self.members = tuple((member.name, member.weight) for member in ensemble.members)
        self._views = dataclasses.replace(ensemble.views, seen=ensemble.seen)
        self._networks = tuple(networks)
        self._fusion = fusion.eval()
        self._device = torch.device("cpu")
        self._workers = Workers("ptm", MOST_MOMENTS)

    def score_clips(self, clips: Sequence[Clip]) -> list[Opinion]:
        return self._opinions(self._begun(clips))

    def begin_alone(self, clips: Sequence[Clip]) -> Callable[[], list[Opinion]] | None:
        """See OverlappingAlone: every thread has a moment of its own."""
        self._workers.hire(self._device)
        return partial(self._opinions, self._begun(clips)) if self._workers.hired else None

    def _begun(self, clips: Sequence[Clip]) -> list[Future[list[Tensor]]]:
        self._workers.hire(self._device)
        return [self._workers.submit(self._features, clip) for clip in clips]

    def _opinions(self, begun: Sequence[Future[list[Tensor]]]) -> list[Opinion]:
        moments = [each.result() for each in begun]
        with torch.no_grad():
            fused = self._fusion([torch.stack(each) for each in zip(*moments, strict=True)])
        quality, own = fused.quality.clamp(0, 100), fused.own.clamp(0, 100)
        return [
            Opinion(float(score), tuple(float(view) for view in views))
            for score, views in zip(quality, own, strict=True)
        ]

    def to(self, device: torch.device, dtype: torch.dtype) -> Ptm:
        """Members compute on ``device`` and in ``dtype`` where their adapters can; the head is tiny."""
        self._device = device
        for network in self._networks:
            network.to(device, dtype)
        return self

    @torch.inference_mode()
    def _features(self, clip: Clip) -> list[Tensor]:
        moment = Moment.of(clip, self._views)
        return [moment.features(network).cpu() for network in self._networks]


def load_ptm(path: Path, expected_sha256: str | None = None) -> Ptm:
    """The ensemble in ``path``, ready to score. Raises ModelError where a member or the head is missing, changed, or
    does not fit."""
    ensemble, sha256 = read_ensemble(path)
    if expected_sha256 is not None and sha256 != expected_sha256:
        raise ModelError(
            f"ensemble {str(path)!r} is not the one that was registered (sha256 {sha256[:12]}..., expected "
            f"{expected_sha256[:12]}...): it is damaged or was replaced; install or import it again"
        )
    if ensemble.head is None:
        raise ModelError(
            f"ensemble {str(path)!r} has no head yet: train one with 'vqa-score train --model ptm --ensemble'"
        )
    header, tensors, _ = read_model(member_path(path, ensemble.head.file), ensemble.head.sha256)
    fusion = _fusion(path, ensemble, header, tensors)
    return Ptm(ensemble, sha256, open_members(path, ensemble), fusion)


def _fusion(path: Path, ensemble: Ensemble, header: ModelFile, tensors: dict[str, Tensor]) -> Fusion:
    if header.architecture != HEAD:
        raise ModelError(
            f"ensemble {str(path)!r}: its head is of the architecture {header.architecture!r}, not {HEAD!r}"
        )
    try:
        config = FusionConfig(**header.config)  # type: ignore[arg-type]
        if config.inputs != ensemble.lengths:
            raise ValueError(
                f"the head was trained on features of {config.inputs}, the members give {ensemble.lengths}"
            )
        if config.blocks != ensemble.blocks:
            raise ValueError(
                f"the head was trained on {config.blocks} views, the members have {ensemble.blocks}"
            )
        fusion = restored(Fusion, config, tensors)
    except (RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"ensemble {str(path)!r}: head and members do not belong together ({reason})"
        ) from error
    return fusion
