"""A PatchNet that reads its distance off all features: what holds for every full-reference model holds for it."""

from __future__ import annotations

import dataclasses
import math

import made
import pytest
import torch

from rankvqa_cli.models.contract import Calibration, FullReferenceModel
from rankvqa_cli.models.patchnet import TINY, PatchNet
from rankvqa_cli.models.patchnet_model import PatchNetModel
from rankvqa_cli.models.store import ModelFile

CONFIG = dataclasses.replace(TINY, readout=True)


def model(seed: int = 0) -> PatchNetModel:
    torch.manual_seed(seed)
    header = ModelFile(
        "made",
        "full-reference",
        "patchnet",
        {},
        Calibration(),
        clip_frames=12,
        provenance="random, for tests",
    )
    return PatchNetModel(header, PatchNet(CONFIG), "0" * 64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [(8, 8), (33, 50), (70, 90)])
def test_identical_clips_score_exactly_100(dtype: torch.dtype, size: tuple[int, int]) -> None:
    one = made.clip(*size)
    scored = model().to(torch.device("cpu"), dtype)
    assert isinstance(scored, FullReferenceModel)
    same, other = scored.score_clips(one, [one, made.worse(one, 20)])
    assert (same.score, same.distance) == (100.0, 0.0)
    assert 0 < other.score < 100


def test_more_noise_is_more_distance() -> None:
    one = made.clip(96, 128)
    outputs = model().score_clips(one, [made.worse(one, amount) for amount in (1, 4, 16, 64)])
    distances = [output.distance for output in outputs]
    assert distances == sorted(distances)


def test_threads_change_no_bit() -> None:
    one = made.clip(80, 100, frames=9)
    other = made.worse(one, 9)
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(model().score_clips(one, [other])[0].distance)
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1]


def test_what_it_observes_is_what_its_readout_is_given() -> None:
    one = made.clip(80, 100)
    scored = model()
    assert scored.network.readout is not None
    reserve, energies = scored.observe(one, [made.worse(one, 9), one])
    distance = float(scored.network.readout(energies[0][None], reserve[None]).detach())
    assert scored.score_clips(one, [made.worse(one, 9)])[0].distance == distance
    assert not energies[1].any()


def test_the_mean_of_the_kept_maps_is_the_distance() -> None:
    one = made.clip(64, 64)
    scored = model()
    scored.keep_maps = True
    output = scored.score_clips(one, [made.worse(one, 9)])[0]
    assert output.maps is not None
    assert output.maps.shape == (3, 8, 8)
    assert math.isclose(float(output.maps.mean()), output.distance, rel_tol=1e-5)
