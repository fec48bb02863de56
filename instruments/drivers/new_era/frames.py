"""Frames of New Era pumps, and the numbers in them. Pure functions.

Source: NE-1000 user manual (publication 1200-01, firmware 3.9), chapter "RS-232 communications".
"""

from __future__ import annotations

import binascii
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from instruments.errors import ProtocolError

STX: Final = b"\x02"
ETX: Final = b"\x03"
OVERHEAD: Final = 4
"""Bytes that the length of a safe frame counts beside the data: itself, the checksum and the end."""
SHORTEST: Final = 3 + OVERHEAD
"""Length of the shortest safe answer."""

RATES: Final[Mapping[str, float]] = MappingProxyType({"MM": 1.0, "UM": 1e-3, "MH": 1.0 / 60.0, "UH": 1e-3 / 60.0})
"""mL min-1 in one unit of rate."""
VOLUMES: Final[Mapping[str, float]] = MappingProxyType({"ML": 1.0, "UL": 1e-3})
"""mL in one unit of volume."""
STATES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "I": "infusing",
        "W": "withdrawing",
        "S": "stopped",
        "P": "paused",
        "T": "pausing",
        "U": "waiting",
        "X": "purging",
    }
)
"""Of the pump, by its prompt; ``pausing`` and ``waiting`` are phases of a program."""
MOVING: Final = frozenset("IWX")
ALARMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "R": "its power was interrupted",
        "S": "its motor stalled",
        "T": "it heard nothing for longer than its watchdog allows, and stopped",
        "E": "its program is wrong",
        "O": "its program left the last phase",
    }
)
ERRORS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "": "it does not know the command",
        "NA": "the command does not apply now",
        "OOR": "the value is out of its range",
        "COM": "the command reached it damaged",
        "IGN": "it passed over the command, since a phase began",
    }
)

Unit: TypeAlias = Literal["ML", "UL"]

_REPLY: Final = re.compile(r"(\d\d)(?:A\?([RSTEO])|([IWSPTUX]))(?:\?(|NA|OOR|COM|IGN)|([^?]*))")
_NUMBER: Final = r"(\d{1,4}(?:\.\d{0,3})?|\.\d{1,3})"
_RATE: Final = re.compile(rf"{_NUMBER}(UM|MM|UH|MH)")
_VOLUME: Final = re.compile(rf"{_NUMBER}(UL|ML)")
_DISPENSED: Final = re.compile(rf"I{_NUMBER}W{_NUMBER}(UL|ML)")
_VERSION: Final = re.compile(r"NE(\d{1,5})(X\d{0,3})?V(\d{1,2}\.\d{1,4})")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a pump says.

    Attributes:
        address: of the pump.
        prompt: what it does, see :data:`STATES`; empty with an alarm.
        alarm: that it raises, see :data:`ALARMS`; the command was then not executed.
        data: that was asked for.
        error: why it did not do what it was told, see :data:`ERRORS`; ``None`` where it did.
    """

    address: int
    prompt: str = ""
    alarm: str = ""
    data: str = ""
    error: str | None = None


def basic(address: int, text: str) -> bytes:
    """A command in the basic mode."""
    return f"{address:02d}{text}\r".encode("ascii")


def safe(address: int, text: str) -> bytes:
    """A command in the safe mode: with length and checksum (CCITT, initial value 0)."""
    data = f"{address:02d}{text}".encode("ascii")
    checksum = binascii.crc_hqx(data, 0).to_bytes(2, "big")
    return STX + bytes((len(data) + OVERHEAD,)) + data + checksum + ETX


def parse(frame: bytes, device: str) -> Reply:
    """An answer in either mode: a basic one begins with a digit of the address, a safe one with its length.

    Args:
        frame: from its STX to its ETX.
        device: name for errors.

    Raises:
        ProtocolError: it is none, or its checksum is wrong.
    """
    if len(frame) < 5 or not frame.startswith(STX) or not frame.endswith(ETX):
        raise ProtocolError(f"no frame: {frame[:60]!r}.", device=device)
    data = frame[1:-1]
    if not _is_digit(data[0]):
        if data[0] != len(frame) - 1 or data[0] < SHORTEST:
            raise ProtocolError(f"a frame of the wrong length: {frame[:60]!r}.", device=device)
        data, checksum = frame[2:-3], int.from_bytes(frame[-3:-1], "big")
        if binascii.crc_hqx(data, 0) != checksum:
            raise ProtocolError(f"a wrong checksum: {frame[:60]!r}.", device=device)
    found = _REPLY.fullmatch(data.decode("latin-1"))
    if found is None or not found[0].isascii() or not found[0].isprintable():
        raise ProtocolError(f"an answer that is not understood: {data[:60]!r}.", device=device)
    return Reply(int(found[1]), found[3] or "", found[2] or "", found[5] or "", found[4])


def _is_digit(byte: int) -> bool:
    return 0x30 <= byte <= 0x39


def parse_rate(data: str, device: str) -> tuple[float, str]:
    """A rate and its unit.

    Raises:
        ProtocolError: it is none.
    """
    found = _RATE.fullmatch(data)
    if found is None:
        raise ProtocolError(f"{data[:40]!r} where a rate should be.", device=device)
    return number(found[1], device), found[2]


def parse_volume(data: str, device: str) -> tuple[float, str]:
    """A volume and its unit.

    Raises:
        ProtocolError: it is none.
    """
    found = _VOLUME.fullmatch(data)
    if found is None:
        raise ProtocolError(f"{data[:40]!r} where a volume should be.", device=device)
    return number(found[1], device), found[2]


def parse_dispensed(data: str, device: str) -> tuple[float, float]:
    """Volumes that were infused and withdrawn, mL.

    Raises:
        ProtocolError: they are none.
    """
    found = _DISPENSED.fullmatch(data)
    if found is None:
        raise ProtocolError(f"{data[:40]!r} where volumes should be.", device=device)
    factor = VOLUMES[found[3]]
    return number(found[1], device) * factor, number(found[2], device) * factor


def parse_version(data: str, device: str) -> tuple[str, str]:
    """Model and firmware.

    Raises:
        ProtocolError: they are none.
    """
    found = _VERSION.fullmatch(data)
    if found is None:
        raise ProtocolError(f"{data[:40]!r} where a version should be.", device=device)
    return f"NE-{found[1]}{found[2] or ''}", found[3]


def number(text: str, device: str) -> float:
    """A number as pumps write it.

    Raises:
        ProtocolError: it is none.
    """
    if not re.fullmatch(_NUMBER, text):
        raise ProtocolError(f"{text[:40]!r} where a number should be.", device=device)
    return float(text)


def digits(value: float, *, down: bool = False) -> str | None:
    """A number as pumps take it: at most four digits, at most three of them after the point.

    Args:
        value: zero or more.
        down: round down instead of to the nearest.

    Returns:
        ``None`` where the number is too large.
    """
    for decimals in (3, 2, 1, 0):
        scaled = value * 10.0**decimals
        whole = math.floor(scaled + 1e-9) if down else round(scaled)
        if whole <= 9999:
            return f"{whole / 10.0**decimals:.{decimals}f}"
    return None


def best_rate(value: float) -> tuple[str, str, float] | None:
    """The unit in which a pump can be told a rate most exactly.

    Args:
        value: mL min-1, more than zero.

    Returns:
        Digits, unit, and the rate that they are in mL min-1; ``None`` where no unit has it.
    """
    best: tuple[float, str, str, float] | None = None
    for unit, factor in RATES.items():
        text = digits(value / factor)
        if text is None or float(text) == 0.0:
            continue
        actual = float(text) * factor
        wrong = abs(actual - value)
        if best is None or wrong < best[0] - 1e-12 * value:
            best = (wrong, text, unit, actual)
    return None if best is None else best[1:]
