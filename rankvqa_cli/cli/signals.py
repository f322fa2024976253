"""Signals that ask the program to end: SIGINT (Ctrl-C), SIGTERM and SIGHUP unwind it, so that children are reaped and
nothing half-written stays."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

#: What the code of Python's own import system says that its file is.
_IMPORTS = "<frozen importlib._bootstrap>"
_OURS = f"{Path(__file__).parents[1]}{os.sep}"
#: How long it takes, in s, until the main thread is woken to look at a request again, and how long others' code may
#: put it off without waiting for anything.
_PATIENCE_S, _AT_MOST_S = 0.03, 1.0
#: What wakes it: by default that signal does nothing.
_WAKING = signal.SIGURG


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """Inside, which is entered by the main thread, SIGINT raises KeyboardInterrupt there, and SIGTERM and SIGHUP raise
    SystemExit with 128 + their number. Whichever of them the process was started to ignore, it ignores.

    As Python does that by itself, it may never end. An exception between any two steps may leave a lock taken, that of
    all imports above all, for which another thread then waits, and we for that: so ``_Request`` chooses its moment. And
    a signal that comes as the main thread is about to wait does not end the wait: so it is woken until it has answered.
    An error that comes meanwhile, of a child that was sent the signal, too, is passed over for it.
    """
    request = _Request()
    numbers = {
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)
    }
    handlers = {number: signal.signal(number, request.ask) for number in numbers}
    handlers[_WAKING] = signal.signal(_WAKING, request.answer)
    came, comes = os.pipe()
    os.set_blocking(comes, False)
    before = signal.set_wakeup_fd(comes, warn_on_full_buffer=False)
    waker = threading.Thread(target=request.wake, args=(came, numbers), name="signals", daemon=True)
    waker.start()
    try:
        yield
    except Exception:
        request.answer(0, None)
        raise
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before)
        request.withdraw()
        os.close(comes)
        waker.join()
        os.close(came)


class _Request:
    """To end, which the main thread answers once, by raising it: in code of ours, where it waits, or where somebody
    asks twice, but not amid an import."""

    def __init__(self) -> None:
        self._asked: BaseException | None = None
        self._asked_at = 0.0
        self._place = (0, 0)
        self._main = threading.get_ident()

    def ask(self, number: int, frame: FrameType | None) -> None:
        """A signal's handler."""
        twice = self._asked is not None
        self._asked = KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)
        self._asked_at = time.monotonic()
        self.answer(number, None if twice else frame)

    def answer(self, number: int, frame: FrameType | None) -> None:
        """Raise what was asked for and not answered yet, if ``frame``, which is interrupted, is fit for that."""
        if self._asked is not None and (frame is None or self._is_fit(frame)):
            asked, self._asked = self._asked, None
            raise asked

    def withdraw(self) -> None:
        """There is nothing left to end."""
        self._asked = None

    def wake(self, came: int, numbers: set[signal.Signals]) -> None:
        """Interrupt whatever the main thread waits for, from another one, after each of ``numbers`` that ``came`` says
        has come, until its end."""
        while news := os.read(came, 64):
            waking = not numbers.isdisjoint(news)
            while waking:
                time.sleep(_PATIENCE_S)
                signal.pthread_kill(self._main, _WAKING)
                waking = self._asked is not None

    def _is_fit(self, frame: FrameType) -> bool:
        if _importing(frame):
            return False
        before, self._place = self._place, (id(frame), frame.f_lasti)
        late = time.monotonic() - self._asked_at > _AT_MOST_S
        return frame.f_code.co_filename.startswith(_OURS) or self._place == before or late


def _importing(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_filename != _IMPORTS:
        frame = frame.f_back
    return frame is not None
