"""Networks of a few thousand random parameters as model files, and random clips for them."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path

import torch

from rankvqa_cli.models.contract import Calibration, Clip
from rankvqa_cli.models.patchnet import PatchNet, PatchNetConfig
from rankvqa_cli.models.pqanet import PQANet, PQANetConfig
from rankvqa_cli.models.rankvqa_parts import RankVQAConfig, config_to_json, parts_of, parts_tensors
from rankvqa_cli.models.store import ModelFile, write_model
from rankvqa_cli.training.datasets import Batch
from rankvqa_cli.types import FrameFormat

SMALL = PQANetConfig(
    frames=2, widths=(4, 6, 8, 8, 6, 8), dim=8, heads=2, hidden=6, dropout=0.0, exact_identity=True
)
RANKVQA = RankVQAConfig(network=SMALL, input="ycbcr", patch=64, stride=64, stanet=True, readout=True)
PLAIN = replace(RANKVQA, network=replace(SMALL, exact_identity=False), stanet=False, readout=False)
PATCHNET = PatchNetConfig(luma=6, chroma=4, pyramid=(6, 8, 10), mixed=4)

CASES = {
    "rankvqa": RANKVQA,
    "exact": replace(PLAIN, network=SMALL),
    "plain": PLAIN,
    "patchnet": PATCHNET,
}


def write(path: Path, made: RankVQAConfig | PatchNetConfig, seed: int = 0) -> Path:
    """A model file of random parameters, none of them 0, in float32."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if isinstance(made, RankVQAConfig):
            network, parts = PQANet(made.network), parts_of(made)
            architecture, config, frames = "rankvqa", config_to_json(made), made.network.frames
            tensors = parts_tensors(network, parts)
        else:
            architecture, config, frames = "patchnet", dataclasses.asdict(made), 12
            tensors = dict(PatchNet(made).state_dict())
        for name, value in tensors.items():
            if name.endswith("bias") or name == "stanet.conv3d_block2.2.weight":  # which begins as 0
                tensors[name] = value + 0.1 * torch.randn(value.shape)
    header = ModelFile(
        "tiny", "full-reference", architecture, config, Calibration(2.0, 1.5), frames, "random"
    )
    write_model(path, header, tensors)
    return path


def clip(frames: int, seed: int, noise: int = 0, side: int = 72) -> Clip:
    """A smooth random moving picture, 8-bit 4:2:0, with ``noise`` code values on every plane."""
    made = torch.Generator().manual_seed(seed)

    def plane(size: int, other: int) -> torch.Tensor:
        coarse = torch.rand(1, frames, 9, 9, generator=made)
        fine = torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic", align_corners=True)[0]
        extra = torch.rand(frames, size, size, generator=torch.Generator().manual_seed(other)) - 0.5
        return (fine * 255 + 2 * noise * extra).round().clamp(0, 255).to(torch.uint8)

    form = FrameFormat(side, side, "yuv420p", 8, (2, 2), full_range=False, matrix="bt709")
    return Clip(plane(side, 1), plane(side // 2, 2), plane(side // 2, 3), form)


def batch(groups: int = 2, slots: int = 2, frames: int = 2, side: int = 64) -> Batch:
    """Random clips, the first slot of each group the reference itself."""
    pairs = [
        [clip(frames, seed, noise * 12, side) for noise in range(slots)] for seed in range(1, groups + 1)
    ]

    def planes(clips: list[Clip]) -> tuple[torch.Tensor, torch.Tensor]:
        luma = torch.cat([each.luma for each in clips])
        chroma = torch.cat([torch.stack([each.cb, each.cr], dim=1) for each in clips])  # type: ignore[list-item]
        return luma, chroma

    count = groups * slots
    return Batch(
        reference=planes([row[0] for row in pairs]),
        distorted=planes([each for row in pairs for each in row]),
        label=torch.linspace(90, 20, count),
        damage=torch.full((count,), torch.nan),
        better=torch.zeros(count, count, dtype=torch.bool),
        groups=groups,
        slots=slots,
        frames=frames,
    )
