"""Versions: ladders and families as drawn, what each change does, and which orders follow."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rankvqa_cli.training.degradations import CHANGES, Change, Shape, apply_change
from rankvqa_cli.training.encodes import CODECS, LADDER_CODECS, SIZES, Encode, encode_and_decode
from rankvqa_cli.training.orders import by_patch, certainty, constructed
from rankvqa_cli.training.versions import FAMILIES, Version, draw_degraded, draw_ladders, version_from_json

SHAPE = Shape(width=64, height=48, clip_frames=12)
PIXELS = 64 * 48

LADDERS: dict[str, tuple[list[float], int]] = {
    "noise": ([2, 4, 8], 7),
    "blur": ([0.8, 1.4, 2.4], 0),
    "defocus": ([1.2, 2.4], 0),
    "banding": ([8, 16, 32], 0),
    "dropped": ([2, 4, 8], 3),
    "frozen": ([2, 4, 8], 2),
    "hue": ([0.2, 0.4, 0.8], -1),
    "saturation": ([0.2, 0.4, 0.8], 0),
    "chroma-blur": ([1, 2, 4], 0),
    "range": ([1, 2], 1),
}


@pytest.fixture(scope="module")
def clip() -> NDArray[np.uint8]:
    """Twelve frames of coloured bars that move, with some texture: (12, bytes)."""
    t, y, x = np.mgrid[0:12, 0:48, 0:64]
    luma = 120 + 50 * np.sin((x + 3 * t) / 3) + 30 * np.cos(y / 2)
    chroma = [128 + 70 * np.sin((x[:, ::2, ::2] + 3 * t[:, ::2, ::2]) / (3 + k)) for k in (0, 2)]
    parts = [luma.reshape(12, -1), *(c.reshape(12, -1) for c in chroma)]
    return np.concatenate(parts, axis=1).round().astype(np.uint8)


def test_every_change_has_a_ladder_here() -> None:
    assert LADDERS.keys() == CHANGES.keys()


@pytest.mark.parametrize("name", LADDERS)
def test_stronger_is_farther_from_the_source(name: str, clip: NDArray[np.uint8]) -> None:
    strengths, key = LADDERS[name]
    errors = []
    for strength in strengths:
        change = Change(name, strength, key)
        changed = apply_change(change, clip, SHAPE)
        assert changed.shape == clip.shape
        assert changed.dtype == np.uint8
        assert np.array_equal(changed, apply_change(change, clip, SHAPE))
        errors.append(float(np.mean(np.square(changed.astype(float) - clip))))
    assert errors[0] > 0
    assert errors == sorted(set(errors))


@pytest.mark.parametrize("name", ["hue", "saturation", "chroma-blur"])
def test_colour_changes_leave_luma_alone(name: str, clip: NDArray[np.uint8]) -> None:
    strengths, key = LADDERS[name]
    changed = apply_change(Change(name, strengths[-1], key), clip, SHAPE)
    assert np.array_equal(changed[:, :PIXELS], clip[:, :PIXELS])


def test_frozen_and_dropped_frames_repeat_the_last_good_one(clip: NDArray[np.uint8]) -> None:
    frozen = apply_change(Change("frozen", 3, 2), clip, SHAPE)
    for t in range(12):
        assert np.array_equal(frozen[t], clip[1 if t in (2, 3, 4) else t])
    dropped = apply_change(Change("dropped", 4, 9), clip, SHAPE)
    kept = [t for t in range(12) if np.array_equal(dropped[t], clip[t])]
    assert len(kept) == 8
    for t in range(12):
        assert np.array_equal(dropped[t], clip[max(k for k in kept if k <= t)])


def test_a_range_slip_undoes_its_opposite(clip: NDArray[np.uint8]) -> None:
    pressed = apply_change(Change("range", 1, 0), clip, SHAPE)
    back = apply_change(Change("range", 1, 1), pressed, SHAPE)
    assert np.abs(back.astype(int) - clip).max() <= 1
    assert int(pressed[:, :PIXELS].max()) < int(clip[:, :PIXELS].max())


def test_half_the_rate_shows_every_frame_twice(clip: NDArray[np.uint8], tmp_path: Path) -> None:
    encoded = encode_and_decode(Encode("x264", 15, 1.0, 2), clip, (64, 48), Fraction(25), tmp_path)
    assert len(encoded.frames) == 12
    assert all(np.array_equal(encoded.frames[t], encoded.frames[t + 1]) for t in range(0, 12, 2))
    assert "25/2" in encoded.commands[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("codec", CODECS)
def test_codecs_repeat_themselves_and_coarsen(codec: str, clip: NDArray[np.uint8], tmp_path: Path) -> None:
    tiled = np.concatenate(
        [
            np.tile(plane, (1, 2, 2)).reshape(12, -1)
            for plane in (
                clip[:, :PIXELS].reshape(12, 48, 64),
                *np.split(clip[:, PIXELS:].reshape(12, 48, 32), 2, axis=1),
            )
        ],
        axis=1,
    )
    ends = CODECS[codec]
    errors = []
    for quality in (ends.fine, ends.coarse):
        twice = [
            encode_and_decode(Encode(codec, quality), tiled, (128, 96), Fraction(20), tmp_path).frames
            for _ in range(2)
        ]
        assert np.array_equal(twice[0], twice[1])
        errors.append(float(np.mean(np.square(twice[0].astype(float) - tiled))))
    assert 0 < errors[0] < errors[1]


def test_ladders_cover_their_range() -> None:
    versions = draw_ladders(np.random.default_rng(5), 6, 4, LADDER_CODECS, SIZES)
    encodes = [version.steps[0] for version in versions]
    assert all(isinstance(encode, Encode) for encode in encodes)
    assert {encode.codec for encode in encodes} == set(LADDER_CODECS)
    for first in range(0, 24, 4):
        rungs = encodes[first : first + 4]
        assert [e.quality for e in rungs] == sorted(e.quality for e in rungs)
        assert CODECS[rungs[0].codec].fine <= rungs[0].quality
    assert all(encode.scale == 1.0 for encode in encodes[:12])
    assert all(encode.scale in SIZES for encode in encodes[12:])


def draw(seed: int, count: int) -> list[Version]:
    rng = np.random.default_rng(seed)
    ladders = draw_ladders(rng, 2, 4, LADDER_CODECS, SIZES)
    return ladders + draw_degraded(rng, count, ladders, 4, 12)


def test_families_come_in_turn_and_survive_json() -> None:
    versions = draw(3, 40)
    assert {version.family for version in versions} == {*FAMILIES, "codec"}
    assert len({version.family for version in draw(3, 10)} ^ {version.family for version in draw(4, 10)}) > 0
    assert len(draw(3, 10)) == 18
    assert [version_from_json(version.to_json()) for version in versions] == versions


@pytest.mark.parametrize("seed", range(5))
def test_every_family_is_ordered_and_no_order_goes_round(seed: int) -> None:
    versions = draw(seed, 40)
    order = constructed(versions)
    assert ((order == 0) | ((order > 0.75) & (order <= 1))).all()
    assert not ((order > 0) & (order.T > 0)).any()
    for family in FAMILIES:
        # Neighbours in a family are drawn from weak to strong.
        rows = [i for i, version in enumerate(versions) if version.family == family]
        assert order[rows[0], rows[1]] > 0, family


def test_order_holds_only_where_constructed() -> None:
    def one(*steps: Encode | Change) -> Version:
        return Version("x", steps)

    fine, coarse = Encode("x264", 20), Encode("x264", 32)
    assert 0.85 < certainty(one(fine), one(Encode("x264", 23))) < certainty(one(fine), one(coarse)) <= 1
    assert certainty(one(fine), one(Encode("x264", 22))) == 0
    assert certainty(one(coarse), one(fine)) == 0
    assert certainty(one(fine), one(Encode("x265", 40))) == 0
    assert certainty(one(fine), one(Encode("x264", 20, 0.5))) > 0.9
    assert certainty(one(fine), one(Encode("x264", 20, 0.75))) == 0
    assert certainty(one(coarse), one(Encode("x264", 20, 0.25))) == 0
    assert certainty(one(fine), one(Encode("x264", 20, 1.0, 2))) >= 0.9
    assert certainty(one(fine), one(coarse, fine)) > 0.9  # coded once over coded twice
    assert certainty(one(coarse), one(coarse, fine)) == 0
    weak, strong = Change("noise", 2, 5), Change("noise", 4, 5)
    assert certainty(one(weak), one(strong)) > 0.9
    assert certainty(one(weak), one(Change("noise", 4, 6))) == 0
    assert certainty(one(weak, fine), one(strong, fine)) > 0.9
    assert certainty(one(weak, fine), one(strong, coarse)) == 0
    assert certainty(one(fine), one(fine, weak)) > 0.9
    assert certainty(one(weak), one(weak, fine)) == 0  # coding may hide the noise


def test_labels_and_likeness_lower_an_order() -> None:
    order = np.array([[0, 0.9], [0, 0]], np.float32)
    distorted = np.zeros((2, 4, 2, 64), np.uint8)
    distorted[1, :3] = 9
    names = ("vmaf", "xpsnr", "ssim")
    labels = {name: np.array([[80, 70, 70, 80], [70, 80, 80, 70]], np.float32) for name in names}
    labels["ssim"] = np.array([[80, 80, 70, 80], [70, 70, 80, 70]], np.float32)
    patches = by_patch(order, labels, distorted)
    # As constructed; one label still agrees; all three say the reverse; the clips are the same.
    assert patches[0, 1] == pytest.approx([0.9, 0.9, 0.6, 0.0])
    assert (patches[1, 0] == 0).all()
