"""One FFmpeg process -> frames in the planned format, written straight into the caller's buffer."""

from __future__ import annotations

import contextlib
import fcntl
import select
import subprocess
from dataclasses import dataclass
from types import TracebackType

from rankvqa_cli.errors import InputError
from rankvqa_cli.media.ffmpeg import decode_argv, strict_decoder
from rankvqa_cli.media.filters import filter_chain, leading_frames
from rankvqa_cli.media.headerless import STDIN_FD
from rankvqa_cli.media.limits import window_of_rate
from rankvqa_cli.media.messages import MessageCollector
from rankvqa_cli.media.stdin import StdinFeeder
from rankvqa_cli.media.wording import quoted
from rankvqa_cli.media.y4m_stream import FrameFollower
from rankvqa_cli.types import FrameFormat, PlannedInput, ReadOptions

_MIN_PIPE_BYTES, _MAX_PIPE_BYTES = 1 << 14, 1 << 20
_PIPE_FRAMES = 4
_EXIT_PATIENCE_S = 30.0


@dataclass(frozen=True)
class StreamEnd:
    """How decoding ended. ``errors`` are FFmpeg's own lines (deduplicated, bounded) plus what the reader
    noticed itself.
    """

    returncode: int
    errors: tuple[str, ...]


class FrameReader:
    """Frames of one planned input, in order, ``planned.pairing`` applied (frames repeated or passed over on
    the fly).

    A context manager; the process starts on entry or at the first read. Synchronous: one thread reads.
    ``kill`` may be called from any thread to make a blocked read end.
    """

    def __init__(self, planned: PlannedInput, options: ReadOptions, *, scaler: str = "bicubic") -> None:
        self._planned = planned
        self._options = options
        self._scaler = scaler
        self._process: subprocess.Popen[bytes] | None = None
        self._messages: MessageCollector | None = None
        self._feeder: StdinFeeder | None = None
        self._follower: FrameFollower | None = None
        self._noticed: list[str] = []
        self._ended = False
        self._closed = False
        self._killed = False
        self._held: bytearray | None = None
        self._first_byte = b""
        self.format: FrameFormat = planned.format
        self.frames_read = 0
        """Frames that FFmpeg has given so far, whether delivered or passed over by the pairing."""
        self.frames_delivered = 0
        """Frames that ``read_into`` has filled in so far."""

    def __enter__(self) -> FrameReader:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Starts FFmpeg; does nothing if it runs already. Raises InputError where it cannot be started."""
        if self._process is not None or self._closed:
            return
        argv = self._argv()
        from_stdin = self._planned.info.spec.path == "-"
        try:
            # A session of its own: Ctrl-C on the terminal reaches us only, and we end the process ourselves.
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE if from_stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            raise InputError(
                f"{argv[0]!r} cannot be started ({error.strerror}): check the FFmpeg binary"
            ) from error
        self._process = process
        assert process.stdout is not None
        assert process.stderr is not None
        with contextlib.suppress(OSError, AttributeError):
            # Few system calls a large frame, but no hundreds of small frames decoded that nobody asked for.
            wanted = min(max(_PIPE_FRAMES * self.format.frame_bytes, _MIN_PIPE_BYTES), _MAX_PIPE_BYTES)
            fcntl.fcntl(process.stdout.fileno(), fcntl.F_SETPIPE_SZ, wanted)
        self._messages = MessageCollector(process.stderr)
        if from_stdin:
            assert process.stdin is not None
            head = self._planned.info.start.stdin_head
            self._follower = FrameFollower(head) if head else None
            follow = self._follower.feed if self._follower is not None else None
            self._feeder = StdinFeeder(STDIN_FD, head, process.stdin, follow)

    def _argv(self) -> list[str]:
        return reader_argv(self._planned, self._options, scaler=self._scaler)

    def read_into(self, buffer: memoryview) -> bool:
        """Fills ``buffer`` (exactly ``format.frame_bytes`` bytes) with the next frame; False at the end.

        Raises InputError where FFmpeg ends without having given a single frame.
        """
        target = buffer.cast("B")
        if len(target) != self.format.frame_bytes:
            raise ValueError(f"buffer of {len(target)} bytes for frames of {self.format.frame_bytes}")
        pairing = self._planned.pairing
        if not pairing:
            if not self._next(target):
                return False
        else:
            if self.frames_delivered >= len(pairing):
                return False
            if not self._advance(target, pairing):
                return False
        self.frames_delivered += 1
        return True

    def _no_frames(self) -> InputError:
        end = self._end()
        reason = end.errors[0] if end.errors else f"it ends with status {end.returncode}"
        return InputError(
            f"FFmpeg gives no frame of {quoted(self._planned.info.spec.path)} ({reason}): check the file"
        )

    def finish(self) -> StreamEnd:
        """Reads whatever is left, without delivering it, waits for FFmpeg to end and says how it ended."""
        self.open()
        scrap = memoryview(bytearray(self.format.frame_bytes))
        while self._next(scrap):
            pass
        return self._end()

    def _end(self) -> StreamEnd:
        process = self._running()
        try:
            code = process.wait(_EXIT_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
            self._noticed.append("FFmpeg did not end after its last frame and was killed")
        assert self._messages is not None
        self._messages.join()
        if (
            self._feeder is not None
            and self._feeder.ended
            and self._follower
            and self._follower.in_the_middle
        ):
            self._noticed.append("stdin ends in the middle of a frame")
        return StreamEnd(code, (*self._messages.errors(), *self._noticed))

    def kill(self) -> None:
        """Ends FFmpeg at once, from any thread; a blocked ``read_into`` then returns False."""
        self._killed = True
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """Ends and reaps the process and its threads. Safe to call more than once and in any state."""
        if self._closed:
            return
        self._closed = True
        process = self._process
        if process is None:
            return
        process.kill()
        process.wait()
        if self._feeder is not None:
            self._feeder.stop()
        if self._messages is not None:
            self._messages.join()
        assert process.stdout is not None
        process.stdout.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._closed:
            raise ValueError("the reader is closed")
        return self._process

    def _advance(self, target: memoryview, pairing: tuple[int, ...]) -> bool:
        """Brings frame ``pairing[frames_delivered]`` into ``target``, from FFmpeg or from the one frame
        held back.
        """
        place = self.frames_delivered
        wanted = pairing[place]
        if wanted < self.frames_read:
            assert self._held is not None
            target[:] = self._held
        while self.frames_read <= wanted:
            if not self._next(target):
                return False
        if place + 1 < len(pairing) and pairing[place + 1] == wanted:
            if self._held is None:
                self._held = bytearray(len(target))
            self._held[:] = target
        return True

    def _next(self, target: memoryview) -> bool:
        self.open()
        if self._ended:
            return False
        stdout = self._running().stdout
        assert stdout is not None
        filled = len(self._first_byte)
        target[:filled] = self._first_byte
        self._first_byte = b""
        while filled < len(target):
            got = stdout.readinto(target[filled:])  # type: ignore[attr-defined]
            if not got:
                self._ended = True
                if not self.frames_read and not filled and not self._killed:
                    raise self._no_frames()
                if filled:
                    self._noticed.append(f"the last frame is incomplete: {filled} of {len(target)} bytes")
                return False
            filled += got
        self.frames_read += 1
        return True

    def ready(self, patience_s: float) -> bool:
        """Whether FFmpeg, which runs, gives more or ends within ``patience_s``."""
        if self._ended or self._first_byte:
            return True
        stdout = self._running().stdout
        assert stdout is not None
        waiting = select.poll()
        waiting.register(stdout, select.POLLIN)
        return bool(waiting.poll(1000 * patience_s))

    def _goes_on(self) -> bool:
        """Whether FFmpeg gives another frame, of which one byte is read."""
        if not self._ended and not self._first_byte:
            stdout = self._running().stdout
            assert stdout is not None
            self._first_byte = stdout.read(1)
            self._ended = not self._first_byte
        return not self._ended


def reader_argv(
    planned: PlannedInput,
    options: ReadOptions,
    *,
    scaler: str = "bicubic",
    chosen: str | None = None,
    count: bool = False,
) -> list[str]:
    """The command line that decodes ``planned``, with the limits of ``options`` turned into exact frame
    numbers. Frames are all passed on, or those that are ``chosen``, an expression of their number n from 0; ``count``
    has FFmpeg say how many there are of both kinds.
    """
    info = planned.info
    before: dict[str, str] = {}
    container = info.container.split(",")[0]
    if container:
        before["f"] = container
    if container == "image2":
        before["pattern_type"] = "none"
    if container == "rawvideo":
        before["pixel_format"] = info.pix_fmt
        before["s"] = f"{info.width}x{info.height}"
        before["framerate"] = str(info.frame_rate)
    decoder = strict_decoder(info.codec, info.pix_fmt)
    if decoder is not None:
        before["c:v"] = decoder
    if info.start.seek_s is not None:
        # As the container's own timestamp: versions of FFmpeg disagree about where a container starts.
        before["seek_timestamp"] = "1"
        before["ss"] = f"{info.start.seek_s:.9f}"
    limit = _limit(planned, options)
    choosing = []
    if chosen is not None:
        choosing = [] if limit is None else [f"trim=end_frame={limit}"]
        choosing.append(f"select='{chosen}'")
    return decode_argv(
        info.spec.path,
        before,
        filter_chain(planned, options, scaler=scaler, chosen=choosing),
        stream=info.start.stream,
        frames=limit,
        threads=options.threads,
        counted=(leading_frames(info) or ["null"]) if count else None,
    )


def _limit(planned: PlannedInput, options: ReadOptions) -> int | None:
    """How many frames to ask for, None for all. Without limits FFmpeg runs to the end, so that surplus
    frames are seen.
    """
    if options.duration_s is None and options.frames is None:
        return None
    if planned.info.frames is not None:
        return planned.info.frames
    first, end = window_of_rate(None, planned.info.frame_rate, options)
    return None if end is None else end - first
