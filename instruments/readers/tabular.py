"""Columns of numbers out of lines of text: decimal points or commas, cut last lines, damage told by its line."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from instruments.readers.source import Source

Floats: TypeAlias = npt.NDArray[np.float64]
Decimal: TypeAlias = Literal[".", ","]
Splitter: TypeAlias = Callable[[list[str]], list[list[str]]]

_CHUNK: Final = 20_000
"""Lines taken apart at a time, so that a large file needs no multiple of its size in memory."""

LARGEST: Final = 1e100
"""No measured number is as large; what is, was damaged."""

_EXPONENT: Final = re.compile(r"[eE][+-]?(\d*)$")
_NUMBER: Final = re.compile(r"[ \t]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[ \t]*")
_THOUSANDS: Final = re.compile(r"[ \t]*[+-]?[1-9][0-9]{0,2}(,[0-9]{3})+[ \t]*")


def is_number(text: str) -> bool:
    """Whether a field is a number, with whatever decimal sign."""
    return _NUMBER.fullmatch(text.replace(",", ".")) is not None


def by_tabs(lines: list[str]) -> list[list[str]]:
    """Take lines apart at tabulators."""
    return [line.split("\t") for line in lines]


@dataclass(frozen=True)
class Columns:
    """What was read of one table.

    Attributes:
        numbers: columns of numbers by their name in the file, each of shape (rows,), all finite.
        texts: columns of text by their name in the file, each of length rows.
        lines: number of each row's line in the file, from 1.
    """

    numbers: dict[str, Floats]
    texts: dict[str, list[str]]
    lines: Sequence[int]

    def __len__(self) -> int:
        return len(self.lines)


@dataclass
class Grid:
    """The lines of one table in a file, of which some columns are wanted.

    Attributes:
        source: the file.
        what: how an error names the table (``"curve CURVE1"``).
        names: the columns in the file, in order; a row has as many fields.
        span: indices of the rows in ``source.lines``; blank lines among them are passed over.
        split: takes lines apart.
        decimal: the decimal sign where it is known; otherwise the numbers must agree on one.
        thousands: whether commas may stand between thousands, so that ``1,234`` alone does not say what it is.
        blank: the signs of which a line without values may consist.
        notices: what was odd, collected here.
    """

    source: Source
    what: str
    names: Sequence[str]
    span: range
    split: Splitter = by_tabs
    decimal: Decimal | None = None
    thousands: bool = False
    blank: str = " \t"
    notices: list[str] = field(default_factory=list)

    def read(self, numbers: Sequence[str], texts: Sequence[str] = (), gaps: Sequence[str] = ()) -> Columns:
        """The wanted columns.

        Args:
            numbers: columns that hold numbers.
            texts: columns that hold text.
            gaps: columns of numbers in which a field may be empty; that becomes NaN, with a notice.

        Raises:
            ReaderError: there are no rows, a row has too few or too many fields, or a field is no finite number.
        """
        rows = [index for index in self.span if self.source.lines[index].strip(self.blank)]
        rows = self._without_cut(rows, [*numbers, *texts])
        if not rows:
            mend = "The recording ended before its first point."
            raise self.source.error(f"{self.what} holds no points", line=self.span.start, mend=mend)
        signs = _Signs(self)
        places = {name: self.names.index(name) for name in (*numbers, *texts)}
        parts: dict[str, list[Floats]] = {name: [] for name in numbers}
        words: dict[str, list[str]] = {name: [] for name in texts}
        for begin in range(0, len(rows), _CHUNK):
            chunk = rows[begin : begin + _CHUNK]
            fields = self._fields(chunk)
            for name in numbers:
                tokens = [row[places[name]] for row in fields]
                read = self._with_gaps if name in gaps else _Signs.floats
                parts[name].append(read(signs, tokens, name, chunk))
            for name in texts:
                words[name].extend(row[places[name]].strip() for row in fields)
        signs.settle()
        values = {name: np.concatenate(part) for name, part in parts.items()}
        for name in gaps:
            if (empty := int(np.isnan(values[name]).sum())) > 0:
                self.notices.append(f"{name} is empty in {empty} of {len(rows)} rows")
        return Columns(values, words, [row + 1 for row in rows])

    @staticmethod
    def _with_gaps(signs: _Signs, tokens: list[str], name: str, rows: list[int]) -> Floats:
        """Numbers where there are any, NaN elsewhere."""
        there = [place for place, token in enumerate(tokens) if token.strip()]
        values = np.full(len(tokens), np.nan)
        if there:
            values[there] = signs.floats([tokens[i] for i in there], name, [rows[i] for i in there])
        return values

    def _fields(self, rows: list[int]) -> list[list[str]]:
        width = len(self.names)
        fields = self.split([self.source.lines[index] for index in rows])
        for index, row in zip(rows, fields, strict=True):
            if len(row) != width and not (len(row) == width + 1 and not row[-1].strip()):
                raise self._wrong_width(index, len(row))
        return fields

    def _wrong_width(self, index: int, found: int) -> Exception:
        width = len(self.names)
        return self.source.error(
            f"the row has {found} values, and {self.what} names {width} columns",
            line=index + 1,
            field=self.what,
            mend="A name or a value is missing, so that it is not known which belong together: export the file again.",
        )

    def _without_cut(self, rows: list[int], wanted: Sequence[str]) -> list[int]:
        """Leave out the file's last line where it was cut in writing."""
        if not rows or rows[-1] != len(self.source.lines) - 1:
            return rows
        last = self.split([self.source.lines[rows[-1]]])[0]
        cut = len(last) < len(self.names) and len(rows) > 1 and self._is_whole(rows[-2])
        if not cut and not self.source.ends_with_a_break and self.names[-1] in wanted and len(rows) > 1:
            before = self.split([self.source.lines[rows[-2]]])[0]
            cut = _is_shorter(last[-1], before[-1])
            if not cut:
                self.notices.append(f"line {rows[-1] + 1}, the last of the file, has no line break, and may be cut")
        if cut:
            self.notices.append(f"line {rows[-1] + 1}, the last of the file, is cut, and left out")
            return rows[:-1]
        return rows

    def _is_whole(self, index: int) -> bool:
        return len(self.split([self.source.lines[index]])[0]) >= len(self.names)


def _is_shorter(last: str, before: str) -> bool:
    """Whether a number's exponent has fewer digits than that of its forerunner, where these are three.

    Instruments write all exponents as ``E-003``; where they have fewer digits, a number may well have none.
    """
    usual, found = _EXPONENT.search(before.strip()), _EXPONENT.search(last.strip())
    return usual is not None and len(usual[1]) >= 3 and (found is None or len(found[1]) < len(usual[1]))


class _Signs:
    """The decimal sign of a table: the numbers must agree on one."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.comma: tuple[int, str] | None = None
        self.point: tuple[int, str] | None = None
        self.plain_comma = False

    def floats(self, tokens: list[str], name: str, rows: list[int]) -> Floats:
        joined = " ".join(tokens)
        if "," in joined:
            at = next(i for i, token in enumerate(tokens) if "," in token)
            self.comma = self.comma or (rows[at], tokens[at])
            if self.grid.thousands and not self.plain_comma:
                self.plain_comma = any("," in token and not _THOUSANDS.fullmatch(token) for token in tokens)
        if "." in joined:
            at = next(i for i, token in enumerate(tokens) if "." in token)
            self.point = self.point or (rows[at], tokens[at])
        self._agree(name)
        plain = [token.replace(",", ".") for token in tokens] if "," in joined else tokens
        try:
            values = np.array(list(map(float, plain)), dtype=np.float64)
        except ValueError:
            values = np.array([np.nan])
        if "_" in joined or not (np.abs(values) < LARGEST).all():
            raise self._damage(plain, tokens, name, rows)
        return values

    def _damage(self, plain: list[str], tokens: list[str], name: str, rows: list[int]) -> Exception:
        """The error about the first field that is no finite number."""
        for index, number, token in zip(rows, plain, tokens, strict=True):
            if not _NUMBER.fullmatch(number) or not abs(float(number)) < LARGEST:
                said = f"is {token.strip()[:40]!r}, which is no measured number" if token.strip() else "is empty"
                mend = "Restore the value, or leave out the row."
                return self.grid.source.error(f"{name} {said}", line=index + 1, field=name, mend=mend)
        raise AssertionError(name)

    def _agree(self, name: str) -> None:
        source, given = self.grid.source, self.grid.decimal
        if self.comma and self.point:
            (i, comma), (j, point) = self.comma, self.point
            raise source.error(
                f"decimal commas ({comma.strip()[:40]!r}) and points ({point.strip()[:40]!r}, line {j + 1}) are mixed",
                line=i + 1,
                field=name,
                mend="Export the file again with one decimal sign and no thousands separators.",
            )
        wrong = self.comma if given == "." else self.point if given == "," else None
        if wrong is not None:
            message = f"{wrong[1].strip()[:40]!r} does not have the decimal sign {given!r}"
            raise source.error(
                message, line=wrong[0] + 1, field="decimal", mend="Leave decimal= out, or mend the file."
            )

    def settle(self) -> None:
        """Refuse a table in which every comma may as well stand between thousands."""
        if self.comma and self.grid.thousands and not self.plain_comma and self.grid.decimal is None:
            index, token = self.comma
            raise self.grid.source.error(
                f"{token.strip()[:40]!r} may have a decimal comma, or a comma between thousands",
                line=index + 1,
                field="decimal",
                mend='Give decimal="," where the comma is a decimal sign; take out the commas where it is not.',
            )


def check_times(times: Floats, columns: Columns, source: Source, *, field: str, notices: list[str], mend: str) -> None:
    """Time may stand still, with a notice, but not run backwards.

    Raises:
        ReaderError: it runs backwards.
    """
    steps = np.diff(times)
    if (steps < 0).any():
        row = int(np.argmax(steps < 0)) + 1
        message = f"time runs backwards, from {times[row - 1]:g} to {times[row]:g}"
        raise source.error(message, line=columns.lines[row], field=field, mend=mend)
    if (repeated := int((steps == 0).sum())) > 0:
        notices.append(f"{repeated} of {len(times)} points have the same time as the point before ({field})")
