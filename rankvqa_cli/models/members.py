"""Frozen networks by name or file, as the command line meets them: beside models that score, but none themselves."""

from __future__ import annotations

from pathlib import Path

from rankvqa_cli.errors import ModelError
from rankvqa_cli.models.manifest import locate
from rankvqa_cli.models.ptm.adapters import open_network
from rankvqa_cli.models.ptm.contract import FrozenNetwork
from rankvqa_cli.models.ptm.native import READERS
from rankvqa_cli.models.registry import BUILDERS, is_ensemble, load
from rankvqa_cli.models.store import read_model


def is_onnx(path: Path) -> bool:
    return path.suffix == ".onnx"


def is_network(path: Path) -> bool:
    """Whether a file is a frozen network that scores nothing by itself. Raises ModelError for one that is damaged."""
    if is_onnx(path):
        return True
    if is_ensemble(path):
        return False
    architecture = read_model(path)[0].architecture
    return architecture in READERS and architecture not in BUILDERS


def network_of(path: Path, expected: str | None = None) -> FrozenNetwork:
    """The network in ``path``. Raises ModelError where it is not the file with the sha256 that is ``expected``."""
    network = open_network("onnx" if is_onnx(path) else "native", path)
    if expected is not None and network.sha256 != expected:
        raise ModelError(
            f"network {str(path)!r} is not the one that was registered (sha256 {network.sha256[:12]}..., expected "
            f"{expected[:12]}...): it is damaged or was replaced; import or pull it again"
        )
    return network


def checked(name_or_path: str) -> str:
    """Read a model or a network whole, and its sha256 where that is known; return it. Raises as ``load`` does."""
    path, expected = locate(name_or_path)
    if is_network(path):
        return network_of(path, expected).sha256
    return load(name_or_path).info.weights_sha256
