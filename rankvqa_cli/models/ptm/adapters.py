"""From a file or folder to a frozen network: which adapter it takes, and which candidates a folder holds."""

from __future__ import annotations

from pathlib import Path

from rankvqa_cli.errors import ModelError
from rankvqa_cli.models.ptm.contract import Adapter, FrozenNetwork

#: How a model of the Hugging Face hub is named; it is taken from the local cache and never fetched.
HUB = "hub:"


def open_network(
    adapter: Adapter,
    file: Path,
    layer: str = "",
    threads: int | None = None,
    opened: FrozenNetwork | None = None,
) -> FrozenNetwork:
    """The network in ``file`` (a folder, or ``hub:ID``, for transformers), read from ``layer`` or its default one.
    ``opened`` is the same one, where it was opened before.

    Raises ModelError.
    """
    if adapter == "onnx":
        from rankvqa_cli.models.ptm.onnx import OnnxNetwork

        return OnnxNetwork(file, layer, threads)
    if adapter == "transformers":
        from rankvqa_cli.models.ptm.transformers import TransformersNetwork

        return TransformersNetwork(file, layer)
    from rankvqa_cli.models.ptm.native import NativeNetwork

    return opened.at(layer) if isinstance(opened, NativeNetwork) else NativeNetwork(file, layer)


def members(adapter: Adapter, file: Path, threads: int | None = None) -> dict[str, FrozenNetwork]:
    """What ``file`` offers to an ensemble, by what it is called: the network, or where one learned several tasks, what
    it says to each. Raises ModelError."""
    from rankvqa_cli.models.ptm.native import NativeNetwork

    name = name_of(file)
    network = open_network(adapter, file, threads=threads)
    if not isinstance(network, NativeNetwork) or len(network.tasks) < 2:
        return {name: network}
    return {f"{name}-{task}": network.at(task) for task in network.tasks}


def candidates(folder: Path) -> list[tuple[Adapter, Path]]:
    """What a folder offers, by name: ``*.onnx``, ``*.safetensors`` (native) and folders that hold a ``config.json``.

    A folder with a ``config.json`` is a candidate itself, and so is ``hub:ID``. Raises ModelError for a folder without
    any.
    """
    if str(folder).startswith(HUB) or (folder / "config.json").is_file():
        return [("transformers", folder)]
    found: list[tuple[Adapter, Path]] = []
    try:
        for path in sorted(folder.iterdir()):
            if path.suffix == ".onnx":
                found.append(("onnx", path))
            elif path.suffix == ".safetensors":
                found.append(("native", path))
            elif (path / "config.json").is_file():
                found.append(("transformers", path))
    except OSError as error:
        raise ModelError(f"cannot read the pool {str(folder)!r}: {error.strerror}") from error
    if not found:
        raise ModelError(
            f"the pool {str(folder)!r} has no network: put .onnx, .safetensors or Hugging Face folders there"
        )
    return found


def name_of(path: Path) -> str:
    """What a candidate is called in tables and ensembles."""
    text = str(path)
    return text.removeprefix(HUB).replace("/", "_") if text.startswith(HUB) else path.stem
