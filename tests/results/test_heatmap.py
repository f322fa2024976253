"""What a heatmap shows: colours that rise in lightness, a scale that is fixed, each value at its place."""

from __future__ import annotations

import string

import numpy as np
import pytest

from rankvqa_cli.errors import UsageError
from rankvqa_cli.results import lettering
from rankvqa_cli.results.heatmap import (
    ANCHORS,
    Pixels,
    Shown,
    colours,
    heat_of_quality,
    heat_of_weight,
    picture,
    stretched,
)
from rankvqa_cli.results.heatmap_targets import heatmap_targets

GREY = np.full((120, 160, 3), 128, np.uint8)


def lightness(pixels: Pixels) -> np.ndarray:
    """CIE L* of sRGB."""
    value = pixels / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    return np.where(luminance > 0.008856, 116 * np.cbrt(luminance) - 16, 903.3 * luminance)


def panel(shown: Shown, number: int) -> np.ndarray:
    """Lightness of a panel of a 160 x 120 picture."""
    canvas = picture(shown)
    panels = 2 if shown.weights is None else 3
    cell = (canvas.shape[1] + 4) // panels
    left = number * cell + (cell - 4 - 160) // 2
    return lightness(canvas[:120, left : left + 160])


def test_colours_rise_evenly_in_lightness() -> None:
    steps = np.diff(lightness(colours(np.linspace(0, 1, len(ANCHORS)))))
    assert (steps > 0).all()
    assert steps.max() < 1.6 * steps.min()
    assert (np.diff(lightness(colours(np.linspace(0, 1, 200)))) > -0.5).all()


def test_heat_is_clamped() -> None:
    assert colours(np.array([-1.0, 2.0, np.inf, -np.inf])).tolist() == [
        list(ANCHORS[i]) for i in (0, -1, -1, 0)
    ]


def test_scales_are_fixed() -> None:
    assert heat_of_quality(np.array([100.0, 50.0, 0.0])).tolist() == [0.0, 0.5, 1.0]
    assert heat_of_weight(np.array([0.25, 0.5, 1.0, 2.0, 4.0])).tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert heat_of_weight(np.array([0.0])).tolist() == [-np.inf]
    # A place looks the same whatever the rest of the frame is like.
    good, mixed = np.full((4, 4), 70.0), np.full((4, 4), 70.0)
    mixed[:, 2:] = 0.0
    same = [panel(Shown(0, 50.0, GREY, quality), 1)[:, :50] for quality in (good, mixed)]
    np.testing.assert_array_equal(*same)


def test_low_quality_is_bright_where_it_is() -> None:
    quality = np.full((12, 16), 95.0)
    quality[:4, 12:] = 5.0
    seen = panel(Shown(0, 50.0, GREY, quality), 1)
    assert seen[:30, 130:].mean() > 60
    assert seen[60:, :80].mean() < 30


def test_weights_have_a_panel_of_their_own() -> None:
    quality, weights = np.full((6, 8), 100.0), np.array([[0.25, 4.0]])
    shown = Shown(7, 50.0, GREY, quality, weights)
    assert panel(shown, 2)[:, 130:].mean() > panel(shown, 2)[:, :30].mean() + 50
    assert np.ptp(panel(shown, 1)) == 0


@pytest.mark.parametrize(("height", "width"), [(48, 64), (121, 77), (1, 1), (300, 901)])
def test_sides_are_even_and_the_frame_is_untouched(height: int, width: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    sizes = set()
    for index, score in ((0, 1.0), (123456, 100.0)):
        canvas = picture(Shown(index, score, pixels, np.zeros((3, 5))))
        sizes.add(canvas.shape)
        assert canvas.shape[0] % 2 == canvas.shape[1] % 2 == 0
        rows = [canvas[:height, x : x + width] for x in range(canvas.shape[1] // 2)]
        assert any(np.array_equal(row, pixels) for row in rows)
    assert len(sizes) == 1


def test_stretched_keeps_places() -> None:
    np.testing.assert_allclose(stretched(np.full((3, 4), 2.5), 30, 41), 2.5)
    ramp = stretched(np.array([[0.0, 1.0, 2.0, 3.0]]), 2, 40)
    # The middles of the four places, at 5, 15, 25 and 35.
    np.testing.assert_allclose((ramp[0, 4::10] + ramp[0, 5::10]) / 2, [0, 1, 2, 3], atol=0.03)
    np.testing.assert_array_equal(ramp[0], ramp[1])


def test_letters_can_be_told_apart() -> None:
    drawn = {}
    for letter in string.digits + ".-" + "frameacoequlitywghx":
        canvas = np.zeros((lettering.HEIGHT, lettering.ADVANCE, 3), np.uint8)
        lettering.write(canvas, letter, 0, 0, 1)
        drawn[letter] = canvas.tobytes()
        assert canvas.any()
    assert len(set(drawn.values())) == len(drawn)
    with pytest.raises(KeyError):
        lettering.write(GREY.copy(), "Z", 0, 0, 1)


def paths(path: str, inputs: list[str], models: list[str]) -> list[str]:
    return [target.path for target in heatmap_targets(path, inputs, models).values()]


def test_names_of_several_heatmaps() -> None:
    assert paths("d/out.png", ["x/a.mp4"], []) == ["d/out.png"]
    assert paths("d/out.png", ["x/a.mp4", "-"], ["m"]) == ["d/out.a.png", "d/out.stdin.png"]
    assert paths("out.mkv", ["a.mp4"], ["m", "f/n.safetensors"]) == ["out.m.mkv", "out.n.mkv"]
    assert paths("out.mp4", ["a.1.mp4", "b"], ["m", "n"]) == [
        "out.a.1.m.mp4",
        "out.a.1.n.mp4",
        "out.b.m.mp4",
        "out.b.n.mp4",
    ]


@pytest.mark.parametrize(
    ("path", "inputs", "message"), [("-", ["a"], "is a file"), ("o.png", ["x/a.mp4", "y/a.mkv"], "both be")]
)
def test_names_that_cannot_be(path: str, inputs: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        heatmap_targets(path, inputs, [])
