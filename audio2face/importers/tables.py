"""Reads tables of numbers as programs write them: CSV with a header line, one row per frame, in one pass."""

from __future__ import annotations

import csv
import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audio2face.errors import FileFormatError, UserError, missing_file
from audio2face.types import Float64Array

_MOST_COLUMNS = 4096
_NO_TRACKING = 2  # cells of a row of Live Link Face without a face: time code and 0
_SEPARATORS = (",", ";", "\t")
_TABLE_HINT = "Give a table with a header line that names the columns, and one row of numbers for each frame."


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of a table.

    Attributes:
        path: the file.
        values: float64 `[rows, columns]`; NaN in rows that hold no values.
        labels: the cells of the column of text, one for each row; empty where none was asked for.
        cut_off: whether the last row ended early and was left out.
    """

    path: Path
    values: Float64Array
    labels: list[str]
    cut_off: bool


def read_columns_of(path: Path) -> list[str]:
    """The names of a table's columns; empty of a file that is no table of text.

    Raises:
        UserError: the file is missing or cannot be read.
    """
    try:
        return next(_rows(path), [])
    except FileFormatError:
        return []


def read_table(path: Path, numeric: Sequence[int], label: int | None = None) -> Table:
    """Reads some columns of a table.

    A row with the first cell and at most one more holds no values, as Live Link Face writes where it sees no face. A
    last row that ends early is left out.

    Args:
        path: the file.
        numeric: indices of columns of numbers.
        label: index of a column of text, such as time codes.

    Raises:
        UserError: the file is missing.
        FileFormatError: it is no such table; the message names row and column.
    """
    rows = _rows(path)
    names = next(rows, [])
    values, labels = array("d"), []
    short: tuple[int, int] | None = None
    number = 1
    for number, row in enumerate(rows, 2):
        if short is not None:
            raise _wrong_length(path, *short, len(names))
        if not row or (len(row) == 1 and not row[0].strip()):
            continue
        if len(row) != len(names) and len(row) > _NO_TRACKING:
            short = number, len(row)
            continue
        if label is not None:
            labels.append(row[label])
        if len(row) == len(names):
            _add_numbers(values, row, numeric, names, path, number)
        else:
            values.extend([math.nan] * len(numeric))
    if short is not None and short[1] > len(names):
        raise _wrong_length(path, *short, len(names))
    found = np.frombuffer(values, np.float64).reshape(-1, len(numeric)) if numeric else np.zeros((0, 0))
    if not len(found):
        raise FileFormatError("holds no rows", path=path, hint=_TABLE_HINT)
    return Table(path, found, labels, short is not None)


def _add_numbers(
    values: array[float], row: Sequence[str], numeric: Sequence[int], names: Sequence[str], path: Path, number: int
) -> None:
    try:
        values.extend([float(row[column]) for column in numeric])
    except ValueError:
        column = next(column for column in numeric if not _is_number(row[column]))
        raise FileFormatError(
            f"row {number}, column {names[column]!a}: {row[column]!a} is not a number",
            path=path,
            hint="Numbers have a decimal point and no unit; export the table again.",
        ) from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _wrong_length(path: Path, number: int, count: int, expected: int) -> FileFormatError:
    return FileFormatError(
        f"row {number} has {count} columns, the header has {expected}",
        path=path,
        hint="The file was cut off or edited: copy it from the device again.",
    )


def _rows(path: Path) -> Iterator[list[str]]:
    """Yields the rows of a table, cells without surrounding space, separated as the first line is."""
    if not path.is_file():
        raise missing_file("there is no such file", path, "Check the path.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            first = handle.readline(_MOST_COLUMNS * 64)
            if "\0" in first:
                raise FileFormatError("is no text", path=path, hint=_TABLE_HINT)
            separator = max(_SEPARATORS, key=first.count)
            handle.seek(0)
            yield from csv.reader(handle, delimiter=separator, skipinitialspace=True)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}", path=path) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileFormatError(f"is no table of text: {error}", path=path, hint=_TABLE_HINT) from error
