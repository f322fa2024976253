"""What is said on stderr: one line a fact, as much as ``-loglevel`` asks for. stdout belongs to the
results."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from rankvqa_cli.cli.arguments import canonical

LEVELS: tuple[str, ...] = ("quiet", "error", "warning", "info", "debug")
DEFAULT_LEVEL = "info"


@dataclass(frozen=True)
class Talk:
    """Writes ``error: ...``, ``warning: ...`` and so on to stderr, where ``level`` lets them through."""

    level: str = DEFAULT_LEVEL

    def says(self, level: str) -> bool:
        return LEVELS.index(level) <= LEVELS.index(self.level)

    def error(self, message: str) -> None:
        self._line("error", message)

    def warning(self, message: str) -> None:
        self._line("warning", message)

    def info(self, message: str) -> None:
        self._line("info", message)

    def debug(self, message: str) -> None:
        self._line("debug", message)

    def traceback(self, error: BaseException) -> None:
        """Where an error came from, for those who asked for ``debug``."""
        if self.says("debug"):
            self._write("".join(traceback.format_exception(error)))

    def _line(self, level: str, message: str) -> None:
        if self.says(level):
            self._write(f"{level}: {' '.join(message.splitlines())}\n")

    @staticmethod
    def _write(text: str) -> None:
        if sys.stderr is None:
            return
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except OSError:
            # Nobody listens any more. The exit code still says what happened.
            return


def level_in(argv: Sequence[str]) -> str:
    """The ``-loglevel`` in a command line that has not been parsed, so that errors in parsing it obey it
    too."""
    level = DEFAULT_LEVEL
    for position, argument in enumerate(argv):
        name, equals, value = argument.partition("=")
        if argument.startswith("-") and canonical(name) == "loglevel":
            said = value if equals else "".join(argv[position + 1 : position + 2])
            level = said if said in LEVELS else level
    return level
