from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from made_video import made_video

from rankvqa_cli.errors import InputError, UsageError
from rankvqa_cli.media.filters import filter_chain
from rankvqa_cli.media.plan import make_plan
from rankvqa_cli.types import ComparisonPlan, InputSpec, ReadOptions, VideoInfo

OPTIONS = ReadOptions()
HD = made_video("hd.mp4", width=1920, height=1080, frames=50, codec="h264")
TEN_BIT = replace(HD, pix_fmt="yuv420p10le", bit_depth=10)
PICTURE = replace(HD, pix_fmt="rgba", chroma=(1, 1), full_range=True, matrix="gbr", codec="png")


def plan(
    reference: VideoInfo, *inputs: VideoInfo, options: ReadOptions = OPTIONS, allow_short: bool = False
) -> ComparisonPlan:
    return make_plan(reference, inputs, options, allow_short=allow_short)


def test_alike_videos_need_nothing() -> None:
    made = plan(HD, HD)
    (planned,) = made.inputs
    assert planned.steps == planned.warnings == planned.pairing == ()
    assert made.reference is not None
    assert made.reference.format == planned.format
    assert (planned.format.pix_fmt, planned.format.matrix, planned.format.full_range) == (
        "yuv420p",
        "bt709",
        False,
    )
    assert filter_chain(planned, OPTIONS) == ["null"]


def test_the_distorted_is_scaled_to_the_reference_never_the_other_way() -> None:
    for reference, distorted in (
        (HD, replace(HD, width=640, height=360)),
        (replace(HD, width=640, height=360), HD),
    ):
        made = plan(reference, distorted)
        assert made.reference is not None
        assert (made.inputs[0].format.width, made.inputs[0].format.height) == (
            reference.width,
            reference.height,
        )
        assert made.reference.steps == ()
        assert "(bicubic)" in made.inputs[0].steps[0]
        assert f"to {reference.width}x{reference.height}" in made.inputs[0].steps[0]
        assert "flags=bicubic" in ",".join(filter_chain(made.inputs[0], OPTIONS))


def test_depth_goes_up_never_down() -> None:
    for reference, distorted in ((HD, TEN_BIT), (TEN_BIT, HD)):
        made = plan(reference, distorted)
        assert made.reference is not None
        assert {made.reference.format.pix_fmt, made.inputs[0].format.pix_fmt} == {"yuv420p10le"}
        steps = [*made.reference.steps, *made.inputs[0].steps]
        assert steps == ["bit depth from 8 to 10"]
    twelve = replace(HD, pix_fmt="yuv422p12le", bit_depth=12, chroma=(2, 1))
    assert [one.format.pix_fmt for one in plan(HD, HD, twelve).inputs] == ["yuv420p12le"] * 2


def test_chroma_range_and_matrix_become_the_references() -> None:
    other = replace(HD, pix_fmt="yuv444p", chroma=(1, 1), full_range=True, matrix="smpte170m")
    (planned,) = plan(HD, other).inputs
    assert planned.steps == (
        "chroma from 4:4:4 to 4:2:0",
        "range from full to limited",
        "matrix from bt601 to bt709",
    )
    (scale, layout) = filter_chain(planned, OPTIONS)
    for option in ("in_range=full", "out_range=limited", "in_color_matrix=bt601", "out_color_matrix=bt709"):
        assert option in scale
    assert layout == "format=yuv420p"
    assert plan(other, HD).inputs[0].format.chroma == (1, 1)


def test_names_of_one_matrix_are_no_conversion() -> None:
    assert plan(replace(HD, matrix="smpte170m"), replace(HD, matrix="bt470bg")).inputs[0].steps == ()


def test_gray_compares_luma_only() -> None:
    gray = replace(HD, pix_fmt="gray", chroma=None)
    (planned,) = plan(gray, HD).inputs
    assert (planned.format.chroma, planned.format.pix_fmt) == (None, "gray")
    assert planned.steps == ("chroma from 4:2:0 to 4:0:0",)


def test_rgb_becomes_full_444_and_alpha_is_dropped_aloud() -> None:
    made = plan(PICTURE, HD)
    assert made.reference is not None
    assert (made.reference.format.pix_fmt, made.reference.format.full_range) == ("yuv444p", True)
    assert made.reference.steps == ("alpha dropped", "converted from RGB (rgba) to full-range bt709")
    assert "range from limited to full" in made.inputs[0].steps


def test_missing_tags_follow_the_other_video() -> None:
    untagged = replace(HD, matrix="smpte170m", assumed=("matrix", "range"))
    for reference, distorted in ((HD, untagged), (untagged, HD)):
        made = plan(reference, distorted)
        assert made.reference is not None
        assert made.inputs[0].format.matrix == "bt709"
        assert made.reference.steps == made.inputs[0].steps == ()
        said = [*made.reference.warnings, *made.inputs[0].warnings]
        assert said == ["no matrix tag: read as bt709, like what it is compared with"]


def test_raw_video_is_read_in_the_range_of_the_other() -> None:
    raw = replace(HD, assumed=("range", "matrix"), codec="rawvideo")
    full = replace(HD, full_range=True)
    for reference, distorted in ((full, raw), (raw, full)):
        made = plan(reference, distorted)
        assert made.inputs[0].format.full_range
        assert made.inputs[0].steps == ()
    coded = replace(raw, codec="h264")
    assert plan(full, coded).inputs[0].steps == ("range from limited to full",), (
        "H.264 without a tag is limited"
    )


@pytest.mark.parametrize(
    ("reference", "distorted", "match"),
    [
        ("bt709", "arib-std-b67", "HLG"),
        ("smpte2084", "bt709", "PQ"),
        ("smpte2084", "arib-std-b67", "HLG .* PQ"),
    ],
)
def test_sdr_and_the_two_kinds_of_hdr_are_not_compared(reference: str, distorted: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        plan(replace(HD, transfer=reference), replace(HD, transfer=distorted))


def test_hdr_against_its_like_is_a_warning() -> None:
    hdr = replace(TEN_BIT, transfer="arib-std-b67", matrix="bt2020nc", primaries="bt2020")
    made = plan(hdr, hdr)
    assert made.inputs[0].format.transfer == "arib-std-b67"
    assert any("trained on SDR" in warning for warning in made.inputs[0].warnings)


def test_other_shapes_of_pixels_and_other_primaries_are_said() -> None:
    (planned,) = plan(HD, replace(HD, sample_aspect_ratio=Fraction(4, 3), primaries="bt2020")).inputs
    assert "sample aspect ratio 4:3 against 1:1" in planned.warnings[0]
    assert "primaries bt2020" in planned.warnings[1]


def test_a_matrix_that_cannot_be_computed_is_refused() -> None:
    for reference, distorted in ((HD, replace(HD, matrix="ictcp")), (replace(HD, matrix="ycgco"), HD)):
        with pytest.raises(InputError, match="colour matrix"):
            plan(reference, distorted)


def test_unequal_lengths_are_refused_unless_allowed() -> None:
    with pytest.raises(InputError, match=r"30 frames .* 50.*--allow-short"):
        plan(HD, replace(HD, frames=30))
    assert plan(HD, replace(HD, frames=30), allow_short=True).inputs[0].warnings


def test_stdin_serves_one_input_only() -> None:
    piped = replace(HD, spec=InputSpec("-"))
    with pytest.raises(UsageError, match="stdin"):
        plan(piped, piped)


def test_without_a_reference_a_video_keeps_its_own_format() -> None:
    made = make_plan(None, [TEN_BIT, PICTURE], OPTIONS)
    assert made.reference is None
    assert [one.format.pix_fmt for one in made.inputs] == ["yuv420p10le", "yuv444p"]
    assert made.inputs[0].steps == ()


def test_uncommon_layouts_are_delivered_as_444() -> None:
    (planned,) = make_plan(None, [replace(HD, pix_fmt="yuv411p", chroma=(4, 1))], OPTIONS).inputs
    assert (planned.format.pix_fmt, planned.steps) == ("yuv444p", ("chroma from 4:1:1 to 4:4:4",))
