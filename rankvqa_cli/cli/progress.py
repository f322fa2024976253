"""Frames, frames a second and time left, on a terminal's stderr."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rankvqa_cli.cli.render import visible

if TYPE_CHECKING:
    from rankvqa_cli.types import Progress

Listener = Callable[["Progress"], None]


@contextlib.contextmanager
def progress_line(wanted: bool) -> Iterator[Listener | None]:
    """A listener for the engine that draws one line an input and model; None where nobody would see it.

    The line is gone when the block ends, however it ends, so that what is said next starts on a clean line.
    """
    if not wanted or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    bar = Bar(
        TextColumn("{task.fields[label]}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[frames]} frames"),
        TextColumn("{task.fields[fps]:.1f} fps"),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
        console=Console(file=sys.stderr),
        transient=True,
    )
    tasks: dict[tuple[str, str], TaskID] = {}

    def listen(now: Progress) -> None:
        key = (now.input, now.model)
        if key not in tasks:
            label = f"{visible(os.path.basename(now.input))[-32:]} {visible(now.model)[-24:]}"
            tasks[key] = bar.add_task("", total=now.frames_total, label=label, frames="0", fps=0.0)
        of_all = "" if now.frames_total is None else f"/{now.frames_total}"
        bar.update(
            tasks[key],
            completed=now.frames_done,
            total=now.frames_total,
            frames=f"{now.frames_done}{of_all}",
            fps=now.fps,
        )

    with bar:
        yield listen
