"""The ONNX adapter: what it makes of a network, and every kind of file that is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from made_onnx import network, small_network

from rankvqa_cli.errors import ModelError
from rankvqa_cli.models.ptm.adapters import Pool, pooled
from rankvqa_cli.models.ptm.onnx import OnnxNetwork
from rankvqa_cli.models.ptm.views import Moment, Views


def saved(folder: Path, data: bytes) -> Path:
    path = folder / "net.onnx"
    path.write_bytes(data)
    return path


def test_vectors_are_those_of_the_graph(tmp_path: Path) -> None:
    weights = np.random.default_rng(0).normal(size=(5, 3, 4, 4)).astype(np.float32)
    opened = OnnxNetwork(saved(tmp_path, network(weights)), threads=1)
    pictures = torch.rand(3, 3, 224, 240)
    expected = F.relu(F.conv2d(pictures, torch.from_numpy(weights), stride=4)).mean(dim=(2, 3))
    assert (opened.dimension, opened.frames, opened.side, opened.layer) == (5, 1, None, "features")
    torch.testing.assert_close(opened.vectors(pictures), expected, rtol=1e-4, atol=1e-5)


def test_a_fixed_size_and_number_are_told(tmp_path: Path) -> None:
    opened = OnnxNetwork(saved(tmp_path, small_network(0, shape=(2, 3, 64, 64))), threads=1)
    assert opened.side == 64
    assert opened.vectors(torch.rand(4, 3, 64, 64)).shape == (4, 6)
    with pytest.raises(ModelError, match="2 pictures at a time"):
        opened.vectors(torch.rand(3, 3, 64, 64))
    with pytest.raises(ModelError, match=r"net\.onnx.*cannot take pictures of 2 x 3 x 32 x 64"):
        opened.vectors(torch.rand(2, 3, 32, 64))


def test_some_elements_are_a_layer_and_the_network_runs_once_for_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = OnnxNetwork(saved(tmp_path, small_network(0)), threads=1)
    some, rest = OnnxNetwork(whole.file, "features[1:4]", 1), whole.at("[4:6]")
    assert (some.layer, some.dimension, rest.layer, rest.dimension) == (
        "features[1:4]",
        3,
        "features[4:6]",
        2,
    )
    assert some.source == rest.source == whole.source
    pictures = torch.rand(1, 3, 224, 240)
    assert torch.equal(some.vectors(pictures), whole.vectors(pictures)[:, 1:4])
    asked = []
    run = OnnxNetwork.whole
    monkeypatch.setattr(OnnxNetwork, "whole", lambda self, x: asked.append(x.shape) or run(self, x))
    moment = Moment(pictures, Views(crop=224, seen=("half",)))
    found = [moment.features(network) for network in (some, rest, whole)]
    assert torch.equal(torch.cat(found[:2]), found[2][1:])
    assert len(asked) == 1


def test_a_layer_stands_behind_the_last_mark_unless_the_name_has_it(tmp_path: Path) -> None:
    assert pooled("nets/a.onnx#features[0:2]") == Pool(Path("nets/a.onnx"), "features[0:2]")
    assert pooled("hub:a/b#pooled") == Pool(Path("hub:a/b"), "pooled")
    assert pooled("nets") == Pool(Path("nets"))
    named = tmp_path / "number#1"
    assert pooled(str(named)) == Pool(tmp_path / "number", "1")
    named.mkdir()
    assert pooled(str(named)) == Pool(named)
    assert pooled(f"{named}#x") == Pool(named, "x")
    assert pooled(f"{named}@half") == Pool(named, seen=("half",))


def test_what_is_shown_stands_behind_the_layer_unless_the_name_has_it(tmp_path: Path) -> None:
    assert pooled("a.onnx#[0:2]@half-detail,half") == Pool(Path("a.onnx"), "[0:2]", ("half", "half-detail"))
    assert pooled("me@home/nets#x") == Pool(Path("me@home/nets"), "x")
    named = tmp_path / "net@half"
    assert pooled(str(named)) == Pool(tmp_path / "net", seen=("half",))
    named.mkdir()
    assert pooled(str(named)) == Pool(named)
    assert pooled(f"{named}#x@crops") == Pool(named, "x", ("crops",))
    for wrong in ("half,haf", "haf", "", "half,half"):
        with pytest.raises(ModelError, match="is some of crops, detail"):
            pooled(f"{named}@{wrong}")


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ("other[0:1]", "no output 'other'"),
        ("[2:2]", "no elements 2 to 2: features has 6"),
        ("features[0:7]", "no elements 0 to 7"),
        ("features[-1:2]", "no output"),
    ],
)
def test_elements_that_are_not_there_are_refused(tmp_path: Path, layer: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        OnnxNetwork(saved(tmp_path, small_network(0)), layer, 1)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"not a network", "no ONNX network that can be run"),
        (b"", "no ONNX network that can be run"),
        (small_network(0, domain="made.up"), "no ONNX network that can be run"),
        (small_network(0, pooled=False), "not give one vector a picture"),
        (small_network(0, shape=("N", 1, "H", "W")), "three channels"),
        (small_network(0, shape=("N", 3, 32, 64)), "squares"),
        (network(np.full((2, 3, 4, 4), np.nan, np.float32)), "not finite"),
    ],
)
def test_what_is_no_member_is_refused_by_name(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        OnnxNetwork(saved(tmp_path, data), threads=1)
    assert "net.onnx" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_an_unknown_output_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        OnnxNetwork(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="no output 'deep': it has features"):
        OnnxNetwork(saved(tmp_path, small_network(0)), layer="deep")
