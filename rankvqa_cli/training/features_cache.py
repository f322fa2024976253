"""Features of frozen networks for a rated set, computed once: what never changes is never computed again."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rankvqa_cli.errors import InputError
from rankvqa_cli.models.files import Digests, write_atomically
from rankvqa_cli.models.ptm.contract import FrozenNetwork
from rankvqa_cli.models.ptm.views import Moment, Views
from rankvqa_cli.training.moments import moments
from rankvqa_cli.training.ratings import Ratings

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Sampling:
    """How stimuli become moments: brought to ``size`` (width, height) or left as they are, every ``sample_s``
    seconds."""

    size: tuple[int, int] | None = None
    sample_s: float = 0.5


def shown_sizes(ratings: Ratings) -> list[tuple[int, int] | None]:
    """What size people saw each stimulus at: the column ``shown`` (WIDTHxHEIGHT), where there is one and it says so.

    Raises InputError naming the row that says something else.
    """
    sizes: list[tuple[int, int] | None] = []
    for rating in ratings.rows:
        text = rating.columns.get("shown", "")
        match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
        if text and match is None:
            raise InputError(f"{ratings.where(rating)}: shown is {text!r}, not WIDTHxHEIGHT")
        sizes.append((int(match[1]), int(match[2])) if match else None)
    return sizes


class FeatureCache:
    """Features in ``folder``, keyed by what the stimulus' file and the network's file hold, the layer, the views and
    the sampling. A stimulus' features are the mean over its moments."""

    def __init__(self, folder: Path, views: Views, sampling: Sampling) -> None:
        self._folder, self._views, self._sampling = folder, views, sampling
        self._digests = Digests()

    def matrices(
        self,
        networks: Sequence[FrozenNetwork],
        files: Sequence[Path],
        advance: Callable[[int], None] = lambda _: None,
        sizes: Sequence[tuple[int, int] | None] | None = None,
    ) -> list[Array]:
        """(files, features) of every network; a file is decoded only where something of it is missing.

        ``sizes`` has a size of its own for each file that is not None there. ``advance`` is told of each finished file.
        Raises InputError, DamagedError and ModelError.
        """
        frames = max(network.frames for network in networks)
        rows: list[list[Array]] = [[] for _ in networks]
        for file, size in zip(files, sizes or [None] * len(files), strict=True):
            sampling = self._sampling if size is None else replace(self._sampling, size=size)
            for found, vector in zip(rows, self._vectors(networks, file, frames, sampling), strict=True):
                found.append(vector)
            advance(1)
        return [np.stack(found) for found in rows]

    def _vectors(
        self, networks: Sequence[FrozenNetwork], file: Path, frames: int, sampling: Sampling
    ) -> list[Array]:
        return self.remembered(
            networks,
            self._digests.of(file),
            frames,
            sampling,
            lambda some: self._measured(some, file, frames, sampling),
        )

    def remembered(
        self,
        networks: Sequence[FrozenNetwork],
        digest: str,
        frames: int,
        sampling: Sampling,
        measure: Callable[[Sequence[FrozenNetwork]], list[Array]],
    ) -> list[Array]:
        """What is kept under ``digest`` for each network; ``measure`` is asked for what is missing."""
        paths = [self.path(network, digest, frames, sampling) for network in networks]
        missing = [i for i, path in enumerate(paths) if not path.exists()]
        if missing:
            found = measure([networks[i] for i in missing])
            self._folder.mkdir(parents=True, exist_ok=True)
            for i, vector in zip(missing, found, strict=True):
                buffer = io.BytesIO()
                np.save(buffer, vector)
                write_atomically(paths[i], buffer.getvalue())
        return [_read(path) for path in paths]

    def path(self, network: FrozenNetwork, digest: str, frames: int, sampling: Sampling) -> Path:
        """Where the features are kept of the file with that sha256, seen in moments of ``frames`` frames."""
        parts = (
            digest,
            str(frames),
            network.sha256,
            network.layer,
            repr(self._views.of(network)),
            repr(sampling),
        )
        return self._folder / f"features-{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:32]}.npy"

    def _measured(
        self, networks: Sequence[FrozenNetwork], file: Path, frames: int, sampling: Sampling
    ) -> list[Array]:
        sums = [
            torch.zeros(self._views.of(network).length(network.dimension), dtype=torch.float64)
            for network in networks
        ]
        count = 0
        for pictures in moments(file, sampling.size, sampling.sample_s, frames):
            moment = Moment(pictures, self._views)
            for total, network in zip(sums, networks, strict=True):
                total += moment.features(network)
            count += 1
        return [np.asarray((total / count).float().numpy()) for total in sums]


def _read(path: Path) -> Array:
    try:
        return np.asarray(np.load(path), np.float32)
    except (OSError, ValueError) as error:
        raise InputError(
            f"the cached features {str(path)!r} cannot be read ({error}): delete the file"
        ) from error
