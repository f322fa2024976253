"""Typed errors. Each carries the process exit code that the command line promises for it.

The library raises these and nothing else on purpose; only ``cli`` turns them into a line on stderr. A message is
one line that says what is wrong, with which file, and what to do about it.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit status of ``vqa-score``."""

    OK = 0
    GATE_FAILED = 1
    USAGE = 2
    INPUT = 3
    DAMAGED = 4
    MODEL = 5
    OUTPUT = 6
    DEVICE = 7
    INTERRUPTED = 130


class VqaError(Exception):
    """Base of every expected failure. Subclasses set ``exit_code``."""

    exit_code: ExitCode = ExitCode.USAGE


class UsageError(VqaError):
    """An option, a name or a combination of them is wrong (exit 2)."""

    exit_code = ExitCode.USAGE


class InputError(VqaError):
    """An input cannot be read, or the two inputs cannot be compared (exit 3)."""

    exit_code = ExitCode.INPUT


class DamagedError(VqaError):
    """Decoding reported errors or ended early (exit 4)."""

    exit_code = ExitCode.DAMAGED


class ModelError(VqaError):
    """A model file is missing, changed, or not what it says (exit 5)."""

    exit_code = ExitCode.MODEL


class OutputError(VqaError):
    """A result cannot be written (exit 6)."""

    exit_code = ExitCode.OUTPUT


class DeviceError(VqaError):
    """The device is absent or out of memory (exit 7)."""

    exit_code = ExitCode.DEVICE
