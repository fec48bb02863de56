"""Data files of a campaign: read once, kept byte for byte, every complaint with the line of the file.

The text of a CSV file is turned into a DataFrame here and not by a library's guesses, since a campaign that is resumed
years later must read the same numbers from the same bytes. A column is numeric if all its values are numbers.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from orchestrator.config.hints import listed, unknown
from orchestrator.errors import InputError

GAPS = frozenset({"", "nan", "NaN", "NA", "N/A", "n/a", "#N/A", "null", "NULL", "<NA>"})
"""What stands for a value that is not there. Letter by letter: ``Na`` is sodium, and ``None`` may be a category."""

TOLERANCE = 1e-6
"""How far a number may be from the one that ``where`` asks for, relative to its size above 1."""

_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_TRUTH = {"true": True, "false": False}


@dataclass(frozen=True, eq=False)
class Table:
    """The content of one data file.

    Attributes:
        name: the file's name without its folder.
        content: its exact bytes.
        frame: its rows.
        lines: the line in the file where each row begins, from 1; the row's number where the file has no lines.
    """

    name: str
    content: bytes
    frame: pd.DataFrame
    lines: Sequence[int]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content."""
        return hashlib.sha256(self.content).hexdigest()

    def wrong(self, row: int | None, text: str, mend: str | None = None, field: str | None = None) -> InputError:
        """A complaint about one row, or the whole file."""
        line = None if row is None else self.lines[row]
        return _wrong(self.name, line, text, mend, field)

    def require(self, columns: Iterable[str], field: str) -> None:
        """Check that columns are there.

        Raises:
            InputError: one is not; names the nearest.
        """
        known = [str(name) for name in self.frame.columns]
        for column in columns:
            if column not in known:
                raise InputError(f"{self.name}: {unknown('column', column, known, all_known=False)}", field=field)

    def select(self, where: Mapping[str, bool | int | float | str], field: str) -> NDArray[np.bool_]:
        """Which rows hold the asked values: (rows,) truth values.

        Raises:
            InputError: a column is unknown, a value does not fit its column, or no row is left.
        """
        for column in where:
            self.require([column], f"{field}.{column}")
        keep = np.ones(len(self.frame), dtype=bool)
        for column, value in where.items():
            keep &= self._holds(column, value, f"{field}.{column}")
        if not keep.any():
            raise InputError(f"no row of {self.name} holds all of the asked values.", field=field)
        return keep

    def _holds(self, column: str, value: bool | int | float | str, field: str) -> NDArray[np.bool_]:
        values = self.frame[column]
        held, given = _kind(values), _kind_of(value)
        if held != given:
            raise InputError(
                f"column {column!r} of {self.name} holds {held}, but {value!r} is given.",
                field=field,
                mend="Write the value as the column holds it.",
            )
        if isinstance(value, bool | str):
            keep = (values == value).to_numpy(dtype=bool, na_value=False)
        else:
            keep = np.abs(values.to_numpy(dtype=float, na_value=np.nan) - value) <= TOLERANCE * max(1.0, abs(value))
        if not keep.any():
            there = listed(str(item) for item in values.dropna().unique().tolist())
            raise InputError(
                f"no row of {self.name} has {column} = {value!r}.", field=field, mend=f"There are: {there}."
            )
        return keep

    def numbers(
        self, columns: Iterable[str], rows: NDArray[np.bool_], *, field: str, gaps: bool, mend: str | None = None
    ) -> Table:
        """This table with numbers in ``columns``; what stands in other rows than ``rows`` is not looked at.

        Args:
            columns: which columns must hold numbers.
            rows: (rows,) which rows are used.
            field: of the campaign file, for messages.
            gaps: whether a value may be missing.
            mend: how to put a text right, where that is known.

        Raises:
            InputError: a used value is a text, is infinite, or is missing.
        """
        frame = self.frame.copy()
        for column in columns:
            values = _to_numbers(frame[column])
            missing = frame[column].isna().to_numpy()
            for row in np.flatnonzero(rows & ~np.isfinite(values)).tolist():
                if missing[row] and gaps:
                    continue
                if missing[row]:
                    raise self.wrong(
                        row, f"column {column!r}: the value is missing.", "Fill it in, or leave that row out.", field
                    )
                text = str(frame[column].iloc[row])
                comma = "Write decimal points." if _DECIMAL_COMMA.fullmatch(text) else mend
                what = "is not finite" if np.isinf(values[row]) else "is not a number"
                raise self.wrong(row, f"column {column!r}: {text!r} {what}.", comma, field)
            if not is_numeric_dtype(frame[column]) or is_bool_dtype(frame[column]):
                frame[column] = values
        return Table(self.name, self.content, frame, self.lines)


def _to_numbers(column: pd.Series[Any]) -> NDArray[np.float64]:
    if is_numeric_dtype(column) and not is_bool_dtype(column):
        return column.to_numpy(dtype=float, na_value=np.nan)
    return np.array([_number(str(item)) for item in column], dtype=float)


def _number(text: str) -> float:
    try:
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan


def _kind(column: pd.Series[Any]) -> str:
    return "truth values" if is_bool_dtype(column) else "numbers" if is_numeric_dtype(column) else "text"


def _kind_of(value: object) -> str:
    return "truth values" if isinstance(value, bool) else "text" if isinstance(value, str) else "numbers"


def _wrong(name: str, line: int | None, text: str, mend: str | None = None, field: str | None = None) -> InputError:
    place = name if line is None else f"{name}:{line}"
    return InputError(f"{place}: {text}", mend=mend, field=field, file=name, line=line)


def read_table(content: bytes, name: str, field: str | None = None) -> Table:
    """Read a CSV or Parquet file.

    Args:
        content: the file's bytes.
        name: its name; the ending ``.parquet`` tells the format.
        field: of the campaign file, for messages.

    Raises:
        InputError: the file is empty, has no rows, has two columns of one name, or is no such file.
    """
    if not content.strip():
        raise _wrong(name, None, "the file is empty.", field=field)
    if PurePath(name).suffix.lower() in {".parquet", ".pq"}:
        frame = _parquet(content, name, field)
        lines: Sequence[int] = range(1, len(frame) + 1)
    else:
        header, rows, lines = _csv(_text(content, name, field), name, field)
        frame = pd.DataFrame({column: _column([row[index] for row in rows]) for index, column in enumerate(header)})
    if not len(frame):
        raise _wrong(name, None, "the table has a header, but no rows.", field=field)
    return Table(name, content, frame, lines)


def _parquet(content: bytes, name: str, field: str | None) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(io.BytesIO(content))
    except (ValueError, OSError) as problem:
        raise _wrong(name, None, f"this is no Parquet file: {problem}.", field=field) from None
    frame = frame.reset_index(drop=True).set_axis([str(column) for column in frame.columns], axis=1)
    _no_column_twice(list(frame.columns), name, None, field)
    return frame


def _text(content: bytes, name: str, field: str | None) -> str:
    if content.startswith(b"PK\x03\x04"):
        raise _wrong(name, None, "this is an Excel workbook.", "Save the sheet as `CSV UTF-8`.", field)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _wrong(name, None, "the file is UTF-16 text.", "Save it with the encoding UTF-8.", field)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        raise _wrong(name, line, "the file is not UTF-8 text.", "Save it with the encoding UTF-8.", field) from None


def _csv(text: str, name: str, field: str | None) -> tuple[list[str], list[list[str]], list[int]]:
    """Header, rows and the line of each row; rows without any value are skipped."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    end = 0
    try:
        for cells in reader:
            line, end = end + 1, reader.line_num
            row = [cell.strip() for cell in cells]
            if not any(row):
                continue
            if not header:
                header = _header(row, name, line, field)
                continue
            if len(row) != len(header):
                raise _wrong(
                    name,
                    line,
                    f"{len(row)} values, where the header names {len(header)} columns.",
                    "A value with a comma needs quotes.",
                    field,
                )
            rows.append(row)
            lines.append(line)
    except csv.Error as problem:
        raise _wrong(name, reader.line_num, f"this is no CSV: {problem}.", "Check the quotes.", field) from None
    return header, rows, lines


def _header(row: list[str], name: str, line: int, field: str | None) -> list[str]:
    for separator, word in ((";", "semicolons"), ("\t", "tabs")):
        if separator in row[0] and row[0].count(separator) >= len(row) - 1:
            mend = "Save the table with commas between the values and decimal points in the numbers."
            raise _wrong(name, line, f"the values are separated by {word}.", mend, field)
    header = [column or f"Unnamed: {index}" for index, column in enumerate(row)]
    _no_column_twice(header, name, line, field)
    return header


def _no_column_twice(header: Sequence[str], name: str, line: int | None, field: str | None) -> None:
    twice = next((column for index, column in enumerate(header) if column in header[:index]), None)
    if twice is not None:
        raise _wrong(name, line, f"the column {twice!r} is there twice.", "Rename one of the two.", field)


def _column(cells: list[str]) -> pd.Series[Any]:
    """One column in its own type: whole numbers, numbers, truth values, or else text."""
    gaps = [cell in GAPS for cell in cells]
    values = [cell for cell, gap in zip(cells, gaps, strict=True) if not gap]
    if values and all(value.lower() in _TRUTH for value in values):
        if not any(gaps):
            return pd.Series([_TRUTH[cell.lower()] for cell in cells], dtype=bool)
    else:
        numbers = [_number(value) for value in values]
        if not any(math.isnan(number) for number in numbers):
            return _numeric(cells, gaps)
    return pd.Series([None if gap else cell for cell, gap in zip(cells, gaps, strict=True)], dtype="str")


def _numeric(cells: list[str], gaps: list[bool]) -> pd.Series[Any]:
    whole = not any(gaps) and all(re.fullmatch(r"[+-]?\d{1,18}", cell) for cell in cells)
    if whole:
        return pd.Series([int(cell) for cell in cells], dtype="int64")
    return pd.Series([math.nan if gap else float(cell) for cell, gap in zip(cells, gaps, strict=True)], dtype="float64")
