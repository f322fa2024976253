from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest
from conftest import MakeClip

from rankvqa_cli.errors import InputError, UsageError
from rankvqa_cli.media import align
from rankvqa_cli.media.align import find_offset, overlap
from rankvqa_cli.media.offset_search import Match
from rankvqa_cli.media.reader import FrameReader
from rankvqa_cli.types import Alignment, PlannedInput, RawFormat, ReadOptions

from .reading import DEFAULTS, alone, look, plan_pair

MOVING = "testsrc2"


def planned_pair(reference: Path, distorted: Path) -> tuple[PlannedInput, PlannedInput]:
    return alone(look(reference)), alone(look(distorted))


def slip(ffmpeg: str, source: Path, out: Path, filters: str, crf: int) -> Path:
    coding = [
        "-vf",
        filters,
        "-fps_mode",
        "passthrough",
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-crf",
        str(crf),
    ]
    subprocess.run(
        [ffmpeg, "-v", "error", "-y", "-i", str(source), *coding, "-an", str(out)], check=True, timeout=120
    )
    return out


@pytest.mark.parametrize(
    ("filters", "offset"),
    [
        ("null", 0),
        ("trim=start_frame=1,setpts=PTS-STARTPTS", -1),
        ("trim=start_frame=12,setpts=PTS-STARTPTS", -12),
        ("tpad=start=1:start_mode=clone", 1),
        ("tpad=start=12:start_mode=add", 12),
        ("tpad=start=5:start_mode=add,trim=end_frame=40,scale=80:48,eq=brightness=0.1", 5),
    ],
)
def test_slips_are_found(make_clip: MakeClip, ffmpeg: str, tmp_path: Path, filters: str, offset: int) -> None:
    reference = make_clip("ref.mp4", "-crf", "12", frames=40, size="160x96", source=MOVING)
    distorted = slip(ffmpeg, reference, tmp_path / "dist.mp4", filters, 35)
    pair = planned_pair(reference, distorted)
    found = find_offset(*pair, DEFAULTS, "auto")
    assert found.offset == offset
    assert found.confidence > 0.1
    assert (found.mode, found.suspected) == ("auto", None)
    suspected = find_offset(*pair, DEFAULTS, "off")
    assert (suspected.offset, suspected.suspected) == (0, offset or None)
    assert find_offset(*pair, DEFAULTS, 3) == Alignment(3, 1.0, mode="3")


def test_the_pairing_is_applied_before_the_search(make_clip: MakeClip) -> None:
    reference = make_clip("ref.mp4", frames=48, rate=60, size="160x96", source=MOVING)
    half = make_clip(
        "half.mp4",
        "-vf",
        "select='not(mod(n,2))'",
        "-r",
        "30",
        frames=24,
        rate=60,
        size="160x96",
        source=MOVING,
    )
    plan = plan_pair(reference, half)
    assert plan.reference is not None
    assert plan.inputs[0].pairing
    assert find_offset(plan.reference, plan.inputs[0], DEFAULTS, "auto").offset == 0


def test_an_offset_without_confidence_is_none(make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_clip("x.mp4", frames=14)
    pair = planned_pair(path, path)
    for confidence, offset in ((0.0, 0), (0.0199, 0), (0.02, 3), (0.5, 3)):
        monkeypatch.setattr(align, "best_offset", lambda *_, sure=confidence: Match(3, sure, 0.5))
        assert find_offset(*pair, DEFAULTS, "auto") == Alignment(offset, confidence)
        suspected = find_offset(*pair, DEFAULTS, "off")
        assert suspected == Alignment(0, confidence, mode="off", suspected=offset or None)


def test_a_still_video_is_aligned_with_no_confidence(make_clip: MakeClip) -> None:
    paths = [
        make_clip(f"{n}.mp4", "-crf", crf, frames=30, source="smptebars")
        for n, crf in enumerate(("10", "40"))
    ]
    assert find_offset(*planned_pair(paths[0], paths[1]), DEFAULTS, "auto") == Alignment(0, 0.0)


def test_pictures_stdin_and_very_short_videos_are_not_searched(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(align, "Thumbnails", None)
    short = alone(look(make_clip("x.mp4", frames=2)))
    piped = alone(look("-", raw=RawFormat(64, 48)))
    moving = alone(look(make_clip("y.mp4", frames=20)))
    for pair in ((short, moving), (moving, short), (piped, moving), (moving, piped)):
        assert find_offset(*pair, DEFAULTS, "auto") == Alignment(0, 0.0)


def test_no_more_is_decoded_than_it_takes(make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    end = FrameReader.close

    def counted(reader: FrameReader) -> None:
        read.append(reader.frames_read)
        end(reader)

    monkeypatch.setattr(FrameReader, "close", counted)
    path = make_clip("x.mp4", frames=200, size="160x96", source=MOVING)
    assert find_offset(*planned_pair(path, path), DEFAULTS, "auto").offset == 0
    assert read == [32, 32]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ffmpeg-")]


def test_other_modes_and_unreadable_files(make_clip: MakeClip) -> None:
    path = make_clip("x.mp4", frames=20)
    pair = planned_pair(path, path)
    with pytest.raises(UsageError, match="auto, off or a number"):
        find_offset(*pair, DEFAULTS, "sometimes")
    path.unlink()
    with pytest.raises(InputError, match="no frame of"):
        find_offset(*pair, DEFAULTS, "auto")


def test_an_interrupted_search_leaves_no_process(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers: list[FrameReader] = []
    begin = FrameReader.open

    def remembered(reader: FrameReader) -> None:
        readers.append(reader)
        begin(reader)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(FrameReader, "open", remembered)
    monkeypatch.setattr(align, "best_offset", interrupted)
    path = make_clip("x.mp4", frames=300, size="320x240")
    with pytest.raises(KeyboardInterrupt):
        find_offset(*planned_pair(path, path), DEFAULTS, "auto")
    processes = [reader._process for reader in readers]
    assert processes
    assert all(process is not None and process.returncode is not None for process in processes)


def test_limits_hold_for_the_search_too(make_clip: MakeClip) -> None:
    path = make_clip("x.mp4", "-g", "10", frames=60, size="160x96", source=MOVING)
    options = ReadOptions(seek_s=1.0, frames=20)
    assert find_offset(alone(look(path, options)), alone(look(path, options)), options, "auto").offset == 0


@pytest.mark.parametrize(
    ("frames", "offset", "common"),
    [
        ((50, 50), 0, (0, 0, 50)),
        ((50, 50), 3, (0, 3, 47)),
        ((50, 50), -3, (3, 0, 47)),
        ((50, 47), -3, (3, 0, 47)),
        ((50, 53), 3, (0, 3, 50)),
        ((5, 5), 7, (0, 7, 0)),
    ],
)
def test_overlap(frames: tuple[int, int], offset: int, common: tuple[int, int, int]) -> None:
    assert overlap(*frames, offset) == common


@pytest.mark.shared
def test_real_sequences(shared: Path, ffmpeg: str, tmp_path: Path) -> None:
    """Real movement, heavily compressed and reduced, each sequence at another slip; and none slipped that is not."""
    sources = sorted((shared / "data" / "davis").glob("*.mp4"))[::2]
    for source, offset in zip(sources, (-12, 12, -7, 8, -2, 3, -1, 1), strict=True):
        trim = f"trim=start_frame={abs(offset)},setpts=PTS-STARTPTS"
        encode = slip(
            ffmpeg, source, tmp_path / "dist.mp4", "scale=320:180" + (f",{trim}" if offset < 0 else ""), 38
        )
        reference = slip(ffmpeg, source, tmp_path / "ref.mp4", trim, 12) if offset > 0 else source
        assert find_offset(*planned_pair(reference, encode), DEFAULTS, "auto").offset == offset, source.name
        if offset > 0:
            assert find_offset(*planned_pair(source, encode), DEFAULTS, "auto").offset == 0, source.name
