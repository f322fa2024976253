"""Labels from frozen networks: more damage for worse encodes, kept by content, refused where no network is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rankvqa_cli.errors import ModelError
from rankvqa_cli.training.datasets import load_corpus
from rankvqa_cli.training.frozen import FrozenNetworks, corpus_damage, damage


def test_damage_is_measured_against_what_low_passing_loses() -> None:
    reference, soft = np.zeros((1, 4), np.float32), np.full((1, 4), 2.0, np.float32)
    as_soft = damage(reference, soft, soft)
    half = damage(reference, soft / 2, soft)
    assert as_soft == pytest.approx([0.0])
    assert half == pytest.approx([np.log(0.5)], abs=1e-3)


def test_worse_encodes_are_more_damaged(corpus: Path, shared: Path, tmp_path: Path) -> None:
    networks = FrozenNetworks([shared / "ptm" / "yolofastestv2_coco.onnx"], threads=1)
    shard = load_corpus(corpus)[0]
    said: list[str] = []
    found = corpus_damage([shard], networks, tmp_path, said.append)["moving"]
    assert found.shape == shard.distorted.shape[:2]
    sure = np.argwhere(shard.better[:, :, 0] > 0.9)
    kept = [found[better, 0] < found[worse, 0] for better, worse in sure]
    assert np.mean(kept) > 0.8
    again = corpus_damage([shard], networks, tmp_path, said.append)["moving"]
    assert np.array_equal(found, again)
    assert len(said) == 1  # the second time it was read, not computed


def test_what_is_no_network_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a network")
    for file in (broken, tmp_path / "absent.onnx"):
        with pytest.raises(ModelError, match=file.name):
            FrozenNetworks([file], threads=1)
