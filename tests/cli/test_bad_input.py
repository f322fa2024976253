"""Bad input, end to end: for each kind the exit code, one line on stderr that names what and which file, nothing
lost."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Protocol

import pytest
from conftest import MakeClip
from ending import minded

from rankvqa_cli.models.manifest import ManifestEntry, put_entry

PROGRAM = [sys.executable, "-m", "rankvqa_cli"]
ROOT = Path(__file__).parents[2]
FRAMES = 50

Done = subprocess.CompletedProcess[str]


class Score(Protocol):
    def __call__(self, *args: str, stdin: bytes = b"", model: str | None = None) -> Done: ...


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def reference(make_clip: MakeClip) -> Path:
    return make_clip("ref.mp4", "-g", "10", "-crf", "20", "-movflags", "+faststart", frames=FRAMES)


@pytest.fixture
def score(tiny_model: Path, reference: Path) -> Score:
    """Runs vqa-score beside the reference; -m and -ref are given unless the test gives its own."""

    def run(*args: str, stdin: bytes = b"", model: str | None = None) -> Done:
        common = ["-m", model or str(tiny_model), *([] if "-ref" in args else ["-ref", "ref.mp4"])]
        done = subprocess.run(
            [*PROGRAM, *common, "-loglevel", "error", *args],
            input=stdin,
            capture_output=True,
            timeout=300,
            cwd=reference.parent,
            env=environment(),
        )
        return Done(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


def assert_refused(done: Done, code: int, *words: str) -> None:
    """Exit ``code``, nothing on stdout, one line on stderr that has all of ``words``."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


# --- files that are no video -------------------------------------------------------------------------------------


def test_missing_file(score: Score) -> None:
    assert_refused(score("-i", "missing.mp4"), 3, "'missing.mp4'", "check the name")
    assert_refused(score("-i", "ref.mp4", "-ref", "missing.mp4"), 3, "'missing.mp4'")


def test_directory(score: Score, reference: Path) -> None:
    (reference.parent / "folder").mkdir()
    assert_refused(score("-i", "folder"), 3, "'folder' is a directory", "give a video file")


def test_empty_file(score: Score, reference: Path) -> None:
    (reference.parent / "empty.mp4").touch()
    assert_refused(score("-i", "empty.mp4"), 3, "'empty.mp4' is empty")


def test_text_file(score: Score, reference: Path) -> None:
    (reference.parent / "text.mp4").write_text("no video, only words\n" * 50)
    assert_refused(score("-i", "text.mp4"), 3, "'text.mp4' is not a video")


def test_audio_only(score: Score, reference: Path, ffmpeg: str) -> None:
    audio = reference.parent / "audio.m4a"
    subprocess.run([ffmpeg, "-v", "error", "-f", "lavfi", "-i", "sine=duration=1", audio], check=True)
    assert_refused(score("-i", "audio.m4a"), 3, "'audio.m4a' has no video stream")


# --- damage ------------------------------------------------------------------------------------------------------


def test_truncated_with_its_index_at_the_front(score: Score, reference: Path) -> None:
    data = reference.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    (reference.parent / "cut.mp4").write_bytes(data[: len(data) * 6 // 10])
    assert_refused(score("-i", "cut.mp4"), 4, "'cut.mp4'", "--allow-damaged")


def test_bits_flipped_in_the_middle(score: Score, reference: Path) -> None:
    data = bytearray(reference.read_bytes())
    middle = len(data) // 2
    for place in range(middle, middle + 200):
        data[place] ^= 0xFF
    (reference.parent / "flipped.mp4").write_bytes(data)
    assert_refused(score("-i", "flipped.mp4"), 4, "'flipped.mp4'", "--allow-damaged")
    allowed = score("-i", "flipped.mp4", "--allow-damaged", "-o", "-")
    assert allowed.returncode == 0, allowed.stderr
    assert json.loads(allowed.stdout)["results"][0]["integrity"]["decode_errors"] != []


# --- raw video ---------------------------------------------------------------------------------------------------


def test_raw_size_that_does_not_divide_the_file(score: Score, make_clip: MakeClip) -> None:
    make_clip("a.yuv", frames=FRAMES)
    raw = ("-f", "rawvideo", "-i", "a.yuv")
    assert_refused(score(*raw, "-s", "64x50"), 3, "'a.yuv'", "48 frames", "50")
    assert_refused(score(*raw, "-s", "64x47"), 3, "'a.yuv'", "left over", "check -s and -pix_fmt")


def test_wrong_pix_fmt(score: Score, make_clip: MakeClip) -> None:
    make_clip("a.yuv", frames=FRAMES)
    raw = ("-f", "rawvideo", "-s", "64x48", "-i", "a.yuv")
    assert_refused(score(*raw, "-pix_fmt", "yuv420"), 2, "'yuv420'", "did you mean", "yuv420p")
    assert_refused(score(*raw, "-pix_fmt", "yuv444p12le"), 3, "'a.yuv'", "check -s and -pix_fmt")
    # 4:2:2 frames of the same bytes divide the file too; then there are too few.
    assert_refused(score(*raw, "-pix_fmt", "yuv420p10le"), 3, "'a.yuv'", "25 frames", "50")


def test_raw_stream_that_ends_inside_a_frame(score: Score, make_clip: MakeClip) -> None:
    data = make_clip("a.yuv", frames=FRAMES).read_bytes()
    raw = ("-f", "rawvideo", "-s", "64x48", "-ref", "ref.mp4", "-i", "-")
    done = score(*raw, stdin=data[: len(data) // 2 + 100])
    assert done.returncode in (3, 4)
    assert_refused(done, done.returncode, "stdin")


# --- two videos that do not belong together ----------------------------------------------------------------------


def test_30_of_50_frames(score: Score, make_clip: MakeClip) -> None:
    make_clip("short.mp4", frames=30)
    assert_refused(score("-i", "short.mp4"), 3, "'short.mp4'", "30 frames", "50", "--allow-short")
    allowed = score("-i", "short.mp4", "--allow-short", "-o", "-")
    assert allowed.returncode == 0, allowed.stderr
    assert json.loads(allowed.stdout)["results"][0]["integrity"]["frames_scored"] == 30


def test_different_sizes_are_scaled_and_said(score: Score, make_clip: MakeClip) -> None:
    make_clip("small.mp4", "-vf", "scale=32:24", frames=FRAMES)
    done = score("-i", "small.mp4", "-loglevel", "info", "-o", "-")
    assert done.returncode == 0, done.stderr
    assert "info: 'small.mp4': scaled from 32x24 to 64x48 (bicubic)\n" in done.stderr
    assert json.loads(done.stdout)["plan"]["inputs"][0]["steps"] == ["scaled from 32x24 to 64x48 (bicubic)"]


def test_sdr_against_hlg_is_refused(score: Score, make_clip: MakeClip) -> None:
    tags = "setparams=color_trc=arib-std-b67:color_primaries=bt2020:colorspace=bt2020nc"
    make_clip(
        "hlg.mp4",
        "-vf",
        tags,
        "-c:v",
        "libx265",
        "-x265-params",
        "log-level=none",
        pix_fmt="yuv420p10le",
        frames=FRAMES,
    )
    assert_refused(score("-i", "hlg.mp4"), 3, "'hlg.mp4' is HLG", "'ref.mp4' is SDR", "convert one of them")
    assert_refused(score("-i", "ref.mp4", "-ref", "hlg.mp4"), 3, "HLG", "SDR")


# --- names -------------------------------------------------------------------------------------------------------


def test_odd_names_are_names(score: Score, reference: Path) -> None:
    names = [
        "-x.mp4",
        "with space.mp4",
        "'single' \"double\".mp4",
        "new\nline.mp4",
        "100%d.mp4",
        "a:b;c|d.mp4",
    ]
    args = []
    for name in names:
        shutil.copy(reference, reference.parent / name)
        args += ["-i", name]
    done = score(*args, "--align", "off")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "".join(name.replace("\n", "\\n") + "\ttiny\t100.0000\n" for name in names)
    for name in names:
        assert_refused(score("-i", f"missing {name}"), 3, repr(f"missing {name}"))


def test_a_name_like_an_option(score: Score, reference: Path) -> None:
    shutil.copy(reference, reference.parent / "-x.mp4")
    assert score("./-x.mp4", "--", "-x.mp4").stdout == "./-x.mp4\ttiny\t100.0000\n-x.mp4\ttiny\t100.0000\n"
    assert_refused(score("-x.mp4"), 2, "'-x.mp4'", "write -i -x.mp4")


# --- outputs -----------------------------------------------------------------------------------------------------


def test_unwritable_output(score: Score, reference: Path) -> None:
    assert_refused(
        score("-i", "ref.mp4", "-o", "no/such/folder/s.json"), 6, "'no/such/folder/s.json'", "folder"
    )
    (reference.parent / "folder.json").mkdir()
    assert_refused(score("-i", "ref.mp4", "-o", "folder.json"), 6, "'folder.json'", "is a directory")


def test_full_output(score: Score) -> None:
    done = score("-i", "ref.mp4", "-o", "/dev/full", "--format", "json")
    assert done.returncode == 6
    assert done.stdout == "100.0000\n"  # the work is done: what can be said is said
    assert done.stderr.startswith("error: cannot write '/dev/full': no space left on device")
    assert done.stderr.count("\n") == 1


def test_full_disk_leaves_no_part_of_a_file(score: Score, reference: Path, tiny_model: Path) -> None:
    folder = reference.parent
    before = sorted(os.listdir(folder))
    limited = 'ulimit -f 1; trap "" XFSZ; exec "$@"'  # no file beyond 1 KiB: what a full disk does
    done = subprocess.run(
        ["bash", "-c", limited, "bash", *PROGRAM, "-m", tiny_model, "-i", "ref.mp4", "-ref", "ref.mp4"]
        + ["-o", "s.json", "-loglevel", "error"],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 6, done.stderr
    assert done.stderr.startswith("error: cannot write 's.json'")
    assert sorted(os.listdir(folder)) == before


def test_existing_output(score: Score, reference: Path) -> None:
    path = reference.parent / "s.json"
    path.write_text("precious")
    assert_refused(score("-i", "ref.mp4", "-o", "s.json"), 6, "'s.json'", "file exists", "-y")
    assert_refused(score("-i", "ref.mp4", "-o", "s.json", "-n"), 6, "'s.json'", "file exists")
    assert path.read_text() == "precious"
    assert score("-i", "ref.mp4", "-o", "s.json", "-y").returncode == 0
    assert json.loads(path.read_text())["results"][0]["score"] == 100.0


def test_closed_stdout(tiny_model: Path, reference: Path) -> None:
    command = '"$@" -loglevel error | head -0; exit "${PIPESTATUS[0]}"'
    closed = '"$@" -loglevel error >&-'
    for how in (command, closed):
        done = subprocess.run(
            ["bash", "-c", how, "bash", *PROGRAM, "-m", tiny_model, "-i", "ref.mp4", "-ref", "ref.mp4"],
            capture_output=True,
            text=True,
            timeout=300,
            cwd=reference.parent,
            env=environment(),
        )
        assert_refused(done, 6, "cannot write to stdout")


# --- words nobody knows ------------------------------------------------------------------------------------------


def test_unknown_pool_option_and_model(score: Score) -> None:
    assert_refused(score("-i", "ref.mp4", "--pool", "avg"), 2, "'avg'", "choose one of mean")
    assert_refused(score("-i", "ref.mp4", "--pol", "mean"), 2, "'--pol'", "did you mean --pool?")
    assert_refused(score("-i", "ref.mp4", "-hide_banner"), 2, "'-hide_banner'")
    assert_refused(score("-i", "ref.mp4", "-m", "rankvqa-maxi"), 2, "unknown model 'rankvqa-maxi'")
    assert_refused(score("-i", "ref.mp4", "--fail-under", "rankvqa:mean=3"), 2, "'rankvqa:mean=3'", "not run")


# --- weights -----------------------------------------------------------------------------------------------------


def test_corrupt_weights(score: Score, tiny_model: Path, reference: Path) -> None:
    data = tiny_model.read_bytes()
    for name, changed in {"cut": data[: len(data) // 2], "text": b"no model"}.items():
        (reference.parent / f"{name}.safetensors").write_bytes(changed)
        assert_refused(score("-i", "ref.mp4", model=f"./{name}.safetensors"), 5, f"{name}.safetensors")
    assert_refused(score("-i", "ref.mp4", model="./missing.safetensors"), 5, "missing.safetensors")


def test_swapped_weights(score: Score, tiny_model: Path) -> None:
    home = Path(os.environ["VQA_SCORE_HOME"])
    shutil.copy(tiny_model, home / "tiny.safetensors")
    data = bytearray(tiny_model.read_bytes())
    data[-1] ^= 1  # one bit of the last parameter: still a model file, but not the one that was installed
    (home / "tiny.safetensors").write_bytes(data)
    entry = ManifestEntry(
        name="tiny-home",
        file="tiny.safetensors",
        sha256=hashlib.sha256(tiny_model.read_bytes()).hexdigest(),
        kind="full-reference",
        architecture="patchnet",
        clip_frames=12,
        folder=home,
    )
    put_entry(entry)
    assert_refused(score("-i", "ref.mp4", model="tiny-home"), 5, "sha256")
    shutil.copy(tiny_model, home / "tiny.safetensors")
    assert score("-i", "ref.mp4", model="tiny-home").stdout == "100.0000\n"


# --- interruption ------------------------------------------------------------------------------------------------


def marked(token: str) -> list[int]:
    """Processes that have inherited ``token`` in their environment, whatever became of their parents."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                variables = Path("/proc", entry, "environ").read_bytes()
            except OSError:
                continue
            if f"TEST_TOKEN={token}".encode() in variables.split(b"\0"):
                found.append(int(entry))
    return found


@pytest.mark.parametrize(
    ("number", "to_group", "code"),
    [(signal.SIGINT, True, 130), (signal.SIGINT, False, 130), (signal.SIGTERM, False, 143)],
    ids=["ctrl-c", "kill-int", "kill-term"],
)
def test_interrupted(
    number: signal.Signals, to_group: bool, code: int, tiny_model: Path, reference: Path
) -> None:
    """While decoders run and wait for more of an input that does not end: 130, no child left, no file."""
    folder = reference.parent
    before = sorted(os.listdir(folder))
    argv = [*PROGRAM, "-m", str(tiny_model), "-f", "rawvideo", "-s", "64x48", "-i", "-", "-ref", "ref.mp4"]
    process = subprocess.Popen(
        [*argv, "-o", "s.json", "-loglevel", "error"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env={**environment(), "TEST_TOKEN": (token := uuid.uuid4().hex)},
        start_new_session=True,
        preexec_fn=minded,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        process.stdin.write(bytes(64 * 48 * 3 // 2 * 20))
        process.stdin.flush()
        deadline = time.monotonic() + 60
        while len(marked(token)) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(marked(token)) == 3, "vqa-score and two decoders run"
        if to_group:
            os.killpg(process.pid, number)
        else:
            os.kill(process.pid, number)
        assert process.wait(timeout=30) == code
        deadline = time.monotonic() + 5
        while marked(token) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert marked(token) == [], "no child is left"
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
    assert process.stdout.read() == b""
    said = process.stderr.read().decode()
    assert "Traceback" not in said
    assert said == ("error: interrupted: nothing is left half-written\n" if code == 130 else "")
    assert sorted(os.listdir(folder)) == before
