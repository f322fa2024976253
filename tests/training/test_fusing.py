"""Training the head: it learns, the same from the same seed, and whole contents are kept from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from rankvqa_cli.errors import InputError
from rankvqa_cli.training.fusing import FusingOptions, Samples, ablations, fit, folds_of, leave_out, score
from rankvqa_cli.training.ridge import left_out_predictions

FAST = FusingOptions(steps=40, rate=1e-2, batch=32)


def made(noise: float = 0.3) -> Samples:
    """Two members that see the MOS through noise, of four contents."""
    generator = np.random.default_rng(0)
    mos = np.tile(np.linspace(1, 5, 12), 4)
    features = tuple(
        (mos[:, None] + noise * generator.normal(size=(48, width))).astype(np.float32) for width in (6, 9)
    )
    contents = tuple(name for name in "abcd" for _ in range(12))
    return Samples(features, mos, contents, np.ones(48), np.ones(48, np.bool_))


def test_it_learns_and_the_same_seed_gives_the_same_head() -> None:
    samples = made()
    heads = [fit(samples, FAST, seed) for seed in (1, 1, 2)]
    first, again, other = (score(head, samples)[0] for head in heads)
    assert spearmanr(first, samples.mos).statistic > 0.9
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_contents_left_out_are_predicted_by_the_others_alone() -> None:
    """A content whose MOS are turned round teaches the reverse of what holds: its own scores must not know that."""
    samples = made()
    turned = samples.mos.copy()
    turned[:12] = turned[:12][::-1]
    found = leave_out(replace(samples, mos=turned), FAST, (1,))
    assert found.quality.shape == (1, 48)
    assert spearmanr(found.quality[0, :12], turned[:12]).statistic < -0.9
    assert found.own.shape == (48, 2)
    ridge = left_out_predictions(np.concatenate(samples.features, axis=1), turned, samples.contents)
    assert spearmanr(ridge[:12], turned[:12]).statistic < -0.9


def test_a_teachers_labels_are_learned_from_and_never_judged_by() -> None:
    samples = made()
    judged = np.array([name != "d" for name in samples.contents])
    found = leave_out(replace(samples, judged=judged), FAST, (1,))
    assert np.isnan(found.quality[0, ~judged]).all()
    assert np.isfinite(found.quality[0, judged]).all()


def test_weights_follow_the_training_samples_index() -> None:
    samples = made()
    noisy = replace(
        samples,
        features=(samples.features[0], np.random.default_rng(1).normal(size=(48, 9)).astype(np.float32)),
    )
    weights = fit(noisy, FAST, 1).config.weights
    assert weights[0] > weights[1]
    assert fit(noisy, replace(FAST, weighting="equal"), 1).config.weights == [0.5, 0.5]


def test_ablations_take_one_thing_away_each() -> None:
    found = ablations(FusingOptions())
    assert set(found) == {"no_intra", "no_inter", "no_icid", "equal_weights"}
    assert (found["no_intra"].icid.intra, found["no_intra"].icid.inter) == (0, FusingOptions().icid.inter)
    assert set(ablations(FusingOptions(weighting="equal"))) >= {"dbi_weights"}


def test_many_contents_share_folds_but_a_content_is_in_one() -> None:
    contents = [f"content{i // 2}" for i in range(120)]
    folds = folds_of(contents)
    assert len(set(folds)) == 25
    assert all(folds[i] == folds[i + 1] for i in range(0, 120, 2))


def test_mos_of_one_cluster_are_refused() -> None:
    samples = made()
    with pytest.raises(InputError, match="one cluster"):
        fit(replace(samples, mos=np.full(48, 3.0)), FAST, 1)


@pytest.fixture(autouse=True)
def _same_random_state() -> None:
    torch.manual_seed(0)
