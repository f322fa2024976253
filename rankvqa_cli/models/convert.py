"""From a released PQANet checkpoint to a model file of this package. Nothing in a checkpoint is ever executed."""

from __future__ import annotations

import dataclasses
import pickle
import re
import warnings
from pathlib import Path

import torch
from torch import Tensor

from rankvqa_cli.errors import ModelError, OutputError
from rankvqa_cli.models.contract import Calibration
from rankvqa_cli.models.files import sha256_of
from rankvqa_cli.models.manifest import ManifestEntry, check_free
from rankvqa_cli.models.pqanet import PQANet
from rankvqa_cli.models.rankvqa_parts import RankVQAConfig
from rankvqa_cli.models.store import (
    ModelFile,
    check_name,
    home_folder,
    is_finite,
    read_tensors,
    write_manifest_entry,
    write_model,
)

_NESTED = ("state_dict", "model_state_dict", "model", "params", "net")
_UNCALIBRATED = (
    "0 to 100, higher is better, by a map that is not calibrated to opinions: only the order means something, and "
    "distances of 0 and below (the published network can give them) all score 100"
)


def import_checkpoint(path: Path, name: str | None = None, *, overwrite: bool = False) -> ManifestEntry:
    """Convert the checkpoint at ``path`` and register it under ``name`` in the user's folder of models.

    Takes safetensors and pickles that hold nothing but tensors; the tensors may lie in a nested
    ``state_dict`` and under a common prefix, and must otherwise be PQANet's, name by name and shape by shape.
    ``name`` defaults to the file's. Raises ModelError where the checkpoint is anything else, UsageError for a
    name that is taken or is none, OutputError where the folder cannot be written.
    """
    chosen = check_name(
        name if name is not None else re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")
    )
    check_free(chosen, overwrite)
    tensors = _checked(path, _without_prefix(_read(path)))
    config = RankVQAConfig()
    header = ModelFile(
        name=chosen,
        kind="full-reference",
        architecture="rankvqa",
        config=dataclasses.asdict(config),
        # The released evaluation divides the network's sum by 10; that quotient of 1 is put at 50.
        calibration=Calibration(midpoint=10.0, slope=1.0),
        clip_frames=config.network.frames,
        provenance=f"PQANet checkpoint {path.name!r} (sha256 {sha256_of(path)}), runs as published",
        scale=_UNCALIBRATED,
    )
    folder = home_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot make the folder of models {str(folder)!r}: {error.strerror}; set VQA_SCORE_HOME to one that "
            "can be written"
        ) from error
    target = folder / f"{chosen}.safetensors"
    write_model(target, header, tensors)
    return write_manifest_entry(
        target, licence="that of the checkpoint", description=f"imported PQANet checkpoint {path.name!r}"
    )


def _read(path: Path) -> dict[str, Tensor]:
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise ModelError(f"cannot read checkpoint {str(path)!r}: {error.strerror}; check the path") from error
    if start[8:] == b"{" and start[:2] != b"PK":  # safetensors: eight bytes of length, then JSON
        return read_tensors(path)[1]
    try:
        with warnings.catch_warnings():  # torch warns of what is refused below anyway
            warnings.simplefilter("ignore")
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"checkpoint {str(path)!r} is refused: it holds more than tensors, and loading that could run code; "
            "save its state_dict() alone, best as safetensors"
        ) from error
    except (RuntimeError, EOFError, LookupError, ValueError, TypeError, AttributeError, OSError) as error:
        raise ModelError(
            f"{str(path)!r} is not a readable checkpoint (safetensors, or a PyTorch file of tensors): it is damaged, "
            "cut short or of another kind; get it again"
        ) from error
    while isinstance(loaded, dict) and not any(isinstance(value, Tensor) for value in loaded.values()):
        inner = [loaded[key] for key in _NESTED if isinstance(loaded.get(key), dict)]
        if not inner:
            break
        loaded = inner[0]
    if not isinstance(loaded, dict) or not loaded:
        raise ModelError(
            f"checkpoint {str(path)!r} holds no dictionary of tensors; save the model's state_dict()"
        )
    for key, value in loaded.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise ModelError(
                f"checkpoint {str(path)!r}: {key!r} is no tensor; save the model's state_dict() alone"
            )
    return loaded


def _without_prefix(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without what wrappers put before every name (``module.`` of DataParallel, ``net.`` of a trainer, ...)."""
    while tensors:
        first = next(iter(tensors)).partition(".")[0] + "."
        if not all(name.startswith(first) for name in tensors):
            break
        tensors = {name[len(first) :]: value for name, value in tensors.items()}
    return tensors


def _checked(path: Path, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    expected = PQANet(RankVQAConfig().network).state_dict()
    missing = [name for name in expected if name not in tensors]
    surplus = [name for name in tensors if name not in expected]
    if missing or surplus:
        said = [
            f"{len(found)} {what} (as {found[0]!r})"
            for what, found in (("missing", missing), ("unknown", surplus))
            if found
        ]
        raise ModelError(
            f"checkpoint {str(path)!r} is not a full-reference PQANet: tensors {' and '.join(said)}; only the released "
            "architecture can be imported"
        )
    for name, value in expected.items():
        found = tensors[name]
        if found.shape != value.shape or found.is_floating_point() != value.is_floating_point():
            raise ModelError(
                f"checkpoint {str(path)!r}: tensor {name!r} is {found.dtype} {tuple(found.shape)} instead of "
                f"{value.dtype} {tuple(value.shape)}; only the released architecture can be imported"
            )
        if not found.is_floating_point() and not torch.equal(found.to(value.dtype), value):
            raise ModelError(f"checkpoint {str(path)!r}: tensor {name!r} is not the index of a 4x4 window")
        if not is_finite(found):
            raise ModelError(f"checkpoint {str(path)!r}: tensor {name!r} holds values that are not finite")
    kept = (torch.float32, torch.float16, torch.bfloat16)
    return {
        name: tensors[name] if tensors[name].dtype in kept else tensors[name].to(value.dtype)
        for name, value in expected.items()
    }
