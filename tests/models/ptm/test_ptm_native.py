"""The project's own networks as members."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from made_ensemble import make_ensemble

from rankvqa_cli.errors import ModelError
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


@pytest.mark.parametrize("tiny", [True, False])
def test_bf16_computes_nearly_the_same(tiny: bool, tiny_model: Path) -> None:
    """The shipped expert's convolutions, and the maps of a PatchNet."""
    file = tiny_model if tiny else Path(__file__).parents[3] / "weights/networks/expert.safetensors"
    pictures = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(2))
    exact = NativeNetwork(file).vectors(pictures)
    rough = NativeNetwork(file).to(torch.device("cpu"), torch.bfloat16).vectors(pictures)
    assert rough.dtype == torch.float32
    assert not torch.equal(exact, rough)
    assert float((exact - rough).abs().max()) < 0.01 * float(exact.abs().max())
