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
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rankvqa_cli.errors import ModelError
from rankvqa_cli.models import colour
from rankvqa_cli.models.contract import Clip
from rankvqa_cli.models.manifest import write_atomically
from rankvqa_cli.models.reserve import low_passed
from rankvqa_cli.training.datasets import SourceShard, to_planes
from rankvqa_cli.types import FrameFormat

FLOOR = 1e-3
AS_THEY_ARE = np.zeros(3, np.bool_)  # neither mirrored nor transposed


class FrozenNetworks:
    """ONNX networks of one input, RGB (N, 3, H, W) float32 in 0 to 1, and one output, a vector an image."""

    def __init__(self, files: Sequence[Path], threads: int) -> None:
        """Raises ModelError naming the file that cannot be read or is no such network."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._sessions: list[tuple[Path, Any]] = []
        digest = hashlib.sha256()
        for file in files:
            try:
                data = file.read_bytes()
                session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
            except OSError as error:
                raise ModelError(f"cannot read the network {str(file)!r}: {error.strerror}") from error
            except _refusals() as error:
                raise ModelError(f"{str(file)!r} is no ONNX network: {str(error).splitlines()[0]}") from error
            digest.update(hashlib.sha256(data).digest())
            self._sessions.append((file, session))
        self.key = digest.hexdigest()

    def features(self, images: Tensor) -> NDArray[np.float32]:
        """(N, 3, H, W) float32 in 0 to 1 -> (N, D), all networks' vectors one after the other."""
        found = []
        for file, session in self._sessions:
            vectors = session.run(None, {session.get_inputs()[0].name: images.numpy()})[0]
            if vectors.ndim != 2 or not np.isfinite(vectors).all():
                raise ModelError(f"the network {str(file)!r} does not give one finite vector an image")
            found.append(np.asarray(vectors, np.float32))
        return np.concatenate(found, axis=1)


def _refusals() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises for a file: its errors have no class in common but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoModel", "NotImplemented")
    return tuple(getattr(state, name) for name in (*names, "RuntimeException"))


def damage(
    reference: NDArray[np.float32], distorted: NDArray[np.float32], soft: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Features (..., D) of the three pictures -> damage (...): lower is better."""
    moved = np.log(np.abs(distorted - reference) + FLOOR) - np.log(np.abs(soft - reference) + FLOOR)
    return np.asarray(moved.mean(axis=-1), np.float32)


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
    luma, chroma = to_planes(patches, AS_THEY_ARE)
    side = luma.shape[-1]
    form = FrameFormat(side, side, "yuv420p", 8, (2, 2), full_range=False, matrix="bt709")
    return colour.rgb(Clip(luma, chroma[:, 0], chroma[:, 1], form))
