from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import click
import pytest

from rankvqa_cli.cli import values
from rankvqa_cli.errors import UsageError


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [
        (values.seconds, "12", 12.0),
        (values.seconds, "12.5", 12.5),
        (values.seconds, ".5", 0.5),
        (values.seconds, "3s", 3.0),
        (values.seconds, "250ms", 0.25),
        (values.seconds, "40us", 4e-5),
        (values.seconds, "1:30", 90.0),
        (values.seconds, "100:00:00.25", 360000.25),
        (values.size, "1920x1080", (1920, 1080)),
        (values.size, "1X1", (1, 1)),
        (values.size, "hd720", (1280, 720)),
        (values.rate, "25", Fraction(25)),
        (values.rate, "29.97", Fraction(2997, 100)),
        (values.rate, "30000/1001", Fraction(30000, 1001)),
        (values.rate, "NTSC", Fraction(30000, 1001)),
        (values.alignment, "auto", "auto"),
        (values.alignment, "off", "off"),
        (values.alignment, "-12", -12),
        (values.device, "cuda:1", "cuda:1"),
    ],
)
def test_reads(read: Callable[[str], object], text: str, expected: object) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("read", "texts"),
    [
        (values.seconds, ["", "-1", "1:2:3:4", "5m", "1e9", "nan", "1:75", "inf"]),
        (values.size, ["", "1920", "0x48", "64x0", "64x-48", "64*48", "123456x2", "64x48x3"]),
        (values.rate, ["", "0", "-25", "1/0", "nan", "inf", "25fps", "1e9"]),
        (values.alignment, ["", "1.5", "on", "AUTO", "--3"]),
        (values.device, ["", "gpu", "cuda:", "cuda:x", "CPU"]),
    ],
)
def test_refuses(read: Callable[[str], object], texts: list[str]) -> None:
    for text in texts:
        with pytest.raises(UsageError) as caught:
            read(text)
        assert "write " in str(caught.value), text


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "NaN", "1e999", "x", "-1"])
def test_a_finite_number_is_a_number_within_its_range(text: str) -> None:
    positive = values.Finite(0, min_open=True)
    assert positive.convert("0.25", None, None) == 0.25
    with pytest.raises(click.BadParameter):
        positive.convert(text, None, None)
