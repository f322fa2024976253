"""PatchNet: identity exact by construction, chunks that do not show, any layout of planes, the content's reserve."""

from __future__ import annotations

import math
from dataclasses import replace

import made
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from rankvqa_cli.errors import DeviceError
from rankvqa_cli.models import blocks, patchnet, patchnet_model
from rankvqa_cli.models.contract import Calibration, Clip
from rankvqa_cli.models.patchnet import TINY, PatchNet, PatchNetConfig
from rankvqa_cli.models.patchnet_model import PatchNetModel
from rankvqa_cli.models.registry import load
from rankvqa_cli.models.reserve import low_passed
from rankvqa_cli.models.store import ModelFile
from rankvqa_cli.types import FrameFormat

UNITS = patchnet.Units(0.02, 126, 0.02, 128)
SD = FrameFormat(72, 40, "yuv420p", 8, (2, 2), full_range=False, matrix="bt709")


def make_model(seed: int = 0) -> PatchNetModel:
    torch.manual_seed(seed)
    network = PatchNet(TINY)
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
        assert float(output.maps.mean()) == pytest.approx(output.distance, rel=1e-5)
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


def test_the_reserve_is_exact_in_every_precision() -> None:
    clip = make_clip(seed=1)
    model = make_model()
    exact, (fine,) = model.observe(clip, [make_clip(seed=2)])
    for _ in range(2):  # however often it is moved
        reserve, (coarse,) = model.to(torch.device("cpu"), torch.bfloat16).observe(clip, [make_clip(seed=2)])
        torch.testing.assert_close(reserve, exact, rtol=1e-5, atol=1e-6)
        assert float((coarse / fine - 1).abs().max()) > 1e-4


@pytest.mark.parametrize("tiles", [False, True])
@pytest.mark.parametrize("width", [64, 336, 368, 432, 640, 784, 1920])
def test_bf16_describes_frames_of_any_width_as_float32_does(
    monkeypatch: pytest.MonkeyPatch, width: int, tiles: bool
) -> None:
    """Some products of bfloat16 are wrong on CPUs with AMX, depending on a picture's width."""
    if not tiles and blocks.has_amx():
        pytest.skip("this CPU has AMX: products are laid out for it")
    monkeypatch.setattr(blocks, "has_amx", lambda: tiles)
    model = load("rankvqa-mini")
    assert isinstance(model, PatchNetModel)
    network = model.network
    rng = torch.Generator().manual_seed(width)
    luma, chroma = (
        torch.randint(-110, 110, (2, count, 48 // count, width // count), generator=rng) for count in (1, 2)
    )
    with torch.inference_mode():
        exact = network.features(luma.float(), chroma.float())
        seen = {"planes": network.features(luma.bfloat16(), chroma.bfloat16())}
        with torch.autocast("cpu", torch.bfloat16):  # as trainings do
            seen["autocast"] = network.features(luma.float(), chroma.float())
        apart = network.differences(exact, network.features(luma.float() + 3, chroma.float() - 5))
        rough = network.differences(
            seen["planes"], network.features(luma.bfloat16() + 3, chroma.bfloat16() - 5)
        )
    for features in seen.values():
        for found, true in zip(features.pyramid, exact.pyramid, strict=True):
            assert found.shape == true.shape
            assert float((found.float() - true).abs().mean() / true.abs().mean()) < 0.02
    for found, true in zip(rough[:2], apart[:2], strict=True):
        assert float((found.float() - true).abs().mean() / true.abs().mean()) < 0.02


def test_blocks_side_by_side_are_the_same_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    planes = torch.randn(2, 2, 24, 120, generator=torch.Generator().manual_seed(1))
    filters = torch.randn(5, 2, 8, 8, generator=torch.Generator().manual_seed(2))
    bias = torch.arange(5.0)
    alone = blocks.seen_by(planes, blocks.laid_out(filters, bias))
    torch.testing.assert_close(alone, F.conv2d(planes, filters, bias, stride=8), rtol=1e-4, atol=1e-4)
    for count in (2, 4):  # fifteen blocks are no multiple of either
        monkeypatch.setattr(blocks, "_side_by_side", lambda filters, side, count=count: count)
        found = blocks.seen_by(planes, blocks.laid_out(filters, bias))
        torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-4)


def test_wrong_products_are_no_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model().to(torch.device("cpu"), torch.bfloat16)
    clip, other = make_clip(seed=1), make_clip(seed=2)
    assert model.score_clips(clip, [other])[0].score < 100
    right = blocks.seen_by

    def wrong(planes: Tensor, filters: blocks.Filters) -> Tensor:
        found = right(planes, filters)
        return found if planes.dtype == torch.float32 else found.roll(1, dims=1)

    monkeypatch.setattr(patchnet, "seen_by", wrong)
    assert model.score_clips(clip, [other])[0].score < 100  # this size has been seen to be right
    fresh = make_model().to(torch.device("cpu"), torch.bfloat16)
    with pytest.raises(DeviceError, match=r"bfloat16 are wrong .* 80x48: score with --precision fp32"):
        fresh.score_clips(clip, [other])


def test_several_encodes_score_as_alone() -> None:
    model = make_model()
    clips = [make_clip(seed=seed) for seed in range(4)]
    together = [output.distance for output in model.score_clips(clips[0], clips[1:])]
    assert together == [distance(model, clips[0], clip) for clip in clips[1:]]


@pytest.mark.parametrize("frames", [1, 2, 5, 12])
def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch, frames: int) -> None:
    model = make_model()
    reference, distorted = make_clip(frames=frames, seed=1), make_clip(frames=frames, seed=2)
    measured = []
    for pixels in (1, 3 * 72 * 40, 10**9):
        monkeypatch.setattr(patchnet_model, "CHUNK_PIXELS", pixels)
        measured.append(distance(model, reference, distorted))
    assert measured == pytest.approx([measured[0]] * 3, rel=1e-5)


@pytest.mark.parametrize(
    ("frames", "pixels", "expected"),
    [(12, 10**7, [1] * 12), (12, 400_000, [3] * 4), (12, 100, [12]), (5, 500_000, [3, 2]), (1, 100, [1])],
)
def test_chunks_cover_every_frame_once(frames: int, pixels: int, expected: list[int]) -> None:
    chunks = patchnet_model.chunks_of(frames, pixels, patchnet_model.CHUNK_PIXELS)
    assert [chunk.stop - chunk.start for chunk in chunks] == expected
    assert [i for chunk in chunks for i in range(frames)[chunk]] == list(range(frames))


def test_threads_change_no_bit() -> None:
    model, clips = make_model(), [make_clip(frames=9, seed=seed) for seed in range(2)]
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(distance(model, *clips))
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1]


def test_clips_are_begun_before_the_last_are_done() -> None:
    """In any order of asking, with the outputs that they have alone."""
    model, clips = make_model(), [make_clip(frames=9, seed=seed) for seed in range(4)]
    pairs = [(clips[0], clips[1:3]), (clips[3], clips[:1])]
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        alone = [model.score_clips(*pair) for pair in pairs]
        waits = [model.begin_clips(*pair) for pair in pairs]
        assert waits[0] is not None
        assert waits[1] is not None
        found = [wait() for wait in reversed(waits) if wait is not None]
        model.keep_maps = True
        assert model.begin_clips(*pairs[0]) is None, "maps are weighed by what the first chunk says"
        model.keep_maps = False
        torch.set_num_threads(1)
        assert model.begin_clips(*pairs[0]) is None, "one thread does nothing beside anything"
    finally:
        torch.set_num_threads(before)
    assert [[each.distance for each in outputs] for outputs in found] == [
        [each.distance for each in outputs] for outputs in reversed(alone)
    ]


def test_more_noise_is_more_distance() -> None:
    one = made.clip(96, 128)
    outputs = make_model().score_clips(one, [made.worse(one, amount) for amount in (1, 4, 16, 64)])
    distances = [output.distance for output in outputs]
    assert distances == sorted(distances)
    assert 0 < distances[0] < distances[-1]


def test_what_it_observes_is_what_its_readout_is_given() -> None:
    one, model = made.clip(80, 100), make_model()
    reserve, energies = model.observe(one, [made.worse(one, 9), one])
    found = float(model.network.readout(energies[0][None], reserve[None]).detach())
    assert distance(model, one, made.worse(one, 9)) == found
    assert not energies[1].any()


def nominal(luma: torch.Tensor, chroma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return UNITS.luma_gain * (luma - UNITS.luma_zero), UNITS.chroma_gain * (chroma - UNITS.chroma_zero)


def test_the_first_layers_are_strided_convolutions_of_nominal_values() -> None:
    """They take neighbours in a row for channels; the result is that of nn.Conv2d on what the units make of planes."""
    network = PatchNet(TINY).double()
    planes = torch.rand(2, 1, 32, 48).double() * 255, torch.rand(2, 2, 16, 24).double() * 255
    stem = network.stem(UNITS, torch.float64)
    found, near = network.features(*planes, stem), network.features(*(x / 2 for x in planes), stem)
    luma, chroma = nominal(*planes)
    p8 = network.luma8(luma).relu()
    torch.testing.assert_close(found.p8, p8, rtol=1e-5, atol=1e-5)
    p16 = network.down16(p8)
    p16[:, :3] += network.chroma16(chroma)
    p16 = p16.relu()
    torch.testing.assert_close(found.p16, p16, rtol=1e-5, atol=1e-5)
    differences = network.differences(near, found, stem)
    luma, chroma = UNITS.luma_gain * planes[0] / 2, UNITS.chroma_gain * planes[1] / 2
    torch.testing.assert_close(differences[0], network.detail_luma(luma).abs())
    torch.testing.assert_close(differences[1], network.detail_chroma(chroma).abs())


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


@pytest.mark.parametrize("size", [(16, 16), (32, 48), (80, 16)])
def test_the_reserve_is_what_a_low_pass_takes_away(size: tuple[int, int]) -> None:
    """It is measured without making the low-passed picture."""
    network = make_model().network
    luma, chroma = torch.rand(2, 1, *size) * 255, torch.rand(2, 2, size[0] // 2, size[1] // 2) * 255
    with torch.inference_mode():
        stem = network.stem(UNITS, torch.float32)
        whole = network.features(luma, chroma, stem)
        soft = network.features(low_passed(luma), low_passed(chroma), stem)
        expected = network.energies(whole, soft, stem)
        reserve = network.reserve_stem(UNITS, torch.float32)
        found = network.reserve_energies(whole, reserve)
        grey = torch.full_like(luma, 126.0), torch.full_like(chroma, 128.0)
        flat = network.reserve_energies(network.features(*grey, stem), reserve)
    assert found.shape == (2, 4 + 2 + 4 + 6 + 8)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert float(found.sum()) > 1
    assert float(flat.sum()) < 1e-4


def test_more_to_lose_forgives_more() -> None:
    """The same noise counts less on a picture full of detail than on its low-passed version."""
    model, one = make_model(), make_clip(seed=8, frames=1)
    soft = replace(one, luma=low_passed(one.luma[None].float())[0].round().to(torch.uint8))
    detailed, plain = (distance(model, each, made.worse(each, 4)) for each in (one, soft))
    assert 0 < detailed < plain


def test_low_pass_keeps_a_constant() -> None:
    for size in ((1, 1), (5, 9), (16, 16)):
        torch.testing.assert_close(low_passed(torch.full((1, 1, *size), 3.5)), torch.full((1, 1, *size), 3.5))


def test_config_comes_back_from_json() -> None:
    assert PatchNetConfig.from_json({"luma": 4, "chroma": 2, "pyramid": [4, 6, 8], "mixed": 3}) == TINY
    assert PatchNetConfig.from_json({}) == PatchNetConfig()
    with pytest.raises(TypeError):
        PatchNetConfig.from_json({"pyramid": [4, 6, 8], "colour": 1})
