"""A full-reference network that says how far corpus patches are from their references: labels without people."""

from __future__ import annotations

from pathlib import Path

import torch

from rankvqa_cli.errors import ModelError
from rankvqa_cli.models.contract import Calibration
from rankvqa_cli.models.patchnet import PatchNet, PatchNetConfig
from rankvqa_cli.models.store import read_model, restored


def read_labeller(path: Path) -> tuple[PatchNet, Calibration]:
    """The network in a model file, frozen, and what turns its distances into 0 to 100. Raises ModelError for another
    architecture than the student's."""
    header, tensors, _ = read_model(path)
    if header.architecture != "patchnet":
        raise ModelError(
            f"{str(path)!r} is of the architecture {header.architecture!r}: labels come from a patchnet"
        )
    network = restored(PatchNet, PatchNetConfig.from_json(header.config), tensors)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.eval().requires_grad_(False), header.calibration
