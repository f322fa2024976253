"""Adapter ``transformers``: vision models of Hugging Face's library, from a local folder or the local cache of its hub.

The library is an extra (``pip install vqa-score[transformers]``), imported when such a member is opened. Nothing is
fetched: a hub id must be in the cache already. Weights are safetensors; code that comes with a model is never run.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rankvqa_cli.errors import ModelError
from rankvqa_cli.models.files import sha256_of
from rankvqa_cli.models.ptm.adapters import HUB
from rankvqa_cli.models.ptm.contract import Adapter, Undivided, require_vectors

#: What a vector can be read from: the mean of the last hidden states over their places, or the model's own summary.
LAYERS = ("mean", "pooled")
#: ImageNet's mean and standard deviation, for a folder that names none.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_FILES = ("config.json", "preprocessor_config.json", "model.safetensors")


class TransformersNetwork(Undivided):
    """A pretrained vision model as a ``contract.FrozenNetwork``: CLIP's, DINOv2, ConvNeXt, Swin, VideoMAE,
    TimeSformer and others that take ``pixel_values``."""

    adapter: Adapter = "transformers"

    def __init__(self, file: Path, layer: str = "") -> None:
        """Raises ModelError where the library or the model is missing, or the model does not take pictures or clips."""
        self.file = file
        if layer not in ("", *LAYERS):
            raise ModelError(f"{str(file)!r} has no layer {layer!r}: it has {', '.join(LAYERS)}")
        self.layer = layer or LAYERS[0]
        folder = _folder(file)
        self.sha256 = _sha256(folder)
        self._model, config = _load(folder)
        self._video = bool(getattr(config, "num_frames", 0))
        self.frames = int(getattr(config, "num_frames", 1))
        side = getattr(config, "image_size", None)
        self.side = side if isinstance(side, int) else None
        self.least = self.side or 224
        mean, std = _normalisation(folder)
        self._mean, self._std = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
        shape = (1, self.frames, 3) if self._video else (1, 3)
        self.dimension = int(self.vectors(torch.zeros(*shape, self.least, self.least)).shape[1])

    def vectors(self, pictures: Tensor) -> Tensor:
        device = next(self._model.parameters()).device
        x = (pictures.to(torch.float32).cpu() - self._mean) / self._std
        if self._video and x.dim() == 4:  # a clip of one frame comes as a picture
            x = x.unsqueeze(1)
        try:
            with torch.no_grad():
                found = self._model(pixel_values=x.to(device))
        except (RuntimeError, ValueError, TypeError) as error:
            shape = " x ".join(map(str, x.shape))
            raise ModelError(f"{str(self.file)!r} cannot take pictures of {shape}: {_line(error)}") from error
        return require_vectors(self.file, self._read(found).cpu(), len(pictures))

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> TransformersNetwork:
        self._model.to(device)
        return self

    def _read(self, found: Any) -> Tensor:
        if self.layer == "pooled":
            pooled: Tensor | None = getattr(found, "pooler_output", None)
            if pooled is None:
                raise ModelError(
                    f"{str(self.file)!r} has no summary of its own: read the layer {LAYERS[0]!r}"
                )
            return pooled.flatten(1)
        hidden: Tensor = found.last_hidden_state
        # Convolutional models give (N, C, h, w), the others (N, places, C).
        return hidden.flatten(2).mean(dim=2) if hidden.dim() == 4 else hidden.mean(dim=1)


def _folder(file: Path) -> Path:
    """The folder that holds the model. Raises ModelError for a hub id that is not in the local cache."""
    name = str(file)
    if not name.startswith(HUB):
        if not (file / "config.json").is_file():
            raise ModelError(f"{name!r} is no Hugging Face folder: it has no config.json")
        return file
    transformers = _library()
    try:
        found = transformers.utils.hub.cached_file(
            name.removeprefix(HUB), "config.json", local_files_only=True
        )
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{name!r} is not in the local cache of the hub, and nothing is fetched: download it, or name its folder"
        ) from error
    return Path(found).parent


def _sha256(folder: Path) -> str:
    """One digest of the model's files: any of them changed is another model."""
    digest = hashlib.sha256()
    for name in _FILES:
        path = folder / name
        if path.is_file():
            digest.update(f"{name} {sha256_of(path)}\n".encode())
    return digest.hexdigest()


def _library() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise ModelError(
            "Hugging Face models need the library transformers: pip install 'vqa-score[transformers]'"
        ) from error
    return transformers


def _load(folder: Path) -> tuple[Any, Any]:
    """(vision model, its configuration). A model of pictures and texts gives its vision part."""
    transformers = _library()
    if not (folder / "model.safetensors").is_file():
        raise ModelError(
            f"{str(folder)!r} has no model.safetensors: other formats can hold code, and are not read"
        )
    try:
        model = transformers.AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, ImportError) as error:
        raise ModelError(f"cannot load the Hugging Face model {str(folder)!r}: {_line(error)}") from error
    model = getattr(model, "vision_model", model).eval().requires_grad_(False)
    return model, model.config


def _normalisation(folder: Path) -> tuple[list[float], list[float]]:
    try:
        said = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
        mean, std = said.get("image_mean") or MEAN, said.get("image_std") or STD
        if len(mean) != 3 or len(std) != 3 or not all(float(each) > 0 for each in std):
            raise ValueError("three means and three positive deviations are needed")
        return [float(each) for each in mean], [float(each) for each in std]
    except FileNotFoundError:
        return list(MEAN), list(STD)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{str(folder)!r} has a damaged preprocessor_config.json: {error}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
