"""Model files: safetensors that say in their header what they are, read with every claim checked.

The header is one JSON object under the metadata key ``vqa-score`` (one key, because the library writes
several in an arbitrary order, and the same model must give the same sha256). Nothing here can run code from a file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, get_args

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from rankvqa_cli.errors import ModelError
from rankvqa_cli.models.contract import Calibration
from rankvqa_cli.models.files import read_whole, write_atomically
from rankvqa_cli.models.manifest import (
    ManifestEntry,
    check_name,
    home_folder,
    locate,
    manifest,
    put_entry,
    shipped_folder,
)
from rankvqa_cli.types import ModelInfo, ModelKind

__all__ = [
    "JSON",
    "ManifestEntry",
    "ModelFile",
    "check_name",
    "home_folder",
    "is_finite",
    "is_model_file",
    "locate",
    "manifest",
    "model_info",
    "read_model",
    "read_tensors",
    "restored",
    "shipped_folder",
    "write_manifest_entry",
    "write_model",
]

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
Config = TypeVar("Config")
Network = TypeVar("Network", bound=nn.Module)
FORMAT_VERSION = 1
_KEY = "vqa-score"
_DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.int64)


@dataclass(frozen=True)
class ModelFile:
    """A model file's header. ``config`` builds the network of ``architecture``; JSON has no tuples, only lists.

    ``calibration`` maps the network's distance to 0 to 100; ``scale`` and ``provenance`` say in words what
    the score means and where the parameters come from.
    """

    name: str
    kind: ModelKind
    architecture: str
    config: dict[str, JSON]
    calibration: Calibration
    clip_frames: int
    provenance: str
    scale: str = "0 to 100, higher is better, 25 x (MOS - 1)"


def model_info(header: ModelFile, sha256: str) -> ModelInfo:
    """The part of a header that goes into the results."""
    return ModelInfo(
        name=header.name,
        kind=header.kind,
        weights_sha256=sha256,
        clip_frames=header.clip_frames,
        scale=header.scale,
        provenance=header.provenance,
    )


def write_model(path: Path, header: ModelFile, tensors: dict[str, Tensor]) -> str:
    """Write a model file, whole or not at all, and return its sha256. The same input gives the same bytes.

    Tensors keep their types (float32, float16, bfloat16; int64 for index buffers). Raises ModelError for
    values that could not be read back (not finite, another type) and OutputError where the file cannot be written.
    """
    _check_header(path, header)
    kept = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    _check_tensors(path, kept)
    text = json.dumps(
        {"format_version": FORMAT_VERSION, **dataclasses.asdict(header)}, allow_nan=False, sort_keys=True
    )
    data = safetensors.torch.save(kept, metadata={_KEY: text})
    write_atomically(path, data)
    return hashlib.sha256(data).hexdigest()


def read_model(path: Path, expected_sha256: str | None = None) -> tuple[ModelFile, dict[str, Tensor], str]:
    """Read and check a model file: its sha256 (where one is expected), its header, and that every value is finite.

    Returns the header, the tensors on the CPU in the types of the file, and the sha256. Raises ModelError.
    """
    data, sha256 = _read_bytes(path)
    if expected_sha256 is not None and sha256 != expected_sha256:
        raise ModelError(
            f"model file {str(path)!r} is not the one that was registered (sha256 {sha256[:12]}..., expected "
            f"{expected_sha256[:12]}...): it is damaged or was replaced; install or import it again"
        )
    metadata, tensors = _parse(path, data)
    if _KEY not in metadata:
        raise ModelError(
            f"{str(path)!r} holds tensors but is no model file of vqa-score; a released PQANet checkpoint "
            "becomes one with 'vqa-score models import FILE'"
        )
    header = _parse_header(path, metadata[_KEY])
    _check_tensors(path, tensors)
    return header, tensors, sha256


def restored(make: Callable[[Config], Network], config: Config, tensors: Mapping[str, Tensor]) -> Network:
    """What ``make`` constructs of ``config``, with a file's ``tensors``, in float32, in the place of what it would
    begin with: to draw that takes a third of the time of opening a network. Every buffer must be in the file.

    Raises RuntimeError, as ``load_state_dict`` does, where they do not fit, and what ``make`` raises.
    """
    with torch.device("meta"):
        network = make(config)
    own = {name: value.to(torch.float32, copy=True) for name, value in tensors.items()}
    network.load_state_dict(own, assign=True)
    return network


def read_tensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of any safetensors file. Raises ModelError where it is not one."""
    return _parse(path, _read_bytes(path)[0])


def is_finite(tensor: Tensor) -> bool:
    """Whether all values are: the least and the largest are not where one is not, NaN included, and are found in a
    fortieth of the time that it takes to ask every value."""
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return True
    return all(math.isfinite(value) for value in torch.aminmax(tensor))


def is_model_file(path: Path) -> bool:
    """Whether a safetensors file says that it is a model file of this package. Raises as ``read_tensors`` does."""
    return _KEY in read_tensors(path)[0]


def write_manifest_entry(
    path: Path,
    *,
    licence: str,
    description: str,
    card: str = "",
    default_for: ModelKind | None = None,
) -> ManifestEntry:
    """Register the model file at ``path`` in the manifest of its folder, under the name in its header.

    The file is read and checked first, so that a manifest never names what cannot be loaded.
    """
    header, _, sha256 = read_model(path)
    entry = ManifestEntry(
        name=check_name(header.name),
        file=path.name,
        sha256=sha256,
        kind=header.kind,
        architecture=header.architecture,
        clip_frames=header.clip_frames,
        licence=licence,
        description=description,
        card=card,
        default_for=default_for,
        folder=path.parent,
    )
    put_entry(entry)
    return entry


def _read_bytes(path: Path) -> tuple[bytes, str]:
    """``read_whole``. Pickles are told apart and refused."""
    data, sha256 = read_whole(path, "model file")
    # Eight bytes of length come first in safetensors, which may look like a pickle's, then always JSON.
    pickled = data[:1] == b"\x80" and data[1:2] in b"\x02\x03\x04\x05" and data[8:9] != b"{"
    if data[:4] == b"PK\x03\x04" or pickled:
        raise ModelError(
            f"{str(path)!r} is a PyTorch pickle, which is not loaded directly; convert it once with "
            "'vqa-score models import FILE'"
        )
    return data, sha256


def _parse(path: Path, data: bytes) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        tensors = safetensors.torch.load(data)
        size = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + size]).get("__metadata__") or {}
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise ModelError(
            f"{str(path)!r} is not a readable safetensors file ({reason}): it is damaged, cut short or of "
            "another kind; get it again"
        ) from error
    return metadata, tensors


def _parse_header(path: Path, text: str) -> ModelFile:
    try:
        data: dict[str, Any] = json.loads(text)
        version = data.pop("format_version")
        if version != FORMAT_VERSION:
            raise ModelError(
                f"model file {str(path)!r} has format version {version!r}, this program reads "
                f"{FORMAT_VERSION}; update vqa-score, or get a file made for it"
            )
        header = ModelFile(**{**data, "calibration": Calibration(**data["calibration"])})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(f"model file {str(path)!r} has a damaged header ({error}); get it again") from error
    _check_header(path, header)
    return header


def _check_header(path: Path, header: ModelFile) -> None:
    def number(value: object) -> bool:
        return (
            isinstance(value, (int, float))
            and not isinstance(value, bool)
            and math.isfinite(value)
            and value > 0
        )

    texts = (header.name, header.architecture, header.provenance, header.scale)
    whole = isinstance(header.clip_frames, int) and not isinstance(header.clip_frames, bool)
    faults = {
        "a text field is not text": not all(isinstance(text, str) for text in texts),
        "the name or the architecture is empty": not header.name or not header.architecture,
        "the kind is unknown": header.kind not in get_args(ModelKind),
        "config is not an object": not isinstance(header.config, dict),
        "clip_frames is not a positive whole number": not whole or header.clip_frames < 1,
        "the calibration is not two positive numbers": not (
            number(header.calibration.midpoint) and number(header.calibration.slope)
        ),
    }
    for fault, found in faults.items():
        if found:
            raise ModelError(f"model file {str(path)!r} has a bad header: {fault}; get or make it again")


def _check_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    if not tensors:
        raise ModelError(f"model file {str(path)!r} holds no tensors; get or make it again")
    for name, tensor in tensors.items():
        if tensor.dtype not in _DTYPES:
            raise ModelError(
                f"model file {str(path)!r}: tensor {name!r} has type {tensor.dtype}; get it again"
            )
        if not is_finite(tensor):
            raise ModelError(f"model file {str(path)!r}: tensor {name!r} holds values that are not finite")
