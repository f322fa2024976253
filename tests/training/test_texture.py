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
from rankvqa_cli.models.ptm.expert import TINY_ON_NEAR
from rankvqa_cli.models.ptm.native import NativeNetwork
from rankvqa_cli.models.ptm.near import FLOOR, TINY, Near
from rankvqa_cli.models.store import read_model
from rankvqa_cli.training.datasets import load_corpus
from rankvqa_cli.training.expert import ExpertOptions, train_expert
from rankvqa_cli.training.expert_data import Shown, Shows
from rankvqa_cli.training.expert_tasks import ExpertTask
from rankvqa_cli.training.loop import LoopOptions
from rankvqa_cli.training.texture import CHANGE, FITTED, FrozenMaps, Textures, rows, standard

SIDE = 64


def pictures(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


class Noise:
    """Two sources with three versions each."""

    def draw(self, index: int) -> Shown:
        return Shown(pictures(8, index), (None,) * 8, torch.zeros(8), None)


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """A convolution of 8 x 8 pixels, five channels, a rectifier."""
    weights = np.random.default_rng(1).normal(size=(5, 3, 8, 8)).astype(np.float32)
    (tmp_path / "net.onnx").write_bytes(network(weights))
    return tmp_path / "net.onnx"


def test_a_network_runs_once_for_all_that_is_learned_of_it(
    net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, of = [], FrozenMaps.of
    monkeypatch.setattr(FrozenMaps, "of", lambda self, x: asked.append(x) or of(self, x))
    textures = Textures([(net, "maps"), (net, "seen")], Noise(), (2, 3), (6, 8), 1)
    assert len(asked) == FITTED
    wanted = textures.wanted(Noise().draw(9))
    assert (len(asked), len(wanted)) == (FITTED + 1, 2)


def test_maps_that_are_no_outputs_are_read(net: Path) -> None:
    maps = FrozenMaps(net, ["maps", "seen"], 1)
    shown = pictures(2)
    found = maps.of(shown)
    assert {name: tuple(each.shape) for name, each in found.items()} == {
        "maps": (2, 5, 8, 8),
        "seen": (2, 5, 8, 8),
    }
    assert float(found["maps"].min()) < 0
    assert torch.equal(found["seen"], found["maps"].clamp_min(0))
    assert not torch.equal(maps.of(pictures(2, 1))["seen"], found["seen"])


def test_what_is_no_map_is_refused(net: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"net\.onnx': no tensor 'none'; the last ones are maps, seen, mean, feat"
    ):
        FrozenMaps(net, ["none"], 1)
    with pytest.raises(ModelError, match=r"'features' of .*net\.onnx' is no map: it has 2 dim"):
        FrozenMaps(net, ["features"], 1).of(pictures(1))
    (tmp_path / "square.onnx").write_bytes(small_network(1, shape=("N", 3, 32, 32)))
    with pytest.raises(ModelError, match=r"square\.onnx' cannot take pictures of 1 x 3 x 64 x 64"):
        FrozenMaps(tmp_path / "square.onnx", ["seen"], 1).of(pictures(1))
    with pytest.raises(ModelError, match="does not exist"):
        FrozenMaps(tmp_path / "other.onnx", ["seen"], 1)
    (tmp_path / "near.onnx").write_bytes(small_network(1))  # maps at 1/4
    with pytest.raises(UsageError, match="needs a map at 1/8 or 1/16 of the picture; 'seen' is none"):
        Textures([(tmp_path / "near.onnx", "seen")], Noise(), (1, 1), (6, 8), 1)


def test_channels_are_compared_as_they_spread() -> None:
    draw = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    wide = torch.cat([draw[:, :2] * 5 + 7, draw[:, 2:] * 0.1, torch.ones(4, 1, 8, 8)], dim=1)
    same = standard([wide[:2], wide[2:]])
    read = same.read(wide)
    assert read.shape == (4 * 64, 4)
    torch.testing.assert_close(read.mean(dim=0), torch.zeros(4), atol=1e-2, rtol=0)
    torch.testing.assert_close(read.std(dim=0), torch.tensor([1.0, 1.0, 1.0, 0.0]), atol=1e-2, rtol=0)
    assert float(same.read(wide + 1000).max()) == 5
    torch.testing.assert_close(rows(wide)[9], wide[0, :, 1, 1])


def test_what_versions_change_counts_by_itself(net: Path) -> None:
    textures = Textures([(net, "seen"), (net, "maps")], Noise(), (2, 3), (6, 8), 1)
    wanted = textures.wanted(Noise().draw(9))
    assert [tuple(each.shape) for each in wanted] == [(8 * 64, 5)] * 2
    assert {name: float(term) for name, term in textures.terms(wanted, wanted).items()} == {
        "texture1": 0,
        "change1": 0,
        "texture2": 0,
        "change2": 0,
    }
    assert textures.measures(wanted, wanted) == pytest.approx({"held_texture1": 1, "held_texture2": 1})
    alike = textures.terms([each + 1 for each in wanted], wanted)  # as far off for versions as for references
    assert float(alike["texture1"]) == pytest.approx(1, abs=1e-5)
    assert float(alike["change1"]) == pytest.approx(0, abs=1e-9)
    worse = wanted[0].clone()
    worse[: 6 * 64] += 1  # six versions of two references
    assert float(textures.terms([worse, wanted[1]], wanted)["change1"]) == pytest.approx(CHANGE, abs=1e-5)


def test_a_map_is_learned_place_by_place(net: Path, corpus: Path) -> None:
    torch.manual_seed(0)
    shows = Shows(load_corpus(corpus), 2, 3, 1, SIDE, seed=3)
    asked = Textures([(net, "seen")], shows, (2, 3), TINY.maps, 1)
    task = ExpertTask(Near(TINY), asked, shows, shows)
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


def test_a_network_of_textures_is_trained_and_read(net: Path, corpus: Path, tmp_path: Path) -> None:
    loop = LoopOptions(steps=1, warmup=1, save_every=1, check_every=1)
    options = ExpertOptions(
        ("texture",), loop=loop, groups=2, slots=3, crop=32, texture=((net, "seen"),), fold=-1, near=TINY
    )
    out = tmp_path / "near.safetensors"
    train_expert(corpus, tmp_path / "run", out, "near", options, lambda _: None)
    member = NativeNetwork(out)
    assert (member.layer, member.dimension, member.tasks) == ("texture", 2 * sum(TINY.maps), ())
    shown = torch.rand(2, 3, 97, 131, generator=torch.Generator().manual_seed(0))
    found = member.vectors(shown)
    assert torch.equal(found, member.vectors(shown[..., :96, :130]))  # an odd row and column are left out
    network = Near(TINY)
    network.load_state_dict({name: value.float() for name, value in read_model(out)[1].items()})
    maps = network(shown)
    assert [tuple(each.shape) for each in maps] == [(2, 6, 12, 17), (2, 8, 6, 9)]
    expected = []
    for each in maps:
        mean, variance = each.detach().mean(dim=(2, 3)), each.detach().var(dim=(2, 3), correction=0)
        expected += [torch.log(mean + FLOOR), 0.5 * torch.log(variance + FLOOR**2)]
    torch.testing.assert_close(found, torch.cat(expected, dim=1), atol=1e-5, rtol=1e-4)
    half = member.to(torch.device("cpu"), torch.bfloat16).vectors(shown)
    torch.testing.assert_close(half, found, atol=0.05, rtol=0.05)
    train_expert(corpus, tmp_path / "on", out, "near", replace(options, start=out), lambda _: None)


def test_an_expert_stands_on_textures_and_leaves_them_as_they_are(
    net: Path, corpus: Path, tmp_path: Path
) -> None:
    loop = LoopOptions(steps=1, warmup=1, save_every=1, check_every=1)
    under, out = tmp_path / "near.safetensors", tmp_path / "expert.safetensors"
    textures = ExpertOptions(
        ("texture",), loop=loop, groups=2, slots=3, crop=32, texture=((net, "seen"),), fold=-1, near=TINY
    )
    train_expert(corpus, tmp_path / "under", under, "near", textures, lambda _: None)
    options = ExpertOptions(
        ("distortion",),
        on_near=TINY_ON_NEAR,
        loop=replace(loop, steps=3),
        groups=2,
        slots=3,
        crop=SIDE,
        halved=True,
        fold=-1,
        start=under,
    )
    train_expert(corpus, tmp_path / "run", out, "expert", options, lambda _: None)
    learned, below = read_model(out)[1], read_model(under)[1]
    assert below.keys() == {name.removeprefix("near.") for name in learned if name.startswith("near.")}
    assert all(torch.equal(learned[f"near.{name}"], value) for name, value in below.items())
    member = NativeNetwork(out)
    assert member.tasks == ("distortion", "texture")
    shown = torch.rand(2, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(member.at("texture").vectors(shown), NativeNetwork(under).vectors(shown))
    half = member.to(torch.device("cpu"), torch.bfloat16).vectors(shown)
    torch.testing.assert_close(half, NativeNetwork(out).vectors(shown), atol=0.05, rtol=0.05)
    # Gone on from, the network of textures goes along, whatever is asked now.
    again = replace(options, tasks=("distortion",), start=out)
    train_expert(corpus, tmp_path / "again", tmp_path / "b.safetensors", "b", again, lambda _: None)
    last = read_model(tmp_path / "b.safetensors")[1]
    assert torch.equal(last["near.stem.weight"], below["stem.weight"])
    assert not torch.equal(last["down.0.weight"], learned["down.0.weight"])
    with pytest.raises(ModelError, match="is of the architecture 'expert', not 'near'"):
        train_expert(corpus, tmp_path / "x", out, "x", replace(textures, start=out), lambda _: None)
    clips = replace(options, tasks=("motion",), halved=False)
    with pytest.raises(UsageError, match="of textures, of single pictures"):
        train_expert(corpus, tmp_path / "y", out, "y", replace(clips, start=under), lambda _: None)
    with pytest.raises(ValueError, match="two widths or more"):
        replace(TINY, widths=(4,), blocks=(0,))
    with pytest.raises(ValueError, match="sees single pictures"):
        replace(TINY_ON_NEAR, near=TINY, frames=2)
