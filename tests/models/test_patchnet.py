"""PatchNet: identity exact by construction, chunks that do not show, any layout of planes, the reference's reserve."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from rankvqa_cli.models import patchnet_model
from rankvqa_cli.models.contract import Calibration, Clip
from rankvqa_cli.models.patchnet import TINY, PatchNet, PatchNetConfig, low_passed
from rankvqa_cli.models.patchnet_model import PatchNetModel, units_of
from rankvqa_cli.models.store import ModelFile
from rankvqa_cli.types import FrameFormat

SD = FrameFormat(72, 40, "yuv420p", 8, (2, 2), full_range=False, matrix="bt709")


def make_model(power: float = 0.7, seed: int = 0) -> PatchNetModel:
    torch.manual_seed(seed)
    network = PatchNet(TINY)
    with torch.no_grad():
        network.reserve_power.fill_(power)
    header = ModelFile("tiny", "full-reference", "patchnet", {}, Calibration(0.05, 1.0), 12, "random")
    return PatchNetModel(header, network, "0" * 64)


def make_clip(layout: FrameFormat = SD, frames: int = 5, seed: int = 0) -> Clip:
    generator = torch.Generator().manual_seed(seed)
    kind = torch.uint8 if layout.bit_depth == 8 else torch.uint16

    def plane(width: int, height: int) -> torch.Tensor:
        top = 2**layout.bit_depth
        return torch.randint(0, top, (frames, height, width), generator=generator, dtype=torch.int32).to(kind)

    if layout.chroma is None:
        return Clip(plane(layout.width, layout.height), None, None, layout)
    return Clip(
        plane(layout.width, layout.height), plane(*layout.chroma_size), plane(*layout.chroma_size), layout
    )


def distance(model: PatchNetModel, reference: Clip, distorted: Clip) -> float:
    return model.score_clips(reference, [distorted])[0].distance


def test_maps_are_kept_on_demand_and_average_to_the_distance() -> None:
    model, reference = make_model(), make_clip(frames=5)
    luma = reference.luma.clone()
    luma[3:, :16, :16] = 255 - luma[3:, :16, :16]
    others = [replace(reference, luma=luma), make_clip(seed=1)]
    plain = model.score_clips(reference, others)
    assert [output.maps for output in plain] == [None, None]
    model.keep_maps = True
    for before, output in zip(plain, model.score_clips(reference, others), strict=True):
        assert (output.score, output.distance) == (before.score, before.distance)
        assert output.maps is not None
        assert output.maps.shape == (5, 5, 9)
        # Coarse levels are interpolated, so their means are kept nearly.
        assert float(output.maps.mean()) == pytest.approx(output.distance, rel=0.1)
    where = model.score_clips(reference, others)[0].maps
    assert where is not None
    assert where[4, :2, :2].mean() > 5 * where[4, 3:, 5:].mean()
    assert where[3:].mean() > 5 * where[:2].mean()


def test_calibration_by_place_is_that_of_clips() -> None:
    calibration = Calibration(0.3, 1.7)
    distances = torch.tensor([[-0.1, 0.0, 0.01], [0.3, 2.0, 50.0]])
    expected = [[calibration(float(d)) for d in row] for row in distances]
    torch.testing.assert_close(calibration.by_place(distances), torch.tensor(expected))
    assert calibration.by_place(distances)[0, 1] == 100.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [SD, replace(SD, pix_fmt="yuv420p10le", bit_depth=10)])
@pytest.mark.parametrize("seed", range(3))
def test_identical_clips_are_exactly_100(dtype: torch.dtype, layout: FrameFormat, seed: int) -> None:
    model = make_model(seed=seed).to(torch.device("cpu"), dtype)
    clip = make_clip(layout, seed=seed)
    same, other = model.score_clips(clip, [clip, make_clip(layout, seed=seed + 10)])
    assert same.distance == 0.0
    assert same.score == 100.0
    assert other.distance > 0.0
    assert other.score < 100.0


def test_several_encodes_score_as_alone() -> None:
    model = make_model()
    clips = [make_clip(seed=seed) for seed in range(4)]
    together = [output.distance for output in model.score_clips(clips[0], clips[1:])]
    assert together == [distance(model, clips[0], clip) for clip in clips[1:]]


@pytest.mark.parametrize("frames", [1, 2, 3, 5, 12])
def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch, frames: int) -> None:
    """Motion and flicker cross the chunks' borders: any chunk length of at least two gives the same distance."""
    model = make_model()
    reference, distorted = make_clip(frames=frames, seed=1), make_clip(frames=frames, seed=2)
    measured = []
    for chunk in (2, 3, 12):
        monkeypatch.setattr(patchnet_model, "CHUNK_FRAMES", chunk)
        measured.append(distance(model, reference, distorted))
    monkeypatch.setattr(patchnet_model, "LARGE_PIXELS", 1)
    measured.append(distance(model, reference, distorted))
    assert measured[3] == pytest.approx(measured[0], rel=1e-5)
    assert measured[1] == pytest.approx(measured[0], rel=1e-5)
    assert measured[2] == pytest.approx(measured[0], rel=1e-5)


def test_flicker_costs_more_than_a_steady_error() -> None:
    model = make_model(power=0.0)
    reference = make_clip(frames=6)
    still = Clip(
        *(plane[:1].expand(6, -1, -1).contiguous() for plane in (reference.luma, reference.cb, reference.cr)),
        SD,
    )
    brighter = replace(still, luma=(still.luma.int() + 20).clamp(0, 255).to(torch.uint8))
    luma = still.luma.clone()
    luma[::2] = brighter.luma[::2]
    # The flickering clip has the error in every other frame only; what it has more is the change in time.
    without_flicker = distance(model, still, brighter) / 2
    assert distance(model, still, replace(still, luma=luma)) > without_flicker


@pytest.mark.parametrize("chroma", [None, (1, 1), (2, 1), (2, 2)])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (8, 8), (33, 17), (72, 40)])
def test_every_layout_and_size_is_finite(chroma: tuple[int, int] | None, size: tuple[int, int]) -> None:
    layout = FrameFormat(*size, "any", 8, chroma, full_range=True, matrix="bt709")
    model = make_model()
    reference, distorted = make_clip(layout, seed=3), make_clip(layout, seed=4)
    assert math.isfinite(distance(model, reference, distorted))
    assert distance(model, reference, reference) == 0.0


def test_depth_changes_nothing_but_precision() -> None:
    model = make_model()
    reference, distorted = make_clip(seed=5), make_clip(seed=6)
    deep = replace(SD, pix_fmt="yuv420p10le", bit_depth=10)

    def raised(clip: Clip) -> Clip:
        assert clip.cb is not None
        assert clip.cr is not None
        planes = ((plane.int() * 4).to(torch.uint16) for plane in (clip.luma, clip.cb, clip.cr))
        return Clip(*planes, deep)

    assert distance(model, raised(reference), raised(distorted)) == pytest.approx(
        distance(model, reference, distorted), rel=1e-4
    )


def test_chroma_errors_count() -> None:
    model = make_model()
    reference = make_clip(seed=7)
    assert reference.cb is not None
    errors = [
        distance(
            model, reference, replace(reference, cb=(reference.cb.int() * (10 - k) // 10).to(torch.uint8))
        )
        for k in (0, 1, 3)
    ]
    assert 0.0 == errors[0] < errors[1] < errors[2]


def test_reserve_is_the_distance_to_the_low_passed_frame() -> None:
    network = make_model().network
    luma, chroma = torch.randn(1, 1, 64, 64), torch.randn(1, 2, 32, 32)
    with torch.inference_mode():
        features = network.features(luma, chroma)
        reserve = network.reserve(features, luma, chroma)
        soft_l, soft_c = low_passed(luma), low_passed(chroma)
        soft_features = network.features(soft_l, soft_c)
        softer = network.reserve(soft_features, soft_l, soft_c)
        # Nothing that a low-pass takes away is left in a flat picture.
        flat = torch.zeros_like(luma), torch.zeros_like(chroma)
        none = network.reserve(network.features(*flat), *flat)
    assert reserve.shape == (1,)
    assert float(reserve) > float(softer) > 0.0
    assert float(none) == 0.0
    assert float(network.content_scale(none)) > 0.0


def test_more_to_lose_forgives_more() -> None:
    plain, by_content = make_model(power=0.0), make_model(power=0.7)
    reference, distorted = make_clip(seed=8), make_clip(seed=9)
    with torch.inference_mode():
        planes = plain._planes(reference, slice(2, 3))
        features = plain.network.features(*planes, units_of(SD))
        scale = float(
            by_content.network.content_scale(plain.network.reserve(features, *planes, units_of(SD)))
        )
    assert distance(by_content, reference, distorted) == pytest.approx(
        distance(plain, reference, distorted) / scale, rel=1e-4
    )


def test_low_pass_keeps_a_constant() -> None:
    for size in ((1, 1), (5, 9), (16, 16)):
        torch.testing.assert_close(low_passed(torch.full((1, 1, *size), 3.5)), torch.full((1, 1, *size), 3.5))


def test_config_comes_back_from_json() -> None:
    assert PatchNetConfig.from_json({"luma": 4, "chroma": 2, "pyramid": [4, 6, 8], "trunk": 4}) == TINY
    with pytest.raises(TypeError):
        PatchNetConfig.from_json({"pyramid": [4, 6, 8], "colour": 1})
