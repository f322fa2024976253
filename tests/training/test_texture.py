"""Maps of frozen networks as a pretext: what is read from their files, on which axes, and that it is learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_onnx import network, small_network
from torch import Tensor

from rankvqa_cli.errors import ModelError, UsageError
from rankvqa_cli.models.ptm.expert import TINY, Expert, Seen
from rankvqa_cli.models.ptm.native import NativeNetwork
from rankvqa_cli.models.store import read_model
from rankvqa_cli.training.datasets import load_corpus
from rankvqa_cli.training.expert import ExpertOptions, train_expert
from rankvqa_cli.training.expert_data import Shows
from rankvqa_cli.training.expert_tasks import Distortion, ExpertTask, Together
from rankvqa_cli.training.loop import LoopOptions
from rankvqa_cli.training.texture import CHANGE, FrozenMaps, Texture, fitted, rows, textures

SIDE = 64


def pictures(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """A convolution of 8 x 8 pixels, five channels, a rectifier."""
    weights = np.random.default_rng(1).normal(size=(5, 3, 8, 8)).astype(np.float32)
    (tmp_path / "net.onnx").write_bytes(network(weights))
    return tmp_path / "net.onnx"


def test_maps_that_are_no_outputs_are_read(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maps = FrozenMaps(net, ["maps", "seen"], 1)
    shown = pictures(2)
    found = maps.of(shown)
    assert {name: tuple(each.shape) for name, each in found.items()} == {
        "maps": (2, 5, 8, 8),
        "seen": (2, 5, 8, 8),
    }
    assert float(found["maps"].min()) < 0
    assert torch.equal(found["seen"], found["maps"].clamp_min(0))
    assert maps.of(shown) is found  # the network is not run again for another map of it
    assert not torch.equal(maps.of(pictures(2, 1))["seen"], found["seen"])


def test_what_is_no_map_is_refused(net: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"net\.onnx': no tensor 'none'; the last ones are maps, seen, mean, feat"
    ):
        FrozenMaps(net, ["none"], 1)
    with pytest.raises(ModelError, match=r"'features' of .*net\.onnx' is no map: it has 2 dim"):
        FrozenMaps(net, ["features"], 1).of(pictures(1))
    with pytest.raises(ModelError, match="does not exist"):
        FrozenMaps(tmp_path / "other.onnx", ["seen"], 1)
    (tmp_path / "near.onnx").write_bytes(small_network(1))  # maps at 1/4
    with pytest.raises(UsageError, match="needs a map at 1/8, 1/16 of the picture"):
        Texture(FrozenMaps(tmp_path / "near.onnx", ["seen"], 1), "seen", [pictures(2)], TINY, (1, 1), "t")
    wide = np.ones((2, 3, 32, 32), np.float32)
    (tmp_path / "far.onnx").write_bytes(network(wide))
    with pytest.raises(UsageError, match="needs a map at 1/8, 1/16"):
        Texture(FrozenMaps(tmp_path / "far.onnx", ["seen"], 1), "seen", [pictures(2)], TINY, (1, 1), "t")


def test_channels_are_compared_as_they_spread() -> None:
    draw = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    wide = torch.cat([draw[:, :2] * 5 + 7, draw[:, 2:] * 0.1, torch.ones(4, 1, 8, 8)], dim=1)
    standard = fitted([wide[:2], wide[2:]], 64)
    assert standard.level == 0
    read = standard.read(wide)
    assert read.shape == (4 * 64, 4)
    torch.testing.assert_close(read.mean(dim=0), torch.zeros(4), atol=1e-2, rtol=0)
    torch.testing.assert_close(read.std(dim=0), torch.tensor([1.0, 1.0, 1.0, 0.0]), atol=1e-2, rtol=0)
    assert float(standard.read(wide + 1000).max()) == 5
    assert fitted([wide], 128).level == 1
    torch.testing.assert_close(rows(wide)[9], wide[0, :, 1, 1])


def test_a_map_is_learned_place_by_place(net: Path, corpus: Path) -> None:
    torch.manual_seed(0)
    shows = Shows(load_corpus(corpus), 2, 3, 1, SIDE, seed=3)
    (texture,) = textures([(net, "seen")], shows, (2, 3), TINY, 1)
    task = ExpertTask(
        Expert(replace(TINY, outputs=Distortion.outputs)), Together([Distortion(), texture]), shows, shows
    )
    with torch.no_grad():
        before = task.validate(task.module)["held_texture1"]
    optimiser = torch.optim.Adam(task.module.parameters(), lr=5e-3)
    for index in range(60):
        optimiser.zero_grad()
        sum(task.losses(index).values(), torch.zeros(())).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        after = task.validate(task.module)["held_texture1"]
    assert before < 0.1
    assert after > before + 0.2
    shown = shows.draw(0)
    (wanted,) = texture.wanted(shown)
    assert texture.measures(wanted, (wanted,)) == {"held_texture1": pytest.approx(1)}
    assert {name: float(term) for name, term in texture.terms(wanted, (wanted,)).items()} == {
        "texture1": 0,
        "texture1_change": 0,
    }
    alike = texture.terms(wanted + 1, (wanted,))  # as far off for versions as for their references
    assert float(alike["texture1"]) == pytest.approx(1, abs=1e-5)
    assert float(alike["texture1_change"]) == pytest.approx(0, abs=1e-9)
    worse = wanted.clone()
    worse[: 3 * len(wanted) // 4] += 1  # six versions of two references
    assert float(texture.terms(worse, (wanted,))["texture1_change"]) == pytest.approx(CHANGE, abs=1e-5)
    seen = Seen(torch.zeros(8, 0), tuple(torch.zeros(8, width, 8, 8) for width in TINY.widths[1:]))
    assert texture.found(seen).shape == wanted.shape


@pytest.mark.filterwarnings("error")
def test_textures_leave_no_output(net: Path, corpus: Path, tmp_path: Path) -> None:
    loop = LoopOptions(steps=1, warmup=1, save_every=1, check_every=1)
    options = ExpertOptions(
        ("distortion", "texture"), TINY, loop, 2, 3, SIDE, texture=((net, "seen"),), fold=-1
    )
    out = tmp_path / "e.safetensors"
    train_expert(corpus, tmp_path / "run", out, "e", options, lambda _: None)
    header, tensors, _ = read_model(out)
    assert header.config["tasks"] == [["distortion", Distortion.outputs]]
    assert set(tensors) == set(Expert(replace(TINY, outputs=Distortion.outputs)).state_dict())

    alone = replace(options, tasks=("texture",), crop=32)  # windows of halves
    train_expert(corpus, tmp_path / "alone", out, "e", alone, lambda _: None)
    member = NativeNetwork(out)
    assert (member.layer, member.dimension) == ("pooled", TINY.pooled)
    train_expert(corpus, tmp_path / "on", out, "e", replace(options, start=out), lambda _: None)
    assert NativeNetwork(out).tasks == ("distortion",)
