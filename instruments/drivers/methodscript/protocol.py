"""MethodSCRIPT on the wire: numbers in scripts, packages of data, firmware and error lines. Pure functions.

Numbers to the instrument are an integer with an SI prefix (``-1050m``), since its grammar has no decimal point. Numbers
from it are seven hexadecimal digits, 2**27 above the value, and a prefix that stands for a power of ten; they are read
by position, because a prefix may look like a digit. Sources: PalmSens, MethodSCRIPT manual 1.8, chapters 4 and 5, and
the communication protocols of EmStat Pico (1.6) and EmStat4 (1.3).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Final, NoReturn

from instruments.errors import LimitError, ProtocolError

KIND: Final = "methodscript"
"""Of the driver; names it in errors where no device has a name yet."""
OFFSET: Final = 1 << 27
LARGEST: Final = (1 << 31) - 1
"""Of the integer in a literal, which the instrument keeps in 32 bits."""
NAN: Final = "     nan"
TIMING, OVERLOAD, UNDERLOAD, WARNING = 1, 2, 4, 8
"""Bits of a variable's status: timing not met, range exceeded, range hardly used, range nearly exceeded."""

POWERS: Final = MappingProxyType(
    {"a": -18, "f": -15, "p": -12, "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
)
"""Powers of ten of the prefixes; a package writes a space for none."""
_HEX: Final = frozenset("0123456789ABCDEFabcdef")
_LITERAL: Final = re.compile(r"([+-]?[0-9]{1,10})([afpnumkMGTPE]?)")
_ERROR: Final = re.compile(r"(.?)!([0-9A-Fa-f]{4})(?:: Line ([0-9]{1,6})(?:, Col ([0-9]{1,6}))?)?")
_TYPE: Final = re.compile(r"[a-z]{2}")


@dataclass(frozen=True, slots=True)
class Variable:
    """One number of a package.

    Attributes:
        type: two letters that say what it is, such as ``ba`` for the current of the working electrode.
        value: in SI units; not a number where the instrument says so.
        status: the bits above.
        range: index of the range that it was measured in.
    """

    type: str
    value: float
    status: int = 0
    range: int | None = None


@dataclass(frozen=True, slots=True)
class ErrorLine:
    """An error that the instrument reports.

    Attributes:
        echo: first letter of the command that it refused; empty for an error while a script ran.
        code: four hexadecimal digits.
        line: of the script, from 1.
        column: in that line, from 1.
    """

    echo: str
    code: str
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class Firmware:
    """What the instrument says of itself.

    Attributes:
        family: six letters, such as ``es4_hr``.
        version: such as ``1.4.00``.
        built: date and time.
        release: ``R`` for a release, ``B`` for a test version.
    """

    family: str
    version: str
    built: str
    release: str


def literal(value: float, device: str = KIND) -> str:
    """A number as it stands in a script.

    The shortest decimal form of the number is written without loss where its digits fit. Otherwise it is cut off
    towards zero, by less than a part in 10**6, so that no magnitude grows beyond a limit that it was checked against.

    Raises:
        LimitError: it is no finite number, or beyond what prefixes reach.
    """
    if not math.isfinite(value):
        _refuse(f"{value!r} cannot stand in a script.", device)
    exact = Fraction(repr(float(value)))
    if not exact:
        return "0"
    for prefix, power in sorted(POWERS.items(), key=lambda item: (item[0] != "", -item[1])):
        count = exact / Fraction(10) ** power
        if count.denominator == 1 and abs(count) <= LARGEST:
            return f"{count.numerator}{prefix}"
    for prefix, power in sorted(POWERS.items(), key=lambda item: item[1]):
        cut = int(exact / Fraction(10) ** power)  # towards zero
        if cut and abs(cut) <= LARGEST:
            return f"{cut}{prefix}"
    return "0" if abs(exact) < 1 else _refuse(f"{value:g} is beyond what a script can hold.", device)


def value_of(text: str, device: str = KIND) -> float:
    """The number that a literal stands for, correctly rounded.

    Raises:
        ProtocolError: it is none.
    """
    match = _LITERAL.fullmatch(text)
    if match is None:
        _garbled(f"{text[:40]!r} is no number of a script.", device)
    return _scaled(int(match[1]), POWERS[match[2]])


def parse_package(line: str, device: str = KIND) -> tuple[Variable, ...]:
    """The numbers of a line ``P...``.

    Raises:
        ProtocolError: it is no whole package.
    """
    if not line.startswith("P") or len(line) > 1000:
        _garbled(f"{line[:40]!r} is no package.", device)
    return tuple(_variable(part, device) for part in line[1:].split(";"))


def parse_error(line: str) -> ErrorLine | None:
    """The error that a line reports; ``None`` for any other line."""
    match = _ERROR.fullmatch(line)
    if match is None:
        return None
    place = [int(part) if part else None for part in match.group(3, 4)]
    return ErrorLine(match[1], match[2].upper(), *place)


def parse_firmware(text: str, device: str = KIND) -> Firmware:
    """The answer to ``t``, both lines with a line feed between them.

    Raises:
        ProtocolError: it is no such answer.
    """
    match = re.fullmatch(r"t(\w{6})([0-9]{2,6})#([ -~]{0,60})\n([A-Za-z]?[ -~]{0,40})\*", text, re.ASCII)
    if match is None:
        _garbled(f"{text[:60]!r} is no answer to `t`.", device)
    family, digits, built, release = match.groups()
    version = ".".join(part for part in (digits[0], digits[1], digits[2:]) if part)
    return Firmware(family, version, " ".join(built.split()), release)


def parse_serial(line: str, device: str = KIND) -> str:
    """The answer to ``i``.

    Raises:
        ProtocolError: it is no such answer.
    """
    match = re.fullmatch(r"i([!-~][ -~]{0,40})", line)
    if match is None or "!" in line:
        _garbled(f"{line[:60]!r} is no answer to `i`.", device)
    return match[1].strip()


def text_of(data: bytes, device: str = KIND) -> str:
    """A line as text, without flow control and carriage returns that a converter on the way let through.

    Raises:
        ProtocolError: another byte is no printable character.
    """
    kept = data.translate(None, b"\x11\x13\r\n\0")
    if not all(32 <= byte < 127 for byte in kept):
        _garbled(f"{data[:40]!r} is no text.", device)
    return kept.decode("ascii")


def _variable(part: str, device: str) -> Variable:
    head, *notes = part.split(",")
    kind, digits, prefix = head[:2], head[2:9], head[9:]
    if not _TYPE.fullmatch(kind):
        _garbled(f"{part[:40]!r} has no type of variable.", device)
    if head[2:] == NAN:
        value = math.nan
    elif len(digits) == 7 and _HEX.issuperset(digits) and len(prefix) == 1 and (prefix in POWERS or prefix in " i"):
        value = _scaled(int(digits, 16) - OFFSET, POWERS.get(prefix, 0))
    else:
        _garbled(f"{part[:40]!r} is no variable.", device)
    status, found = 0, None
    for note in notes:
        if not note or not _HEX.issuperset(note) or len(note) > 8:
            _garbled(f"{part[:40]!r} has notes that are none.", device)
        if note[0] == "1" and len(note) == 2:
            status = int(note[1], 16)
        elif note[0] == "2" and len(note) == 3:
            found = int(note[1:], 16)
    return Variable(kind, value, status, found)


def _scaled(count: int, power: int) -> float:
    """A power of ten times an integer; dividing by a whole number rounds correctly, multiplying by 1e-3 does not."""
    return count / 10**-power if power < 0 else float(count * 10**power)


def _garbled(message: str, device: str) -> NoReturn:
    raise ProtocolError(message, device=device)


def _refuse(message: str, device: str) -> NoReturn:
    raise LimitError(message, device=device)
