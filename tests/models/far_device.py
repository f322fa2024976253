"""Run by test_devices: models on a device that this machine has not, whose tensors have shapes and no values.

PyTorch refuses there what it refuses on any device: tensors of two devices in one operation, and values that are read
where they were said to be left. Prints a line a model and precision.
"""

from __future__ import annotations

import dataclasses
import sys

import made
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils import backend_registration

from rankvqa_cli.models import colour
from rankvqa_cli.models.contract import Clip
from rankvqa_cli.models.patchnet_model import PatchNetModel
from rankvqa_cli.models.ptm import native
from rankvqa_cli.models.ptm.model import Ptm
from rankvqa_cli.models.rankvqa import RankVQA
from rankvqa_cli.models.registry import load

backend_registration._setup_privateuseone_for_python_backend("far")
FAR = torch.device("far", 0)


def main() -> None:
    # Both read values, and mean to: whether a clip stands still, and whether vectors are finite.
    colour.is_still = lambda clip: False
    native.require_vectors = lambda file, found, count: found
    for name in sys.argv[1:]:
        for dtype in (torch.float32, torch.bfloat16):
            model = load(name).to(torch.device("cpu"), dtype)
            with FakeTensorMode(allow_non_fake_inputs=True) as mode, torch.inference_mode():
                for network in networks_of(model):
                    move(network, mode)
                for depth, chroma in ((8, (2, 2)), (10, (2, 1))):
                    length = model.clip_frames
                    clips = [
                        far(made.clip(90, 120, frames=length, bit_depth=depth, chroma=chroma), mode)
                        for _ in range(3)
                    ]
                    print(name, dtype, depth, *asked(model, clips))


def networks_of(model: object) -> list[nn.Module]:
    if isinstance(model, Ptm):
        for each in model._networks:
            each._device = FAR
        return [each._reader.network for each in model._networks]
    model.device = FAR
    return [each for each in vars(model).values() if isinstance(each, nn.Module)]


def move(network: nn.Module, mode: FakeTensorMode) -> None:
    """As ``Module.to`` does, which cannot do it with such tensors."""
    for module in network.modules():
        for held in (module._parameters, module._buffers):
            for key, value in held.items():
                if value is not None:
                    moved = mode.from_tensor(value.detach()).to(FAR)
                    held[key] = nn.Parameter(moved, False) if held is module._parameters else moved


def far(clip: Clip, mode: FakeTensorMode) -> Clip:
    planes = {
        key: value if value is None else mode.from_tensor(value).to(FAR)
        for key, value in (("luma", clip.luma), ("cb", clip.cb), ("cr", clip.cr))
    }
    return dataclasses.replace(clip, **planes)


def asked(model: object, clips: list[Clip]) -> list[object]:
    if isinstance(model, PatchNetModel):
        distances: Tensor = model._launched(clips[0], clips[1:])._values
        return [distances.device, tuple(distances.shape)]
    if isinstance(model, RankVQA):
        return ["observed", len(model.observe(clips[0], clips[1:])[1])]
    assert isinstance(model, Ptm)
    return ["features", *(tuple(each.shape) for each in model._features(clips[0]))]


if __name__ == "__main__":
    main()
