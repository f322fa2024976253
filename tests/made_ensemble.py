"""A small ensemble on disk: two networks of random weights, and a head that learned to read something off them."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import torch
from made_onnx import small_network

from rankvqa_cli.models.contract import Calibration
from rankvqa_cli.models.ptm.ensemble import Ensemble, Head, Member, read_ensemble, write_ensemble
from rankvqa_cli.models.ptm.fusion import Fusion, FusionConfig
from rankvqa_cli.models.ptm.model import HEAD
from rankvqa_cli.models.ptm.onnx import OnnxNetwork
from rankvqa_cli.models.ptm.views import Views
from rankvqa_cli.models.store import ModelFile, write_model

NAMES = ("one", "two")


def make_ensemble(folder: Path, name: str = "small", *, head: bool = True) -> Path:
    """``folder/NAME.json`` with its members, and its head where it is to have one."""
    members = []
    for number, member in enumerate(NAMES):
        file = folder / f"{member}.onnx"
        file.write_bytes(small_network(number, channels=4 + number))
        network = OnnxNetwork(file, threads=1)
        members.append(
            Member(
                member,
                "onnx",
                file.name,
                network.sha256,
                network.layer,
                network.dimension,
                1,
                0.25 + 0.5 * number,
            )
        )
    path = folder / f"{name}.json"
    views = Views(crop=224, columns=2, rows=1)
    write_ensemble(path, Ensemble(name, tuple(members), views, None, "made for tests"))
    if head:
        add_head(path)
    return path


def add_head(path: Path) -> None:
    """Train nothing, but fit the projections to random features, so that scores differ between pictures."""
    ensemble, _ = read_ensemble(path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        weights = [member.weight for member in ensemble.members]
        fusion = Fusion(FusionConfig(ensemble.lengths, weights, blocks=len(ensemble.views.seen)))
        features = [torch.randn(40, length) for length in ensemble.lengths]
        fusion.fit(features, sum(each[:, 0] for each in features) * 20 + 50)  # type: ignore[arg-type]
    header = ModelFile(
        name=ensemble.name,
        kind="no-reference",
        architecture=HEAD,
        config=asdict(fusion.config),
        calibration=Calibration(),
        clip_frames=1,
        provenance="random, for tests",
    )
    file = path.with_suffix(".safetensors")
    sha256 = write_model(file, header, fusion.state_dict())
    write_ensemble(path, replace(ensemble, head=Head(file.name, sha256)))
