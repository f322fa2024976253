"""Colour conversion against values worked out from the Recommendations themselves."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rankvqa_cli.errors import InputError
from rankvqa_cli.models import colour
from rankvqa_cli.models.contract import Clip
from rankvqa_cli.models.sizes import halved
from rankvqa_cli.types import FrameFormat

# 100 % colour bars: R'G'B' and the 8-bit limited-range Y, Cb, Cr code values.
# BT.601: the values of the SMPTE/EBU 100 % bars; BT.709: from Kr = 0.2126, Kb = 0.0722; BT.2020 at 10 bits.
BARS_601 = {
    (1, 1, 1): (235, 128, 128),
    (1, 1, 0): (210, 16, 146),
    (0, 1, 1): (170, 166, 16),
    (0, 1, 0): (145, 54, 34),
    (1, 0, 1): (106, 202, 222),
    (1, 0, 0): (81, 90, 240),
    (0, 0, 1): (41, 240, 110),
    (0, 0, 0): (16, 128, 128),
}
BARS_709 = {
    (1, 1, 1): (235, 128, 128),
    (1, 1, 0): (219, 16, 138),
    (0, 1, 1): (188, 154, 16),
    (0, 1, 0): (173, 42, 26),
    (1, 0, 1): (78, 214, 230),
    (1, 0, 0): (63, 102, 240),
    (0, 0, 1): (32, 240, 118),
    (0, 0, 0): (16, 128, 128),
}
BARS_2020_10 = {
    (1, 1, 1): (940, 512, 512),
    (1, 1, 0): (888, 64, 548),
    (0, 1, 1): (710, 637, 64),
    (0, 1, 0): (658, 189, 100),
    (1, 0, 1): (346, 835, 924),
    (1, 0, 0): (294, 387, 960),
    (0, 0, 1): (116, 960, 476),
    (0, 0, 0): (64, 512, 512),
}


def make(
    y: Tensor, cb: Tensor | None, cr: Tensor | None, chroma: tuple[int, int] | None, **fmt: object
) -> Clip:
    depth = int(fmt.pop("bit_depth", 8))  # type: ignore[call-overload]
    dtype = torch.uint8 if depth <= 8 else torch.uint16
    values = FrameFormat(
        width=y.shape[-1],
        height=y.shape[-2],
        pix_fmt="made",
        bit_depth=depth,
        chroma=chroma,
        full_range=bool(fmt.pop("full_range", False)),
        matrix=str(fmt.pop("matrix", "bt709")),
    )
    assert not fmt
    return Clip(
        y.to(dtype), None if cb is None else cb.to(dtype), None if cr is None else cr.to(dtype), values
    )


def flat(y: int, cb: int, cr: int, **fmt: object) -> Clip:
    return make(*(torch.full((1, 4, 6), v) for v in (y, cb, cr)), chroma=(1, 1), **fmt)


@pytest.mark.parametrize(
    ("matrix", "bars", "depth"),
    [
        ("bt601", BARS_601, 8),
        ("smpte170m", BARS_601, 8),
        ("bt709", BARS_709, 8),
        ("bt2020nc", BARS_2020_10, 10),
    ],
)
def test_colour_bars(matrix: str, bars: dict[tuple[int, ...], tuple[int, int, int]], depth: int) -> None:
    step = 1 / (219 * 2 ** (depth - 8))  # what rounding to code values may cost, times the largest gain
    for expected, code in bars.items():
        found = colour.rgb(flat(*code, matrix=matrix, bit_depth=depth))
        assert found.shape == (1, 3, 4, 6)
        assert torch.allclose(found[0, :, 2, 2], torch.tensor(expected, dtype=torch.float32), atol=1.6 * step)


def test_limited_range_ends_are_exact_at_every_depth() -> None:
    for depth in (8, 9, 10, 12, 14, 16):
        up = 2 ** (depth - 8)
        black = flat(16 * up, 16 * up, 240 * up, bit_depth=depth)
        white = flat(235 * up, 128 * up, 128 * up, bit_depth=depth)
        assert colour.nominal_luma(black).unique().tolist() == [0.0]
        assert colour.nominal_luma(white).unique().tolist() == [1.0]
        assert colour.nominal_chroma(black)[0, :, 0, 0].tolist() == [-0.5, 0.5]
        assert colour.nominal_chroma(white).unique().tolist() == [0.0]


def test_full_range_ends() -> None:
    for depth in (8, 10, 16):
        top = 2**depth - 1
        clip = flat(top, 0, top, bit_depth=depth, full_range=True)
        assert colour.nominal_luma(clip).unique().tolist() == [1.0]
        cb, cr = colour.nominal_chroma(clip)[0, :, 0, 0].tolist()
        assert cb == pytest.approx(-(2 ** (depth - 1)) / top)
        assert cr == pytest.approx((2 ** (depth - 1) - 1) / top)


def test_code_luma_ignores_the_range() -> None:
    for full in (False, True):
        assert colour.code_luma(flat(51, 0, 0, full_range=full)).unique().tolist() == pytest.approx([0.2])
    assert colour.code_luma(flat(1023, 0, 0, bit_depth=10)).unique().tolist() == [1.0]
    assert colour.code_luma(flat(65535, 0, 0, bit_depth=16)).unique().tolist() == [1.0]


def test_dense_chroma_is_averaged_over_area_to_420() -> None:
    cb = torch.arange(15).reshape(1, 3, 5) + 128  # 4:4:4, odd both ways
    y = torch.zeros(1, 3, 5)
    found = colour.chroma_420(make(y, cb, cb, (1, 1))) * 224
    expected = [[3.0, 5.0, 6.5], [10.5, 12.5, 14.0]]
    assert torch.allclose(found[0, 0], torch.tensor(expected), atol=1e-4)
    across = torch.arange(9).reshape(1, 3, 3) + 128  # 4:2:2 of the same size: only rows are averaged
    found = colour.chroma_420(make(y, across, across, (2, 1))) * 224
    assert torch.allclose(found[0, 1], torch.tensor([[1.5, 2.5, 3.5], [6.0, 7.0, 8.0]]), atol=1e-4)


def test_other_chroma_grids_end_on_420() -> None:
    y = torch.zeros(2, 7, 9)
    for chroma, size in (((2, 2), (4, 5)), ((4, 1), (7, 3)), ((4, 4), (2, 3)), ((1, 2), (4, 9))):
        plane = torch.full((2, *size), 150)
        found = colour.chroma_420(make(y, plane, plane, chroma))
        assert found.shape == (2, 2, 4, 5)
        assert torch.allclose(found, torch.tensor(22 / 224))
    assert torch.equal(colour.chroma_420(make(y, None, None, None)), torch.zeros(2, 2, 4, 5))


def test_luma_only_video_is_grey() -> None:
    clip = make(torch.full((1, 5, 7), 126), None, None, None)
    expected = (126 - 16) / 219
    assert torch.allclose(colour.rgb(clip), torch.full((1, 3, 5, 7), expected))


def test_subsampled_chroma_keeps_its_place() -> None:
    y = torch.full((1, 5, 7), 100)
    cb = torch.full((1, 3, 4), 128)
    cb[:, :, 2:] = 160  # from luma column 4 on
    found = colour.ycbcr(make(y, cb, torch.full((1, 3, 4), 128), (2, 2)))
    assert found.shape == (1, 3, 5, 7)
    assert (found[0, 1, :, :3] == 0).all()
    assert torch.allclose(found[0, 1, :, 5:], torch.tensor(32 / 224))
    assert torch.allclose(found[0, 1, 0, 3:5], torch.tensor([8 / 224, 24 / 224]))


def test_out_of_range_rgb_is_clamped() -> None:
    found = colour.rgb(flat(250, 240, 240))
    assert found.max() == 1.0
    assert colour.nominal_luma(flat(250, 128, 128)).max() > 1.0


def test_a_matrix_without_kr_and_kb_is_an_input_error() -> None:
    with pytest.raises(InputError, match="ictcp"):
        colour.rgb(flat(100, 128, 128, matrix="ictcp"))


def test_the_clip_itself_is_not_changed() -> None:
    clip = flat(100, 90, 80)
    before = clip.luma.clone()
    for convert in (colour.code_luma, colour.nominal_luma, colour.rgb):
        convert(clip)
    assert torch.equal(clip.luma, before)


@pytest.mark.parametrize("size", [(8, 12), (9, 13), (2, 3)])
@pytest.mark.parametrize("chroma", [(2, 2), (2, 1), (1, 1), (4, 1), None])
@pytest.mark.parametrize("depth", [8, 10])
def test_half_the_size_is_the_mean_of_four_pixels(
    size: tuple[int, int], chroma: tuple[int, int] | None, depth: int
) -> None:
    height, width = size
    random = torch.Generator().manual_seed(5)
    unit = 2 ** (depth - 8)

    def plane(low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(low * unit, high * unit, (2, *shape), generator=random)

    # Within the gamut, where nothing is clamped.
    planes: list[Tensor | None] = [plane(100, 160, height, width), None, None]
    if chroma is not None:
        small = (-(-height // chroma[1]), -(-width // chroma[0]))
        planes[1:] = [plane(110, 146, *small), plane(110, 146, *small)]
    clip = make(*planes, chroma, bit_depth=depth)  # type: ignore[arg-type]
    found = colour.halved_rgb(clip)
    assert found.shape == (2, 3, height // 2, width // 2)
    torch.testing.assert_close(found, halved(colour.rgb(clip)))
    with pytest.raises(InputError, match="ictcp"):
        colour.halved_rgb(flat(100, 128, 128, matrix="ictcp"))
