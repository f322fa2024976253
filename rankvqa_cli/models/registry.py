"""From a model's name or file to a model that scores: a plain dict of architectures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from torch import Tensor

from rankvqa_cli.errors import ModelError
from rankvqa_cli.models.contract import FullReferenceModel, Model
from rankvqa_cli.models.manifest import default_entry
from rankvqa_cli.models.store import ModelFile, locate, manifest, read_model
from rankvqa_cli.types import ModelKind

Builder: TypeAlias = Callable[[ModelFile, dict[str, Tensor], str], FullReferenceModel]


def _patchnet(header: ModelFile, tensors: dict[str, Tensor], sha256: str) -> FullReferenceModel:
    from rankvqa_cli.models import patchnet_model

    return patchnet_model.build(header, tensors, sha256)


def _rankvqa(header: ModelFile, tensors: dict[str, Tensor], sha256: str) -> FullReferenceModel:
    from rankvqa_cli.models import rankvqa

    return rankvqa.build(header, tensors, sha256)


#: A model's code is imported when it is built: a run takes one model, and starts sooner without the others.
BUILDERS: dict[str, Builder] = {"patchnet": _patchnet, "rankvqa": _rankvqa}


def available() -> tuple[str, ...]:
    """Names that ``load`` takes, the shipped models first."""
    return tuple(entry.name for entry in manifest())


def default_model(has_reference: bool) -> str:
    """Name of the model that is taken where none is given. Raises ModelError where none is installed."""
    kind: ModelKind = "full-reference" if has_reference else "no-reference"
    entry = default_entry(kind)
    if entry is None:
        raise ModelError(
            f"no {kind} model is installed as the default; name one with -m ('vqa-score models list')"
        )
    return entry.name


def load(name_or_path: str) -> Model:
    """Load a model by its name in a manifest, or from a model file or ``ensemble.json``, ready to score on the CPU in
    float32.

    Raises UsageError for an unknown name and ModelError where the file is missing, damaged, swapped, of an
    unknown architecture, or where its tensors are not those that its header describes.
    """
    path, expected = locate(name_or_path)
    if is_ensemble(path):
        from rankvqa_cli.models.ptm.model import load_ptm

        return load_ptm(path, expected)
    alone = (
        f"{name_or_path!r} is a network for ensembles and scores nothing by itself: 'vqa-score select-models'"
    )
    if path.suffix == ".onnx":
        raise ModelError(alone)
    header, tensors, sha256 = read_model(path, expected)
    if header.architecture not in BUILDERS:
        from rankvqa_cli.models.ptm.native import READERS

        if header.architecture in READERS:
            raise ModelError(alone)
        known = ", ".join(sorted(BUILDERS))
        raise ModelError(
            f"model file {str(path)!r} is of the architecture {header.architecture!r}, which this version "
            f"does not know ({known}); update vqa-score"
        )
    try:
        return BUILDERS[header.architecture](header, tensors, sha256)
    except (RuntimeError, TypeError, ValueError, KeyError) as error:
        # load_state_dict lists every key on lines of its own; the first two say enough
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"model file {str(path)!r}: header and tensors do not belong together ({reason}); get it again"
        ) from error


def is_ensemble(path: Path) -> bool:
    """Whether a model's file is an ensemble, which names other files, and no file of tensors."""
    return path.suffix == ".json"
