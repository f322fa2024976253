"""From frames in host memory to scores: how fast a device is where nothing has to be decoded, and what bounds it.

    python benchmarks/from_memory.py
    python benchmarks/from_memory.py --device cuda --sizes 1920x1080 3840x2160 --clips 200 --json from_memory.json

Needs no FFmpeg. The pictures are made up: 8-bit 4:2:0, a distorted video beside its reference. Each row is one part of
the way, by itself, and the last two are the whole of it:

- ``upload``: both videos' clips to the device, which on the CPU they are on already
- ``compute``: clips that are on the device, to scores
- ``buffers``: clips in the buffers that frames are read into, to scores; one is begun before the last is done
- ``frames``: frame by frame through the engine's reader, which copies each into its buffer, to scores

On another device than the CPU the scores of the first clip are held against the CPU's in float32.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from rankvqa_cli.models.contract import Clip, ClipOutput, FullReferenceModel, Overlapping
from rankvqa_cli.scoring.clips import Spacing
from rankvqa_cli.scoring.device import computing
from rankvqa_cli.scoring.grid import SLOTS, Rows
from rankvqa_cli.scoring.prefetch import ClipSet, Prefetcher, Stream
from rankvqa_cli.scoring.runtime import Runtime, load_runtime
from rankvqa_cli.types import FrameFormat


@dataclass(frozen=True)
class Row:
    """``fps`` counts frames of the distorted video; ``gib_s`` is what that is in bytes of both."""

    size: str
    part: str
    fps: float
    gib_s: float


class Repeated:
    """A video of so many frames, those of one clip again and again: in the place of FFmpeg's pipe."""

    def __init__(self, clip: Rows, frames: int) -> None:
        self._clip, self._left = clip, frames

    def read_into(self, buffer: memoryview) -> bool:
        if self._left == 0:
            return False
        buffer[:] = self._clip[self._left % len(self._clip)].data
        self._left -= 1
        return True

    def kill(self) -> None:
        self._left = 0


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sizes", nargs="+", default=["1920x1080"], metavar="WxH")
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--model", default="rankvqa-mini")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    rows: list[Row] = []
    runtime = load(arguments, arguments.device, arguments.precision)
    with computing(runtime.compute):
        print(f"{runtime.environment('none')}")
        for size in arguments.sizes:
            for row in measure(runtime, size, arguments.clips):
                rows.append(row)
                print(f"{row.size}\t{row.part}\t{row.fps:.1f} frames/s\t{row.gib_s:.2f} GiB/s", flush=True)
    if runtime.compute.device.type != "cpu":
        for size in arguments.sizes:
            compare(arguments, size)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


def load(arguments: argparse.Namespace, device: str, precision: str) -> Runtime:
    return load_runtime(
        [arguments.model],
        has_reference=True,
        device=device,
        precision=precision,
        threads=arguments.threads,
    )


def format_of(size: str) -> FrameFormat:
    width, height = (int(side) for side in size.split("x"))
    return FrameFormat(width, height, "yuv420p", 8, (2, 2), full_range=False, matrix="bt709")


def picture(format: FrameFormat, frames: int, noise: int) -> Rows:
    """Smooth luma that moves, grey chroma, and noise of up to so many code values."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[: format.height, : format.width].astype(np.float32)
    found = np.full((frames, format.frame_bytes), 128, np.uint8)
    for t in range(frames):
        smooth = 126 + 50 * np.sin((x + 4 * t) / 23) * np.cos(y / 31) + 30 * np.sin((x * y) / 9000)
        grain = rng.integers(-noise, noise + 1, smooth.shape) if noise else 0
        found[t, : smooth.size] = np.clip(smooth + grain, 16, 235).astype(np.uint8).ravel()
    return found


def measure(runtime: Runtime, size: str, clips: int) -> Iterator[Row]:
    (model,) = runtime.models
    assert isinstance(model, FullReferenceModel)
    format, length = format_of(size), model.clip_frames
    frames = clips * length
    content = picture(format, length, 0), picture(format, length, 8)
    buffers = [[runtime.uploads.allocate(length, format.frame_bytes) for _ in content] for _ in range(SLOTS)]
    for slot in buffers:
        for buffer, own in zip(slot, content, strict=True):
            buffer[:] = own

    def uploaded(number: int) -> tuple[Clip, Clip]:
        reference, distorted = (runtime.clip(buffer, format) for buffer in buffers[number % SLOTS])
        return reference, distorted

    def upload() -> None:
        for number in range(clips):
            uploaded(number)

    def compute() -> None:
        there = uploaded(0)
        pipelined(model, (there for _ in range(clips)))

    def from_buffers() -> None:
        pipelined(model, (uploaded(number) for number in range(clips)))

    def from_frames() -> None:
        streams = [Stream(Repeated(own, frames), format.frame_bytes) for own in content]
        grid = Spacing(length, length, 1)
        with Prefetcher(streams, [grid], runtime.uploads.allocate) as prefetcher:
            held: deque[ClipSet] = deque()

            def read() -> Iterator[tuple[Clip, Clip]]:
                for item in prefetcher:
                    held.append(item)
                    reference, distorted = (
                        runtime.clip(rows, format) for rows in item.frames if rows is not None
                    )
                    yield reference, distorted

            pipelined(model, read(), lambda: prefetcher.release(held.popleft()))

    parts = {"upload": upload, "compute": compute, "buffers": from_buffers, "frames": from_frames}
    for part, work in parts.items():
        if part == "upload" and runtime.compute.device.type == "cpu":
            continue
        pipelined(model, (uploaded(number) for number in range(3)))  # whatever is made once
        settle(runtime)
        started = time.perf_counter()
        work()
        settle(runtime)
        fps = frames / (time.perf_counter() - started)
        yield Row(size, part, fps, fps * 2 * format.frame_bytes / 2**30)


def pipelined(
    model: FullReferenceModel, clips: Iterator[tuple[Clip, Clip]], done: Callable[[], None] = lambda: None
) -> None:
    """Score, each clip begun before the last is done, as the engine does; ``done`` is called once one is."""
    waits: deque[Callable[[], list[ClipOutput]]] = deque()
    for reference, distorted in clips:
        waits.append(begun(model, reference, distorted))
        if len(waits) > 1:
            waits.popleft()()
            done()
    for wait in waits:
        wait()
        done()


def begun(model: FullReferenceModel, reference: Clip, distorted: Clip) -> Callable[[], list[ClipOutput]]:
    wait = model.begin_clips(reference, [distorted]) if isinstance(model, Overlapping) else None
    return wait or (lambda: model.score_clips(reference, [distorted]))


def settle(runtime: Runtime) -> None:
    if runtime.compute.device.type == "cuda":
        torch.cuda.synchronize(runtime.compute.device)


def compare(arguments: argparse.Namespace, size: str) -> None:
    scores = {}
    for device, precision in (("cpu", "fp32"), (arguments.device, "fp32"), (arguments.device, "auto")):
        runtime = load(arguments, device, precision)
        (model,) = runtime.models
        assert isinstance(model, FullReferenceModel)
        format = format_of(size)
        with computing(runtime.compute):
            clips = [runtime.clip(picture(format, model.clip_frames, noise), format) for noise in (0, 8)]
            name = f"{runtime.compute.device} {runtime.compute.precision}"
            scores[name] = model.score_clips(clips[0], clips[1:])[0].score
    print(f"{size}\t" + "\t".join(f"{name} {score:.3f}" for name, score in scores.items()))


if __name__ == "__main__":
    main()
