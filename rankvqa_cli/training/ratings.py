"""What people have said of stimuli: a CSV of files with their MOS, read with every fault named by its row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rankvqa_cli.errors import InputError, UsageError
from rankvqa_cli.results.tables import Row, number, read_table


@dataclass(frozen=True)
class Rating:
    """Row ``row`` of the CSV (the header is row 1): a stimulus and its MOS on the data's own scale.

    ``ci`` is the half width of the 95 % interval of the MOS, None where none is given. ``content`` groups what must
    stay together when contents are left out or resampled. ``columns`` holds every cell of the row.
    """

    row: int
    distorted: Path
    reference: Path | None
    mos: float
    ci: float | None
    content: str
    columns: Row


@dataclass(frozen=True)
class Ratings:
    """``path`` is the CSV, ``names`` are its columns in order."""

    path: Path
    names: tuple[str, ...]
    rows: tuple[Rating, ...]

    def where(self, rating: Rating) -> str:
        """How an error names a row."""
        return f"{str(self.path)!r} row {rating.row}"

    def require_column(self, name: str) -> None:
        """UsageError where the CSV has no column of that name."""
        if name not in self.names:
            raise UsageError(f"{str(self.path)!r} has no column {name!r}: it has {', '.join(self.names)}")

    def numbers(self, name: str) -> list[float]:
        """The column ``name``; UsageError where there is none, InputError for a cell that is no finite number."""
        self.require_column(name)
        return [number(self.where(each), name, each.columns[name]) for each in self.rows]

    def weights(self) -> list[float]:
        """What each row counts: the column ``weight``, or 1. Raises InputError for one below 0, or none above it."""
        if "weight" not in self.names:
            return [1.0] * len(self.rows)
        weights = self.numbers("weight")
        for rating, weight in zip(self.rows, weights, strict=True):
            if weight < 0:
                raise InputError(f"{self.where(rating)}: the weight {weight:g} is negative")
        if not any(weights):
            raise InputError(f"{str(self.path)!r}: every weight is 0")
        return weights


def row_filter(text: str) -> tuple[str, Callable[[str], bool]]:
    """(column, test of a cell) of ``COL=VALUE`` or ``COL!=VALUE``; a ``*`` at the end matches any ending.

    Raises UsageError for anything else.
    """
    column, equals, value = text.partition("=")
    wanted = not column.endswith("!")
    column = column.removesuffix("!").strip()
    if not equals or not column:
        raise UsageError(f"{text!r} is no filter: write COL=VALUE or COL!=VALUE, VALUE* for a beginning")
    if value.endswith("*"):
        return column, lambda cell: cell.startswith(value[:-1]) == wanted
    return column, lambda cell: (cell == value) == wanted


def read_ratings(
    path: Path,
    *,
    scale: tuple[float, float] | None = None,
    content: str | None = None,
    filters: Sequence[str] = (),
    need_files: bool = True,
) -> Ratings:
    """Read the columns distorted, mos, and optionally reference, ci and content; others are kept as they are.

    Paths are relative to the CSV. ``scale`` bounds the MOS; ``content`` names the column of contents (default:
    ``content`` where there is one, else the reference's name); rows that do not pass every one of ``filters`` (see
    ``row_filter``) are not looked at. Raises UsageError for a column that is asked for and absent, and InputError
    naming the row: a file that is missing (where ``need_files``), a MOS that is missing, no finite number or off the
    scale, a negative ci, a stimulus listed twice; and where fewer than two contents are left.
    """
    names, table = read_table(path, "the scores")
    ratings = Ratings(path, names, ())
    for needed in ("distorted", "mos"):
        if needed not in names:
            raise InputError(f"{str(path)!r} has no column {needed!r}: it has {', '.join(names) or 'none'}")
    tests = [row_filter(text) for text in filters]
    for asked in [column for column, _ in tests] + ([] if content is None else [content]):
        ratings.require_column(asked)
    kept: list[Rating] = []
    seen: dict[Path, int] = {}
    for line, cells in table:
        if not all(test(cells[column]) for column, test in tests):
            continue
        rating = _rating(f"{str(path)!r} row {line}", path.parent, line, cells, content or "content")
        _check(f"{str(path)!r} row {line}", rating, scale, need_files, seen)
        seen[rating.distorted] = line
        kept.append(rating)
    if len({rating.content for rating in kept}) < 2:
        left = f" after {' and '.join(filters)}" if filters else ""
        raise InputError(
            f"{str(path)!r} has fewer than two contents{left}: what holds for one says nothing of others"
        )
    return Ratings(path, names, tuple(kept))


def _rating(where: str, folder: Path, line: int, cells: Row, content: str) -> Rating:
    if not cells["distorted"]:
        raise InputError(f"{where}: no file in the column distorted")
    reference = folder / cells["reference"] if cells.get("reference") else None
    ci = number(where, "ci", cells["ci"]) if cells.get("ci") else None
    if ci is not None and ci < 0:
        raise InputError(f"{where}: the ci {ci} is negative; it is the half width of the interval of the MOS")
    named = cells.get(content) or ("" if reference is None else reference.stem)
    if not named:
        raise InputError(f"{where}: no content, and no reference to name one: fill the column {content!r}")
    mos = number(where, "mos", cells["mos"])
    return Rating(line, folder / cells["distorted"], reference, mos, ci, named, cells)


def _check(
    where: str, rating: Rating, scale: tuple[float, float] | None, need_files: bool, seen: dict[Path, int]
) -> None:
    for file in (rating.distorted, rating.reference):
        if need_files and file is not None and not file.is_file():
            raise InputError(f"{where}: no such file {str(file)!r}")
    if scale is not None and not scale[0] <= rating.mos <= scale[1]:
        raise InputError(f"{where}: the mos {rating.mos} is not on the scale of {scale[0]:g} to {scale[1]:g}")
    if rating.distorted in seen:
        raise InputError(f"{where}: {str(rating.distorted)!r} stands in row {seen[rating.distorted]} already")
