from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from rankvqa_cli.media.offset_search import best_offset, offset_costs

Series = NDArray[np.uint8]
REACH = 15


def world(frames: int, speed: float = 1.5, seed: int = 3) -> Series:
    """A smooth random texture that a camera pans over."""
    chance = np.random.default_rng(seed)
    texture = chance.normal(size=(54, 96 + 256))
    spectrum = np.fft.rfft2(texture)
    keep = np.exp(-((np.arange(spectrum.shape[1]) / 40) ** 2)) * np.exp(
        -((np.fft.fftfreq(54)[:, None] * 54 / 12) ** 2)
    )
    smooth = np.fft.irfft2(spectrum * keep, s=texture.shape)
    smooth = 128 + 40 * smooth / smooth.std()
    columns = np.arange(96)
    views = []
    for n in range(frames):
        place = (columns + n * speed) % (texture.shape[1] - 1)
        left = place.astype(int)
        views.append(smooth[:, left] * (1 - place % 1) + smooth[:, left + 1] * (place % 1))
    return np.clip(np.stack(views), 0, 255).astype(np.uint8)


def worse(series: Series, noise: float, seed: int = 5) -> Series:
    chance = np.random.default_rng(seed)
    return np.clip(series + chance.normal(scale=noise, size=series.shape), 0, 255).astype(np.uint8)


def slipped(series: Series, offset: int) -> tuple[Series, Series]:
    """(reference, distorted) of equal length with the distorted ``offset`` frames late."""
    count = len(series) - abs(offset)
    return series[max(0, offset) :][:count], series[max(0, -offset) :][:count]


@pytest.mark.parametrize("offset", range(-12, 13))
def test_every_offset_is_found_exactly(offset: int) -> None:
    reference, distorted = slipped(world(32), offset)
    match = best_offset(reference, worse(distorted, 4), REACH)
    assert match.offset == offset
    assert match.confidence > 0.3


def test_the_sign_says_that_the_distorted_is_late() -> None:
    series = world(30)
    late = np.concatenate([np.repeat(series[:1], 3, axis=0), series])
    assert best_offset(series, late, REACH).offset == 3
    assert best_offset(series, series[3:], REACH).offset == -3


@pytest.mark.parametrize("noise", [0, 4, 20, 60])
@pytest.mark.parametrize("speed", [0.05, 0.5, 4])
def test_aligned_videos_are_never_called_slipped(noise: float, speed: float) -> None:
    for seed in range(5):
        series = world(32, speed, seed)
        assert best_offset(series, worse(series, noise, seed), REACH).offset == 0


def test_brightness_and_contrast_do_not_matter() -> None:
    reference, distorted = slipped(world(32), 5)
    assert best_offset(reference, (distorted * 0.6 + 50).astype(np.uint8), REACH).offset == 5


def test_a_still_picture_says_nothing() -> None:
    still = np.repeat(world(1), 30, axis=0)
    match = best_offset(still, still, REACH)
    assert (match.offset, match.confidence, match.agreement) == (0, 0.0, 0.0)
    noisy = best_offset(worse(still, 3, 1), worse(still, 3, 2), REACH)
    assert noisy.offset == 0
    assert noisy.confidence < 0.1


def test_unrelated_videos_are_not_shifted() -> None:
    for seed in range(20):
        match = best_offset(world(24, 0.7, seed), world(24, 1.3, seed + 100), REACH)
        assert match.offset == 0 or match.agreement >= 0.1
        chance = np.random.default_rng(seed)
        noise = [chance.integers(0, 256, (24, 54, 96)).astype(np.uint8) for _ in range(2)]
        assert best_offset(noise[0], noise[1], REACH).offset == 0


def test_a_loop_counts_as_not_slipped() -> None:
    loop = np.tile(world(6), (8, 1, 1))
    assert best_offset(loop, loop, REACH).offset == 0
    assert abs(best_offset(loop, loop[2:], REACH).offset) == 2
    assert best_offset(loop, loop[2:], REACH).confidence < 0.1


def test_frames_shown_twice_do_not_confuse() -> None:
    twos = np.repeat(world(20), 2, axis=0)
    assert best_offset(twos, worse(twos, 4), REACH).offset == 0
    assert best_offset(twos[3:], worse(twos[:-3], 4), REACH).offset == 3


def test_black_frames_in_front_are_an_offset() -> None:
    series = world(40)
    black = np.full((7, *series.shape[1:]), 16, np.uint8)
    assert best_offset(series, worse(np.concatenate([black, series])[:40], 4), REACH).offset == 7


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_too_little_to_go_by(count: int) -> None:
    series = world(count, speed=4)
    match = best_offset(series, series, REACH)
    assert match.offset == 0
    assert 0 <= match.confidence <= 1


def test_costs_are_bounded_and_need_an_overlap() -> None:
    series = world(20)
    costs = offset_costs(series, worse(series, 4), 30)
    assert min(costs) == -13
    assert max(costs) == 13
    assert all(0 <= cost <= 2 for cost in costs.values())
