from __future__ import annotations

import pytest

from rankvqa_cli.errors import UsageError
from rankvqa_cli.media.pixfmt import (
    PixelLayout,
    delivered_chroma,
    delivered_depth,
    delivered_pix_fmt,
    layout_of,
)


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("yuv420p", PixelLayout(8, (2, 2))),
        ("yuvj422p", PixelLayout(8, (2, 1), full_range=True)),
        ("yuv444p12le", PixelLayout(12, (1, 1))),
        ("nv12", PixelLayout(8, (2, 2))),
        ("p010le", PixelLayout(10, (2, 2))),
        ("yuyv422", PixelLayout(8, (2, 1))),
        ("yuv411p", PixelLayout(8, (4, 1))),
        ("gray16le", PixelLayout(16, None)),
        ("ya8", PixelLayout(8, None, alpha=True)),
        ("yuva420p", PixelLayout(8, (2, 2), alpha=True)),
        ("monow", PixelLayout(1, None)),
        ("rgb24", PixelLayout(8, (1, 1), rgb=True)),
        ("gbrap12le", PixelLayout(12, (1, 1), rgb=True, alpha=True)),
        ("pal8", PixelLayout(8, (1, 1), rgb=True)),
        ("xyz12le", PixelLayout(12, (1, 1), rgb=True)),
        ("bayer_rggb8", PixelLayout(8, (1, 1), rgb=True)),
        ("gbrpf32le", PixelLayout(32, (1, 1), rgb=True)),
    ],
)
def test_layouts(name: str, layout: PixelLayout) -> None:
    assert layout_of(name) == layout


def test_an_unknown_format_is_a_usage_error_with_a_suggestion() -> None:
    with pytest.raises(UsageError, match=r"'yuv420': did you mean yuv420p"):
        layout_of("yuv420")
    with pytest.raises(UsageError, match="'\\\\n'"):
        layout_of("\n")


def test_depths_go_up_to_a_common_one() -> None:
    assert [delivered_depth(depth) for depth in (1, 8, 9, 10, 12, 14, 16, 32)] == [
        8,
        8,
        10,
        10,
        12,
        16,
        16,
        16,
    ]


def test_uncommon_layouts_become_444() -> None:
    assert delivered_chroma(layout_of("yuv411p")) == (1, 1)
    assert delivered_chroma(layout_of("gray")) is None
    assert delivered_pix_fmt(None, 10) == "gray10le"
    assert delivered_pix_fmt((2, 1), 8) == "yuv422p"
