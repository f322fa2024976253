"""Features of a rated set: computed once, by content, from the moments that scoring would see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from made_onnx import small_network
from torch import Tensor

from rankvqa_cli.errors import DamagedError, InputError
from rankvqa_cli.models.ptm.onnx import OnnxNetwork
from rankvqa_cli.models.ptm.views import Views, features
from rankvqa_cli.training.features_cache import FeatureCache, Sampling
from rankvqa_cli.training.moments import moments

MakeClip = Callable[..., Path]
VIEWS = Views(crop=224, columns=1, rows=1)


@pytest.fixture
def network(tmp_path: Path) -> OnnxNetwork:
    (tmp_path / "net.onnx").write_bytes(small_network(1))
    return OnnxNetwork(tmp_path / "net.onnx", threads=1)


def test_moments_are_those_of_scoring(make_clip: MakeClip) -> None:
    clip = make_clip("a.mp4", frames=30, rate=10, size="64x48")
    every = list(moments(clip, None, 0.1, 1))
    assert len(every) == 30
    seen = list(moments(clip, None, 0.5, 1))
    assert all(torch.equal(a, b) for a, b in zip(seen, every[::5], strict=True))
    clips = list(moments(clip, None, 0.2, 4))
    assert [each.shape[0] for each in clips] == [4] * 14
    assert all(torch.equal(each, torch.cat(every[2 * i : 2 * i + 4])) for i, each in enumerate(clips))
    apart = list(moments(clip, None, 1.0, 3))
    assert all(torch.equal(each, torch.cat(every[10 * i : 10 * i + 3])) for i, each in enumerate(apart))


def test_a_short_video_is_continued_and_a_size_is_kept_to(make_clip: MakeClip) -> None:
    clip = make_clip("a.mp4", frames=2, size="64x48", rate=1)
    (only,) = moments(clip, (96, 80), 0.5, 4)
    assert only.shape == (4, 3, 80, 96)
    assert torch.equal(only[1], only[3])
    assert not torch.equal(only[0], only[1])


def test_a_damaged_video_is_no_sample(make_clip: MakeClip) -> None:
    clip = make_clip("a.mkv", "-g", "4", frames=30)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size * 2 // 3])
    with pytest.raises((DamagedError, InputError), match=r"a\.mkv"):
        list(moments(clip, None, 0.5, 1))


def test_features_are_means_over_moments_and_computed_once(
    make_clip: MakeClip, network: OnnxNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_clip("a.mp4", frames=20, rate=10, size="64x48")
    cache = FeatureCache(tmp_path / "cache", VIEWS, Sampling())
    (found,) = cache.matrices([network], [clip])
    expected = torch.stack([features(network, moment, VIEWS) for moment in moments(clip, None, 0.5, 1)]).mean(
        dim=0
    )
    np.testing.assert_allclose(found[0], expected.numpy(), rtol=1e-4, atol=1e-5)

    def fail(_: Tensor) -> Tensor:
        raise AssertionError("computed again")

    monkeypatch.setattr(network, "whole", fail)
    copied = tmp_path / "moved.mp4"
    copied.write_bytes(clip.read_bytes())
    again = FeatureCache(tmp_path / "cache", VIEWS, Sampling()).matrices([network], [copied, clip])
    assert np.array_equal(again[0], np.concatenate([found, found]))
    for changed in (
        FeatureCache(tmp_path / "cache", Views(crop=300, columns=1, rows=1), Sampling()),
        FeatureCache(tmp_path / "cache", VIEWS, Sampling(size=(96, 80))),
        FeatureCache(tmp_path / "cache", VIEWS, Sampling(sample_s=1.0)),
    ):
        with pytest.raises(AssertionError, match="computed again"):
            changed.matrices([network], [clip])


def test_a_broken_cache_is_told(make_clip: MakeClip, network: OnnxNetwork, tmp_path: Path) -> None:
    clip = make_clip("a.mp4", frames=2, size="64x48")
    cache = FeatureCache(tmp_path / "cache", VIEWS, Sampling())
    cache.matrices([network], [clip])
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(b"broken")
    with pytest.raises(InputError, match="delete the file"):
        cache.matrices([network], [clip])
