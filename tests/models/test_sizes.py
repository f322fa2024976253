"""Code values at half the size are what the mean of four pixels is, however they lie in memory."""

from __future__ import annotations

import pytest
import torch

from rankvqa_cli.models.sizes import halved, halved_codes, on_screen


@pytest.mark.parametrize(("kind", "most"), [(torch.uint8, 255), (torch.uint16, 65535)])
@pytest.mark.parametrize("size", [(1, 6, 8), (2, 7, 10), (1, 5, 7), (3, 2, 2), (1, 1, 4)])
def test_code_values_are_halved_as_numbers_are(
    kind: torch.dtype, most: int, size: tuple[int, int, int]
) -> None:
    random = torch.Generator().manual_seed(3)
    codes = torch.randint(most + 1, size, generator=random).to(kind)
    full = torch.full(size, most).to(kind)
    for each in (codes, full):
        assert torch.equal(halved_codes(each), halved(each.to(torch.float32)))


@pytest.mark.parametrize("kind", [torch.uint8, torch.uint16])
def test_planes_within_a_buffer_are_halved_too(kind: torch.dtype) -> None:
    """A part that begins on an odd sample, or whose rows or frames do, cannot be read two samples at a time."""
    buffer = torch.arange(3 * 9 * 13).to(kind).view(3, 9, 13)
    for part in (
        buffer[:, 1:, 2:10],
        buffer.flatten()[1 : 1 + 2 * 6 * 8].view(2, 6, 8),
        buffer.flatten()[: 2 * 51].view(2, 51)[:, :48].view(2, 6, 8),
        buffer[:, :8, :12].transpose(1, 2),
        buffer.flatten()[:96].view(2, 6, 8)[..., ::2],
    ):
        assert torch.equal(halved_codes(part), halved(part.to(torch.float32)))


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((36, 64), (108, 192)),
        ((64, 36), (192, 108)),
        ((108, 800), (108, 800)),
        ((216, 3000), (108, 1500)),
        ((160, 1000), (108, 675)),
        ((27, 108), (108, 432)),
        ((2, 400), (2, 432)),
        ((400, 2), (432, 2)),
        ((4, 800), (4, 800)),
        ((1, 1), (108, 108)),
    ],
)
def test_a_screen_is_filled_but_not_with_the_narrowest_pictures(
    size: tuple[int, int], shown: tuple[int, int]
) -> None:
    assert on_screen(torch.rand(1, 3, *size), 108).shape[-2:] == shown
