"""Small clips and networks for the tests of the models."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from rankvqa_cli.models.contract import Calibration, Clip
from rankvqa_cli.models.pqanet import PQANet, PQANetConfig
from rankvqa_cli.models.rankvqa import RankVQA, build
from rankvqa_cli.models.rankvqa_parts import RankVQAConfig, parts_of, parts_tensors
from rankvqa_cli.models.store import ModelFile
from rankvqa_cli.types import FrameFormat

SMALL = PQANetConfig(
    frames=3, widths=(4, 6, 8, 8, 10, 12), dim=8, heads=2, window=4, hidden=8, exact_identity=True
)


def clip(
    height: int,
    width: int,
    *,
    frames: int = 3,
    seed: int = 0,
    bit_depth: int = 8,
    chroma: tuple[int, int] | None = (2, 2),
) -> Clip:
    """A clip of smooth random pictures that move."""
    made = torch.Generator().manual_seed(seed)
    top = 2**bit_depth
    dtype = torch.uint8 if bit_depth == 8 else torch.uint16

    def planes(h: int, w: int) -> Tensor:
        coarse = torch.rand(1, frames, 9, 9, generator=made)
        fine = torch.nn.functional.interpolate(coarse, (h, w), mode="bicubic", align_corners=True)[0]
        return (fine.clamp(0, 1) * (top - 1)).round().to(dtype)

    luma = planes(height, width)
    across, down = chroma or (1, 1)
    size = (-(-height // down), -(-width // across))
    cb, cr = (planes(*size), planes(*size)) if chroma else (None, None)
    return Clip(luma, cb, cr, FrameFormat(width, height, "made", bit_depth, chroma, False, "bt709"))


def worse(original: Clip, amount: int, seed: int = 1) -> Clip:
    """The clip with noise of up to +-amount code values on luma."""
    made = torch.Generator().manual_seed(seed)
    noise = torch.randint(-amount, amount + 1, original.luma.shape, generator=made)
    top = 2**original.format.bit_depth - 1
    luma = (original.luma.to(torch.int32) + noise).clamp(0, top).to(original.luma.dtype)
    return dataclasses.replace(original, luma=luma)


def config(network: PQANetConfig = SMALL, **values: object) -> RankVQAConfig:
    return RankVQAConfig(network=network, patch=64, stride=64, **values)  # type: ignore[arg-type]


def tensors(made: RankVQAConfig, seed: int = 0) -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network, parts = PQANet(made.network), parts_of(made)
        if parts.stanet is not None:  # a new one weighs all places alike
            torch.nn.init.normal_(parts.stanet.get_parameter("conv3d_block2.2.weight"))
        return parts_tensors(network, parts)


def header(made: RankVQAConfig, name: str = "made") -> ModelFile:
    return ModelFile(
        name=name,
        kind="full-reference",
        architecture="rankvqa",
        config=dataclasses.asdict(made),
        calibration=Calibration(),
        clip_frames=made.network.frames,
        provenance="random parameters, for tests",
    )


def model(network: PQANetConfig = SMALL, seed: int = 0, **values: object) -> RankVQA:
    made = config(network, **values)
    return build(header(made), tensors(made, seed), "0" * 64)
