"""The signals that ask a program to end."""

from __future__ import annotations

import signal

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def minded() -> None:
    """In a child, before it is what it will be: a shell that starts jobs in the background has them ignore SIGINT,
    ``nohup`` SIGHUP, and children inherit that."""
    for each in ENDING:
        signal.signal(each, signal.SIG_DFL)
