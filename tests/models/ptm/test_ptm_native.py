"""The project's own networks as members."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from made_ensemble import make_ensemble
from torch import Tensor

from rankvqa_cli.errors import DeviceError, ModelError
from rankvqa_cli.models import proof
from rankvqa_cli.models.ptm import native
from rankvqa_cli.models.ptm.native import NativeNetwork


def test_a_patchnet_describes_single_pictures(tiny_model: Path) -> None:
    network = NativeNetwork(tiny_model)
    assert network.layer == "pyramid"
    pictures = torch.rand(2, 3, 96, 101, generator=torch.Generator().manual_seed(0))
    found = network.vectors(pictures)
    assert found.shape == (2, network.dimension) == (2, 2 * (4 + 6 + 8))
    torch.testing.assert_close(network.vectors(pictures[1:]), found[1:])
    assert not torch.allclose(found[0], found[1])


def test_what_is_no_network_of_ours_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has no layer 'deep': it has pyramid"):
        NativeNetwork(tiny_model, "deep")
    with pytest.raises(ModelError, match="does not exist"):
        NativeNetwork(tmp_path / "none.safetensors")
    make_ensemble(tmp_path)
    with pytest.raises(ModelError, match="architecture 'ptm-fusion', of which no vectors are known"):
        NativeNetwork(tmp_path / "small.safetensors")


NETWORKS = Path(__file__).parents[3] / "weights" / "networks"


@pytest.mark.parametrize("size", [(64, 96), (135, 240), (270, 480), (540, 960)])
@pytest.mark.parametrize("name", ["expert", "expert-motion", "expert-texture", None])
def test_bf16_computes_nearly_the_same(name: str | None, size: tuple[int, int], tiny_model: Path) -> None:
    """The shipped networks' convolutions, and the maps of a PatchNet, at any size: products are chosen by it."""
    file = NETWORKS / f"{name}.safetensors" if name else tiny_model
    exact = NativeNetwork(file)
    frames = (exact.frames,) if exact.frames > 1 else ()
    pictures = torch.rand(1, *frames, 3, *size, generator=torch.Generator().manual_seed(2))
    rough = NativeNetwork(file).to(torch.device("cpu"), torch.bfloat16).vectors(pictures)
    assert rough.dtype == torch.float32
    found = exact.vectors(pictures)
    assert not torch.equal(found, rough)
    assert float((found - rough).abs().mean()) < 0.01 * float(found.abs().mean())
    # Vectors are logarithms: in noise, one of textures' 512 is of a map that is nearly empty.
    most = 0.015 if name == "expert-texture" else 0.01
    assert float((found - rough).abs().max()) < most * float(found.abs().max())


@pytest.mark.parametrize("name", ["expert", "expert-texture"])
def test_wrong_products_are_no_vectors(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody has held this PyTorch's products in bfloat16 against float32's, it is done when they are used."""
    file = NETWORKS / f"{name}.safetensors"
    pictures = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(2))
    cpu, half = torch.device("cpu"), torch.bfloat16
    monkeypatch.setattr(native, "is_held", lambda: True)
    believed = NativeNetwork(file).to(cpu, half)
    monkeypatch.setattr(native, "is_held", lambda: False)
    held = NativeNetwork(file).to(cpu, half)
    others = [held.at(layer).to(cpu, half) for layer in held.tasks]
    assert torch.equal(held.vectors(pictures), believed.vectors(pictures))
    right = F.conv2d

    def wrong(x: Tensor, *arguments: object, **options: object) -> Tensor:
        found: Tensor = right(x, *arguments, **options)  # type: ignore[arg-type]
        return found.roll(1, dims=1) if x.dtype == half else found

    monkeypatch.setattr(F, "conv2d", wrong)
    assert not torch.equal(
        held.vectors(pictures), NativeNetwork(file).vectors(pictures)
    )  # seen to be right before
    for network in (held, *others):
        with pytest.raises(DeviceError, match=r"bfloat16 are wrong .* 96x80: score with --precision fp32"):
            network.vectors(torch.rand(1, 3, 80, 96))
    believed.vectors(torch.rand(1, 3, 80, 96))
    NativeNetwork(file).to(cpu).vectors(torch.rand(1, 3, 80, 96))


def test_only_what_was_held_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "has_amx", lambda: True)
    for version, held in (("2.13.0+cpu", True), ("2.13.1", True), ("2.1.3", False), ("2.14.0", False)):
        monkeypatch.setattr(torch, "__version__", version)
        assert proof.is_held() == held
    monkeypatch.setattr(torch, "__version__", "2.13.0")
    monkeypatch.setattr(proof, "has_amx", lambda: False)
    assert not proof.is_held()
