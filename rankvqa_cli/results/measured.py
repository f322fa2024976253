"""From a batch, in memory or as it was written, to the encodes that a comparison takes."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rankvqa_cli.errors import ExitCode, InputError, UsageError
from rankvqa_cli.results.batch import Batch
from rankvqa_cli.results.batch_files import BATCH_KIND, LEADING, MEASURED
from rankvqa_cli.results.comparing import Encode
from rankvqa_cli.results.pooling import POOLS
from rankvqa_cli.results.reading import job_from_json, model_from_json
from rankvqa_cli.results.tables import number, read_table

CODEC, CONTENT = "codec", "content"


@dataclass(frozen=True)
class Columns:
    """Which columns of the jobs say what. ``codec`` may be several, whose cells are joined; ``content`` is None for
    ``content`` where there is such a column, else the reference's name; ``bitrate`` (kbit/s) is None for the bitrate of
    the file itself."""

    codec: tuple[str, ...] = (CODEC,)
    content: str | None = None
    bitrate: str | None = None

    @property
    def rates(self) -> str:
        """Where bitrates come from, in words."""
        return "the video streams of the encodes" if self.bitrate is None else f"the column {self.bitrate}"


@dataclass(frozen=True)
class Measured:
    """One job by one model, as a batch's CSV has it: ``pooled`` is empty where it failed."""

    row: int
    distorted: str
    reference: str | None
    columns: Mapping[str, str]
    model: str
    pooled: Mapping[str, float]
    bitrate_kbps: float | None
    exit_code: int
    error: str


def measured_in(batch: Batch) -> list[Measured]:
    """Every job of ``batch`` by every model."""
    return [
        Measured(
            job.row,
            job.distorted,
            job.reference,
            job.columns,
            model.name,
            job.results[place].pooled if job.results else {},
            job.bitrate_kbps,
            job.exit_code,
            job.error or "",
        )
        for job in batch.jobs
        for place, model in enumerate(batch.models)
    ]


def is_scored(path: Path) -> bool:
    """Whether the file is what a batch has written (CSV or JSON), rather than a list of jobs. False for what cannot be
    read at all."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() == ".json":
                found = json.load(file)
                return isinstance(found, dict) and found.get("kind") == BATCH_KIND
            header = next(csv.reader(file), [])
    except (OSError, ValueError, csv.Error, RecursionError):
        return False
    return {*LEADING, *MEASURED} <= set(header)


def read_batch(path: Path) -> Batch:
    """The batch that was written to ``path`` as JSON. Raises InputError where it is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Batch(
            tool_version=data["tool"]["version"],
            argv=tuple(data["tool"]["argv"]),
            source=data["source"],
            pool=data["pool"],
            models=tuple(model_from_json(each) for each in data["models"]),
            jobs=tuple(job_from_json(each) for each in data["jobs"]),
        )
    except OSError as error:
        raise InputError(f"cannot read the batch {str(path)!r}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{str(path)!r} is no batch that this version can read ({type(error).__name__}: {error}): run it again"
        ) from error


def read_measured(path: Path) -> list[Measured]:
    """What a batch has written to ``path`` as CSV. Raises InputError naming the row."""
    names, rows = read_table(path, "the scores")
    own = [name for name in names if name not in (*LEADING, *MEASURED)]
    return [_measured(path, line, cells, own) for line, cells in rows]


def _measured(path: Path, line: int, cells: Mapping[str, str], own: Sequence[str]) -> Measured:
    where = f"{str(path)!r} row {line}"
    code = int(number(where, "exit_code", cells["exit_code"]))
    pooled = {} if code else {name: number(where, name, cells[name]) for name in POOLS}
    rate = number(where, "bitrate_kbps", cells["bitrate_kbps"]) if cells["bitrate_kbps"] else None
    return Measured(
        int(number(where, "row", cells["row"])),
        cells["distorted"],
        cells["reference"] or None,
        {name: cells[name] for name in own},
        cells["model"],
        pooled,
        rate,
        code,
        cells["error"],
    )


def require_columns(columns: Columns, known: Iterable[str]) -> None:
    """UsageError where the jobs, whose columns are ``known``, lack one of ``columns``."""
    known = list(known)
    for option, names in (
        ("--codec-column", columns.codec),
        ("--content-column", (columns.content,)),
        ("--bitrate-column", (columns.bitrate,)),
    ):
        for name in names:
            if name is not None and name not in known:
                raise UsageError(
                    f"the jobs have no column {name!r}: name one with {option}; they have {', '.join(known) or 'none'}"
                )


def codec_of(row: int, cells: Mapping[str, str], columns: Columns) -> str:
    """What the codec of a job is called. Raises InputError where nothing says."""
    codec = " ".join(cells[name] for name in columns.codec if cells.get(name))
    if not codec:
        raise InputError(f"row {row}: no codec in the column {columns.codec[0]}")
    return codec


def encodes_of(
    measured: Sequence[Measured], columns: Columns, pool: str
) -> tuple[list[Encode], list[str], int]:
    """(encodes, warnings about jobs that failed and are left out, the highest of their exit codes or 0).

    Raises UsageError for a column that the jobs do not have, and InputError naming the row: a cell is missing, or a
    bitrate is unknown or not positive.
    """
    require_columns(columns, dict.fromkeys(name for each in measured for name in each.columns))
    failed = {each.row: each for each in measured if each.exit_code != ExitCode.OK}
    warnings = [f"row {row} was not scored and is left out: {each.error}" for row, each in failed.items()]
    encodes = list(_encodes([each for each in measured if each.row not in failed], columns, pool))
    return encodes, warnings, max((each.exit_code for each in failed.values()), default=0)


def _encodes(measured: Sequence[Measured], columns: Columns, pool: str) -> Iterator[Encode]:
    for each in measured:
        yield Encode(
            each.row,
            each.distorted,
            each.model,
            _content(each, columns),
            codec_of(each.row, each.columns, columns),
            _rate(each, columns),
            each.pooled[pool],
        )


def _content(each: Measured, columns: Columns) -> str:
    named = each.columns.get(columns.content or CONTENT)
    if not named and columns.content is None and each.reference is not None:
        named = Path(each.reference).stem
    if not named:
        raise InputError(
            f"row {each.row}: nothing names its content: fill the column {columns.content or CONTENT}"
        )
    return named


def _rate(each: Measured, columns: Columns) -> float:
    where = f"row {each.row}"
    if columns.bitrate is not None:
        rate = number(where, columns.bitrate, each.columns.get(columns.bitrate, ""))
    elif each.bitrate_kbps is None:
        raise InputError(
            f"{where}: the bitrate of {each.distorted!r} is not known: give a column with --bitrate-column"
        )
    else:
        rate = each.bitrate_kbps
    if rate <= 0:
        raise InputError(f"{where}: a bitrate of {rate:g} kbit/s is none: give one above 0")
    return rate
