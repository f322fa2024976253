"""Labels without people: what is drawn, what it is labelled with, and that it is measured once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rankvqa_cli.errors import ModelError
from rankvqa_cli.models.ptm.expert import TINY
from rankvqa_cli.models.ptm.native import NativeNetwork
from rankvqa_cli.models.ptm.views import Views
from rankvqa_cli.training.datasets import load_corpus
from rankvqa_cli.training.expert import ExpertOptions, train_expert
from rankvqa_cli.training.expert_data import Shows
from rankvqa_cli.training.features_cache import FeatureCache, Sampling
from rankvqa_cli.training.labeller import read_labeller
from rankvqa_cli.training.loop import LoopOptions
from rankvqa_cli.training.pseudo import GROUPS, SLOTS, PseudoOptions, PseudoSamples, pseudo_samples
from rankvqa_cli.training.tasks import batch_distances

#: Patches are shown as they are, whatever the screen.
VIEWS = Views(crop=64, columns=1, rows=1, lines=540, seen=("crops",))
SIDE = 64


def drawn(options: PseudoOptions, model: Path, cache: Path) -> PseudoSamples:
    return pseudo_samples(options, [NativeNetwork(model)], VIEWS, FeatureCache(cache, VIEWS, Sampling()))


def test_patches_get_the_scores_of_the_network_that_sees_their_reference(
    corpus: Path, tiny_model: Path, tmp_path: Path
) -> None:
    options = PseudoOptions(corpus, tiny_model, draws=2, seed=5, side=SIDE)
    found = drawn(options, tiny_model, tmp_path)
    each = GROUPS * (SLOTS + 1)
    assert found.mos.shape == (2 * each,)
    assert len(found.contents) == 2 * each
    assert found.features[0].shape == (2 * each, NativeNetwork(tiny_model).dimension)
    assert (found.mos[GROUPS * SLOTS : each] == 5).all()
    assert set(found.contents) == {f"corpus/{shard.content}" for shard in load_corpus(corpus)}

    network, calibration = read_labeller(tiny_model)
    shown = Shows(load_corpus(corpus), GROUPS, SLOTS, 1, SIDE, 5).draw(1)
    distances = batch_distances(network, shown.batch).exp()
    expected = [1 + calibration(float(distance)) / 25 for distance in distances]
    np.testing.assert_allclose(found.mos[each : each + GROUPS * SLOTS], expected, rtol=1e-5)
    own = NativeNetwork(tiny_model).vectors(shown.pictures[-1:])
    torch.testing.assert_close(torch.from_numpy(found.features[0][-1:]), own, atol=1e-5, rtol=1e-4)


def test_patches_are_as_large_as_the_corpus_has_them(corpus: Path, tiny_model: Path, tmp_path: Path) -> None:
    side = min(shard.side for shard in load_corpus(corpus))
    assert side > SIDE
    found = drawn(PseudoOptions(corpus, tiny_model, draws=1), tiny_model, tmp_path / "a")
    same = drawn(PseudoOptions(corpus, tiny_model, draws=1, side=side), tiny_model, tmp_path / "b")
    assert np.array_equal(found.mos, same.mos)
    assert np.array_equal(found.features[0], same.features[0])
    smaller = drawn(PseudoOptions(corpus, tiny_model, draws=1, side=SIDE), tiny_model, tmp_path / "c")
    assert not np.array_equal(found.features[0], smaller.features[0])


def test_they_are_described_once_and_depend_on_the_seed(
    corpus: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = PseudoOptions(corpus, tiny_model, draws=1, side=SIDE)
    found = drawn(options, tiny_model, tmp_path)
    other = drawn(replace(options, seed=2), tiny_model, tmp_path)
    assert not np.array_equal(found.features[0], other.features[0])

    def fail(*_: object) -> None:
        raise AssertionError("described again")

    monkeypatch.setattr("rankvqa_cli.training.pseudo.Moment.features", fail)
    again = drawn(options, tiny_model, tmp_path)
    assert np.array_equal(found.features[0], again.features[0])
    assert np.array_equal(found.mos, again.mos)
    with pytest.raises(AssertionError, match="described again"):
        drawn(replace(options, seed=3), tiny_model, tmp_path)


def test_labels_come_from_a_network_with_a_reference(corpus: Path, tiny_model: Path, tmp_path: Path) -> None:
    loop = LoopOptions(steps=1, warmup=1, save_every=1, check_every=1)
    expert = tmp_path / "e.safetensors"
    asked = ExpertOptions(("distortion",), TINY, loop, 2, 3, SIDE, fold=-1)
    train_expert(corpus, tmp_path / "run", expert, "e", asked, lambda _: None)
    with pytest.raises(ModelError, match="labels come from a patchnet"):
        drawn(PseudoOptions(corpus, expert, draws=1, side=SIDE), tiny_model, tmp_path)
