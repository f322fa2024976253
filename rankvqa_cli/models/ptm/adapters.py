"""From a file or folder to a frozen network: which adapter it takes, and which candidates a folder holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from rankvqa_cli.errors import ModelError
from rankvqa_cli.models.ptm.contract import Adapter, FrozenNetwork, View

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


@dataclass(frozen=True)
class Pool:
    """A folder or file of candidates, the layer that they are read from and what they are shown, where that is said:
    ``net.onnx#features[0:64]@half,half-detail``."""

    place: Path
    layer: str = ""
    seen: tuple[View, ...] = ()


def pooled(pool: str) -> Pool:
    """The pool that ``pool`` names. Raises ModelError where what is there is said to be shown in a view that there is
    not."""
    if Path(pool).exists():
        return Pool(Path(pool))
    rest, _, views = pool.rpartition("@")
    seen = tuple(view for view in get_args(View) if view in views.split(","))
    if len(seen) == len(views.split(",")):
        return replace(_layered(rest), seen=seen)
    if rest and _layered(rest).place.exists():
        raise ModelError(f"{pool!r}: what is shown, behind the @, is some of {', '.join(get_args(View))}")
    return _layered(pool)


def _layered(pool: str) -> Pool:
    path, mark, layer = pool.rpartition("#")
    return Pool(Path(path), layer) if mark and not Path(pool).exists() else Pool(Path(pool))


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
