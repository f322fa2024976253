"""Signals that ask to end, at the moments at which Python alone loses them or never ends."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ending import ENDING, minded

from rankvqa_cli.cli.signals import ending_on_signals

#: Its import is interrupted ``TIMES`` times, while it goes on.
MODULE = """
import os, signal, time
for _ in range({times}):
    os.kill(os.getpid(), signal.{name})
    time.sleep(0.2)
whole = True
"""
#: The main thread does not see the signal's coming as it waits: another one receives it, as in the moment before.
WAITING = """
import os, signal, sys
from rankvqa_cli.cli.signals import ending_on_signals
try:
    with ending_on_signals():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.{name}])
        print("waits", flush=True)
        os.read(0, 1)
except KeyboardInterrupt:
    os._exit(130)
"""


@pytest.fixture
def own_handlers() -> Iterator[None]:
    """Python's, whichever of the signals the tests were started to ignore."""
    handlers = {each: signal.signal(each, signal.SIG_DFL) for each in ENDING}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for each, handler in handlers.items():
        signal.signal(each, handler)


def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, times: int) -> str:
    module = f"interrupted_{name}_{times}".lower()
    (tmp_path / f"{module}.py").write_text(MODULE.format(name=name, times=times))
    monkeypatch.syspath_prepend(tmp_path)
    return module


def import_and_wait(module: str) -> None:
    importlib.import_module(module)
    time.sleep(30)


@pytest.mark.usefixtures("own_handlers")
@pytest.mark.parametrize(
    ("name", "kind"), [("SIGINT", KeyboardInterrupt), ("SIGTERM", SystemExit), ("SIGHUP", SystemExit)]
)
def test_imports_are_done_first(
    name: str, kind: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = imported(tmp_path, monkeypatch, name, 1)
    begun = time.monotonic()
    with pytest.raises(kind) as raised, ending_on_signals():
        import_and_wait(module)
    assert time.monotonic() - begun < 15
    assert sys.modules.pop(module).whole
    if kind is SystemExit:
        assert raised.value.args == (128 + getattr(signal, name),)


@pytest.mark.usefixtures("own_handlers")
def test_whoever_asks_twice_ends_an_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = imported(tmp_path, monkeypatch, "SIGINT", 2)
    with pytest.raises(KeyboardInterrupt), ending_on_signals():
        importlib.import_module(module)
    assert module not in sys.modules


class Interrupted:
    """A lock that is taken as a signal comes: nothing has been entered yet that would give it back."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __enter__(self) -> None:
        self.lock.acquire()
        os.kill(os.getpid(), signal.SIGINT)

    def __exit__(self, *error: object) -> None:
        self.lock.release()


@pytest.mark.usefixtures("own_handlers")
def test_locks_are_given_back() -> None:
    lock = Interrupted()
    inside = []

    def wait() -> None:
        with lock:
            inside.append(lock)
            time.sleep(30)

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt), ending_on_signals():
        wait()
    assert time.monotonic() - begun < 15
    assert inside == [lock]
    assert not lock.lock.locked()


@pytest.mark.usefixtures("own_handlers")
def test_whoever_never_waits_is_ended() -> None:
    """Looks find it at another place each time."""
    begun = time.monotonic()

    def work() -> None:
        source = "\n".join(["sum(range(1000))"] * 5000)
        code = compile(source, "<others>", "exec")
        os.kill(os.getpid(), signal.SIGINT)
        while time.monotonic() - begun < 30:
            exec(code)

    with pytest.raises(KeyboardInterrupt), ending_on_signals():
        work()
    assert time.monotonic() - begun < 15


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_just_before_a_wait(name: str, code: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING.format(name=name)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=minded,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        assert process.stdout.readline() == b"waits\n"
        time.sleep(0.1)
        process.send_signal(getattr(signal, name))
        assert process.wait(timeout=15) == code
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.mark.usefixtures("own_handlers")
def test_what_a_signal_breaks_is_not_to_blame(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that was sent it, too, may have failed before the request is looked at again."""
    monkeypatch.setattr("rankvqa_cli.cli.signals._PATIENCE_S", 2.0)

    def fail() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        raise ValueError

    with pytest.raises(SystemExit), ending_on_signals():
        fail()
    with pytest.raises(ValueError), ending_on_signals():
        raise ValueError


@pytest.mark.usefixtures("own_handlers")
def test_what_has_ended_is_not_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = imported(tmp_path, monkeypatch, "SIGINT", 1)
    with ending_on_signals():
        monkeypatch.setattr("rankvqa_cli.cli.signals._PATIENCE_S", 2.0)
        importlib.import_module(module)
    assert sys.modules.pop(module).whole


@pytest.mark.usefixtures("own_handlers")
def test_nothing_stays() -> None:
    watched = (*ENDING, signal.SIGURG)

    def state() -> tuple[list[object], int, int]:
        opened = len(os.listdir("/proc/self/fd"))
        return [signal.getsignal(each) for each in watched], threading.active_count(), opened

    before = state()
    with ending_on_signals():
        inside = state()
    assert state() == before
    assert all(ours != others for ours, others in zip(inside[0], before[0], strict=True))
    assert signal.set_wakeup_fd(-1) == -1


def test_what_was_ignored_stays_ignored() -> None:
    """A shell has its background jobs ignore SIGINT, ``nohup`` SIGHUP."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending_on_signals():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
