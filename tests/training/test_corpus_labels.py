"""Labels of patches, and what they say of pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rankvqa_cli.errors import InputError
from rankvqa_cli.training.datasets import SourceShard, load_corpus
from rankvqa_cli.training.degradations import Change
from rankvqa_cli.training.labels import CEILING_DB, label_patches, preference, ssim_db
from rankvqa_cli.training.tuples import draw_tuples, judge_versions
from rankvqa_cli.training.versions import Version


def pairs(**columns: list[float]) -> dict[str, NDArray[np.float32]]:
    return {name: np.array(values, np.float32) for name, values in columns.items()}


def test_labels_do_not_depend_on_neighbours(corpus: Path, tmp_path: Path) -> None:
    shard = load_corpus(corpus)[0]
    reference = np.array(shard.reference)
    for version in (0, 2):
        found, _ = label_patches(reference, np.array(shard.distorted[version]), 256, tmp_path)
        for name, values in found.items():
            assert values == pytest.approx(shard.labels[name][version], abs=2e-5), name
    assert list(tmp_path.iterdir()) == []


def test_an_identical_patch_has_finite_labels(corpus: Path, tmp_path: Path) -> None:
    reference = np.array(load_corpus(corpus)[0].reference)
    labels, _ = label_patches(reference, reference, 256, tmp_path)
    assert labels["xpsnr"] == pytest.approx(CEILING_DB)
    assert labels["ssim"] == pytest.approx(1.0)
    assert all(np.isfinite(values).all() for values in labels.values())


def test_patches_too_small_for_libvmaf_are_refused(tmp_path: Path) -> None:
    tiny = np.zeros((1, 2, 8 * 8 * 3 // 2), np.uint8)
    with pytest.raises(InputError):
        label_patches(tiny, tiny, 8, tmp_path)


def test_labels_decide_where_they_agree() -> None:
    a = pairs(
        vmaf=[90, 90, 90, 70], vmaf_v1=[88, 88, 88, 70], xpsnr=[38, 38, 38, 30], ssim=[0.99, 0.99, 0.99, 0.9]
    )
    b = pairs(
        vmaf=[70, 95, 88, 90],
        vmaf_v1=[69, 70, 87, 88],
        xpsnr=[33, 33, 37.8, 38],
        ssim=[0.95, 0.95, 0.989, 0.99],
    )
    sign, certainty = preference(a, b, same_source=True)
    # Clear, disagreeing, too close, and clear the other way round.
    assert sign.tolist() == [1, 0, 0, -1]
    assert certainty[1] == certainty[2] == 0
    assert 0.9 < certainty[0] <= 1
    back, same = preference(b, a, same_source=True)
    assert np.array_equal(back, -sign)
    assert np.array_equal(same, certainty)


def test_certainty_grows_with_the_difference() -> None:
    a = pairs(vmaf=[80, 80, 80, 80], vmaf_v1=[80, 80, 80, 80])
    b = pairs(vmaf=[70.5, 69.5, 60, 50], vmaf_v1=[70.5, 69.5, 60, 50])
    sign, certainty = preference(a, b, same_source=False)
    assert sign.tolist() == [0, 1, 1, 1]
    assert certainty[1:] == pytest.approx([0.76, 0.9, 0.964], abs=5e-3)


def test_a_missing_label_says_nothing() -> None:
    a, b = pairs(vmaf=[np.nan], vmaf_v1=[90]), pairs(vmaf=[10], vmaf_v1=[10])
    sign, certainty = preference(a, b, same_source=False)
    assert (sign.tolist(), certainty.tolist()) == ([0], [0])


def test_ssim_in_decibels() -> None:
    assert ssim_db(np.array([0.9, 0.99, 1.0], np.float32)) == pytest.approx([10, 20, CEILING_DB], abs=1e-3)


@pytest.fixture
def three(corpus: Path) -> list[SourceShard]:
    """Three contents of the same pixels, one better than the next by 20 points in everything."""
    shard = load_corpus(corpus)[0]
    shape = shard.labels["vmaf"].shape
    return [
        replace(
            shard,
            name=f"s{k}",
            content=f"c{k}",
            labels={name: np.full(shape, 90 - 20 * k, np.float32) for name in shard.labels},
        )
        for k in range(3)
    ]


def test_tuples_across_sources_follow_the_labels(three: list[SourceShard]) -> None:
    rows = draw_tuples(three, 60, seed=1)
    assert rows == draw_tuples(three, 60, seed=1)
    assert rows != draw_tuples(three, 60, seed=2)
    across = [row for row in rows if row.form == "two"]
    assert len(across) == 30
    for row in across:
        assert row.a[0] != row.b[0]
        assert (row.better == "a") == (row.a[0] < row.b[0])
        assert row.by == "labels"
    assert len({frozenset((row.a, row.b)) for row in rows}) == len(rows)
    # The labels within a source are all the same here, so construction alone decides.
    assert {row.by for row in rows if row.form == "one"} == {"construction"}


def test_labels_blind_to_colour_decide_nothing(three: list[SourceShard]) -> None:
    hue = Version("hue", (Change("hue", 0.4, 1),))
    blind = [replace(shard, versions=(hue,) * len(shard.versions)) for shard in three]
    assert not [row for row in draw_tuples(blind, 60, seed=1) if row.form == "two"]
    assert {row.form for row in draw_tuples(blind, 60, seed=1)} == {"one"}


def test_construction_goes_before_labels(three: list[SourceShard]) -> None:
    shape = three[0].labels["vmaf"].shape
    better = np.zeros((shape[0], shape[0], shape[1]), np.float32)
    better[0, 1], better[2, 3, 0], better[2, 3, 1] = 0.9, 0.9, 0.6
    rising = np.broadcast_to(np.arange(shape[0], dtype=np.float32)[:, None] * 10, shape)
    labels = {name: np.array(rising) for name in three[0].labels} | {"ssim": np.array(rising / 100)}
    sign, certainty, constructed = judge_versions(replace(three[0], better=better, labels=labels))
    # The labels rise with the version's number; the order says otherwise, and is silent where it was lowered.
    assert sign[0, 1].tolist() == [1, 1]
    assert sign[1, 0].tolist() == [-1, -1]
    assert certainty[1, 0] == pytest.approx([0.9, 0.9])
    assert sign[2, 3].tolist() == [1, 0]
    assert sign[0, 2].tolist() == [-1, -1]
    assert constructed[0, 1].all()
    assert not constructed[0, 2].any()
    assert np.array_equal(sign, -sign.transpose(1, 0, 2))
