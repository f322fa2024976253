"""What members see: crops at native resolution, small and tall pictures, and detail that content does not decide."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
import torch
from made_onnx import small_network
from torch import Tensor

from rankvqa_cli.models import colour
from rankvqa_cli.models.contract import Clip
from rankvqa_cli.models.ptm.contract import Undivided, View
from rankvqa_cli.models.ptm.onnx import OnnxNetwork
from rankvqa_cli.models.ptm.views import FLOOR, Moment, Views, features, softened
from rankvqa_cli.models.sizes import mirrored, on_screen
from rankvqa_cli.types import FrameFormat


@pytest.fixture
def network(tmp_path: Path) -> OnnxNetwork:
    (tmp_path / "net.onnx").write_bytes(small_network(1))
    return OnnxNetwork(tmp_path / "net.onnx", threads=1)


class Watching(Undivided):
    """A network that remembers what it was shown."""

    frames, side, least, file = 1, None, 224, Path("watching")
    sha256, layer = "watching", "mean"

    def __init__(self) -> None:
        self.pictures: list[Tensor] = []

    def vectors(self, pictures: Tensor) -> Tensor:
        self.pictures += list(pictures)
        return pictures.mean(dim=(2, 3))


@pytest.mark.parametrize(
    ("size", "count", "side"),
    [((1080, 1920), 6, 448), ((1920, 1080), 6, 448), ((448, 900), 3, 448), ((300, 400), 1, 300)],
)
def test_crops_reach_every_edge_at_native_resolution(size: tuple[int, int], count: int, side: int) -> None:
    height, width = size
    rows = torch.arange(height).view(-1, 1).expand(height, width) / height
    columns = torch.arange(width).view(1, -1).expand(height, width) / width
    picture = torch.stack([rows, columns, torch.zeros(height, width)]).unsqueeze(0)
    network = Watching()
    features(network, picture, Views(seen=("crops",)))  # type: ignore[arg-type]
    assert len(network.pictures) == count
    assert all(min(crop.shape[1:]) == side for crop in network.pictures)
    assert min(float(crop[0].min()) for crop in network.pictures) == 0
    assert max(float(crop[0].max()) for crop in network.pictures) == float(rows.max())
    assert max(float(crop[1].max()) for crop in network.pictures) == float(columns.max())
    assert all(
        float((crop[0][1:] - crop[0][:-1]).max()) == pytest.approx(1 / height, rel=1e-2)
        for crop in network.pictures
    )


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((270, 480), (540, 960)),
        ((480, 270), (960, 540)),
        ((540, 960), (540, 960)),
        ((1080, 1919), (540, 959)),
    ],
)
def test_a_screen_is_filled_by_every_picture(size: tuple[int, int], shown: tuple[int, int]) -> None:
    network = Watching()
    picture = torch.linspace(0, 1, size[0] * size[1]).view(1, 1, *size).expand(1, 3, *size)
    features(network, picture, Views(lines=540, crop=960, seen=("crops",)))  # type: ignore[arg-type]
    assert {tuple(each.shape[1:]) for each in network.pictures} == {(min(shown[0], 960), min(shown[1], 960))}
    assert torch.stack([each.mean() for each in network.pictures]).mean() == pytest.approx(0.5, abs=0.01)


def test_a_screen_of_no_lines_leaves_pictures_as_they_are() -> None:
    picture = torch.rand(1, 3, 100, 130)
    assert on_screen(picture, 0) is picture
    assert torch.equal(on_screen(picture, 100), picture)
    with pytest.raises(ValueError, match="64 to 4320"):
        Views(lines=10)


@pytest.mark.parametrize("size", [(64, 64), (1, 1), (700, 64), (225, 223)])
@pytest.mark.parametrize("level", [0.0, 0.5])
def test_small_tall_and_flat_pictures_have_finite_features(
    network: OnnxNetwork, size: tuple[int, int], level: float
) -> None:
    found = features(network, torch.full((1, 3, *size), level), Views(seen=get_args(View)))
    assert found.shape == (len(get_args(View)) * network.dimension,)
    assert bool(torch.isfinite(found).all())


def test_detail_is_the_floor_where_there_is_none_and_grows_with_sharpness(network: OnnxNetwork) -> None:
    views = Views(crop=224, seen=("detail",))
    flat = features(network, torch.full((1, 3, 240, 240), 0.4), views)
    torch.testing.assert_close(flat, torch.full_like(flat, math.log(FLOOR)), atol=1e-2, rtol=0)
    sharp = torch.rand(1, 3, 240, 240, generator=torch.Generator().manual_seed(0))
    blurred = softened(softened(sharp, 4), 4)
    assert bool((features(network, sharp, views) > features(network, blurred, views)).all())


def test_half_and_quarter_are_the_whole_picture_reduced(network: OnnxNetwork) -> None:
    picture = torch.rand(1, 3, 960, 1000, generator=torch.Generator().manual_seed(0))
    for name, factor in (("half", 2), ("quarter", 4)):
        reduced = torch.nn.functional.avg_pool2d(picture, factor)
        for view, same in ((name, "crops"), (f"{name}-detail", "detail")):
            found = features(network, picture, Views(seen=(view,)))  # type: ignore[arg-type]
            expected = features(network, reduced, Views(crop=500, seen=(same,)))  # type: ignore[arg-type]
            torch.testing.assert_close(found, expected)


def test_members_of_one_moment_see_the_same(network: OnnxNetwork) -> None:
    picture = torch.rand(1, 3, 300, 500, generator=torch.Generator().manual_seed(0))
    moment = Moment(picture, Views(crop=224, seen=("crops", "detail", "half-detail")))
    assert torch.equal(moment.features(network), moment.features(network))


def test_mirroring_continues_without_a_seam() -> None:
    row = torch.tensor([[1.0, 2.0, 3.0]])
    assert mirrored(row.expand(2, 3), 8)[0].tolist() == [1, 2, 3, 3, 2, 1, 1, 2]


@pytest.mark.parametrize(
    "bad", [{"soften": 1}, {"crop": 0}, {"seen": ()}, {"seen": ("crops", "crops")}, {"seen": ("x",)}]
)
def test_views_that_mean_nothing_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Views(**bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "lines", "seen", "pixels"),
    [
        ((128, 200), 128, ("half",), 64 * 100),
        ((200, 128), 128, ("half-detail", "quarter"), 100 * 64),
        ((128, 200), 0, ("quarter",), 64 * 100),
        ((131, 203), 64, ("crops", "half"), 65 * 101),
        ((256, 400), 64, ("half", "whole"), 128 * 200),
        ((128, 200), 128, ("half", "crops"), 128 * 200),
        ((100, 160), 128, ("half",), 100 * 160),
        ((1, 5), 0, ("half",), 5),
    ],
)
def test_frames_become_rgb_no_larger_than_they_are_seen(
    size: tuple[int, int], lines: int, seen: tuple[View, ...], pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    for name in ("rgb", "halved_rgb"):
        convert = getattr(colour, name)

        def counted(clip: Clip, convert: Callable[[Clip], Tensor] = convert) -> Tensor:
            found = convert(clip)
            made.append(found.shape[-2] * found.shape[-1])
            return found

        monkeypatch.setattr(colour, name, counted)
    random = torch.Generator().manual_seed(3)
    planes = [torch.randint(100, 160, (1, *size), generator=random).to(torch.uint8) for _ in range(3)]
    clip = Clip(*planes, FrameFormat(size[1], size[0], "yuv444p", 8, (1, 1), False, "bt709"))
    network, views = Watching(), Views(crop=64, lines=lines, seen=seen)
    network.least = 1
    found = Moment.of(clip, views).features(network)
    assert made == [pixels]
    torch.testing.assert_close(found, features(network, colour.rgb(clip), views), atol=1e-3, rtol=0)


def test_a_network_that_says_what_it_is_shown_is_shown_that(network: OnnxNetwork) -> None:
    own = network.shown(("half", "half-detail"))
    assert (network.seen, own.seen, own.sha256) == ((), ("half", "half-detail"), network.sha256)
    picture = torch.rand(1, 3, 500, 520)
    everyone = Views(crop=224, seen=("crops",))
    moment = Moment(picture, everyone)
    assert torch.equal(
        moment.features(own), features(network, picture, Views(crop=224, seen=("half", "half-detail")))
    )
    assert torch.equal(moment.features(network), features(network, picture, everyone))
