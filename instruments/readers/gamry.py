"""Files of Gamry's Framework (``.dta``, which begin with ``EXPLAIN``).

Own code rather than gamry-parser 0.4 (MIT), which takes the decimal sign from the locale of the process, guesses the
order of day and month, and ends in an assertion or a traceback of pandas on a damaged file.

A file is a list of items, ``KEY<tab>TYPE<tab>values``; an item of type ``TABLE`` is followed by a line of names, a line
of units, and the points, each line led in by a tabulator. Signs are those of IUPAC: with ``CONVENTION`` 1, anodic
currents are positive.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from instruments.readers.clock import ClockOptions, Start, start_of
from instruments.readers.quantities import fits
from instruments.readers.recording import UNKNOWN, Recording
from instruments.readers.signs import Cathodic, signed
from instruments.readers.source import Source
from instruments.readers.tabular import Columns, Decimal, Grid, check_times

if TYPE_CHECKING:
    import pandas as pd

MARK: Final = "EXPLAIN"
"""The first line of every file."""

_ITEM: Final = re.compile(r"[A-Z][A-Z0-9_]*\t[A-Z0-9]{3,}(\t|$)")
_POTENTIOSTAT: Final = {"T": "time", "Vf": "potential", "Im": "current"}
_OPEN_CIRCUIT: Final = {"T": "time", "Vf": "potential"}
_IMPEDANCE: Final = {"Freq": "frequency", "Zreal": "z_real", "Zimag": "z_imag"}
_BESIDE_IMPEDANCE: Final = {"Time": "time", "Idc": "current", "Vdc": "potential"}

_OVERLOADS: Final = (1, 2, 3, 4, 5, 8, 9)
"""Places (from 0) in the column ``Over`` that mean an overload of potential, control amplifier or current, at the
point or within it; the others are timing, settling and the auxiliary input (Gamry, Framework help, "Overloads")."""

_NO_SENSOR: Final = -273.15
"""What a thermometer that is not connected reads is below absolute zero."""


@dataclass(frozen=True, slots=True)
class GamryOptions:
    """What may be said about such a file.

    Attributes:
        clock: about its clock.
        cathodic: the sign of cathodic currents, where it is not as ``CONVENTION`` says.
        curve: read only the curve of this number (``CURVE3`` is 3).
        decimal: the decimal sign, where the file's numbers do not tell.
    """

    clock: ClockOptions
    cathodic: Cathodic | None = None
    curve: int | None = None
    decimal: Decimal | None = None


@dataclass
class _Table:
    """One table of a file, by the indices of its lines."""

    name: str
    line: int
    announced: int | None
    end: int = 0


@dataclass
class _Content:
    """The items of a file."""

    items: dict[str, Any] = field(default_factory=dict)
    tables: list[_Table] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def recognises(source: Source) -> bool:
    """Whether the content is of this format."""
    return source.begins_with(MARK)


def read_gamry(source: Source, options: GamryOptions) -> Recording:
    """Read the tables ``potentiostat``, ``open_circuit`` and ``impedance``, as far as the file has them.

    ``potentiostat`` has a column ``cycle`` where the file has several curves, and ``overload`` where it says so.

    Raises:
        ReaderError: the file has no curve, lacks a column, is damaged, or its time runs backwards.
    """
    if not recognises(source):
        raise source.error(f"its first line is not {MARK}", line=1, mend="Give the file as Gamry's Framework wrote it.")
    content = _scan(source)
    if not content.tables:
        raise source.error(
            f"it has a header of {len(source.lines)} lines and no curve",
            line=len(source.lines),
            field="CURVE",
            mend="The experiment ended before its first point, or the file was cut.",
        )
    technique = str(content.items.get("TAG", UNKNOWN))
    signals: dict[str, pd.DataFrame] = {}
    for kind, tables in _by_kind(source, content, technique, options).items():
        signals[kind] = _frame(source, kind, tables, content, options)
    start = _start(source, content, signals, options)
    given: Cathodic | None = "negative" if content.items.get("CONVENTION", 1) == 1 else None
    signals = {kind: signed(table, options.cathodic, given, source) for kind, table in signals.items()}
    if content.items.get("EXPERIMENTABORTED") is True:
        content.notices.append("the experiment was aborted")
    metadata = {
        "file": source.name,
        "sha256": source.sha256,
        "format": "gamry",
        "instrument": f"Gamry {content.items.get('PSTAT', '')}".strip(),
        "technique": technique,
        "software": str(content.items.get("FRAMEWORKVERSION", UNKNOWN)),
        "start_time": start.iso,
        "start_written": start.written,
        "settings": content.items,
    }
    return Recording(signals, metadata, (*content.notices, *start.notices))


def _scan(source: Source) -> _Content:
    """Find the items and the lines of the tables."""
    content = _Content()
    lines, index = source.lines, 1
    while index < len(lines):
        parts = lines[index].split("\t")
        index += 1
        if len(parts) > 1 and parts[1] == "TABLE":
            announced = int(parts[2]) if len(parts) > 2 and parts[2].isdecimal() and len(parts[2]) < 10 else None
            table = _Table(parts[0], index - 1, announced)
            while index < len(lines) and not _ITEM.match(lines[index]):
                index += 1
            table.end = index
            content.tables.append(table)
        elif len(parts) > 2 and parts[1] == "NOTES":
            count = int(parts[2]) if parts[2].isdecimal() and len(parts[2]) < 6 else 0
            notes: list[str] = []
            while len(notes) < count and index < len(lines) and lines[index].startswith("\t"):
                notes.append(lines[index].strip())
                index += 1
            content.items[parts[0]] = "\n".join(notes).strip()
        elif parts[0] == "TAG" and len(parts) > 1:
            content.items["TAG"] = parts[1].strip()
        elif len(parts) > 2 and parts[0]:
            content.items[parts[0]] = _value(parts, index, content.notices)
        elif len(parts) > 3:
            mend = "The line before it was to begin a table, and is damaged: copy the file again."
            raise source.error("it has the form of a point, and stands in no table", line=index, mend=mend)
        elif parts[0].strip():
            content.notices.append(f"line {index} of the header is not understood, and left out")
    return content


def _value(parts: list[str], line: int, notices: list[str]) -> Any:
    """An item's value as a JSON type."""
    kind, text = parts[1], parts[2].strip()
    try:
        if kind == "TOGGLE":
            return text == "T"
        if kind in ("IQUANT", "SELECTOR"):
            return int(text)
        if kind == "QUANT":
            return _number(text)
        if kind == "POTEN":
            return {"value": _number(text), "versus": "open circuit" if parts[3].strip() == "T" else "reference"}
        if kind == "TWOPARAM":
            return {"enabled": text == "T", "values": [_number(parts[3]), _number(parts[4])]}
    except (ValueError, IndexError):
        notices.append(f"line {line} of the header: {parts[0]} is not of its kind {kind}, and kept as text")
    return text


def _number(text: str) -> float:
    value = float(text.strip().replace(",", "."))
    if not np.isfinite(value):
        raise ValueError(text)
    return value


def _by_kind(source: Source, content: _Content, technique: str, options: GamryOptions) -> dict[str, list[_Table]]:
    """The tables of the raw-signal form that the file's tables belong to."""
    kinds: dict[str, list[_Table]] = {}
    for table in content.tables:
        names = _names(source, table)
        if table.name.startswith("OCVCURVE") or (technique == "CORPOT" and "Im" not in names):
            kind, needed = "open_circuit", _OPEN_CIRCUIT
        elif table.name.startswith("ZCURVE") or "Zreal" in names:
            kind, needed = "impedance", _IMPEDANCE
        elif table.name.startswith("CURVE"):
            kind, needed = "potentiostat", _POTENTIOSTAT
        else:
            content.notices.append(f"the table {table.name} of technique {technique} is of no known kind, and left out")
            continue
        for name in needed:
            if name not in names:
                found = ", ".join(name for name in names if name) or "none"
                message = f"{table.name} of technique {technique} has no column {name}; it has {found}"
                mend = (
                    f"Without {needed[name]} there is no {kind} signal: record it, or read another curve with curve=."
                )
                raise source.error(message, line=table.line + 2, field=name, mend=mend)
        if options.curve is None or kind != "potentiostat" or _curve_number(table) == options.curve:
            kinds.setdefault(kind, []).append(table)
    if options.curve is not None and "potentiostat" not in kinds:
        raise source.error(f"it has no curve {options.curve}", field="curve", mend="Leave curve= out to read them all.")
    if not kinds:
        found = ", ".join(table.name for table in content.tables)
        mend = "Known are open circuit, curves of time, potential and current, and impedance."
        raise source.error(f"technique {technique} has no table of a known kind, only {found}", field="TAG", mend=mend)
    return kinds


def _names(source: Source, table: _Table) -> list[str]:
    if table.end - table.line < 3:
        mend = "The experiment ended before its first point, or the file was cut."
        raise source.error(f"{table.name} holds no points", line=table.line + 1, field=table.name, mend=mend)
    return [name.strip() for name in source.lines[table.line + 1].split("\t")]


def _curve_number(table: _Table) -> int | None:
    digits = table.name.removeprefix("CURVE")
    return int(digits) if digits.isdecimal() and len(digits) < 10 else 1 if not digits else None


def _frame(source: Source, kind: str, tables: list[_Table], content: _Content, options: GamryOptions) -> pd.DataFrame:
    """One table of the raw-signal form, from one or more of the file."""
    import pandas as pd

    parts: list[pd.DataFrame] = []
    lines: list[int] = []
    for table in tables:
        part, columns = _part(source, kind, table, content, options)
        if kind == "potentiostat" and len(tables) > 1:
            part["cycle"] = _curve_number(table) or len(parts) + 1
        parts.append(part)
        lines.extend(columns.lines)
    if any(list(part.columns) != list(parts[0].columns) for part in parts):
        message = "its curves differ in columns or units"
        raise source.error(message, field="CURVE", mend="Read them one by one with curve=.")
    frame = pd.concat(parts, ignore_index=True)
    time = next((column for column in frame.columns if column.startswith("time/")), None)
    if time is not None:
        mend = "Where each curve has a clock of its own, read them one by one with curve=."
        whole = Columns({}, {}, lines)
        check_times(frame[time].to_numpy(), whole, source, field=time, notices=content.notices, mend=mend)
    return frame


def _part(
    source: Source, kind: str, table: _Table, content: _Content, options: GamryOptions
) -> tuple[pd.DataFrame, Columns]:
    """The points of one table of the file."""
    import pandas as pd

    names = _names(source, table)
    units = [unit.strip() for unit in source.lines[table.line + 2].split("\t")]
    units += [""] * (len(names) - len(units))
    wanted: dict[str, str] = dict(
        {"potentiostat": _POTENTIOSTAT, "open_circuit": _OPEN_CIRCUIT, "impedance": _IMPEDANCE | _BESIDE_IMPEDANCE}[
            kind
        ]
    )
    wanted = {name: quantity for name, quantity in wanted.items() if name in names}
    titles = {
        name: f"{quantity}/{_unit(source, table, name, quantity, names, units)}" for name, quantity in wanted.items()
    }
    thermometer = ["Temp"] if "Temp" in names and kind != "impedance" else []
    overload = ["Over"] if "Over" in names and kind == "potentiostat" else []
    span = range(table.line + 3, table.end)
    grid = Grid(source, table.name, names, span, decimal=options.decimal, notices=content.notices)
    columns = grid.read([*wanted, *thermometer], overload)
    if table.announced is not None and table.announced != len(columns):
        announced = f"{table.name} was to have {table.announced} points and has {len(columns)}"
        content.notices.append(f"{announced}: it ended early, or the file was shortened")
    part = pd.DataFrame({titles[name]: columns.numbers[name] for name in wanted})
    if overload:
        part["overload"] = [
            any(place < len(o) and o[place] != "." for place in _OVERLOADS) for o in columns.texts["Over"]
        ]
        if (count := int(part["overload"].sum())) > 0:
            content.notices.append(f"{table.name}: {count} of {len(columns)} points in overload")
    if thermometer:
        _add_temperature(part, columns, table, units[names.index("Temp")], content)
    return part, columns


def _unit(source: Source, table: _Table, name: str, quantity: str, names: list[str], units: list[str]) -> str:
    written = units[names.index(name)]
    unit = re.sub(r"\s*vs\.?\s.*$", "", written)
    if not unit or not fits(quantity, unit):
        message = f"the unit of {name} in {table.name} is {written!r}, which is none of {quantity}"
        mend = "The third line of a table holds its units: restore it."
        raise source.error(message, line=table.line + 3, field=name, mend=mend)
    return unit


def _add_temperature(part: pd.DataFrame, columns: Columns, table: _Table, unit: str, content: _Content) -> None:
    celsius = columns.numbers["Temp"]
    if unit != "deg C" or (celsius <= _NO_SENSOR).any():
        content.notices.append(f"{table.name} was recorded without a thermometer; its column Temp is left out")
    else:
        part["temperature/K"] = celsius - _NO_SENSOR


def _start(source: Source, content: _Content, signals: Mapping[str, pd.DataFrame], options: GamryOptions) -> Start:
    """When the curve began, which is later than the script's DATE and TIME by what went before it.

    The times of an open-circuit phase before a curve are moved onto the curve's clock, on which they are negative.
    """
    date, time = content.items.get("DATE"), content.items.get("TIME")
    written = f"{date} {time}" if isinstance(date, str) and isinstance(time, str) else None
    start = start_of(written, options.clock, file=source.name)
    if "open_circuit" not in signals or len(signals) == 1:
        return start
    waiting = signals["open_circuit"]
    (column,) = (name for name in waiting.columns if name.startswith("time/"))
    duration = float(waiting[column].iloc[-1])
    waiting[column] -= duration
    content.notices.append(
        f"the curve began after {duration:g} s at open circuit, whose times are negative on the curve's clock"
        + ("; start_time is DATE and TIME and that" if options.clock.start is None else "")
    )
    return start.later(duration) if options.clock.start is None else start
