"""From files to a report, with a tiny model: what is measured is the way there, not the model."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tracker import stop_tracker

import rankvqa_cli
from rankvqa_cli.errors import DamagedError, DeviceError, InputError, ModelError, UsageError
from rankvqa_cli.models.contract import Clip, ClipOutput
from rankvqa_cli.models.patchnet_model import PatchNetModel
from rankvqa_cli.scoring.clips import clip_windows
from rankvqa_cli.scoring.engine import explain
from rankvqa_cli.scoring.options import ScoreOptions
from rankvqa_cli.scoring.prefetch import ClipSet, Prefetcher
from rankvqa_cli.types import ClipScore, Progress, RawFormat, Report, Result

MakeClip = Callable[..., Path]
Scorer = Callable[..., Report]
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def score(tiny_model: Path) -> Scorer:
    """``rankvqa_cli.score`` with the tiny model on one thread."""

    def call(inputs: object, reference: object, **options: object) -> Report:
        given: dict[str, object] = {"models": [str(tiny_model)], "threads": 1, "device": "cpu", **options}
        return rankvqa_cli.score(inputs, reference, **given)  # type: ignore[arg-type]

    return call


@pytest.fixture
def source(make_clip: MakeClip) -> Path:
    return make_clip("source.mp4", "-crf", "10", frames=30)


@pytest.fixture
def encode(ffmpeg: str, tmp_path: Path) -> Callable[..., Path]:
    """Encodes a clip again: ``encode(path, "worse.mp4", "-crf", "45")``."""

    def run(path: Path, name: str, *extra: str) -> Path:
        out = tmp_path / name
        argv = [ffmpeg, "-v", "error", "-nostdin", "-y", "-i", str(path), "-threads", "1", *extra, str(out)]
        subprocess.run(argv, check=True, timeout=60)
        return out

    return run


def no_children_left() -> bool:
    stop_tracker()
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


def same_scores(a: Result, b: Result) -> bool:
    """Bit for bit."""
    return (a.clips, a.frames, a.pooled, a.ci95, a.integrity) == (
        b.clips,
        b.frames,
        b.pooled,
        b.ci95,
        b.integrity,
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le", "yuv444p", "gray"])
def test_identity_is_exactly_100(make_clip: MakeClip, score: Scorer, pix_fmt: str, precision: str) -> None:
    clip = make_clip("a.mkv", "-c:v", "ffv1", frames=14, pix_fmt=pix_fmt)
    report = score(clip, clip, precision=precision)
    (result,) = report.results
    assert result.score == 100.0
    assert {clip.score for clip in result.clips} == {100.0}
    assert {frame.score for frame in result.frames} == {100.0}
    assert result.ci95 == (100.0, 100.0)
    assert report.environment.precision == precision


def test_a_report_says_what_was_done(
    source: Path, encode: Callable[..., Path], score: Scorer, tiny_model: Path
) -> None:
    worse = encode(source, "worse.mp4", "-crf", "45")
    report = score(worse, source, pool="p5", fail_under=["mean=1", "tiny:max=99.999999"], argv=["x"])
    (result,) = report.results
    assert result.input == str(worse)
    assert result.reference == str(source)
    assert result.model == "tiny" == report.models[0].name
    assert 0.0 < result.score == result.pooled["p5"] < 100.0
    assert result.ci95[0] <= result.score <= result.ci95[1]
    assert [(c.start, c.end) for c in result.clips] == [(0, 12), (12, 24), (18, 30)]
    assert [frame.index for frame in result.frames] == list(range(30))
    assert result.frames[7].pts_time == pytest.approx(7 / 25)
    assert result.frames[7].score == result.clips[0].score
    assert result.frames[20].score == pytest.approx((result.clips[1].score + result.clips[2].score) / 2)
    integrity = result.integrity
    assert (integrity.frames_expected, integrity.frames_decoded, integrity.frames_scored) == (30, 30, 30)
    assert (integrity.ffmpeg_returncode, integrity.decode_errors) == (0, ())
    assert result.warnings == ()
    assert result.fps == pytest.approx(30 / result.wall_s)
    assert [(gate.expression, gate.passed) for gate in report.gates] == [
        ("mean=1", True),
        ("tiny:max=99.999999", False),
    ]
    assert report.argv == ("x",)
    assert report.environment.threads == 1
    assert no_children_left()


def test_several_inputs_equal_single_runs(
    source: Path, encode: Callable[..., Path], score: Scorer, opened: Counter[str]
) -> None:
    inputs = [encode(source, f"{crf}.mp4", "-crf", str(crf)) for crf in (30, 40, 50)]
    report = score(inputs, source)
    together = report.results
    assert opened == Counter({path.name: 1 for path in (source, *inputs)})
    assert report.reference_decodes == 1  # the alignments' looks at it are the same decoding
    for path, result in zip(inputs, together, strict=True):
        (alone,) = score([path], source).results
        assert same_scores(result, alone)
    assert len({result.score for result in together}) == 3


def test_what_a_model_had_to_change_is_said(
    source: Path, score: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = iter([("cuda:0 ran out of memory: tiny takes 6 frames at a time instead of 12",), ()])
    monkeypatch.setattr(PatchNetModel, "adapted", lambda self: next(said))
    (result,) = score([source], source).results
    assert result.warnings == ("cuda:0 ran out of memory: tiny takes 6 frames at a time instead of 12",)
    assert score([source], source).results[0].warnings == ()


def test_several_models_share_a_decode(
    source: Path,
    encode: Callable[..., Path],
    score: Scorer,
    opened: Counter[str],
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    from dataclasses import replace

    from rankvqa_cli.models.store import read_model, write_model

    header, tensors, _ = read_model(tiny_model)
    other = tmp_path / "other.safetensors"
    write_model(other, replace(header, name="other", clip_frames=5), tensors)
    worse = encode(source, "worse.mp4", "-crf", "45")
    tiny, five = score(worse, source, models=[str(tiny_model), str(other)]).results
    assert opened[source.name] == opened[worse.name] == 1
    assert [result.model for result in (tiny, five)] == ["tiny", "other"]
    assert same_scores(tiny, score(worse, source).results[0])
    assert same_scores(five, score(worse, source, models=[str(other)]).results[0])
    assert [(clip.start, clip.end) for clip in five.clips] == [
        (w.start, w.end) for w in clip_windows(30, 5, 5)
    ]
    with pytest.raises(UsageError, match="name each once"):
        score(worse, source, models=[str(tiny_model), str(tiny_model)])


@pytest.mark.parametrize("threads", [1, 2])
def test_a_clip_is_begun_before_the_last_is_done(
    source: Path,
    encode: Callable[..., Path],
    score: Scorer,
    monkeypatch: pytest.MonkeyPatch,
    threads: int,
) -> None:
    """Where there are threads for it; scores and their order are those of one."""
    worse = encode(source, "worse.mp4", "-crf", "45")
    events: list[str] = []
    begin = PatchNetModel.begin_clips

    def watched(
        model: PatchNetModel, reference: Clip, distorted: Sequence[Clip]
    ) -> Callable[[], list[ClipOutput]] | None:
        wait = begin(model, reference, distorted)
        if wait is None:
            return None
        events.append("begun")

        def done() -> list[ClipOutput]:
            events.append("done")
            return wait()

        return done

    monkeypatch.setattr(PatchNetModel, "begin_clips", watched)
    (result,) = score(worse, source, models=["rankvqa-mini"], threads=threads, hop=6).results
    monkeypatch.undo()
    (expected,) = score(worse, source, models=["rankvqa-mini"], threads=1, hop=6).results
    assert same_scores(result, expected)
    assert len(result.clips) == 4
    assert events == ([] if threads == 1 else ["begun", *["begun", "done"] * 3, "done"])


def test_clips_are_not_kept_for_a_model_that_cannot_begin(
    source: Path, tiny_model: Path, score: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside one that can: or nothing would be read while it computes."""
    begin, release = PatchNetModel.begin_clips, Prefetcher.release
    events: list[str] = []

    def watched(
        model: PatchNetModel, reference: Clip, distorted: Sequence[Clip]
    ) -> Callable[[], list[ClipOutput]] | None:
        if model.info.name == "tiny":
            return None
        events.append("begun")
        return begin(model, reference, distorted)

    def released(prefetcher: Prefetcher, item: ClipSet) -> None:
        events.append("released")
        release(prefetcher, item)

    monkeypatch.setattr(PatchNetModel, "begin_clips", watched)
    monkeypatch.setattr(Prefetcher, "release", released)
    report = score(source, source, models=["rankvqa-mini", str(tiny_model)], threads=2)
    lengths = {model.clip_frames for model in report.models}
    assert len(lengths) == 1, "one grid serves both"
    assert events == ["begun", "released"] * len(report.results[0].clips)


@pytest.mark.parametrize("hop", [3, 5, 20])
def test_hop(source: Path, encode: Callable[..., Path], score: Scorer, hop: int) -> None:
    worse = encode(source, "worse.mp4", "-crf", "45")
    (hopping,) = score(worse, source, hop=hop).results
    assert [(c.start, c.end) for c in hopping.clips] == [(w.start, w.end) for w in clip_windows(30, 12, hop)]
    (usual,) = score(worse, source).results
    by_start = {clip.start: clip for clip in hopping.clips}
    shared = [clip for clip in usual.clips if clip.start in by_start]
    assert len(shared) >= 2
    assert all(by_start[clip.start] == clip for clip in shared)


@pytest.mark.parametrize(("stride", "hop"), [(2, None), (3, 4), (2, 7)])
def test_clip_stride(
    source: Path, encode: Callable[..., Path], score: Scorer, stride: int, hop: int | None
) -> None:
    worse = encode(source, "worse.mp4", "-crf", "45")
    (usual,) = score(worse, source, hop=hop).results
    (some,) = score(worse, source, hop=hop, clip_stride=stride).results
    assert some.clips == usual.clips[::stride]
    seen = sorted({index for clip in some.clips for index in range(clip.start, clip.end)})
    assert [frame.index for frame in some.frames] == seen
    pts = {frame.index: frame.pts_time for frame in usual.frames}
    assert all(frame.pts_time == pts[frame.index] for frame in some.frames)
    assert some.integrity.frames_scored == len(seen)
    assert some.integrity.frames_decoded == some.integrity.frames_expected == 30
    assert some.ci95 is not None
    assert some.ci95[0] <= some.score <= some.ci95[1]


def test_one_clip_of_several_has_no_interval(
    source: Path, encode: Callable[..., Path], score: Scorer
) -> None:
    worse = encode(source, "worse.mp4", "-crf", "45")
    (result,) = score(worse, source, clip_stride=9).results
    assert [(clip.start, clip.end) for clip in result.clips] == [(0, 12)]
    assert result.ci95 is None
    assert any("one clip of 3 is scored by tiny" in warning for warning in result.warnings)
    (whole,) = score(worse, source, frames=12, clip_stride=9).results
    assert whole.ci95 == (whole.score, whole.score)
    assert whole.warnings == ()


def test_clips_that_are_passed_over_are_not_converted(
    source: Path, score: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rankvqa_cli.scoring.runtime import Runtime

    converted: list[int] = []
    clip = Runtime.clip
    monkeypatch.setattr(
        Runtime, "clip", lambda self, frames, format: converted.append(1) or clip(self, frames, format)
    )
    score(source, source, hop=1, clip_stride=10)
    assert len(converted) == 2 * 2  # clips at 0 and 10, of both videos


@pytest.mark.parametrize("frames", [1, 2, 11])
def test_shorter_than_a_clip(
    make_clip: MakeClip, encode: Callable[..., Path], score: Scorer, frames: int
) -> None:
    source = make_clip("short.mkv", "-c:v", "ffv1", frames=frames)
    worse = encode(source, "worse.mkv", "-crf", "50")
    identical, result = score([source, worse], source).results
    assert identical.score == 100.0
    assert result.score < 100.0
    assert [(c.start, c.end, c.padded) for c in result.clips] == [(0, frames, True)]
    assert len(result.frames) == result.integrity.frames_scored == frames
    assert any("mirrored" in warning for warning in result.warnings)


def test_one_pixel(make_clip: MakeClip, score: Scorer) -> None:
    clip = make_clip("dot.mkv", "-c:v", "ffv1", frames=13, size="1x1", source="color=gray")
    (result,) = score(clip, clip).results
    assert result.score == 100.0
    assert len(result.clips) == 2


def test_limits(source: Path, encode: Callable[..., Path], score: Scorer) -> None:
    worse = encode(source, "worse.mp4", "-crf", "45")
    (result,) = score(worse, source, frames=13).results
    assert [(c.start, c.end) for c in result.clips] == [(0, 12), (1, 13)]
    assert result.integrity.frames_expected == result.integrity.frames_decoded == 13
    (late,) = score(worse, source, seek=0.4, duration=0.6).results
    assert len(late.frames) == 15
    assert late.frames[0].pts_time == pytest.approx(0.4)
    (whole,) = score(worse, source).results
    assert result.clips[0] == whole.clips[0]


def test_offset_is_found_and_applied(make_clip: MakeClip, encode: Callable[..., Path], score: Scorer) -> None:
    source = make_clip("source.mkv", "-c:v", "ffv1", frames=40, size="96x64")
    late = encode(
        source, "late.mkv", "-c:v", "ffv1", "-vf", "tpad=start=3:start_mode=clone", "-frames:v", "40"
    )
    early = encode(
        source, "early.mkv", "-c:v", "ffv1", "-vf", "trim=start_frame=2,tpad=stop=2:stop_mode=clone"
    )
    results = score([source, late, early], source).results
    assert [result.alignment.offset for result in results] == [0, 3, -2]
    assert [result.score for result in results] == [100.0, 100.0, 100.0]
    assert [(len(r.frames), r.frames[0].index) for r in results] == [(40, 0), (37, 0), (38, 2)]
    assert [result.integrity.frames_decoded for result in results] == [40, 40, 40]
    assert all(result.warnings == () for result in results)
    (off,) = score(late, source, align="off").results
    assert off.score < 100.0
    assert any("3 frames late" in warning for warning in off.warnings)
    (forced,) = score(late, source, align=3).results
    assert same_scores(forced, results[1])
    with pytest.raises(InputError, match="partner"):
        score(source, source, align=40)


def test_unequal_lengths(source: Path, encode: Callable[..., Path], score: Scorer) -> None:
    short = encode(source, "short.mp4", "-crf", "40", "-frames:v", "20")
    with pytest.raises(InputError, match="--allow-short"):
        score(short, source)
    whole, part = score([source, short], source, allow_short=True).results
    assert (whole.score, len(whole.frames)) == (100.0, 30)
    assert [(c.start, c.end) for c in part.clips] == [(0, 12), (8, 20)]
    assert any("only the common part" in warning for warning in part.warnings)
    (longer,) = score(source, short, allow_short=True).results
    assert len(longer.frames) == 20
    assert longer.integrity.frames_decoded == 30
    assert no_children_left()


@pytest.mark.parametrize(
    ("dropped", "scored"), [("gte(n,1)*not(mod(n,3))", 30), ("not(mod(n,2))", 30), ("gt(n,25)", 26)]
)
def test_dropped_frames_are_matched_by_time(
    make_clip: MakeClip, encode: Callable[..., Path], score: Scorer, dropped: str, scored: int
) -> None:
    source = make_clip("source.mkv", "-c:v", "ffv1", frames=30, size="96x64")
    fewer = encode(
        source, "fewer.mkv", "-c:v", "ffv1", "-vf", f"select='not({dropped})'", "-fps_mode", "passthrough"
    )
    if scored < 30:
        with pytest.raises(InputError, match="--allow-short"):
            score(fewer, source)
    (result,) = score(fewer, source, allow_short=scored < 30, align="off").results
    assert result.integrity.frames_scored == len(result.frames) == scored
    assert result.integrity.frames_decoded == result.integrity.frames_expected < 30
    assert (result.score == 100.0) == (scored < 30)


def truncated(path: Path, name: str, keep: float) -> Path:
    cut = path.with_name(name)
    data = path.read_bytes()
    cut.write_bytes(data[: int(len(data) * keep)])
    return cut


def test_truncated_file(make_clip: MakeClip, encode: Callable[..., Path], score: Scorer) -> None:
    source = make_clip("source.mp4", frames=50, size="96x64")
    fine = encode(source, "fine.mp4", "-crf", "30")
    whole = encode(source, "whole.mp4", "-crf", "30", "-g", "10", "-bf", "0", "-movflags", "faststart")
    cut = truncated(whole, "cut.mp4", 0.6)
    with pytest.raises(DamagedError, match=r"cut\.mp4.*--allow-damaged"):
        score(cut, source)
    with pytest.raises(DamagedError, match=r"cut\.mp4"):
        score([fine, cut], source)
    with pytest.raises(DamagedError, match=r"cut\.mp4"):
        score(cut, source, clip_stride=9)  # damage in a clip that is passed over counts
    with pytest.raises(DamagedError, match=r"cut\.mp4"):
        score(fine, cut)
    good, bad = score([fine, cut], source, allow_damaged=True).results
    assert same_scores(good, score(fine, source).results[0])
    assert same_scores(bad, score(cut, source, allow_damaged=True).results[0])
    integrity = bad.integrity
    assert integrity.frames_expected == 50
    assert 12 < integrity.frames_decoded == integrity.frames_scored < 50
    assert bad.clips[-1].end == integrity.frames_scored
    assert any("damaged" in warning for warning in bad.warnings)
    (against_cut,) = score(fine, cut, allow_damaged=True).results
    assert len(against_cut.frames) == integrity.frames_scored
    assert any("the reference is damaged" in warning for warning in against_cut.warnings)


def test_flipped_bits(make_clip: MakeClip, encode: Callable[..., Path], score: Scorer) -> None:
    source = make_clip("source.mp4", frames=30, size="96x64")
    broken = encode(source, "broken.mp4", "-crf", "20")
    data = bytearray(broken.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(byte ^ 0x5A for byte in data[middle : middle + 2000])
    broken.write_bytes(data)
    with pytest.raises(DamagedError):
        score(broken, source)


def run_python(code: str, stdin: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Standard input belongs to the process, so these runs have one of their own."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        input=stdin,
        capture_output=True,
        timeout=120,
        env=environment,
        check=False,
    )


STDIN_RUN = """
import sys, rankvqa_cli
from rankvqa_cli.errors import VqaError
inputs, reference, model, short = sys.argv[1:]
try:
    report = rankvqa_cli.score(inputs.split(","), reference, models=[model], threads=1, allow_short=bool(short))
    for r in report.results:
        print(r.score, len(r.frames), r.integrity.frames_decoded, r.integrity.frames_expected)
except VqaError as error:
    print(type(error).__name__, error)
"""


def test_stdin(
    ffmpeg: str, source: Path, encode: Callable[..., Path], score: Scorer, tiny_model: Path
) -> None:
    worse = encode(source, "worse.mp4", "-crf", "45")
    (expected,) = score(worse, source).results
    y4m = encode(worse, "worse.y4m").read_bytes()
    run = run_python(STDIN_RUN, y4m, "-", str(source), str(tiny_model), "")
    assert run.stdout.decode().split() == [repr(expected.score), "30", "30", "None"], run.stderr
    reference = encode(source, "source.y4m").read_bytes()
    run = run_python(STDIN_RUN, reference, str(worse), "-", str(tiny_model), "")
    assert run.stdout.decode().split() == [repr(expected.score), "30", "30", "30"], run.stderr


def test_stdin_that_ends_early(
    source: Path, encode: Callable[..., Path], score: Scorer, tiny_model: Path
) -> None:
    """Nobody knows before the end how many frames a pipe brings."""
    worse = encode(source, "worse.mp4", "-crf", "45")
    short = encode(worse, "short.y4m", "-frames:v", "20").read_bytes()
    run = run_python(STDIN_RUN, short, "-", str(source), str(tiny_model), "")
    assert b"InputError" in run.stdout
    assert b"--allow-short" in run.stdout
    (expected,) = score(worse, source, frames=20).results
    run = run_python(STDIN_RUN, short, "-", str(source), str(tiny_model), "yes")
    assert run.stdout.decode().split() == [repr(expected.score), "20", "20", "None"], run.stderr
    run = run_python(STDIN_RUN, short, f"{worse},{source}", "-", str(tiny_model), "yes")
    assert b"stdin can be read once" in run.stdout


def test_raw_video(ffmpeg: str, source: Path, encode: Callable[..., Path], score: Scorer) -> None:
    raw = encode(source, "source.yuv", "-f", "rawvideo", "-pix_fmt", "yuv420p")
    layout = RawFormat(64, 48)
    (result,) = score(raw, raw, raw=layout, ref_raw=layout).results
    assert result.score == 100.0
    (against_file,) = score(raw, source, raw=layout).results
    assert against_file.score == 100.0
    with pytest.raises(InputError):
        score(raw, source)


def test_interruption_leaves_nothing_behind(source: Path, score: Scorer) -> None:
    def interrupt(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score(source, source, progress=interrupt)
    assert no_children_left()


def test_progress(source: Path, encode: Callable[..., Path], score: Scorer) -> None:
    worse = encode(source, "worse.mp4", "-crf", "45")
    said: list[Progress] = []
    score([source, worse], source, progress=said.append)
    assert {(now.input, now.model) for now in said} == {(str(source), "tiny"), (str(worse), "tiny")}
    mine = [now for now in said if now.input == str(worse)]
    assert [now.frames_done for now in mine] == [12, 24, 30]
    assert all(now.frames_total == 30 and now.fps > 0 for now in mine)


def test_no_number_is_a_model_error(source: Path, score: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    from rankvqa_cli.models.contract import Calibration

    monkeypatch.setattr(Calibration, "__call__", lambda self, distance: float("nan"))
    with pytest.raises(ModelError, match="nan"):
        score(source, source)
    assert no_children_left()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"pool": "avg"}, UsageError),
        ({"hop": 0}, UsageError),
        ({"clip_stride": 0}, UsageError),
        ({"fail_under": ["mean"]}, UsageError),
        ({"fail_under": ["nobody:mean=3"]}, UsageError),
        ({"device": "cuda:99"}, DeviceError),
        ({"models": ["no-such-model"]}, UsageError),
        ({"align": "sometimes"}, UsageError),
    ],
)
def test_wrong_arguments(source: Path, score: Scorer, options: dict[str, object], error: type) -> None:
    with pytest.raises(error):
        score(source, source, **options)


def test_no_inputs_and_no_reference(source: Path, score: Scorer) -> None:
    with pytest.raises(UsageError, match="at least one"):
        score([], source)
    with pytest.raises(UsageError, match="-ref"):
        score(source, None)


def test_explain_loads_no_model(source: Path, encode: Callable[..., Path], tmp_path: Path) -> None:
    smaller = encode(source, "smaller.mp4", "-vf", "scale=32:24")
    plan, (alignment,) = explain([smaller], source, ScoreOptions())
    assert any("scaled" in step for step in plan.inputs[0].steps)
    assert alignment.offset == 0
    code = "from rankvqa_cli.scoring.engine import ScoreOptions, explain; import sys"
    code += f"; explain({str(source)!r}, {str(source)!r}, ScoreOptions())"
    run = run_python(f"{code}; print('torch' in sys.modules)", b"")
    assert run.stdout.strip() == b"False", run.stderr


MEMORY_RUN = """
import resource, sys, rankvqa_cli
(result,) = rankvqa_cli.score(sys.argv[1], sys.argv[1], models=[sys.argv[2]], threads=1, align="off").results
print(len(result.frames), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_length(make_clip: MakeClip, tiny_model: Path) -> None:
    peaks = []
    for frames in (60, 600):
        clip = make_clip(f"{frames}.mp4", "-preset", "ultrafast", frames=frames, size="160x96")
        run = run_python(MEMORY_RUN, b"", str(clip), str(tiny_model))
        count, peak = map(int, run.stdout.split())
        assert count == frames
        peaks.append(peak)
    assert peaks[1] < 1.05 * peaks[0]


def test_clip_scores_are_plain_numbers(source: Path, score: Scorer) -> None:
    (result,) = score(source, source).results
    assert all(isinstance(clip, ClipScore) and type(clip.score) is float for clip in result.clips)


def test_worker_threads_sleep_while_they_wait(source: Path, tiny_model: Path) -> None:
    """Spinning threads take the cores that FFmpeg decodes on."""
    code = "import os; os.environ['OMP_DISPLAY_ENV'] = 'VERBOSE'; " + STDIN_RUN
    run = run_python(code, b"", str(source), str(source), str(tiny_model), "")
    assert run.stdout.split()[0] == b"100.0"
    if b"GOMP_SPINCOUNT" in run.stderr:
        assert b"GOMP_SPINCOUNT = '0'" in run.stderr
