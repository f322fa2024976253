"""CSV files in, with every fault named by its row."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from rankvqa_cli.errors import InputError

Row = dict[str, str]


def read_table(path: Path, what: str) -> tuple[tuple[str, ...], list[tuple[int, Row]]]:
    """The header, and (row number, cells) of every row; a row's number is that of its last line, the header's is 1.

    ``what`` is what an error calls the file. Raises InputError for a file that cannot be read, is no CSV in UTF-8, has
    two columns of one name, or a row with more cells than columns.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restkey="", restval="")
            names = tuple(reader.fieldnames or ())
            rows = [(reader.line_num, dict(row)) for row in reader]
    except OSError as error:
        raise InputError(f"cannot read {what} {str(path)!r}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read {what} {str(path)!r}: it is no CSV in UTF-8 ({error})") from error
    if len(set(names)) < len(names):
        raise InputError(f"{str(path)!r} has two columns of one name: {', '.join(names)}")
    for line, row in rows:
        if "" in row and "" not in names:
            raise InputError(f"{str(path)!r} row {line} has more cells than the header has columns")
    return names, rows


def number(where: str, name: str, text: str) -> float:
    """``text`` as a finite number. Raises InputError that names the row and the column."""
    try:
        value = float(text)
    except ValueError as error:
        raise InputError(f"{where}: the {name} {text!r} is no number") from error
    if not math.isfinite(value):
        raise InputError(f"{where}: the {name} {text.strip()} is no finite number")
    return value
