"""The YUV4MPEG2 stream header, which is all that can be known of a video on stdin before it is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from rankvqa_cli.errors import InputError
from rankvqa_cli.media.colour_tags import UNSPECIFIED, ColourTags, read_tags
from rankvqa_cli.media.pixfmt import layout_of

MAGIC = b"YUV4MPEG2 "
MAX_HEADER = 4096
_CHROMA = {
    "420": "yuv420p",
    "420jpeg": "yuv420p",
    "420mpeg2": "yuv420p",
    "420paldv": "yuv420p",
    "411": "yuv411p",
    "422": "yuv422p",
    "444": "yuv444p",
    "444alpha": "yuva444p",
    "mono": "gray",
}
_DEEP = {"420p": "yuv420p", "422p": "yuv422p", "444p": "yuv444p", "mono": "gray"}


@dataclass(frozen=True)
class Y4mHeader:
    """``range_code`` is FFmpeg's: 0 unknown, 1 limited, 2 full. ``sample_aspect_ratio`` is 1 where unknown."""

    width: int
    height: int
    pix_fmt: str
    frame_rate: Fraction
    sample_aspect_ratio: Fraction
    interlaced: bool
    range_code: int

    @property
    def tags(self) -> ColourTags:
        """Of colour, a header says the range alone."""
        layout = layout_of(self.pix_fmt)
        return read_tags(
            range_code=self.range_code,
            matrix_code=UNSPECIFIED,
            primaries_code=UNSPECIFIED,
            transfer_code=UNSPECIFIED,
            full_format=layout.full_range,
            rgb=layout.rgb,
            height=self.height,
        )


def parse_header(line: bytes, name: str) -> Y4mHeader:
    """Reads a header line (without its newline). Raises InputError, naming ``name``, for anything that is
    not one.
    """
    if not line.startswith(MAGIC):
        raise InputError(
            f"{name} is not a y4m stream: pipe y4m, or give -f rawvideo -s WxH -pix_fmt F for raw frames"
        )
    fields: dict[str, str] = {}
    extensions: dict[str, str] = {}
    for word in line[len(MAGIC) :].decode("latin-1").split():
        if word.startswith("X"):
            key, _, value = word[1:].partition("=")
            extensions[key] = value
        else:
            fields[word[0]] = word[1:]
    try:
        width, height = int(fields["W"]), int(fields["H"])
        rate = _ratio(fields.get("F", ""), Fraction(25))
        aspect = _ratio(fields.get("A", ""), Fraction(1))
    except (KeyError, ValueError) as error:
        raise InputError(f"{name} has a y4m header that says no size or rate: {line[:80]!r}") from error
    if width < 1 or height < 1:
        raise InputError(f"{name} has a y4m header of {width}x{height}")
    range_code = {"LIMITED": 1, "FULL": 2}.get(extensions.get("COLORRANGE", ""), 0)
    interlaced = fields.get("I", "p") in {"t", "b", "m"}
    return Y4mHeader(
        width, height, _pix_fmt(fields.get("C", "420"), name), rate, aspect, interlaced, range_code
    )


def _ratio(text: str, default: Fraction) -> Fraction:
    above, _, below = text.partition(":")
    if not above or not below or int(above) <= 0 or int(below) <= 0:
        return default
    return Fraction(int(above), int(below))


def _pix_fmt(chroma: str, name: str) -> str:
    if chroma in _CHROMA:
        return _CHROMA[chroma]
    for prefix, base in _DEEP.items():
        depth = chroma.removeprefix(prefix)
        if depth != chroma and depth in {"9", "10", "12", "14", "16"}:
            return f"{base}{depth}le"
    raise InputError(
        f"{name} is y4m with the unknown chroma format C{chroma}: write it as 420, 422 or 444, 8 to 16 bits"
    )
