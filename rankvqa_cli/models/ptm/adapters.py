"""From a file or folder to a frozen network: which adapter it takes, and which candidates a folder holds."""

from __future__ import annotations

from pathlib import Path

from rankvqa_cli.errors import ModelError
from rankvqa_cli.models.ptm.contract import Adapter, FrozenNetwork

#: How a model of the Hugging Face hub is named; it is taken from the local cache and never fetched.
HUB = "hub:"
#: Which adapter takes files of an ending.
FILES: dict[str, Adapter] = {".onnx": "onnx", ".safetensors": "native"}


def open_network(
    adapter: Adapter,
    file: Path,
    layer: str = "",
    threads: int | None = None,
    opened: FrozenNetwork | None = None,
) -> FrozenNetwork:
    """The network in ``file`` (a folder, or ``hub:ID``, for transformers), read from ``layer`` or its default one.
    ``opened`` is the same one, where it was opened before: what can be read from several layers is in memory once.

    Raises ModelError.
    """
    if adapter == "onnx":
        from rankvqa_cli.models.ptm.onnx import OnnxNetwork

        return opened.at(layer) if isinstance(opened, OnnxNetwork) else OnnxNetwork(file, layer, threads)
    if adapter == "transformers":
        from rankvqa_cli.models.ptm.transformers import TransformersNetwork

        return TransformersNetwork(file, layer)
    from rankvqa_cli.models.ptm.native import NativeNetwork

    return opened.at(layer) if isinstance(opened, NativeNetwork) else NativeNetwork(file, layer)


def members(
    adapter: Adapter,
    file: Path,
    threads: int | None = None,
    layer: str = "",
    opened: FrozenNetwork | None = None,
) -> dict[str, FrozenNetwork]:
    """What ``file`` offers to an ensemble, by what it is called: the network, read from ``layer`` where one is named,
    or where one learned several tasks, what it says to each. ``opened`` is as for ``open_network``. Raises
    ModelError."""
    from rankvqa_cli.models.ptm.native import NativeNetwork

    name = name_of(file)
    network = open_network(adapter, file, layer, threads, opened)
    if layer:
        return {f"{name}-{network.layer}": network}
    if not isinstance(network, NativeNetwork) or len(network.tasks) < 2:
        return {name: network}
    return {f"{name}-{task}": network.at(task) for task in network.tasks}


def pooled(pool: str) -> tuple[Path, str]:
    """The folder or file of a pool, and the layer that is named behind it: ``net.onnx#features[0:64]``."""
    path, mark, layer = pool.rpartition("#")
    return (Path(path), layer) if mark and not Path(pool).exists() else (Path(pool), "")


def candidates(pool: Path) -> list[tuple[Adapter, Path]]:
    """What a pool offers: of a folder, by name, ``*.onnx``, ``*.safetensors`` (native) and folders that hold a
    ``config.json``.

    Such a file is a candidate itself, and so are a folder with a ``config.json`` and ``hub:ID``. Raises ModelError for
    a pool without any.
    """
    if str(pool).startswith(HUB) or (pool / "config.json").is_file():
        return [("transformers", pool)]
    if pool.suffix in FILES and pool.is_file():
        return [(FILES[pool.suffix], pool)]
    if pool.is_file():
        raise ModelError(
            f"{str(pool)!r} is no network: .onnx and .safetensors files are, and folders of them"
        )
    found: list[tuple[Adapter, Path]] = []
    try:
        for path in sorted(pool.iterdir()):
            if path.suffix in FILES:
                found.append((FILES[path.suffix], path))
            elif (path / "config.json").is_file():
                found.append(("transformers", path))
    except OSError as error:
        raise ModelError(f"cannot read the pool {str(pool)!r}: {error.strerror}") from error
    if not found:
        raise ModelError(
            f"the pool {str(pool)!r} has no network: put .onnx, .safetensors or Hugging Face folders there"
        )
    return found


def name_of(path: Path) -> str:
    """What a candidate is called in tables and ensembles."""
    text = str(path)
    return text.removeprefix(HUB).replace("/", "_") if text.startswith(HUB) else path.stem
