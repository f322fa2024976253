"""Clusters of MOS and the Davies-Bouldin index."""

from __future__ import annotations

import numpy as np
import pytest

from rankvqa_cli.errors import InputError
from rankvqa_cli.training.clusters import content_removed, davies_bouldin, mos_clusters, standardised


def test_clusters_are_equal_ranges_of_mos() -> None:
    mos = [1.0, 1.9, 2.1, 2.9, 3.1, 3.9, 4.1, 5.0, 1.5, 2.5, 3.5, 4.5]
    assert mos_clusters(mos, 4).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 0, 1, 2, 3]


@pytest.mark.parametrize(
    ("mos", "said"),
    [
        ([3.0] * 20, "hold two samples"),
        ([3.0] * 19 + [5.0], "hold two samples"),
        ([1.0, 3.0, 5.0], "3 rated samples"),
        ([float("nan")] + [1.0, 5.0] * 10, "no finite number"),
    ],
)
def test_mos_that_make_no_clusters_are_refused(mos: list[float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        mos_clusters(mos, 6)


def test_the_index_is_the_published_one() -> None:
    """Two clusters on a line: spreads 1 and 2, centres 10 apart, so (1 + 2) / 10 for both."""
    features = np.array([[-1.0], [1.0], [8.0], [12.0]])
    assert davies_bouldin(features, np.array([0, 0, 1, 1])) == pytest.approx(0.3)
    third = np.concatenate(
        [features, [[24.0], [26.0]]]
    )  # 15 from the second, 25 from the first; its spread is 1
    expected = (max(3 / 10, 2 / 25) + max(3 / 10, 3 / 15) + max(2 / 25, 3 / 15)) / 3
    assert davies_bouldin(third, np.array([0, 0, 1, 1, 2, 2])) == pytest.approx(expected)


def test_coinciding_centres_are_infinitely_bad_and_lone_samples_do_not_count() -> None:
    same = np.array([[-1.0], [1.0], [-1.0], [1.0]])
    assert davies_bouldin(same, np.array([0, 0, 1, 1])) == np.inf
    assert davies_bouldin(np.zeros((4, 2)), np.array([0, 0, 1, 1])) == np.inf
    lone = np.array([[-1.0], [1.0], [8.0], [12.0], [9.0]])
    assert davies_bouldin(lone, np.array([0, 0, 1, 1, 2])) == pytest.approx(0.3)


def test_constant_columns_and_contents_means_go() -> None:
    x = np.array([[1.0, 5.0], [3.0, 5.0], [101.0, 5.0], [103.0, 5.0]])
    assert standardised(x)[:, 1].tolist() == [0, 0, 0, 0]
    assert standardised(x)[:, 0].std() == pytest.approx(1)
    assert content_removed(x, ["a", "a", "b", "b"])[:, 0].tolist() == [-1, 1, -1, 1]
    assert x[0, 0] == 1.0
