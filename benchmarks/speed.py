"""Speed and memory of vqa-score beside libvmaf: the same FFmpeg, files, threads and machine, runs interleaved.

Every figure is of whole processes, from start to exit. Frames per second is frames over wall-clock time; memory is
the largest sum of resident memory over a command and its children. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

SIZES = ("640x360", "1920x1080", "3840x2160")
OURS = "vqa-score"
LIBVMAF = {"libvmaf v0.6.1": "version=vmaf_v0.6.1", "libvmaf v1": "version=vmaf_v1.0.16_3d0h"}
RESULTS = "scores.json"
SAMPLE_S = 0.05
PAGE = os.sysconf("SC_PAGE_SIZE")


Reader: TypeAlias = "Callable[[str, Path], tuple[float, float | None]]"


@dataclass(frozen=True)
class Run:
    """One process and its children: seconds, CPU seconds, bytes, and the score that it printed. ``later_fps`` is the
    rate without the start, where the tool says it."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    score: float
    later_fps: float | None


@dataclass(frozen=True)
class Row:
    """Medians over the runs of one tool at one size; ``ratio`` is its speed against libvmaf v0.6.1's."""

    size: str
    frames: int
    tool: str
    fps: float
    fps_low: float
    fps_high: float
    ratio: float
    later_fps: float | None
    cpu_s: float
    peak_mib: float
    score: float


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _arguments(argv)
    ffmpeg = arguments.ffmpeg or _bundled_ffmpeg()
    environment = {**os.environ, "VQA_SCORE_FFMPEG": ffmpeg}
    load = os.getloadavg()[0]
    if load > 0.2 * (os.cpu_count() or 1):
        print(f"warning: the machine is busy (load {load:.1f}): these numbers will be wrong", file=sys.stderr)
    rows: list[Row] = []
    lengths = []
    with tempfile.TemporaryDirectory(prefix="vqa-speed-") as folder:
        for size in arguments.sizes:
            source, encode = _media(ffmpeg, Path(folder), size, arguments.frames, arguments)
            rows += _compare(ffmpeg, environment, source, encode, size, arguments)
        for frames in arguments.lengths:
            source, encode = _media(ffmpeg, Path(folder), "1920x1080", frames, arguments)
            run = _measure(
                _ours(source, encode, Path(folder), arguments), environment, _read_ours, Path(folder)
            )
            lengths.append({"frames": frames, "peak_mib": run.peak_bytes / 2**20, "fps": frames / run.wall_s})
    report = {
        "machine": {**_machine(), "load_before": load},
        "ffmpeg": _first_line([ffmpeg, "-version"]),
        "threads": arguments.threads,
        "runs": arguments.runs,
        "rows": [asdict(row) for row in rows],
        "lengths_1080p": lengths,
    }
    print(_table(report, rows))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--source", type=Path, help="a video to scale to each size (default: FFmpeg's lavfi)")
    parser.add_argument("--sizes", nargs="*", default=SIZES, metavar="WxH")
    parser.add_argument("--frames", type=int, default=240, help="frames a run (default 240)")
    parser.add_argument("--threads", type=int, default=2, help="threads of every tool (default 2)")
    parser.add_argument("--runs", type=int, default=5, help="rounds; each runs every tool once (default 5)")
    parser.add_argument("--model", help="vqa-score's model (default: its own default)")
    parser.add_argument("--option", action="append", default=[], help="one more argument for vqa-score")
    parser.add_argument("--ffmpeg", help="an FFmpeg with libvmaf (default: imageio-ffmpeg's)")
    parser.add_argument(
        "--lengths",
        type=int,
        nargs="*",
        default=[],
        metavar="N",
        help="also score N frames of 1080p once each, for memory: --lengths 300 3000",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there, too")
    return parser.parse_args(argv)


def _bundled_ffmpeg() -> str:
    import imageio_ffmpeg

    return str(imageio_ffmpeg.get_ffmpeg_exe())


def _media(
    ffmpeg: str, folder: Path, size: str, frames: int, arguments: argparse.Namespace
) -> tuple[Path, Path]:
    """A good H.264 source of this size and length, and a poor encode of it."""
    source, encode = folder / f"source-{size}-{frames}.mp4", folder / f"encode-{size}-{frames}.mp4"
    scale = f"scale={size.replace('x', ':')}:flags=bicubic,format=yuv420p"
    if arguments.source is not None:
        given = ["-stream_loop", "-1", "-i", str(arguments.source), "-vf", scale]
    else:
        # Grain, since flat test patterns decode faster than any video.
        lavfi = f"testsrc2=size={size}:rate=30,noise=alls=3:allf=t"
        given = ["-f", "lavfi", "-i", lavfi, "-vf", "format=yuv420p"]
    quiet = [ffmpeg, "-v", "error", "-nostdin", "-y"]
    subprocess.run([*quiet, *given, "-frames:v", str(frames), "-an", *_x264(20), str(source)], check=True)
    subprocess.run([*quiet, "-i", str(source), *_x264(32), str(encode)], check=True)
    return source, encode


def _x264(crf: int) -> list[str]:
    return ["-c:v", "libx264", "-preset", "veryfast", "-crf", str(crf)]


def _ours(source: Path, encode: Path, folder: Path, arguments: argparse.Namespace) -> list[str]:
    command = [sys.executable, "-m", "rankvqa_cli", "-i", str(encode), "-ref", str(source)]
    command += [
        "-threads",
        str(arguments.threads),
        "-y",
        "-o",
        str(folder / RESULTS),
        "-loglevel",
        "error",
    ]
    return [*command, *(["-m", arguments.model] if arguments.model else []), *arguments.option]


def _libvmaf(ffmpeg: str, source: Path, encode: Path, model: str, threads: int) -> list[str]:
    each = ["-threads", str(threads), "-i"]
    graph = f"[0:v][1:v]libvmaf=n_threads={threads}:model={model}"
    command = [ffmpeg, "-hide_banner", "-nostdin", "-nostats", *each, str(encode), *each, str(source)]
    return [*command, "-lavfi", graph, "-f", "null", "-"]


def _read_ours(text: str, folder: Path) -> tuple[float, float | None]:
    report = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    return float(text.split()[0]), float(report["results"][0]["fps"])


def _read_vmaf(text: str, folder: Path) -> tuple[float, float | None]:
    found = re.search(r"VMAF score: ([\d.]+)", text)
    if found is None:
        raise SystemExit(f"libvmaf gave no score: {text[-500:]}")
    return float(found.group(1)), None


def _compare(
    ffmpeg: str,
    environment: dict[str, str],
    source: Path,
    encode: Path,
    size: str,
    arguments: argparse.Namespace,
) -> list[Row]:
    commands = {OURS: (_ours(source, encode, source.parent, arguments), _read_ours)}
    for name, model in LIBVMAF.items():
        commands[name] = (_libvmaf(ffmpeg, source, encode, model, arguments.threads), _read_vmaf)
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for _ in range(arguments.runs):
        for name, (command, read) in commands.items():
            runs[name].append(_measure(command, environment, read, source.parent))
            print(
                f"{size} {name}: {arguments.frames / runs[name][-1].wall_s:.2f} fps",
                file=sys.stderr,
                flush=True,
            )
    yardstick = runs[next(iter(LIBVMAF))]
    return [_row(size, arguments.frames, name, mine, yardstick) for name, mine in runs.items()]


def _row(size: str, frames: int, tool: str, runs: Sequence[Run], yardstick: Sequence[Run]) -> Row:
    rates = sorted(frames / run.wall_s for run in runs)
    later = [run.later_fps for run in runs]
    return Row(
        size=size,
        frames=frames,
        tool=tool,
        fps=statistics.median(rates),
        fps_low=rates[0],
        fps_high=rates[-1],
        ratio=statistics.median(b.wall_s / a.wall_s for a, b in zip(runs, yardstick, strict=True)),
        cpu_s=statistics.median(run.cpu_s for run in runs),
        peak_mib=max(run.peak_bytes for run in runs) / 2**20,
        score=runs[-1].score,
        later_fps=None if None in later else statistics.median(rate for rate in later if rate is not None),
    )


def _measure(command: Sequence[str], environment: dict[str, str], read: Reader, folder: Path) -> Run:
    """Run ``command``; stdout and stderr go to a file, so that nothing waits for this process to read."""
    with tempfile.TemporaryFile("w+b") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
        )
        done = threading.Event()
        peak = [0]
        watcher = threading.Thread(target=_watch, args=(process.pid, done, peak))
        watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
        done.set()
        watcher.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    if process.returncode != 0:
        raise SystemExit(f"{command[0]} failed with {process.returncode}: {text[-1000:]}")
    return Run(
        wall_s, usage.ru_utime + usage.ru_stime, max(peak[0], usage.ru_maxrss * 1024), *read(text, folder)
    )


def _watch(root: int, done: threading.Event, peak: list[int]) -> None:
    """Keep the largest sum of resident memory of ``root`` and what it has started in ``peak[0]``."""
    while not done.wait(SAMPLE_S):
        peak[0] = max(peak[0], sum(_resident(pid) for pid in _tree(root)))


def _tree(root: int) -> list[int]:
    found = [root]
    for pid in found:
        try:
            tasks = os.listdir(f"/proc/{pid}/task")
            for task in tasks:
                children = Path(f"/proc/{pid}/task/{task}/children").read_text(encoding="ascii")
                found += [int(child) for child in children.split()]
        except OSError:
            continue
    return found


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE
    except OSError:
        return 0


def _machine() -> dict[str, object]:
    name = platform.processor()
    try:
        cpus = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        name = next(line.split(":", 1)[1].strip() for line in cpus.splitlines() if "model name" in line)
    except (OSError, StopIteration):
        pass
    return {
        "cpu": name,
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _first_line(command: Sequence[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def _table(report: dict[str, object], rows: Sequence[Row]) -> str:
    machine = report["machine"]
    assert isinstance(machine, dict)
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores; {report['threads']} threads, median of {report['runs']} runs",
        "",
        "| size | frames | tool | fps (low to high) | against v0.6.1 | fps after start | CPU s | peak MiB | score |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.size} | {row.frames} | {row.tool} | {row.fps:.1f} ({row.fps_low:.1f} to {row.fps_high:.1f}) | "
        f"{row.ratio:.2f} | {'-' if row.later_fps is None else format(row.later_fps, '.1f')} | {row.cpu_s:.1f} | "
        f"{row.peak_mib:.0f} | {row.score:.2f} |"
        for row in rows
    ]
    lengths = report["lengths_1080p"]
    assert isinstance(lengths, list)
    lines += [
        f"\n1080p, {each['frames']} frames: peak {each['peak_mib']:.0f} MiB, {each['fps']:.1f} fps"
        for each in lengths
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
