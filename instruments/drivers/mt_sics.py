"""Balances of Mettler Toledo and others that speak MT-SICS, levels 0 and 1.

Commands and answers are lines of ASCII that end with CR LF (MT-SICS Reference Manual 11780711). An answer begins with
the command's name: ``S S      52.1873 g`` is a stable weight, ``S D`` one that still moves, ``S I`` says that the
balance cannot now, ``S +`` and ``S -`` that it is over- and underloaded. ``ES``, ``ET`` and ``EL`` refuse a command.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from pydantic import Field

from instruments.device import Attribute, Device, Identity, Safety, Value, Wiring
from instruments.drivers._serial import SerialDevice, SerialOptions, number_of, text_of
from instruments.errors import DeviceFault, ProtocolError
from instruments.transport.stream import Stream

GRAMS: Final[Mapping[str, float]] = MappingProxyType(
    {
        "g": 1.0,
        "kg": 1e3,
        "mg": 1e-3,
        "ug": 1e-6,
        "t": 1e6,
        "ct": 0.2,
        "lb": 453.59237,
        "oz": 28.349523125,
        "ozt": 31.1034768,
        "GN": 0.06479891,
        "dwt": 1.55517384,
        "mom": 3.75,
    }
)
"""Grams in each unit that a balance may show (exact by definition; the momme as the manual has it)."""

REFUSALS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "I": "it cannot do that now: it is busy, or the weight did not become stable in time",
        "+": "it is overloaded",
        "-": "it is underloaded: the pan may be missing",
        "L": "it does not take this parameter",
        "ES": "it does not know this command",
        "ET": "it received a garbled command",
        "EL": "it cannot execute this command",
    }
)
"""Signs by which a balance refuses, and what they mean."""

PAN: Final = ("tare", "clear_tare", "zero")
_COMMANDS: Final = MappingProxyType({"tare": "T", "clear_tare": "TAC", "zero": "Z"})
_CAPACITY: Final = re.compile(r"([\d.]+)\s*([A-Za-z]+)\s*$")


@dataclass(frozen=True, slots=True)
class Weight:
    """A weight as a balance says it.

    Attributes:
        grams: the net weight, g.
        stable: whether it had come to rest.
    """

    grams: float
    stable: bool


def parse_answer(line: bytes, command: str, device: str = "mt_sics") -> list[str]:
    """The words of an answer after the command's name and without a refusal.

    Args:
        line: without its end.
        command: that was sent, such as ``S``.
        device: name for errors.

    Raises:
        DeviceFault: the balance refuses.
        ProtocolError: it is no answer to this command.
    """
    text = text_of(line, device)
    words = text.split()
    if len(words) == 1 and words[0] in ("ES", "ET", "EL"):
        raise DeviceFault(f"{REFUSALS[words[0]]} ({command}).", device=device, code=words[0])
    names = ("S", "SI") if command in ("S", "SI") else (command,)
    if len(words) < 2 or words[0] not in names:
        raise ProtocolError(f"{text[:60]!r} is no answer to {command}.", device=device)
    if len(words) == 2 and words[1] in ("I", "+", "-", "L"):
        raise DeviceFault(f"{REFUSALS[words[1]]} ({command}).", device=device, code=words[1])
    return words[1:]


def parse_weight(line: bytes, command: str = "S", device: str = "mt_sics") -> Weight:
    """A weight in grams.

    Raises:
        DeviceFault: the balance refuses.
        ProtocolError: it is no weight, or in a unit that is none of mass.
    """
    words = parse_answer(line, command, device)
    if len(words) != 3 or words[0] not in ("S", "D", "A"):
        raise ProtocolError(f"{line[:60]!r} is no weight.", device=device)
    number, unit = number_of(words[1], device), words[2]
    if unit not in GRAMS:
        raise ProtocolError(f"{unit!r} is no unit of mass.", device=device)
    return Weight(number * GRAMS[unit], words[0] != "D")


def parse_quoted(line: bytes, command: str, device: str = "mt_sics") -> str:
    """The text between quotation marks of an answer such as ``I4 A "B021002593"``.

    Raises:
        DeviceFault: the balance refuses.
        ProtocolError: there is none.
    """
    parse_answer(line, command, device)
    found = re.search(r'"([^"]*)"', text_of(line, device))
    if found is None:
        raise ProtocolError(f"{line[:60]!r} has no text between quotation marks.", device=device)
    return found[1].strip()


class MtSicsOptions(SerialOptions):
    """A balance with MT-SICS.

    Attributes:
        settle: the longest wait for a stable weight, s.
        repeatability: standard deviation of its weighings from its certificate, g; without it weights have no ``sem``.
        linearity: standard uncertainty relative to the weight, from its certificate.
    """

    kind: Literal["mt_sics"] = "mt_sics"
    xonxoff: bool = True
    settle: float = Field(30.0, gt=0.0, le=300.0)
    repeatability: float = Field(0.0, ge=0.0, le=1e3)
    linearity: float = Field(0.0, ge=0.0, le=0.1)

    def build(self, name: str, wiring: Wiring) -> Device:
        """The balance, not yet connected."""
        return MtSics(name, self, wiring)


class MtSics(SerialDevice):
    """A balance.

    Attributes to read: ``mass`` waits until the weight is stable, ``mass_now`` does not; both net, in g. To set:
    ``pan``, one of ``tare``, ``clear_tare``, ``zero``. A balance holds nothing that could harm: its safe state is any.
    """

    def __init__(self, name: str, options: MtSicsOptions, wiring: Wiring) -> None:
        super().__init__(name, options, wiring)
        self._options = options
        self._capacity = float("inf")

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """Masses up to the capacity that the balance tells."""
        o, most = self._options, self._capacity
        known = (
            Attribute("mass", "g", low=-most, high=most, accuracy=o.linearity, floor=o.repeatability),
            Attribute("mass_now", "g", low=-most, high=most, accuracy=o.linearity, floor=o.repeatability),
            Attribute("pan", settable=True, choices=PAN, description="tare, clear the tare, or set to zero"),
        )
        return {attribute.name: attribute for attribute in known}

    def identify(self) -> Identity:
        """Model (I2), software (I3) and serial number (I4).

        Raises:
            DeviceError: no answer, or one that is not understood.
        """
        model, firmware, serial = (self._quoted(command) for command in ("I2", "I3", "I4"))
        return Identity("Mettler Toledo", model.split()[0] if model else "", serial, firmware)

    def weigh(self, *, stable: bool = True) -> Weight:
        """The net weight.

        Args:
            stable: wait until it is, at most for the option ``settle``.

        Raises:
            DeviceFault: over- or underload; not stable in time.
            DeviceError: no answer, or one that is not understood.
        """
        command, timeout = ("S", self._options.settle) if stable else ("SI", self._timeout)
        return self._exchange(
            lambda stream: parse_weight(self._ask(stream, command, timeout), command, self.name), attempts=2
        )

    def make_safe(self) -> Safety:
        """Nothing to do: a balance acts on nothing."""
        return Safety(True, "a balance acts on nothing")

    def _learn(self, identity: Identity) -> None:  # noqa: ARG002  the capacity stands beside the model
        found = _CAPACITY.search(self._quoted("I2"))
        if found is not None and found[2] in GRAMS:
            self._capacity = number_of(found[1], self.name) * GRAMS[found[2]]

    def _read(self, attribute: Attribute) -> Value:
        if attribute.name == "pan":
            raise self._unreadable("pan")
        return self.weigh(stable=attribute.name == "mass").grams

    def _write(self, attribute: Attribute, value: Value) -> None:  # noqa: ARG002  only the pan can be set
        command = _COMMANDS[str(value)]
        # not repeated: taring twice, with a weight in between, is not taring once
        words = self._exchange(
            lambda stream: parse_answer(self._ask(stream, command, self._options.settle), command, self.name)
        )
        if words[0] not in ("A", "S", "D"):
            raise ProtocolError(f"{' '.join(words)!r} does not confirm {command}.", device=self.name)

    def _quoted(self, command: str) -> str:
        return self._exchange(
            lambda stream: parse_quoted(self._ask(stream, command, self._timeout), command, self.name), attempts=2
        )

    def _ask(self, stream: Stream, command: str, timeout: float) -> bytes:
        stream.write(command.encode() + b"\r\n")
        return self._line(stream, time.monotonic() + timeout)

    def _resync(self, stream: Stream) -> None:
        """``@`` cancels whatever the balance still waits for, keeps the tare, and answers with the serial number."""
        stream.write(b"@\r\n")
        self._await(stream, lambda line: line.startswith(b"I4 A"))
