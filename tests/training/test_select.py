"""Choosing members: the index ranks, the forward way adds what helps, and nobody held out has a say."""

from __future__ import annotations

import numpy as np
import pytest

from rankvqa_cli.training.select import SelectOptions, choose, dbi_weights, member_weights, select

CONTENTS = np.repeat(np.array(["a", "b", "c", "d"]), 12)
MOS = np.tile(np.linspace(1, 5, 12), 4)


def feature(noise: float, seed: int, *, content: float = 0.0) -> np.ndarray:
    """Five columns that follow the MOS, with noise, and with an offset of each content's own."""
    made = np.random.default_rng(seed)
    offset = content * made.normal(size=(4, 5))[np.repeat(np.arange(4), 12)]
    return MOS[:, None] + offset + noise * made.normal(size=(48, 5))


NAMES = ["bad", "good", "fair"]
POOL = [feature(8.0, 0), feature(0.2, 1), feature(1.0, 2)]


def test_the_index_ranks_and_says_how_well_it_did() -> None:
    selection = select(NAMES, POOL, MOS.tolist(), CONTENTS.tolist(), SelectOptions(members=2))
    assert [NAMES[i] for i in selection.order] == ["good", "fair"]
    assert selection.rho == pytest.approx(1.0)
    assert [each.chosen_without for each in selection.candidates] == [0, 4, 4]
    assert selection.candidates[0].weight == 0
    assert sum(each.weight for each in selection.candidates) == pytest.approx(1)
    assert selection.candidates[1].weight > selection.candidates[2].weight
    assert selection.candidates[1].srocc > 0.95 > selection.candidates[0].srocc


def test_auto_keeps_what_is_not_above_the_median() -> None:
    selection = select(NAMES, POOL, MOS.tolist(), CONTENTS.tolist(), SelectOptions())
    assert [NAMES[i] for i in selection.order] == ["good", "fair"]


def test_forward_stops_where_nothing_helps() -> None:
    index = [3.0, 0.1, 0.5]
    found = choose(POOL, MOS, CONTENTS, index, SelectOptions(way="forward"))
    assert found[0] == 1
    assert 0 not in found
    assert choose(POOL, MOS, CONTENTS, index, SelectOptions(members=3, way="forward"))[0] == 1


def test_within_contents_an_offset_does_not_count() -> None:
    offset = feature(0.2, 1, content=20.0)
    within = SelectOptions(members=1, within=True)
    found = select(["offset", "fair"], [offset, POOL[2]], MOS.tolist(), CONTENTS.tolist(), within)
    assert found.order == (0,)
    plain = SelectOptions(members=1, within=False)
    assert select(["offset", "fair"], [offset, POOL[2]], MOS.tolist(), CONTENTS.tolist(), plain).order == (1,)


def test_weights_are_shares_even_of_an_infinite_index() -> None:
    assert member_weights([1.0, 3.0], "dbi").tolist() == pytest.approx([0.75, 0.25])
    assert member_weights([1.0, 3.0], "equal").tolist() == [0.5, 0.5]
    assert member_weights([1.0, np.inf], "dbi").tolist() == [0.5, 0.5]
    assert dbi_weights(POOL, MOS, CONTENTS.tolist(), 6, within=True).sum() == pytest.approx(1)
