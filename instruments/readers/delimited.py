"""Plain tables of text: CSV with any separator, decimal points or commas, and headers that say their units."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from instruments.electrochemistry.units import scale
from instruments.readers.clock import ClockOptions, start_of
from instruments.readers.headers import Meaning, meaning_given, meaning_of, table_for
from instruments.readers.quantities import GAPS, TABLES
from instruments.readers.recording import UNKNOWN, Recording
from instruments.readers.signs import Cathodic, signed
from instruments.readers.source import Source
from instruments.readers.species import key_of
from instruments.readers.tabular import Columns, Decimal, Grid, Splitter, check_times, is_number

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS: Final = (",", ";", "\t", "|")
"""What may stand between values."""

COMPARTMENTS: Final = ("catholyte", "anolyte", "trap")

_TEXTS: Final = ("species", "compartment", "method", "detector", "overload")
_SAMPLE: Final = 20
"""Lines that are looked at for the separator."""

_TRUTH: Final = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}


@dataclass(frozen=True, slots=True)
class DelimitedOptions:
    """What may be said about such a file.

    Attributes:
        clock: about its clock; such a file does not say when it began.
        cathodic: the sign of cathodic currents, which a file with currents cannot tell.
        decimal: the decimal sign, where the numbers do not tell.
        separator: what stands between values, where the lines do not tell.
        table: the table of the raw-signal form, where the columns do not tell.
        columns: what each column holds, as ``{"E": "potential/mV"}``; other columns are then left out.
        species: keys of species by label, where the usual names do not do.
    """

    clock: ClockOptions
    cathodic: Cathodic | None = None
    decimal: Decimal | None = None
    separator: str | None = None
    table: str | None = None
    columns: Mapping[str, str] | None = None
    species: Mapping[str, str] | None = field(default=None)


def read_delimited(source: Source, options: DelimitedOptions) -> Recording:
    """Read one table; lines before it that are blank or begin with ``#`` are passed over.

    Raises:
        ReaderError: separator, decimal sign, unit, table or sign cannot be told, a column is missing, or a value is
            none.
    """
    notices: list[str] = []
    row = next((i for i, line in enumerate(source.lines) if line.strip() and not line.startswith("#")), None)
    if row is None:
        raise source.error("it holds only comments", mend="The recording never began, or its copy failed.")
    separator = _separator(source, row, options.separator)
    split = _splitter(source, separator)
    names = [name.strip() for name in split([source.lines[row]])[0]]
    _check_names(source, names, row, separator)
    units, first = _unit_row(source, row + 1, names, split)
    meanings, left_out = _meanings(source, names, units, row + 1, options)
    table = table_for(meanings, left_out, options.table, source, row + 1)
    quantities = {quantity for quantities in TABLES[table] for quantity in quantities}
    left_out += [one.column for one in meanings if one.quantity not in quantities]
    meanings = [one for one in meanings if one.quantity in quantities]
    if left_out:
        notices.append(f"columns that {table} does not have are left out: {', '.join(left_out)}")
    span = range(first, len(source.lines))
    grid = Grid(source, "the table", names, span, split, options.decimal, separator != ",", f" \t{separator}", notices)
    _check_commas(grid, separator)
    numbers = [one.column for one in meanings if one.quantity not in _TEXTS]
    texts = [one.column for one in meanings if one.quantity in _TEXTS]
    gaps = [one.column for one in meanings if one.quantity in GAPS.get(table, ())]
    columns = grid.read(numbers, texts, gaps)
    frame = _frame(source, columns, meanings, options)
    _check_time(source, table, frame, columns, notices)
    frame = signed(frame, options.cathodic, None, source)
    start = start_of(None, options.clock, file=source.name)
    references = {one.column: one.reference for one in meanings if one.reference}
    metadata = {
        "file": source.name,
        "sha256": source.sha256,
        "format": "csv",
        "instrument": UNKNOWN,
        "technique": UNKNOWN,
        "software": UNKNOWN,
        "start_time": start.iso,
        "start_written": start.written,
        "settings": {
            "columns": {one.column: one.quantity for one in meanings},
            "comments": [line.lstrip("# ") for line in source.lines[:row] if line.strip()],
            **({"reference": references} if references else {}),
        },
    }
    return Recording({table: frame}, metadata, (*notices, *start.notices))


def _separator(source: Source, row: int, said: str | None) -> str:
    """What stands between values: the one sign with which header and rows agree."""
    if said is not None:
        if said not in SEPARATORS:
            mend = f"It is one of {', '.join(map(repr, SEPARATORS))}."
            raise source.error(f"separator is {said!r}", field="separator", mend=mend)
        return said
    sample = [line for line in source.lines[row + 1 : row + 1 + _SAMPLE] if line.strip()]
    widths = {sign: len(_splitter(source, sign)([source.lines[row]])[0]) for sign in SEPARATORS}
    possible = [sign for sign, width in widths.items() if width > 1]
    if len(possible) > 1:
        agreeing = [sign for sign in possible if all(len(r) == widths[sign] for r in _splitter(source, sign)(sample))]
        possible = agreeing if len(agreeing) == 1 else possible
    if len(possible) != 1:
        message = "the header could be split at several signs" if possible else "the header has one column only"
        mend = f"Give separator=, one of {', '.join(map(repr, SEPARATORS))}."
        raise source.error(message, line=row + 1, field="separator", mend=mend)
    return possible[0]


def _splitter(source: Source, separator: str) -> Splitter:
    def split(lines: list[str]) -> list[list[str]]:
        try:
            rows = list(csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True))
        except csv.Error:
            rows = []
        if len(rows) != len(lines):
            raise _quotes(source, lines, separator)
        return rows

    return split


def _quotes(source: Source, lines: list[str], separator: str) -> Exception:
    """The error about the first line that does not stand alone."""
    for line in lines:
        try:
            list(csv.reader([line], delimiter=separator, skipinitialspace=True, strict=True))
        except csv.Error as error:
            number = source.lines.index(line) + 1
            mend = "Close the quotation mark, or take out the line break within it."
            return source.error(f"the line cannot be taken apart ({error})", line=number, mend=mend)
    return source.error("quotation marks span several lines", mend="Take out the line breaks within them.")


def _check_names(source: Source, names: list[str], row: int, separator: str) -> None:
    if len(names) < 2:
        message = f"the header has one column only when split at {separator!r}"
        raise source.error(message, line=row + 1, field="separator", mend="Leave separator= out, or give another one.")
    for place, name in enumerate(names):
        if not name or name in names[:place]:
            message = (
                f"column {place + 1} has the name of another, {name!r}" if name else f"column {place + 1} has no name"
            )
            raise source.error(message, line=row + 1, field="columns", mend="Give each column a name of its own.")


def _unit_row(source: Source, row: int, names: list[str], split: Splitter) -> tuple[dict[str, str], int]:
    """Units by column where the line below the names holds them, and the index of the first line of values.

    A line of as many words as there are names, none of them a number, can be nothing else.
    """
    words = [word.strip() for word in split([source.lines[row]])[0]] if row < len(source.lines) else []
    if len(words) != len(names) or not any(words) or any(is_number(word) for word in words):
        return {}, row
    return {name: word for name, word in zip(names, words, strict=True) if word}, row + 1


def _meanings(
    source: Source, names: list[str], units: Mapping[str, str], line: int, options: DelimitedOptions
) -> tuple[list[Meaning], list[str]]:
    """What the columns hold, and those that are not understood or not wanted."""
    if options.columns is not None:
        for column in options.columns:
            if column not in names:
                mend = f"The columns are {', '.join(map(repr, names))}."
                raise source.error(f"there is no column {column!r}", line=line, field=f"columns.{column}", mend=mend)
        meanings = [meaning_given(column, said, source) for column, said in options.columns.items()]
    else:
        said = {name: f"{name} / {units[name]}" if name in units else name for name in names}
        found = {name: meaning_of(said[name], source, line) for name in names}
        meanings = [replace(one, column=name) for name, one in found.items() if one is not None]
    quantities = [one.quantity for one in meanings]
    for one in meanings:
        if quantities.count(one.quantity) > 1:
            both = ", ".join(repr(other.column) for other in meanings if other.quantity == one.quantity)
            mend = "Say with columns= which one counts."
            raise source.error(f"several columns are {one.quantity}: {both}", line=line, field=one.column, mend=mend)
    understood = {one.column for one in meanings}
    return meanings, [name for name in names if name not in understood]


def _check_commas(grid: Grid, separator: str) -> None:
    """Decimal commas between separating commas double the number of values."""
    for index in grid.span[:_SAMPLE] if separator == "," else ():
        line = grid.source.lines[index]
        if line.strip() and len(grid.split([line])[0]) == 2 * len(grid.names):
            raise grid.source.error(
                f"the row has twice as many values as the {len(grid.names)} columns: decimal commas between commas",
                line=index + 1,
                field="separator",
                mend="Export the table again with semicolons between the values.",
            )


def _frame(source: Source, columns: Columns, meanings: Sequence[Meaning], options: DelimitedOptions) -> pd.DataFrame:
    import pandas as pd

    frame: dict[str, Any] = {}
    for one in meanings:
        if one.quantity in _TEXTS:
            frame[one.quantity] = _words(source, columns, one, options)
        elif one.unit is None:
            frame[one.quantity] = _whole(source, columns, one)
        else:
            values = columns.numbers[one.column]
            title, values = _kelvin(one, values)
            frame[title] = -values if one.negative else values
    return pd.DataFrame(frame)


def _kelvin(one: Meaning, values: Any) -> tuple[str, Any]:
    """The column's name and values; temperatures on scales with another zero become kelvin."""
    found = scale(str(one.unit), "K") if one.quantity == "temperature" else None
    if found is not None and found[1] != 0.0:
        return "temperature/K", found[0] * values + found[1]
    return f"{one.quantity}/{one.unit}", values


def _words(source: Source, columns: Columns, one: Meaning, options: DelimitedOptions) -> list[Any]:
    words = columns.texts[one.column]
    if one.quantity == "species":
        known: list[Any] = [key_of(word, options.species) for word in words]
        wrong, mend = None, 'Give its key, as in species={"EtOH": "c2h5oh"}.'
    elif one.quantity == "compartment":
        known = [word.lower() if word.lower() in COMPARTMENTS else None for word in words]
        wrong, mend = None, f"It is one of {', '.join(COMPARTMENTS)}."
    elif one.quantity == "overload":
        known = [_TRUTH.get(word.lower()) for word in words]
        wrong, mend = None, "It is 1 where there was an overload, 0 where there was none."
    else:
        known = [word or None for word in words]
        wrong, mend = None, "Fill it in, or leave the column out."
    if wrong in known:
        row = known.index(wrong)
        message = f"{one.column} is {words[row]!r}, which is no known {one.quantity}"
        raise source.error(message, line=columns.lines[row], field=one.column, mend=mend)
    return known


def _whole(source: Source, columns: Columns, one: Meaning) -> Any:
    """A column that counts: injections and cycles."""
    values = columns.numbers[one.column]
    wrong = (values != np.floor(values)) | (np.abs(values) > 2**53)
    if wrong.any():
        row = int(np.argmax(wrong))
        message = f"{one.column} is {values[row]:g}, which is no whole number"
        raise source.error(message, line=columns.lines[row], field=one.column, mend="Count from 1.")
    return values.astype(np.int64)


def _check_time(source: Source, table: str, frame: pd.DataFrame, columns: Columns, notices: list[str]) -> None:
    time = next((name for name in frame.columns if name.startswith("time/")), None)
    if time is not None and table in ("potentiostat", "open_circuit", "flow"):
        mend = "Sort the rows by time, or take the part before apart from the part after."
        check_times(frame[time].to_numpy(), columns, source, field=time, notices=notices, mend=mend)
