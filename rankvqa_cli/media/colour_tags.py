"""Colour tags of a stream: FFmpeg's numbers (ITU-T H.273 code points) to names, and what is assumed where
there is no tag.
"""

from __future__ import annotations

from dataclasses import dataclass

UNSPECIFIED = 2
"""Code point of an absent matrix, primaries or transfer."""

RANGES = {1: False, 2: True}
MATRICES = {
    0: "gbr",
    1: "bt709",
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "ycgco",
    9: "bt2020nc",
    10: "bt2020c",
    11: "smpte2085",
    12: "chroma-derived-nc",
    13: "chroma-derived-c",
    14: "ictcp",
}
PRIMARIES = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "film",
    9: "bt2020",
    10: "smpte428",
    11: "smpte431",
    12: "smpte432",
    22: "ebu3213",
}
TRANSFERS = {
    1: "bt709",
    4: "gamma22",
    5: "gamma28",
    6: "smpte170m",
    7: "smpte240m",
    8: "linear",
    9: "log100",
    10: "log316",
    11: "iec61966-2-4",
    12: "bt1361e",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "smpte2084",
    17: "smpte428",
    18: "arib-std-b67",
}
HDR_TRANSFERS = {"smpte2084": "PQ", "arib-std-b67": "HLG"}
"""Transfers that mean high dynamic range, and their usual names."""

_COMPUTED: dict[str, str] = {
    "bt709": "bt709",
    "bt470bg": "bt601",
    "smpte170m": "bt601",
    "bt601": "bt601",
    "smpte240m": "smpte240m",
    "fcc": "fcc",
    "bt2020nc": "bt2020",
    "bt2020c": "bt2020",
}


@dataclass(frozen=True)
class ColourTags:
    """``assumed`` names the ones that no tag said."""

    full_range: bool
    matrix: str
    primaries: str
    transfer: str
    assumed: tuple[str, ...]


def computed_matrix(matrix: str) -> str | None:
    """The name under which ``matrix`` is computed (``bt601``, ``bt709``, ``bt2020``, ``smpte240m``,
    ``fcc``), None if it cannot be.

    Constant-luminance BT.2020 is treated as the non-constant one, which FFmpeg's scaler does too.
    """
    return _COMPUTED.get(matrix)


def read_tags(
    *,
    range_code: int,
    matrix_code: int,
    primaries_code: int,
    transfer_code: int,
    full_format: bool,
    rgb: bool,
    height: int,
) -> ColourTags:
    """Names for code points as FFmpeg gives them, with the usual defaults for those that are missing.

    ``full_format`` marks the yuvj formats, which are full range by name. Missing: limited range (full for
    RGB), the matrix and primaries of BT.709 from 720 lines up and BT.601 below, transfer of BT.709 (sRGB
    for RGB).
    """
    assumed: list[str] = []

    def named(names: dict[int, str], code: int, default: str, what: str) -> str:
        if code in names:
            return names[code]
        assumed.append(what)
        return default

    high = height >= 720
    if rgb or full_format:
        full_range = True if full_format else RANGES.get(range_code, True)
    elif range_code in RANGES:
        full_range = RANGES[range_code]
    else:
        full_range = False
        assumed.append("range")
    if rgb:
        matrix = "gbr"
    else:
        matrix = named(
            {k: v for k, v in MATRICES.items() if k}, matrix_code, "bt709" if high else "smpte170m", "matrix"
        )
    primaries = named(PRIMARIES, primaries_code, "bt709" if high or rgb else "smpte170m", "primaries")
    transfer = named(TRANSFERS, transfer_code, "iec61966-2-1" if rgb else "bt709", "transfer")
    return ColourTags(full_range, matrix, primaries, transfer, tuple(assumed))
