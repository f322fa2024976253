"""What is to be scored: a list of jobs from a CSV, from JSON Lines or from a folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rankvqa_cli.batch.naming import files_in, fill, parse_pattern, videos_below
from rankvqa_cli.errors import InputError, UsageError
from rankvqa_cli.results.tables import Row, read_table

DISTORTED = "distorted"
REFERENCE = "reference"
JSON_LINES = (".jsonl", ".ndjson")


@dataclass(frozen=True)
class Job:
    """One encode to score. ``row`` is its place in the list (the header of a CSV is row 1; lines of JSON Lines and
    files of a folder count from 1). The paths can be opened from here; ``columns`` are the other cells."""

    row: int
    distorted: str
    reference: str | None
    columns: Row


@dataclass(frozen=True)
class JobList:
    """``source`` is the file or folder that lists the jobs, ``names`` are the other columns in order. ``left_out`` are
    videos of a folder that its pattern does not match."""

    source: str
    names: tuple[str, ...]
    jobs: tuple[Job, ...]
    left_out: tuple[str, ...] = ()

    def where(self, job: Job) -> str:
        """How an error names a job."""
        return f"{self.source!r} row {job.row}"


def read_jobs(source: str, *, pattern: str | None = None, reference: str | None = None) -> JobList:
    """The jobs that ``source`` lists: a folder, JSON Lines (.jsonl, .ndjson), or a CSV with the columns distorted and
    reference and perhaps others. Paths in a file are relative to it.

    ``pattern`` (see ``naming.Pattern``) says which files of a folder are jobs and what their columns are.
    ``reference`` is the reference of jobs that name none, a path whose ``{fields}`` are filled in from their columns.
    Raises UsageError for a pattern that is none or that goes with a file, and InputError naming the row: a column or a
    cell that is missing, a job listed twice, a list without jobs.
    """
    if os.path.isdir(source):
        jobs = _from_folder(source, pattern, reference)
    elif pattern is not None:
        raise UsageError(f"--pattern is for folders, and {source!r} is none")
    else:
        jobs = _from_file(Path(source), reference)
    names = tuple(dict.fromkeys(name for job in jobs for name in job.columns))
    listed = JobList(source, names, tuple(jobs), _left_out(source, jobs) if pattern is not None else ())
    _require_each_once(listed)
    return listed


def _from_folder(folder: str, pattern: str | None, reference: str | None) -> list[Job]:
    files = files_in(folder, None if pattern is None else parse_pattern(pattern))
    jobs = [
        Job(row, os.path.join(folder, name), None if reference is None else fill(reference, fields), fields)
        for row, (name, fields) in enumerate(files, 1)
    ]
    references = {os.path.realpath(job.reference) for job in jobs if job.reference is not None}
    jobs = [job for job in jobs if os.path.realpath(job.distorted) not in references]
    if not jobs:
        asked = "that is called like a video" if pattern is None else f"that matches {pattern!r}"
        raise InputError(f"{folder!r} has no file {asked}: check --pattern")
    return jobs


def _left_out(folder: str, jobs: Sequence[Job]) -> tuple[str, ...]:
    known = {os.path.realpath(name) for job in jobs for name in (job.distorted, job.reference) if name}
    return tuple(
        name for name in videos_below(folder) if os.path.realpath(os.path.join(folder, name)) not in known
    )


def _from_file(path: Path, reference: str | None) -> list[Job]:
    if path.suffix.lower() == ".json":
        raise InputError(
            f"{str(path)!r} is neither a list of jobs (CSV, or JSON Lines called .jsonl) nor a batch's results"
        )
    named = path.suffix.lower() in JSON_LINES
    names, rows = _json_lines(path) if named else read_table(path, "the list of jobs")
    needed = (DISTORTED,) if reference is not None else (DISTORTED, REFERENCE)
    for name in needed:
        if name not in names:
            row = "" if named else " row 1"
            advice = "" if name == DISTORTED else ", or give one reference for all with -ref"
            raise InputError(
                f"{str(path)!r}{row} has no column {name!r}: it has {', '.join(names) or 'none'}{advice}"
            )
    if not rows:
        raise InputError(f"{str(path)!r} lists no job: write a row for each encode")
    return [_job(path, line, cells, reference) for line, cells in rows]


def _job(path: Path, row: int, cells: Mapping[str, str], reference: str | None) -> Job:
    if not cells.get(DISTORTED):
        raise InputError(f"{str(path)!r} row {row}: no file in the column {DISTORTED}")
    columns = {name: cell for name, cell in cells.items() if name not in (DISTORTED, REFERENCE)}
    own = cells.get(REFERENCE)
    given = None if reference is None else fill(reference, columns)
    folder = os.path.dirname(path)
    job = Job(
        row, os.path.join(folder, cells[DISTORTED]), os.path.join(folder, own) if own else given, columns
    )
    for name in filter(None, (job.distorted, job.reference)):
        if "\0" in name:
            raise InputError(f"{str(path)!r} row {row}: {name!r} is no file's name")
    return job


def _can_be_written(text: str) -> bool:
    """Whether it is text, or bytes of a file's name that are none, as Python reads them."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _json_lines(path: Path) -> tuple[tuple[str, ...], list[tuple[int, Row]]]:
    """Every name that any line has, and (line, cells); numbers and null are written as JSON writes them, null as
    nothing."""
    try:
        # Not splitlines: strings may hold what else Unicode counts as a line's end.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise InputError(f"cannot read the list of jobs {str(path)!r}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read the list of jobs {str(path)!r}: it is not UTF-8 ({error})") from error
    rows = [(row, _object(path, row, line)) for row, line in enumerate(lines, 1) if line.strip()]
    return tuple(dict.fromkeys(name for _, cells in rows for name in cells)), rows


def _object(path: Path, row: int, line: str) -> Row:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{str(path)!r} row {row} is no JSON ({error})") from error
    if not isinstance(found, dict):
        raise InputError(
            f'{str(path)!r} row {row} is no JSON object: write {{"distorted": ..., "reference": ...}}'
        )
    cells = {}
    for name, value in found.items():
        if isinstance(value, dict | list):
            raise InputError(f"{str(path)!r} row {row}: {name} holds no single value")
        cells[name] = value if isinstance(value, str) else "" if value is None else json.dumps(value)
    if not all(map(_can_be_written, (*cells, *cells.values()))):
        raise InputError(
            f"{str(path)!r} row {row} holds half a character (a lone surrogate): correct its escapes"
        )
    return cells


def _require_each_once(listed: JobList) -> None:
    seen: dict[tuple[str, str | None], Job] = {}
    for job in listed.jobs:
        reference = None if job.reference is None else os.path.realpath(job.reference)
        first = seen.setdefault((os.path.realpath(job.distorted), reference), job)
        if first is not job:
            raise InputError(
                f"{listed.where(job)}: {job.distorted!r} stands in row {first.row} already: take one out"
            )
