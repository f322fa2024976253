"""Training the head: it learns, the same from the same seed, and whole contents are kept from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from rankvqa_cli.errors import InputError, ModelError
from rankvqa_cli.training.fusing import (
    FusingOptions,
    Samples,
    ablations,
    fit,
    folds_of,
    leave_out,
    project,
    score,
)
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
    with pytest.raises(InputError, match="hold two samples"):
        fit(replace(samples, mos=np.full(48, 3.0)), FAST, 1)


@pytest.fixture(autouse=True)
def _same_random_state() -> None:
    torch.manual_seed(0)


def test_a_training_that_diverges_says_so() -> None:
    with pytest.raises(ModelError, match="not finite at step"):
        fit(made(), replace(FAST, rate=1e30), 1)


def test_where_a_teacher_labelled_some_projections_are_fitted_to_those_alone() -> None:
    samples = made()
    judged = np.array([name in "ab" for name in samples.contents])
    mixed = replace(samples, judged=judged)
    found = project(mixed, FAST)
    alone = project(samples.rows(~judged), FAST)
    turned = project(replace(mixed, mos=np.where(judged, 6 - samples.mos, samples.mos)), FAST)
    assert sorted(found.fitted) == ["centre0", "centre1", "projection0", "projection1"]
    for name, value in found.fitted.items():
        assert torch.equal(value, alone.fitted[name])
        assert torch.equal(value, turned.fitted[name])
    people = torch.from_numpy(judged)
    for whole, taught in zip(found.inputs, alone.inputs, strict=True):
        assert torch.equal(whole[~people], taught)


def test_a_teachers_content_is_left_out_with_peoples_ratings_of_it() -> None:
    """The teacher speaks of one content only: the head that is asked about it is the one that people alone make."""
    samples = made()
    twice = Samples(
        tuple(np.concatenate([each, each[:12]]) for each in samples.features),
        np.concatenate([samples.mos, samples.mos[:12][::-1]]),
        (*samples.contents, *samples.contents[:12]),
        np.ones(60),
        np.arange(60) < 48,
    )
    found, alone = (leave_out(each, FAST, (1,)).quality[0] for each in (twice, samples))
    assert np.array_equal(found[:12], alone[:12])
    assert not np.array_equal(found[12:24], alone[12:24])


def test_joint_shares_add_up_to_what_holds_for_unseen_contents() -> None:
    samples = made()
    options = replace(FAST, components=1, joint=True, weighting="equal")
    found = project(samples.rows(np.array([name != "d" for name in samples.contents])), options)
    unseen = samples.rows(np.array([name == "d" for name in samples.contents]))
    shares = [
        (torch.from_numpy(each) - found.fitted[f"centre{i}"]) @ found.fitted[f"projection{i}"][:, -1]
        for i, each in enumerate(unseen.features)
    ]
    assert spearmanr(sum(shares).numpy(), unseen.mos).statistic > 0.9


def mixed() -> Samples:
    """People's scores of two contents, and a teacher's of two others."""
    samples = made()
    return replace(samples, judged=np.array([name in "ab" for name in samples.contents]))


@pytest.mark.parametrize("joint", [False, True])
def test_people_have_a_say_in_projections_where_they_are_given_one(joint: bool) -> None:
    samples, options = mixed(), replace(FAST, joint=joint)
    turned = replace(samples, mos=np.where(samples.judged, 6 - samples.mos, samples.mos))
    kept, heard = (
        [project(each, replace(options, people=people)).fitted for each in (samples, turned)]
        for people in (0.0, 5.0)
    )
    assert torch.equal(kept[0]["projection0"], kept[1]["projection0"])
    assert not torch.allclose(heard[0]["projection0"], heard[1]["projection0"], atol=0.01)


def test_peoples_scores_are_stretched_to_the_teachers_scale() -> None:
    """People who use half of the scale, or only its upper end, say the same."""
    samples, options = mixed(), replace(FAST, joint=True, weighting="equal", people=3.0)
    narrow = replace(samples, mos=np.where(samples.judged, 3 + samples.mos / 3, samples.mos))
    for name, value in project(samples, options).fitted.items():
        torch.testing.assert_close(value, project(narrow, options).fitted[name], atol=1e-4, rtol=1e-3)


def test_what_a_head_with_people_says_of_unseen_contents_is_right() -> None:
    samples = mixed()
    found = leave_out(samples, replace(FAST, joint=True, people=3.0), (1,))
    at = samples.judged
    assert spearmanr(found.quality[0, at], samples.mos[at]).statistic > 0.9


def test_a_joint_head_begins_on_peoples_scale() -> None:
    """Not on that of a teacher whose labels are a sixth as far apart."""
    samples = mixed()
    low = replace(samples, mos=np.where(samples.judged, samples.mos, 1 + (samples.mos - 1) / 6))
    options = replace(FAST, joint=True, people=3.0, rate=1e-9)
    (found,) = leave_out(low, options, (1,)).quality
    at = low.judged
    wanted = 25 * (low.mos[at] - 1)
    assert np.sqrt(np.mean((found[at] - wanted) ** 2)) < 8
    assert abs(found[at].mean() - wanted.mean()) < 3
    assert 0.8 < np.polyfit(wanted, found[at], 1)[0] < 1.2
