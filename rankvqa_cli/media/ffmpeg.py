"""Find the FFmpeg binary and write the command lines that are run with it.

Command lines are argv lists, built by ffmpeg-python and never seen by a shell. Files are untrusted: the
demuxer is the one that probing settled on, only local files and pipes may be opened, and a file's name is
data (``file:`` prefix, no image patterns).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import lru_cache

import ffmpeg

from rankvqa_cli.errors import InputError, UsageError

BINARY_VARIABLE = "VQA_SCORE_FFMPEG"
PROTOCOLS = "file,pipe"
#: In the place of a file's name, which may hold bytes that ffmpeg-python cannot take.
_NAME = "pipe:0"
#: Longer than any video takes, in s.
_NEVER_S = 10**8
#: Frames between FFmpeg and its pipe.
_QUEUED_FRAMES = 1
_VERSION = re.compile(r"^ffmpeg version (\S+)", re.MULTILINE)


def find_ffmpeg() -> str:
    """Path of the FFmpeg binary: ``VQA_SCORE_FFMPEG``, else ``ffmpeg`` on PATH, else the one inside
    imageio-ffmpeg.

    Raises UsageError where the variable names no executable, InputError where no FFmpeg is to be had.
    """
    chosen = os.environ.get(BINARY_VARIABLE)
    if chosen:
        found = shutil.which(chosen)
        if found is None:
            raise UsageError(
                f"{BINARY_VARIABLE}={chosen!r} is no executable file: set it to an FFmpeg binary, or unset it"
            )
        return found
    found = shutil.which("ffmpeg")
    if found is not None:
        return found
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise InputError(
            f"no FFmpeg found: install one, or set {BINARY_VARIABLE} to its path, or reinstall imageio-ffmpeg"
        ) from error


@lru_cache(maxsize=8)
def _version_of(binary: str) -> str:
    try:
        done = subprocess.run(
            [binary, "-version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(
            f"{binary!r} cannot be run as FFmpeg ({error}): set {BINARY_VARIABLE} to a working one"
        ) from error
    match = _VERSION.search(done.stdout)
    if done.returncode != 0 or match is None:
        raise UsageError(
            f"{binary!r} does not answer -version as FFmpeg does: set {BINARY_VARIABLE} to an FFmpeg binary"
        )
    return match.group(1)


def ffmpeg_version() -> str:
    """Version string of the binary that ``find_ffmpeg`` finds, such as ``5.1.9`` or ``n9.0.2``."""
    return _version_of(find_ffmpeg())


@lru_cache(maxsize=8)
def _listed(binary: str, kind: str) -> frozenset[str]:
    try:
        done = subprocess.run(
            [binary, "-hide_banner", f"-{kind}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired):
        return frozenset()
    return frozenset(words[1] for line in done.stdout.splitlines() if len(words := line.split()) > 1)


def strict_decoder(codec: str, pix_fmt: str) -> str | None:
    """A decoder that notices damage where FFmpeg's own does not, None where there is none or no need.

    FFmpeg's VP8 and VP9 decoders take a damaged frame for a valid one nine times in ten; libvpx notices. It is
    asked for plain 8-bit 4:2:0 only, which every build of it has.
    """
    name = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(codec)
    if name is None or pix_fmt != "yuv420p" or name not in _listed(find_ffmpeg(), "decoders"):
        return None
    return name


def has_encoder(name: str) -> bool:
    """Whether the binary that ``find_ffmpeg`` finds has the encoder ``name``."""
    return name in _listed(find_ffmpeg(), "encoders")


def passthrough_options(version: str) -> dict[str, str]:
    """The output option that keeps FFmpeg from duplicating or dropping frames; its name changed in FFmpeg
    5.1.
    """
    return {"vsync": "passthrough"} if _is_before(version, 5, 1) else {"fps_mode": "passthrough"}


def queue_options(version: str) -> dict[str, str]:
    """The output option that has FFmpeg hold few frames for a reader that is not there yet, since whole pictures are
    what it queues: eight a video by default. Of outputs FFmpeg 5.1 does not know it, 7 does; a build from the sources
    is left alone."""
    release = _release_of(version)
    known = release is not None and release >= (7, 0)
    return {"thread_queue_size": str(_QUEUED_FRAMES)} if known else {}


def count_options(version: str) -> tuple[str, ...]:
    """The global options that have FFmpeg count frames, in one report at the end, since others would come between its
    messages; before FFmpeg 4.4 they come all the same."""
    once = () if _is_before(version, 4, 4) else ("-stats_period", str(_NEVER_S))
    return ("-progress", "pipe:2", *once)


def _is_before(version: str, major: int, minor: int) -> bool:
    """Whether ``version`` is a release before that; a build from the sources is taken for a new one."""
    release = _release_of(version)
    return release is not None and release < (major, minor)


def _release_of(version: str) -> tuple[int, int] | None:
    """Major and minor number; None for a build from the sources that says neither."""
    match = re.match(r"n?(\d+)\.(\d+)", version)
    return None if match is None else (int(match.group(1)), int(match.group(2)))


def file_url(path: str) -> str:
    """``path`` as FFmpeg shall open it: the prefix keeps names such as ``-x.mp4`` or ``a:b.mp4`` from
    meaning something else.
    """
    return "pipe:0" if path == "-" else f"file:{path}"


def decode_argv(
    path: str,
    input_options: dict[str, str],
    filters: list[str],
    *,
    stream: int = 0,
    frames: int | None = None,
    threads: int | None = None,
    counted: list[str] | None = None,
) -> list[str]:
    """argv that decodes video stream ``stream`` of ``path``, runs ``filters`` and writes raw frames to
    stdout.

    ``input_options`` come before ``-i`` (``f``, ``ss``, ``video_size`` ...); ``filters`` are filter
    descriptions in order, never empty. Where ``filters`` pass on some frames only, ``counted`` are filters that pass
    on all, which go nowhere: their number is said on stderr in the end, as ``-progress`` does, and ``frames`` is a
    limit to them.
    """
    binary = find_ffmpeg()
    version = _version_of(binary)
    # crccheck: picture hashes (HEVC's SEI) and slice checksums (FFV1) are verified where the file has them.
    # an, sn, dn: other streams are not even parsed.
    before: dict[str, str | None] = {"an": None, "sn": None, "dn": None}
    before |= {"protocol_whitelist": PROTOCOLS, "err_detect": "crccheck", **input_options}
    after = {"map": f"0:v:{stream}", **passthrough_options(version)}
    if threads is not None:
        before["threads"] = str(threads)
        after["filter_threads"] = str(threads)
    limit = {} if frames is None else {"frames:v": str(frames)}
    source = ffmpeg.input(_NAME, **before)
    to_stdout = after | queue_options(version) | {"vf": ",".join(filters), "f": "rawvideo"}
    quiet = ("-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+info")
    if counted is None:
        node = source.output("pipe:1", **to_stdout, **limit).global_args(*quiet)
    else:
        # Of several outputs FFmpeg counts the first.
        all_of_them = after | limit | {"vf": ",".join(counted), "f": "null"}
        node = ffmpeg.merge_outputs(source.output("-", **all_of_them), source.output("pipe:1", **to_stdout))
        node = node.global_args(*quiet, *count_options(version))
    argv: list[str] = ffmpeg.compile(node, cmd=binary)
    argv[argv.index("-i") + 1] = file_url(path)
    return argv
