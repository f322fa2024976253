"""Feeding our own stdin to a decoder: the bytes that probing took, then the rest as it comes."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Callable
from typing import IO

_CHUNK = 1 << 20


class StdinFeeder:
    """Copies ``head`` and then file descriptor ``source`` into ``sink`` in a thread of its own, until either
    ends or ``stop``.

    ``follow`` is shown every chunk that was read. ``ended`` says whether the source was read to its end.
    """

    def __init__(
        self, source: int, head: bytes, sink: IO[bytes], follow: Callable[[bytes], None] | None = None
    ) -> None:
        self._source = source
        self._sink = sink
        self._follow = follow
        self._wake_read, self._wake_write = os.pipe()
        self.ended = False
        self._thread = threading.Thread(target=self._feed, args=(head,), name="ffmpeg-stdin", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the copying, even while it waits for input, and frees everything. The sink's reader must be
        gone or going.
        """
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"x")
        self._thread.join()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _feed(self, head: bytes) -> None:
        poller = select.poll()
        poller.register(self._source, select.POLLIN)
        poller.register(self._wake_read, select.POLLIN)
        try:
            self._write(head)
            while True:
                if any(descriptor == self._wake_read for descriptor, _ in poller.poll()):
                    return
                chunk = os.read(self._source, _CHUNK)
                if not chunk:
                    self.ended = True
                    return
                if self._follow is not None:
                    self._follow(chunk)
                self._write(chunk)
        except OSError:
            # The decoder is gone (broken pipe) or stdin was closed under us: the decoder's end tells which.
            return
        finally:
            with contextlib.suppress(OSError):
                self._sink.close()

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self._sink.fileno(), left) :]
