"""A reference that is looked at and then compared: the same frames, the same pictures, one decoding."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import MakeClip
from read_frames import frames_of

from rankvqa_cli.media import lookahead
from rankvqa_cli.media.held import HeldReader
from rankvqa_cli.media.lookahead import Lookahead, Thumbnails
from rankvqa_cli.media.reader import FrameReader
from rankvqa_cli.types import PlannedInput

from .reading import DEFAULTS, alone, look


@pytest.fixture(params=["yuv420p", "yuv420p10le"])
def planned(make_clip: MakeClip, request: pytest.FixtureRequest) -> PlannedInput:
    return alone(look(make_clip("x.mkv", "-c:v", "ffv1", frames=20, size="200x120", pix_fmt=request.param)))


def test_frames_that_were_looked_at_are_delivered_all_the_same(planned: PlannedInput) -> None:
    with FrameReader(planned, DEFAULTS) as reader:
        expected = frames_of(reader)
    with Lookahead(planned, DEFAULTS) as looked:
        assert looked.take() is None  # nothing was begun, so there is nothing to go on with
        assert [len(looked.up_to(count)) for count in (5, 3, 12, 5)] == [5, 3, 12, 5]
        reader = looked.take()
        assert reader is not None
        assert looked.take() is None
        with reader:
            assert frames_of(reader) == expected
            end = reader.finish()
        assert (end.returncode, end.errors, reader.frames_read) == (0, (), 20)
        assert looked.decodes == 1


def test_what_is_held_is_left_out_where_nobody_compares_it(planned: PlannedInput) -> None:
    with Lookahead(planned, DEFAULTS) as looked:
        looked.up_to(8)
        reader = looked.take()
        assert isinstance(reader, HeldReader)
        with reader:
            reader.finish()
            assert reader.frames_read == 20
    with Lookahead(planned, DEFAULTS) as never:
        never.up_to(100)
    assert never.reader._process is not None
    assert never.reader._process.returncode is not None  # reaped


def test_pictures_are_those_of_ffmpeg_to_a_step(planned: PlannedInput) -> None:
    with Lookahead(planned, DEFAULTS) as ours, Thumbnails(planned, ours.size, DEFAULTS) as theirs:
        one, other = ours.up_to(30), theirs.up_to(30)
    assert one.shape == other.shape == (20, 54, 96)
    assert np.abs(one.astype(int) - other).max() <= 1


def test_what_does_not_fit_is_decoded_anew(planned: PlannedInput, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookahead, "HELD_BYTES", 6 * planned.format.frame_bytes)
    with FrameReader(planned, DEFAULTS) as reader:
        expected = frames_of(reader)
    with Lookahead(planned, DEFAULTS) as looked:
        assert len(looked.up_to(6)) == 6
        assert len(looked.up_to(7)) == 7
        assert looked.decodes == 2
        assert len(looked.up_to(100)) == 20
        assert looked._anew is not None
        anew = looked._anew._reader._process
        assert anew is not None
        looked.looked()
        assert anew.returncode is not None, (
            "what only pictures are made of goes on no longer than they are asked for"
        )
        reader = looked.take()
        assert reader is not None
        with reader:
            assert frames_of(reader) == expected
    with Lookahead(planned, DEFAULTS) as never:
        never.up_to(7)
        assert (never.take(), never.decodes) == (None, 1)
