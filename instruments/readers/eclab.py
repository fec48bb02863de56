"""Text files of BioLogic's EC-Lab and BT-Lab (``.mpt``).

Own code: the libraries that read them are under the GPL (galvani, yadg), or do not tell damage from data.

``Nb header lines`` says where the table begins; its last header line names the columns, each with its unit. EC-Lab
writes its dates with the month first, its signs are those of IUPAC, and ``time/s`` counts from the start of the
acquisition, which all techniques of a run have in common.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from instruments.electrochemistry.tables import Floats
from instruments.readers.clock import ClockOptions, Start, start_of
from instruments.readers.recording import UNKNOWN, Recording
from instruments.readers.signs import Cathodic, signed
from instruments.readers.source import Source
from instruments.readers.tabular import Columns, Decimal, Grid, check_times

if TYPE_CHECKING:
    import pandas as pd

MARKS: Final = ("EC-Lab ASCII FILE", "BT-Lab ASCII FILE")
"""The first line of a file."""

_TIME: Final = ("time/s",)
_POTENTIAL: Final = ("Ewe/V", "<Ewe>/V")
_CURRENT: Final = ("I/mA", "<I>/mA", "I/A", "<I>/A")
_COUNTER: Final = ("Ece/V", "<Ece>/V")
_BETWEEN: Final = "Ewe-Ece/V"
_TEMPERATURE: Final = ("Temperature/°C", "T/°C")
_IMPEDANCE: Final = ("freq/Hz", "Re(Z)/Ohm", "-Im(Z)/Ohm")
_CONTROL: Final = "control/V/mA"
_BESIDE: Final = ("control/V", "control/mA", _CONTROL, "mode", "cycle number", "error")
_MANY: Final = 1e9
"""More cycles than there are."""

_OPEN_CIRCUIT: Final = "Open Circuit Voltage"
_PAIR: Final = re.compile(r"^([^:]+?) : ?(.*)$")


@dataclass(frozen=True, slots=True)
class EcLabOptions:
    """What may be said about such a file.

    Attributes:
        clock: about its clock.
        cathodic: the sign of cathodic currents, where it is not negative.
        decimal: the decimal sign, where the file's numbers do not tell.
    """

    clock: ClockOptions
    cathodic: Cathodic | None = None
    decimal: Decimal | None = None


def recognises(source: Source) -> bool:
    """Whether the content is of this format."""
    return source.begins_with(*MARKS)


def read_eclab(source: Source, options: EcLabOptions) -> Recording:
    """Read the table ``potentiostat``, ``open_circuit`` or ``impedance``.

    Raises:
        ReaderError: the file has no table, lacks a column, is damaged, or its time runs backwards.
    """
    if not recognises(source):
        raise source.error(f"its first line is not {MARKS[0]!r}", line=1, mend="Export it as text (.mpt) from EC-Lab.")
    notices: list[str] = []
    row = _row_of_names(source, notices)
    names = [name.strip() for name in source.lines[row].rstrip("\n").split("\t")]
    while names and not names[-1]:
        names.pop()
    header = source.lines[:row]
    technique = _technique(header)
    if any(re.match(r"\s*Time format : Absolute", line) for line in header):
        mend = "Export it again with the time format Elapsed."
        raise source.error("its times are dates, not seconds", field="Time format", mend=mend)
    grid = Grid(source, "the table", names, range(row + 1, len(source.lines)), decimal=options.decimal, notices=notices)
    kind, frame = _table(source, grid, technique, notices)
    frame = signed(frame, options.cathodic, "negative", source)
    settings = _settings(header)
    start = _start(source, settings, options)
    software = next((line.strip() for line in header if line.startswith(("EC-Lab for", "BT-Lab for"))), UNKNOWN)
    metadata = {
        "file": source.name,
        "sha256": source.sha256,
        "format": "eclab",
        "instrument": f"BioLogic {settings.get('Device', UNKNOWN)}",
        "technique": technique,
        "software": software,
        "start_time": start.iso,
        "start_written": start.written,
        "settings": settings,
    }
    return Recording({kind: frame}, metadata, (*notices, *start.notices))


def _row_of_names(source: Source, notices: list[str]) -> int:
    """Index of the line that names the columns."""
    lines = source.lines
    for line in lines[1:10]:
        found = re.match(r"Nb header lines\s*:\s*(\d{1,6})\s*$", line)
        if found:
            row = int(found[1]) - 1
            if row < 1 or row >= len(lines) or "\t" not in lines[row]:
                message = f"by its header the columns are named in line {row + 1}, which is not so"
                mend = "The file was cut or changed: export it again."
                raise source.error(message, line=max(1, min(row + 1, len(lines))), field="Nb header lines", mend=mend)
            return row
    known = {*_TIME, *_POTENTIAL, *_CURRENT, *_IMPEDANCE}
    for row, line in enumerate(lines):
        if known & set(line.split("\t")):
            notices.append("the header is incomplete: it does not say how long it is")
            return row
    mend = "The file was cut or changed: export it again."
    raise source.error("it has no line of column names", field="Nb header lines", line=len(lines), mend=mend)


def _technique(header: list[str]) -> str:
    """The technique stands on a line of its own after the number of header lines."""
    for line in header[1:8]:
        text = line.strip()
        if text and ":" not in text and "\t" not in text:
            return text
    return UNKNOWN


def _settings(header: list[str]) -> dict[str, Any]:
    """What the header says, as text: ``Name : value`` lines, and the sequence of the technique by columns."""
    settings: dict[str, Any] = {}
    for line in header[1:]:
        text = line.strip()
        pair = _PAIR.match(text)
        words = re.split(r"\s{2,}", text)
        if pair:
            settings.setdefault(pair[1].strip(), pair[2].strip())
        elif len(words) > 1:
            name = words[0]
            while name in settings:  # "vs." follows each potential
                name += "'"
            settings[name] = words[1] if len(words) == 2 else words[1:]
    return settings


def _start(source: Source, settings: dict[str, Any], options: EcLabOptions) -> Start:
    written = settings.get("Acquisition started on")
    return start_of(written, options.clock, file=source.name, convention="month first")


def _table(source: Source, grid: Grid, technique: str, notices: list[str]) -> tuple[str, pd.DataFrame]:
    names = grid.names
    if len(set(names)) < len(names):
        message = "two columns have the same name"
        raise source.error(message, line=grid.span.start, field="columns", mend="Export the file again.")
    if any(name in names for name in _IMPEDANCE):
        return "impedance", _impedance(source, grid, notices)
    if technique == _OPEN_CIRCUIT:
        return "open_circuit", _trace(source, grid, notices, with_current=False)
    return "potentiostat", _trace(source, grid, notices, with_current=True)


def _first(grid: Grid, choices: tuple[str, ...]) -> str | None:
    """The first of several columns that the file has."""
    return next((name for name in choices if name in grid.names), None)


def _needed(grid: Grid, choices: tuple[str, ...], quantity: str) -> str:
    """The same, where there must be one."""
    found = _first(grid, choices)
    if found is None:
        raise grid.source.error(
            f"there is no column {' or '.join(choices)}; the table has {', '.join(grid.names)}",
            line=grid.span.start,
            field=choices[0],
            mend=f"Export the file again with {quantity} among its variables.",
        )
    return found


def _trace(source: Source, grid: Grid, notices: list[str], *, with_current: bool) -> pd.DataFrame:
    import pandas as pd

    titles = {_needed(grid, _TIME, "time"): "time/s"}
    if with_current:
        current = _needed(grid, _CURRENT, "current")
        titles[current] = f"current/{current.partition('/')[2]}"
    if not with_current or _first(grid, _POTENTIAL) or _BETWEEN not in grid.names:
        titles[_needed(grid, _POTENTIAL, "potential")] = "potential/V"
    beside = [name for name in _BESIDE if name in grid.names and (with_current or name == "error")]
    counter, warm = _first(grid, _COUNTER), _first(grid, _TEMPERATURE)
    between = _BETWEEN if _BETWEEN in grid.names else None
    beside += [name for name in ((counter, between) if with_current else ()) if name is not None]
    beside += [warm] if warm is not None else []
    columns = grid.read([*titles, *beside])
    frame = pd.DataFrame({title: columns.numbers[name] for name, title in titles.items()})
    mend = "A file holds one technique of one run: export it again."
    check_times(columns.numbers["time/s"], columns, source, field="time/s", notices=notices, mend=mend)
    if with_current:
        _add_cell_voltage(source, frame, columns, notices)
        _add_set_point(frame, columns, notices)
        _add_cycle(frame, columns, notices)
    if warm is not None:
        frame["temperature/K"] = columns.numbers[warm] + 273.15
    if "error" in columns.numbers and (count := int((columns.numbers["error"] != 0).sum())) > 0:
        notices.append(f"EC-Lab marks {count} of {len(columns)} points with an error")
    return frame


def _add_cycle(frame: pd.DataFrame, columns: Columns, notices: list[str]) -> None:
    cycle = columns.numbers.get("cycle number")
    if cycle is None:
        return
    if ((cycle != np.floor(cycle)) | (np.abs(cycle) > _MANY)).any():
        notices.append("the cycle number is not a whole number throughout, and left out")
    else:
        frame["cycle"] = cycle.astype(np.int64)


def _add_cell_voltage(source: Source, frame: pd.DataFrame, columns: Columns, notices: list[str]) -> None:
    """The counter electrode against the working electrode, which is the cathode in reduction."""
    counter = next((columns.numbers[name] for name in _COUNTER if name in columns.numbers), None)
    if "potential/V" not in frame:
        frame["cell_voltage/V"] = _between(source, columns, notices)
        return
    if counter is None:
        return
    voltage = counter - frame["potential/V"].to_numpy()
    if (voltage < 0).any():
        notices.append("the working electrode is not the cathode throughout; the cell voltage is left out")
    else:
        frame["cell_voltage/V"] = voltage


def _between(source: Source, columns: Columns, notices: list[str]) -> Floats:
    """The voltage of a cell without a reference electrode, positive whichever electrode is the cathode."""
    difference = columns.numbers[_BETWEEN]
    if (difference <= 0).all():
        return -difference
    if (difference < 0).any():
        row = int(np.argmax((difference < 0) != (difference[0] < 0)))
        message = f"{_BETWEEN} changes its sign, and without Ewe/V nothing tells which electrode is the cathode"
        mend = "Export the file again with Ewe/V, or only the part in which the cell is driven."
        raise source.error(message, line=columns.lines[row], field=_BETWEEN, mend=mend)
    notices.append(f"{_BETWEEN} is positive: the working electrode is the anode, so see to cathodic=")
    return difference


def _add_set_point(frame: pd.DataFrame, columns: Columns, notices: list[str]) -> None:
    """What was controlled: its own column, or a common one whose meaning the column ``mode`` tells."""
    for name, own in (("control/V", "set_potential/V"), ("control/mA", "set_current/mA")):
        if name in columns.numbers:
            frame[own] = columns.numbers[name]
    if _CONTROL in columns.numbers:
        modes = frozenset(columns.numbers["mode"].tolist()) if "mode" in columns.numbers else frozenset()
        title = {frozenset({1.0}): "set_current/mA", frozenset({2.0}): "set_potential/V"}.get(modes)
        if title is None:
            notices.append(f"{_CONTROL} is current in some points and potential in others, and left out")
        else:
            frame[title] = columns.numbers[_CONTROL]


def _impedance(source: Source, grid: Grid, notices: list[str]) -> pd.DataFrame:
    import pandas as pd

    frequency, real, imaginary = (_needed(grid, (name,), name) for name in _IMPEDANCE)
    beside = {"time/s": "time/s"} if "time/s" in grid.names else {}
    for choices, quantity in ((_CURRENT, "current"), (_POTENTIAL, "potential")):
        found = _first(grid, choices)
        if found is not None:
            beside[found] = f"{quantity}/{found.partition('/')[2]}"
    columns = grid.read([frequency, real, imaginary, *beside])
    frame = pd.DataFrame(
        {
            "frequency/Hz": columns.numbers[frequency],
            "z_real/ohm": columns.numbers[real],
            "z_imag/ohm": -columns.numbers[imaginary],  # the file has its negative, as the usual plots do
            **{title: columns.numbers[name] for name, title in beside.items()},
        }
    )
    idle = frame["frequency/Hz"] <= 0
    if idle.all():
        mend = "It was recorded without a sine: export the technique with one."
        raise source.error("no point has a frequency above zero", line=columns.lines[0], field=frequency, mend=mend)
    if idle.any():
        notices.append(f"{int(idle.sum())} of {len(frame)} points have no frequency, and are left out")
    return frame[~idle].reset_index(drop=True)
