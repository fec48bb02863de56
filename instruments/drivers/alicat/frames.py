"""What Alicat devices say: data frames, and the tables that describe them. Pure functions of lines.

Sources: Alicat Serial Primer, rev. 2 (2023); replies of devices with firmware 5v12 to 10v20 that the authors of the
alicatlib package captured. Firmware before 6v has another table of its data frame than later ones: both are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from instruments.errors import ProtocolError

STATUS_WORDS: Final = MappingProxyType(
    {
        "ADC": "its converter has an internal fault",
        "COM": "its digital connection was idle for long",
        "EXH": "its exhaust valve is open",
        "GTA": "it tunes its own control",
        "HLD": "its valve is held",
        "LCK": "its buttons are locked",
        "MOV": "the mass flow is out of range",
        "OPL": "its limit of pressure was exceeded and its valve closed",
        "OVR": "its totalizer ran over",
        "P2O": "its second pressure is out of range",
        "POV": "the pressure is out of range",
        "TMF": "its totalizer missed flow",
        "TOV": "the temperature is out of range",
        "VOV": "the volumetric flow is out of range",
    }
)
"""Words that may follow a data frame (Serial Primer, page 8)."""

_FLOWS: Final = frozenset({"flow", "volumetric_flow"})
INVALID: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "ADC": frozenset({"pressure", "gauge_pressure", "differential_pressure", "temperature", *_FLOWS}),
        "OPL": frozenset({"pressure", "gauge_pressure", "setpoint", *_FLOWS}),
        "MOV": frozenset({"flow"}),
        "VOV": _FLOWS,
        "POV": frozenset({"pressure", "gauge_pressure", *_FLOWS}),
        "P2O": frozenset({"differential_pressure"}),
        "TOV": frozenset({"temperature", *_FLOWS}),
    }
)
"""Which readings a word makes worthless. The others, of totals, locks and the valve, are notes."""
NOT_FOLLOWED: Final = frozenset({"HLD", "EXH", "GTA", "OPL", "ADC"})
"""Words under which a controller does not follow its set point."""

_STATISTICS: Final = MappingProxyType(
    {
        2: "pressure",
        3: "temperature",
        4: "volumetric_flow",
        5: "flow",
        6: "gauge_pressure",
        7: "differential_pressure",
        34: "setpoint",
        36: "setpoint",
        37: "setpoint",
        38: "setpoint",
        39: "setpoint",
        700: "id",
        701: "status",
        702: "status",
        703: "gas",
    }
)
CONTROLLED: Final = MappingProxyType({34: 2, 36: 4, 37: 5, 38: 6, 39: 7})
"""Statistic that a set point controls, by the statistic of the set point."""
_NAMES: Final = MappingProxyType(
    {
        "unit id": "id",
        "pressure": "pressure",
        "temperature": "temperature",
        "volumetric": "volumetric_flow",
        "mass": "flow",
        "setpoint": "setpoint",
        "gas": "gas",
        "error": "status",
        "status": "status",
    }
)

_ROW: Final = re.compile(
    r"D\d\d\s+(?P<statistic>\d{3})\s(?P<name>\*?\S.*?)\s+(?P<kind>s decimal|decimal|string|signed|text)\s+"
    r"(?P<width>\d+(?:/\d+)?)\s*(?P<notes>.*)"
)
_OLD_ROW: Final = re.compile(
    r"D\d\d\s(?P<name>\S.*?)\s+(?P<kind>signed|char|string)\s+(?P<low>\S+)\s+(?P<high>\S+)\s+(?P<unit>\S+)"
)
_NUMBER: Final = re.compile(r"[-+]?\d{1,8}(?:\.\d{0,6})?")
_FIRMWARE: Final = re.compile(r"(\d{1,3})v(\d{1,3})")
_GAS: Final = re.compile(r"G(\d{1,3})\s+(\S{1,12})")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the data frame.

    Attributes:
        key: what it is, in this package's words; empty for what the driver does not know.
        unit: as the device names it.
        decimals: of its numbers.
        statistic: the device's number for it; ``None`` where it does not say.
        high: its full scale, where the table says it.
    """

    key: str
    unit: str = ""
    decimals: int = 2
    statistic: int | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of the data frame, without the words that may follow it."""

    columns: tuple[Column, ...]

    def find(self, key: str) -> Column | None:
        """A column by its key."""
        return next((column for column in self.columns if column.key == key), None)


@dataclass(frozen=True, slots=True)
class Frame:
    """One data frame.

    Attributes:
        values: numbers by key, in the device's units.
        gas: its name; empty where the device has none.
        words: of status, in the order of the device.
    """

    values: Mapping[str, float]
    gas: str
    words: tuple[str, ...]


def number(text: str, device: str) -> float:
    """A plain decimal number as devices write it.

    Raises:
        ProtocolError: it is none.
    """
    if not _NUMBER.fullmatch(text):
        raise ProtocolError(f"{text[:40]!r} where a number should be.", device=device)
    return float(text)


def parse_layout(lines: Iterable[str], device: str) -> Layout:
    """The table of the data frame (``??D*``), in either form.

    Args:
        lines: of the table, without the letter of the unit.
        device: name for errors.

    Raises:
        ProtocolError: it is no such table, or has no column that is known.
    """
    columns = []
    for line in lines:
        text = line.strip()
        if not text or re.match(r"D00\s", text):
            continue
        column = _column(text, device)
        if column.key != "status":
            columns.append(column)
    known = [column.key for column in columns if column.key]
    if known[:1] != ["id"] or len(known) < 2 or len(known) != len(set(known)):
        raise ProtocolError(f"a table of the data frame with the columns {known}.", device=device)
    return Layout(tuple(columns))


def _column(text: str, device: str) -> Column:
    if row := _ROW.fullmatch(text):
        statistic = int(row["statistic"])
        key = "status" if row["name"].startswith("*") else _STATISTICS.get(statistic, "")
        decimals = int(row["width"].partition("/")[2] or 0)
        notes = row["notes"].split()
        unit = notes[-1] if notes and key not in ("status", "gas", "id") else ""
        return Column(key, unit, decimals, statistic)
    if row := _OLD_ROW.fullmatch(text):
        key = _NAMES.get(row["name"].lower(), "")
        if row["kind"] != "signed":
            return Column(key)
        high = number(row["high"], device)
        return Column(key, row["unit"], len(row["high"].partition(".")[2]), high=high)
    raise ProtocolError(f"a row of the table of the data frame that is not understood: {text[:80]!r}.", device=device)


def parse_frame(line: str, layout: Layout, device: str) -> Frame:
    """A data frame.

    Args:
        line: with the letter of the unit.
        layout: of the device.
        device: name for errors.

    Raises:
        ProtocolError: it does not fit the layout.
    """
    tokens = line.split()
    if len(tokens) < len(layout.columns):
        raise ProtocolError(
            f"a data frame of {len(tokens)} instead of {len(layout.columns)} columns: {line[:80]!r}.", device=device
        )
    values, gas = {}, ""
    for column, token in zip(layout.columns, tokens, strict=False):
        if column.key == "gas":
            gas = token
        elif column.key not in ("id", ""):
            values[column.key] = number(token, device)
    words = tuple(tokens[len(layout.columns) :])
    if strange := [word for word in words if word not in STATUS_WORDS]:
        raise ProtocolError(f"a data frame that ends with {strange[0][:40]!r}: {line[:80]!r}.", device=device)
    return Frame(values, gas, words)


def parse_firmware(text: str) -> tuple[int, int] | None:
    """Numbers of a firmware such as ``10v20.0-R24``; ``None`` where there are none."""
    found = _FIRMWARE.search(text)
    return (int(found[1]), int(found[2])) if found else None


def parse_maker(lines: Iterable[str]) -> Mapping[str, str]:
    """Model, serial number and firmware in the table of the maker (``??M*``); what it does not say is missing."""
    labels = {"Model Number": "model", "Serial Number": "serial", "Software Revision": "firmware"}
    found = {}
    for line in lines:
        row = re.match(r"\s*M\d\d\s+(.*)", line)
        for label, key in labels.items():
            if row and row[1].startswith(label):
                found[key] = row[1].removeprefix(label).strip()
    return found


def parse_gases(lines: Iterable[str]) -> Mapping[int, str]:
    """Numbers and names of the gases that the device knows (``??G*``)."""
    rows = (_GAS.fullmatch(line.strip()) for line in lines)
    return {int(row[1]): row[2] for row in rows if row}


def parse_setpoint(line: str, device: str) -> float:
    """The requested set point in an answer to ``LS``, such as ``A +078.94 +078.94 12 SCCM``.

    Raises:
        ProtocolError: it is no such answer.
    """
    tokens = line.split()
    if len(tokens) != 5 or not tokens[3].isdigit():
        raise ProtocolError(f"no answer about a set point: {line[:80]!r}.", device=device)
    return number(tokens[2], device)


def parse_full_scale(line: str, device: str) -> tuple[float, str]:
    """A full scale and its unit in an answer to ``FPF``, such as ``A +500.00 12 SCCM``.

    Raises:
        ProtocolError: it is no such answer.
    """
    tokens = line.split()
    if len(tokens) != 4 or not tokens[2].isdigit():
        raise ProtocolError(f"no answer about a full scale: {line[:80]!r}.", device=device)
    return number(tokens[1], device), tokens[3]
