"""Result files of liquid analyses: tables of text whose columns a mapping explains.

Below the detection limit a result is *censored*: it is kept as concentration 0 with its ``detection_limit``, from which
the reduction tells an upper limit instead of a value. Where the limit follows from a calibration line, it is
``3.3 sigma / slope`` (ICH Q2(R2)): see :func:`detection_limit`.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from instruments.electrochemistry._schema import Declared
from instruments.electrochemistry.products import PRODUCTS
from instruments.electrochemistry.units import scale
from instruments.errors import LabError, ReaderError
from instruments.readers.species import key_of

if TYPE_CHECKING:
    import pandas as pd

Compartment: TypeAlias = Literal["catholyte", "anolyte", "trap"]

COMPARTMENTS: Final = ("catholyte", "anolyte", "trap")
LARGEST: Final = 16 * 1024 * 1024
"""Bytes of the largest result file."""
HIGHEST: Final = 100.0
"""The highest concentration that is believed, mol L-1: pure water has 55."""
BELOW: Final = ("n.d.", "nd", "n.d", "n/d", "<lod", "< lod", "bdl", "not detected", "below")
"""What stands in a cell where nothing was found; also ``<`` and a number, which is then the limit."""
_NUMBER: Final = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?")


class Column(Declared):
    """What one column of a result file holds.

    Attributes:
        species: a key such as ``hcoo``, or a usual name such as ``formate``.
        unit: of the concentrations, per amount (``mM``) or per mass (``mg/L``).
        uncertainty: the column of their standard uncertainties in the same unit.
        relative_uncertainty: standard uncertainty relative to the value, where no column has it.
        detection_limit: in the same unit, or the column that has it.
        compartment: where it was taken, if that differs from the rest of the file.
    """

    species: str
    unit: str
    uncertainty: str | None = None
    relative_uncertainty: float | None = Field(None, ge=0.0, le=1.0)
    detection_limit: float | str | None = None
    compartment: Compartment | None = None

    @field_validator("species")
    @classmethod
    def _known(cls, species: str) -> str:
        key = key_of(species)
        if key is None or key not in PRODUCTS or PRODUCTS[key].phase != "liquid":
            liquids = ", ".join(key for key, product in PRODUCTS.items() if product.phase == "liquid")
            raise LabError(f"{species!r} is no liquid product.", field="species", mend=f"Known: {liquids}.")
        return key

    @model_validator(mode="after")
    def _measurable(self) -> Column:
        if scale(self.unit, "mol L-1") is None and scale(self.unit, "g L-1") is None:
            raise LabError(
                f"{self.unit!r} is no unit of concentration.", field="unit", mend="Write one like mM or mg/L."
            )
        if isinstance(self.detection_limit, float) and self.detection_limit <= 0.0:
            raise LabError("a detection limit must be positive.", field="detection_limit")
        return self

    @property
    def factor(self) -> float:
        """Turns a number of the column into mol L-1."""
        amount = scale(self.unit, "mol L-1")
        if amount is not None:
            return amount[0]
        mass = scale(self.unit, "g L-1")
        return (mass[0] if mass is not None else 0.0) / PRODUCTS[self.species].molar_mass


class ResultMapping(Declared):
    """What the columns of result files hold; all columns that are not named are left alone.

    Attributes:
        sample: the column of the samples' labels.
        columns: what the columns of concentrations hold, by their name in the file.
        compartment: where the samples were taken, or the column that tells it.
        dilution: the column of dilution factors (volume after over volume before), if there is one.
        separator: between values.
        decimal: the decimal sign.
        encoding: of the text.
        header: number of the line with the columns' names, from 1.
    """

    sample: str
    columns: Mapping[str, Column] = Field(min_length=1)
    compartment: str = "catholyte"
    dilution: str | None = None
    separator: Literal[",", ";", "\t", "|"] = ","
    decimal: Literal[".", ","] = "."
    encoding: Literal["utf-8", "cp1252", "utf-16"] = "utf-8"
    header: int = Field(1, ge=1, le=1000)

    @model_validator(mode="after")
    def _apart(self) -> ResultMapping:
        if self.separator == self.decimal:
            raise LabError("separator and decimal sign are the same.", field="separator")
        return self

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that a file must have."""
        named = [self.sample, *self.columns]
        named += [self.compartment] if self.compartment not in COMPARTMENTS else []
        named += [self.dilution] if self.dilution is not None else []
        for column in self.columns.values():
            named += [column.uncertainty] if column.uncertainty is not None else []
            named += [column.detection_limit] if isinstance(column.detection_limit, str) else []
        return tuple(dict.fromkeys(named))


@dataclass(frozen=True, slots=True)
class Result:
    """One concentration.

    Attributes:
        label: as the file has it.
        species: key.
        compartment: where the sample was taken.
        concentration: mol L-1 in the vial, before ``dilution``; 0 where nothing was found.
        sem: standard uncertainty, mol L-1; ``None`` where it is not known.
        detection_limit: mol L-1; ``None`` where it is not known.
        dilution: by which the reduction multiplies.
        line: in the file, from 1.
    """

    label: str
    species: str
    compartment: str
    concentration: float
    sem: float | None = None
    detection_limit: float | None = None
    dilution: float = 1.0
    line: int = 0

    @property
    def censored(self) -> bool:
        """Whether it lies below what can be seen."""
        return self.detection_limit is not None and self.concentration < self.detection_limit


@dataclass(frozen=True, slots=True)
class Lines:
    """A file taken apart.

    Attributes:
        header: names of the columns.
        rows: number of the line, and values, of each row that is not blank.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]


def detection_limit(sigma: float, slope: float) -> float:
    """The concentration that can just be seen: ``3.3 sigma / slope`` (ICH Q2(R2), section 3.2.3).

    Args:
        sigma: standard deviation of the blank's signal, or of the calibration's intercept.
        slope: of the calibration, signal per concentration.

    Raises:
        LabError: the slope is not positive, or sigma is negative.
    """
    if slope <= 0.0 or sigma < 0.0:
        raise LabError("a slope must be positive, a standard deviation not negative.", field="slope")
    return 3.3 * sigma / slope


def lines_of(data: bytes, mapping: ResultMapping, file: str) -> Lines:
    """A file taken apart into named columns.

    Raises:
        ReaderError: it is no such table, or a column is missing; with file, line and mend.
    """
    if len(data) > LARGEST:
        raise ReaderError(f"it has more than {LARGEST} bytes", file=file, mend="Export the results alone.")
    encoding = "utf-8-sig" if mapping.encoding == "utf-8" else mapping.encoding
    try:
        text = data.decode(encoding)
    except UnicodeError:
        raise ReaderError(
            f"it is no text in {mapping.encoding}", file=file, field="encoding", mend="Say `encoding: cp1252`."
        ) from None
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mapping.separator)
    found: list[tuple[int, tuple[str, ...]]] = []
    try:
        for values in reader:
            found.append((reader.line_num, tuple(value.strip() for value in values)))
    except csv.Error as problem:
        raise ReaderError(f"it is no table ({problem})", file=file, line=reader.line_num) from None
    titles = [row for line, row in found if line == mapping.header]
    if not titles:
        raise ReaderError(f"it has no line {mapping.header} with names of columns", file=file, field="header")
    header = titles[0]
    for column in mapping.needed:
        if header.count(column) != 1:
            what = "has no" if column not in header else "has more than one"
            raise ReaderError(
                f"it {what} column {column!r}",
                file=file,
                line=mapping.header,
                field=column,
                mend=f"It has {', '.join(header)[:200]}; is `separator` {mapping.separator!r} right?",
            )
    rows = tuple((line, row) for line, row in found if line > mapping.header and any(row))
    for line, row in rows:
        if len(row) != len(header):
            raise ReaderError(
                f"there are {len(row)} values under {len(header)} columns",
                file=file,
                line=line,
                mend="The file may be cut, or a value contains the separator.",
            )
    return Lines(header, rows)


def parse(data: bytes, mapping: ResultMapping, file: str = "results") -> tuple[Result, ...]:
    """The results of a file. A pure function of its content.

    Args:
        data: the file.
        mapping: what its columns hold.
        file: its name, for errors.

    Raises:
        ReaderError: something is missing or impossible; with file, line, field and mend.
    """
    table = lines_of(data, mapping, file)
    results = []
    for line, row in table.rows:
        cells = _Cells(dict(zip(table.header, row, strict=True)), mapping, file, line)
        for name in mapping.columns:
            if (result := cells.result(name)) is not None:
                results.append(result)
    if not results:
        raise ReaderError("it holds no result", file=file, field=mapping.sample, mend="Is it the right export?")
    return tuple(results)


class _Cells:
    """One row, read by the mapping."""

    def __init__(self, cells: Mapping[str, str], mapping: ResultMapping, file: str, line: int) -> None:
        self._cells, self._mapping, self._file, self._line = cells, mapping, file, line

    def result(self, name: str) -> Result | None:
        """The result of one column; ``None`` where nothing was measured."""
        column, cell = self._mapping.columns[name], self._cells[name]
        if not cell:
            return None
        label = self._cells[self._mapping.sample]
        if not label:
            raise self._error(self._mapping.sample, "there is a result without a sample's label", "Write the label.")
        limit = self._limit(column)
        if cell.startswith("<") and _NUMBER.fullmatch(self._plain(cell[1:])):
            value, limit = 0.0, self._number(name, cell[1:])
        elif cell.lower() in BELOW:
            value = 0.0
        else:
            value = self._number(name, cell)
        if value < 0.0 and limit is not None:
            value = 0.0  # noise around nothing
        if value < 0.0 or (value == 0.0 and limit is None):
            raise self._error(
                name, f"{cell!r} needs a detection limit", "Write `detection_limit` of this column in the mapping."
            )
        sem = None if value == 0.0 else self._sem(column, value)
        factor = column.factor
        if value * factor > HIGHEST or (limit or 0.0) * factor > HIGHEST:
            raise self._error(name, f"{cell!r} {column.unit} is more than {HIGHEST:g} mol/L", "Is the unit right?")
        return Result(
            label,
            column.species,
            self._compartment(column),
            value * factor,
            None if sem is None else sem * factor,
            None if limit is None else limit * factor,
            self._dilution(),
            self._line,
        )

    def _limit(self, column: Column) -> float | None:
        given = column.detection_limit
        if not isinstance(given, str):
            return given
        cell = self._cells[given]
        if not cell:
            return None
        limit = self._number(given, cell)
        if limit <= 0.0:
            raise self._error(given, f"the detection limit {cell!r} is not positive", "Correct it, or leave it out.")
        return limit

    def _sem(self, column: Column, value: float) -> float | None:
        cell = "" if column.uncertainty is None else self._cells[column.uncertainty]
        if not cell:
            return None if column.relative_uncertainty is None else column.relative_uncertainty * value
        sem = self._number(column.uncertainty or "", cell)
        if sem < 0.0:
            raise self._error(column.uncertainty or "", f"the uncertainty {cell!r} is negative", "Correct it.")
        return sem

    def _dilution(self) -> float:
        if self._mapping.dilution is None or not self._cells[self._mapping.dilution]:
            return 1.0
        factor = self._number(self._mapping.dilution, self._cells[self._mapping.dilution])
        if not 1e-3 <= factor <= 1e6:
            raise self._error(self._mapping.dilution, f"{factor:g} is no dilution", "Write volume after over before.")
        return factor

    def _compartment(self, column: Column) -> str:
        given = column.compartment or self._mapping.compartment
        if given in COMPARTMENTS:
            return given
        cell = self._cells[given].lower()
        if cell not in COMPARTMENTS:
            raise self._error(given, f"{cell!r} is no compartment", f"Known: {', '.join(COMPARTMENTS)}.")
        return cell

    def _plain(self, text: str) -> str:
        text = text.strip()
        if self._mapping.decimal == ".":
            return text
        return "no number" if "." in text else text.replace(",", ".")

    def _number(self, column: str, text: str) -> float:
        plain = self._plain(text)
        if len(plain) > 40 or not _NUMBER.fullmatch(plain) or abs(float(plain)) > 1e30:
            raise self._error(column, f"{text[:40]!r} is no number", f"Is the decimal sign {self._mapping.decimal!r}?")
        return float(plain)

    def _error(self, column: str, message: str, mend: str) -> ReaderError:
        return ReaderError(f"column {column!r}: {message}", file=self._file, line=self._line, field=column, mend=mend)


def liquid_table(results: Iterable[Result]) -> pd.DataFrame:
    """The table ``liquid`` of the raw-signal form, one row a result. All must be of one experiment.

    Raises:
        LabError: there are none.
    """
    import pandas as pd

    rows = list(results)
    if not rows:
        raise LabError("there are no results to make a table of.", field="results")
    return pd.DataFrame(
        {
            "species": [row.species for row in rows],
            "compartment": [row.compartment for row in rows],
            "concentration/mol L-1": [row.concentration for row in rows],
            "concentration_sem/mol L-1": [math.nan if row.sem is None else row.sem for row in rows],
            "detection_limit/mol L-1": [
                math.nan if row.detection_limit is None else row.detection_limit for row in rows
            ],
            "dilution/1": [row.dilution for row in rows],
        }
    )
