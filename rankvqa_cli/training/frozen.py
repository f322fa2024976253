"""Labels from frozen pretrained networks: how far an encode moves their features, against what a content could lose.

Networks that recognise things mind what people mind, and no opinion is needed for it. A patch's *damage* is the mean
over all features of log((|d - r| + floor) / (|s - r| + floor)), with the features r of the reference, d of the
distorted patch and s of the reference low-passed: the same measure as ``models.reserve``, by networks that know more.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rankvqa_cli.models import colour
from rankvqa_cli.models.files import write_atomically
from rankvqa_cli.models.ptm.onnx import OnnxNetwork
from rankvqa_cli.models.reserve import low_passed
from rankvqa_cli.training.datasets import SourceShard
from rankvqa_cli.training.parallel import first_alone
from rankvqa_cli.training.planes import AS_THEY_ARE, as_clip, to_planes

FLOOR = 1e-3


class FrozenNetworks:
    """ONNX networks of pictures (see ``models.ptm.onnx``), whose vectors stand one after the other."""

    def __init__(self, files: Sequence[Path], threads: int) -> None:
        """Raises ModelError naming the file that cannot be read or is no such network."""
        self._networks = [OnnxNetwork(file, threads=threads) for file in files]
        digest = hashlib.sha256()
        for network in self._networks:
            digest.update(bytes.fromhex(network.sha256))
        self.key = digest.hexdigest()

    def features(self, images: Tensor) -> NDArray[np.float32]:
        """(N, 3, H, W) float32 in 0 to 1 -> (N, D), all networks' vectors one after the other."""
        found = [network.vectors(images).numpy() for network in self._networks]
        return np.concatenate(found, axis=1)


def damage(
    reference: NDArray[np.float32], distorted: NDArray[np.float32], soft: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Features (..., D) of the three pictures -> damage (...): lower is better."""
    moved = np.log(np.abs(distorted - reference) + FLOOR) - np.log(np.abs(soft - reference) + FLOOR)
    return np.asarray(moved.mean(axis=-1), np.float32)


def label_corpus(
    shards: Sequence[SourceShard], files: Sequence[Path], run: Path, say: Callable[[str], None]
) -> dict[str, NDArray[np.float32]] | None:
    """``corpus_damage`` by the networks in ``files``, kept under ``run``; None where there are none."""
    if not files:
        return None
    networks = FrozenNetworks(files, torch.get_num_threads())
    return first_alone(lambda: corpus_damage(shards, networks, run / "frozen", say))


def corpus_damage(
    shards: Sequence[SourceShard], networks: FrozenNetworks, cache: Path, say: Callable[[str], None]
) -> dict[str, NDArray[np.float32]]:
    """The damage (E, P) of every source's patches, by its name, from the middle frame of each clip.

    ``cache`` keeps what was computed, by the contents of networks and patches.
    """
    found = {}
    for shard in shards:
        key = hashlib.sha256(networks.key.encode())
        key.update(np.ascontiguousarray(shard.reference[:, shard.reference.shape[1] // 2]).tobytes())
        key.update(repr(shard.versions).encode())
        path = cache / f"damage-{key.hexdigest()[:24]}.npy"
        if path.exists():
            found[shard.name] = np.load(path)
            continue
        found[shard.name] = _source_damage(shard, networks)
        cache.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        np.save(buffer, found[shard.name])
        write_atomically(path, buffer.getvalue())
        say(f"frozen networks have seen {shard.name}")
    return found


def _source_damage(shard: SourceShard, networks: FrozenNetworks) -> NDArray[np.float32]:
    middle = shard.reference.shape[1] // 2
    reference = _rgb(shard.reference[:, middle])
    seen, soft = networks.features(reference), networks.features(low_passed(reference))
    rows = [damage(seen, networks.features(_rgb(version[:, middle])), soft) for version in shard.distorted]
    return np.stack(rows)


def _rgb(patches: NDArray[np.uint8]) -> Tensor:
    """(P, bytes) planar 4:2:0 -> (P, 3, H, W) float32."""
    return colour.rgb(as_clip(*to_planes(patches, AS_THEY_ARE)))
