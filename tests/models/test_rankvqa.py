"""RankVQA scores clips: identity, both ways to cover a frame, every size, depth and colour input."""

from __future__ import annotations

import dataclasses
import math

import made
import pytest
import torch

from rankvqa_cli.models import colour
from rankvqa_cli.models.contract import FullReferenceModel
from rankvqa_cli.models.rankvqa import build
from rankvqa_cli.models.rankvqa_parts import config_from_json

CPU = torch.device("cpu")
INPUTS = ("luma", "rgb", "ycbcr")


@pytest.mark.parametrize("mode", ["dense", "tiles"])
@pytest.mark.parametrize("seen", INPUTS)
@pytest.mark.parametrize(("stanet", "readout"), [(False, False), (True, False), (False, True), (True, True)])
def test_identical_clips_score_exactly_100(mode: str, seen: str, stanet: bool, readout: bool) -> None:
    model = made.model(mode=mode, input=seen, stanet=stanet, readout=readout)
    assert isinstance(model, FullReferenceModel)
    for dtype in (torch.float32, torch.bfloat16):
        for depth in (8, 10):
            one = made.clip(70, 90, bit_depth=depth)
            same, other = model.to(CPU, dtype).score_clips(one, [one, made.worse(one, 20 << (depth - 8))])
            assert (same.score, same.distance) == (100.0, 0.0)
            assert 0 < other.score < 100


@pytest.mark.parametrize("mode", ["dense", "tiles"])
@pytest.mark.parametrize("readout", [False, True])
def test_more_noise_is_more_distance(mode: str, readout: bool) -> None:
    model = made.model(mode=mode, readout=readout)
    one = made.clip(96, 128)
    outputs = model.score_clips(one, [made.worse(one, amount) for amount in (1, 4, 16, 64)])
    distances = [output.distance for output in outputs]
    assert distances == sorted(distances)
    assert [output.score for output in outputs] == sorted((o.score for o in outputs), reverse=True)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (31, 17), (33, 65), (64, 64), (97, 130)])
@pytest.mark.parametrize("mode", ["dense", "tiles"])
def test_every_size_gives_a_finite_score(size: tuple[int, int], mode: str) -> None:
    for seen in INPUTS:
        for chroma in ((2, 2), (1, 1), None):
            one = made.clip(*size, chroma=chroma)
            model = made.model(mode=mode, input=seen, stanet=True, readout=True)
            output = model.score_clips(one, [made.worse(one, 30)])[0]
            assert math.isfinite(output.distance)
            assert 0 < output.score < 100


@pytest.mark.parametrize("seen", INPUTS)
@pytest.mark.parametrize(("stanet", "readout"), [(False, False), (True, False), (True, True)])
def test_one_patch_is_the_same_in_both_modes(seen: str, stanet: bool, readout: bool) -> None:
    one = made.clip(64, 64)
    other = made.worse(one, 12)
    dense, tiles = (
        made.model(mode=mode, input=seen, stanet=stanet, readout=readout)
        .score_clips(one, [other])[0]
        .distance
        for mode in ("dense", "tiles")
    )
    assert dense == pytest.approx(tiles, rel=1e-5)


@pytest.mark.parametrize("seen", INPUTS)
def test_whole_frames_are_close_to_patches_alone(seen: str) -> None:
    """They differ where patches meet: a patch alone is padded with zeros there, a frame goes on."""
    one = made.clip(150, 200)
    other = made.worse(one, 12)
    dense, tiles = (
        made.model(mode=mode, input=seen).score_clips(one, [other])[0].distance for mode in ("dense", "tiles")
    )
    assert dense == pytest.approx(tiles, rel=0.1)


def test_a_tile_is_scored_as_if_it_were_the_video() -> None:
    """Tiles are exact: the mean over patches that are cut out and scored on their own."""
    one = made.clip(100, 64, chroma=(1, 1))
    other = made.worse(one, 12)
    model = made.model(mode="tiles")

    def cut(clip: made.Clip, top: int) -> made.Clip:
        planes = [plane[:, top : top + 64] for plane in (clip.luma, clip.cb, clip.cr) if plane is not None]
        return made.Clip(*planes, dataclasses.replace(clip.format, height=64))

    alone = [model.score_clips(cut(one, top), [cut(other, top)])[0].distance for top in (0, 36)]
    assert model.score_clips(one, [other])[0].distance == pytest.approx(sum(alone) / 2, rel=1e-6)


def test_several_encodes_score_as_they_do_alone() -> None:
    one = made.clip(80, 100)
    others = [made.worse(one, amount) for amount in (3, 9)]
    for mode in ("dense", "tiles"):
        model = made.model(mode=mode, stanet=True, readout=True)
        together = [output.distance for output in model.score_clips(one, others)]
        assert together == [model.score_clips(one, [other])[0].distance for other in others]


@pytest.mark.parametrize(("stanet", "readout"), [(False, False), (True, True)])
def test_a_still_is_seen_once_and_scores_as_a_clip_of_equal_frames(stanet: bool, readout: bool) -> None:
    """Frame by frame or at once: a clip whose frames are all the same takes the short way."""
    one = made.clip(64, 70, frames=1)
    still = dataclasses.replace(
        one, luma=one.luma.repeat(3, 1, 1), cb=one.cb.repeat(3, 1, 1), cr=one.cr.repeat(3, 1, 1)
    )
    other = made.worse(one, 12)
    luma = other.luma.repeat(3, 1, 1)
    # One pixel in a corner differs by one code value between frames, so that the long way is taken.
    luma[1, -1, -1] ^= 1
    long_way = dataclasses.replace(still, luma=luma)
    short_way = dataclasses.replace(still, luma=other.luma.repeat(3, 1, 1))
    model = made.model(input="ycbcr", stanet=stanet, readout=readout)
    assert colour.is_still(short_way)
    assert not colour.is_still(long_way)
    short, long = (model.score_clips(still, [each])[0].distance for each in (short_way, long_way))
    assert short == pytest.approx(long, rel=2e-3)
    assert short != long


def test_the_mean_of_the_kept_maps_is_the_distance() -> None:
    """With a readout the maps say where, and their scale is that of the distance."""
    one = made.clip(64, 64)
    model = made.model(readout=True)
    model.keep_maps = True
    output = model.score_clips(one, [made.worse(one, 9)])[0]
    assert output.maps is not None
    assert float(output.maps.mean()) == pytest.approx(output.distance, rel=1e-5)
    assert output.weights is None


@pytest.mark.parametrize("mode", ["dense", "tiles"])
def test_stanet_weighs_frames_and_patches(mode: str) -> None:
    one = made.clip(100, 130)
    model = made.model(mode=mode, stanet=True, readout=True)
    model.keep_maps = True
    weights = model.score_clips(one, [made.worse(one, 9)])[0].weights
    assert weights is not None
    assert weights.shape == (3, 2, 3)
    assert float(weights.sum()) == pytest.approx(1.0, abs=1e-5)
    assert len(weights.unique()) > 1


def test_maps_are_kept_on_demand_and_show_where() -> None:
    one = made.clip(90, 130)
    luma = one.luma.clone()
    luma[:, :30, 90:] = 255 - luma[:, :30, 90:]
    other = dataclasses.replace(one, luma=luma)
    model = made.model()
    assert model.score_clips(one, [other])[0].maps is None
    model.keep_maps = True
    maps = model.score_clips(one, [other])[0].maps
    assert maps is not None
    assert maps.shape == (1, 12, 17)
    assert (maps >= 0).all()
    assert maps[0, :3, 13:].mean() > 5 * maps[0, 6:, :6].mean()


@pytest.mark.parametrize("mode", ["dense", "tiles"])
def test_bfloat16_is_close_to_float32(mode: str) -> None:
    """The stated tolerance: 3 % of the distance, which is under 1 point of 100."""
    one = made.clip(96, 128)
    others = [made.worse(one, amount) for amount in (4, 16, 64)]
    full = made.model(mode=mode).score_clips(one, others)
    half = made.model(mode=mode).to(CPU, torch.bfloat16).score_clips(one, others)
    for a, b in zip(full, half, strict=True):
        assert b.distance == pytest.approx(a.distance, rel=0.03)
        assert b.score == pytest.approx(a.score, abs=1.0)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_the_cpu() -> None:
    one = made.clip(96, 128)
    others = [one, made.worse(one, 16)]
    for mode in ("dense", "tiles"):
        model = made.model(mode=mode, stanet=True)
        on_cpu = model.score_clips(one, others)
        on_cuda = model.to(torch.device("cuda"), torch.float32).score_clips(one, others)
        assert on_cuda[0].score == 100.0
        assert on_cuda[1].distance == pytest.approx(on_cpu[1].distance, rel=2e-3)


@pytest.mark.parametrize("chroma", [(2, 2), (2, 1), (1, 1), (4, 1), None])
@pytest.mark.parametrize("corner", [(0, 0), (5, 9), (36, 47)])
def test_a_window_converts_to_the_same_values_as_the_frame(
    chroma: tuple[int, int] | None, corner: tuple[int, int]
) -> None:
    one = made.clip(57, 71, chroma=chroma)
    part, top, left = colour.window(one, *corner, 21, 24)
    for convert in (colour.code_luma, colour.rgb, colour.ycbcr):
        whole = convert(one)[..., corner[0] : corner[0] + 21, corner[1] : corner[1] + 24]
        assert torch.allclose(convert(part)[..., top : top + 21, left : left + 24], whole, atol=1e-5)


# --- building ----------------------------------------------------------------------------------------------------


def test_the_configuration_survives_json() -> None:
    config = made.config(mode="tiles", input="rgb", stanet=True)
    values = dataclasses.asdict(config)
    values["network"]["widths"] = list(values["network"]["widths"])
    assert config_from_json(values) == config


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "sparse"},
        {"input": "hsv"},
        {"patch": 0},
        {"stride": -1},
        {"stride": 2.5},
        {"network": {}},
        {"x": 1},
    ],
)
def test_a_configuration_with_a_fault_is_refused(change: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        config_from_json({**dataclasses.asdict(made.config()), **change})


def test_header_and_tensors_must_agree() -> None:
    config = made.config()
    header = made.header(config)
    tensors = made.tensors(config)
    build(header, tensors, "")
    wrong_index = {**tensors}
    name = next(name for name in tensors if name.endswith("relative_position_index"))
    wrong_index[name] = tensors[name].flip(0)
    with_stanet = made.tensors(made.config(stanet=True))
    without = {name: value for name, value in tensors.items() if name != "lins.0.model.1.weight"}
    for bad in (wrong_index, with_stanet, without, {**tensors, "surplus": torch.ones(1)}):
        with pytest.raises((ValueError, RuntimeError)):
            build(header, bad, "")
    with pytest.raises(ValueError, match="clip_frames"):
        build(dataclasses.replace(header, clip_frames=12), tensors, "")
