"""Feeding our own stdin to a decoder: the bytes that probing took, then the rest as it comes."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from typing import IO

_CHUNK = 1 << 20


class StdinFeeder:
    """Copies ``head`` and then file descriptor ``source`` into ``sink`` in a thread of its own, until
    either ends or ``stop``.
    """

    def __init__(self, source: int, head: bytes, sink: IO[bytes]) -> None:
        self._source = source
        self._sink = sink
        self._wake_read, self._wake_write = os.pipe()
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
        try:
            if head:
                self._sink.write(head)
            while True:
                ready, _, _ = select.select([self._source, self._wake_read], [], [])
                if self._wake_read in ready:
                    return
                chunk = os.read(self._source, _CHUNK)
                if not chunk:
                    return
                self._sink.write(chunk)
        except OSError:
            # The decoder is gone (broken pipe) or stdin was closed under us: the decoder's end tells which.
            return
        finally:
            with contextlib.suppress(OSError):
                self._sink.close()
