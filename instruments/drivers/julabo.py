"""Heating and refrigerated circulators of JULABO.

Commands are lines of ASCII that end with CR. ``in_`` commands are answered by a number and CR LF; ``out_`` commands are
not answered at all: the next ``status`` tells whether one was refused (operating manuals of CORIO, MAGIO and DYNEO,
chapter "Interface commands"). The factory sets the line to 4800 baud, 7 data bits, even parity, RTS/CTS.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal

from pydantic import Field

from instruments.device import Attribute, Device, Identity, Safety, Value, Wiring
from instruments.drivers._serial import SerialDevice, SerialOptions, number_of, text_of
from instruments.errors import CommunicationError, DeviceFault, DeviceTimeout, ProtocolError
from instruments.transport.stream import Stream

SAFE_ATTEMPTS: Final = 3
_STATUS: Final = re.compile(r"(-?\d{2,4})(?:\s+(.*))?")
UNKNOWN_COMMAND: Final = -8
NOT_NOW: Final = -9
REFUSALS: Final = (-8, -9, -10, -11, -13)
"""Codes that are about the last command; other negative ones are alarms and warnings."""

MEANINGS: Final[Mapping[int, str]] = MappingProxyType(
    {
        -1: "the level of the bath fluid is too low",
        -3: "the temperature is above the warning limit",
        -4: "the temperature is below the warning limit",
        -5: "the cable of the working sensor is broken or shorted",
        -6: "working and safety sensor differ too much",
        -8: "it does not know this command",
        -9: "it does not take this command in its present mode: is remote control on?",
        -10: "the value is too small",
        -11: "the value is too large",
        -13: "the value is outside the warning limits set on the circulator",
        -14: "the excess temperature protection has tripped",
        -15: "the cable of the external sensor is broken or shorted",
        -33: "the cable of the safety sensor is broken or shorted",
        -38: "it is set to an external sensor that is not there",
        -40: "the level of the bath fluid is nearly too low",
        -41: "the level of the bath fluid is nearly too high",
        -63: "its watchdog has responded",
    }
)
"""Codes of refusals and alarms that matter most; others are told by the circulator's own words."""


@dataclass(frozen=True, slots=True)
class Status:
    """What a circulator is doing.

    Attributes:
        code: 0 to 3 for its states, negative for refusals and alarms.
        text: the circulator's own words.
    """

    code: int
    text: str

    @property
    def remote(self) -> bool:
        """Whether it takes commands."""
        return self.code in (2, 3)

    @property
    def running(self) -> bool:
        """Whether it controls the temperature."""
        return self.code in (1, 3)


def parse_status(line: bytes, device: str = "julabo") -> Status:
    """An answer to ``status``, such as ``03 REMOTE START`` or ``-08 INVALID COMMAND``.

    Raises:
        ProtocolError: it is none.
    """
    text = text_of(line, device)
    found = _STATUS.fullmatch(text)
    if found is None or int(found[1]) > 3:
        raise ProtocolError(f"{text[:60]!r} is no status.", device=device)
    return Status(int(found[1]), (found[2] or "").strip())


def parse_version(line: bytes, device: str = "julabo") -> Identity:
    """An answer to ``version``, such as ``JULABO MAGIO MS-1000F VERSION 1.1.2``.

    Raises:
        ProtocolError: it is none.
    """
    text = text_of(line, device)
    if not text.upper().startswith("JULABO"):
        raise ProtocolError(f"{text[:60]!r} is no circulator of JULABO.", device=device)
    model, _, firmware = text[len("JULABO") :].strip().partition(" VERSION ")
    return Identity("JULABO", model.strip(), "", firmware.strip())


def parse_number(line: bytes, device: str = "julabo") -> float:
    """An answer to an ``in_`` command.

    Raises:
        DeviceFault: there is no sensor (dashes instead of a number).
        ProtocolError: it is no number.
    """
    text = text_of(line, device)
    if re.fullmatch(r"-{2,}\.-+", text):
        raise DeviceFault("no sensor is connected.", device=device, code="no sensor")
    return number_of(text, device)


class JulaboOptions(SerialOptions):
    """A circulator.

    Attributes:
        external_sensor: whether a Pt100 is connected, which is then read as ``external_temperature``.
        warning_limits: whether the model tells its warning limits (all but CORIO CD); they narrow the set point.
        pause: after a command that sets something, s; the manuals ask for 0.25 s.
    """

    kind: Literal["julabo"] = "julabo"
    baudrate: int = Field(4800, ge=50, le=4_000_000)
    bytesize: Literal[7, 8] = 7
    parity: Literal["N", "E", "O"] = "E"
    rtscts: bool = True
    external_sensor: bool = False
    warning_limits: bool = True
    pause: float = Field(0.25, ge=0.0, le=5.0)

    def build(self, name: str, wiring: Wiring) -> Device:
        """The circulator, not yet connected."""
        return Julabo(name, self, wiring)


_QUESTIONS: Final = MappingProxyType(
    {
        "temperature": "in_pv_00",
        "external_temperature": "in_pv_02",
        "power": "in_pv_01",
        "setpoint": "in_sp_00",
        "control": "in_mode_05",
    }
)


class Julabo(SerialDevice):
    """A circulator.

    Attributes to read: ``temperature`` of the bath, ``external_temperature``, ``power`` (% of heating, negative for
    cooling). To read and set: ``setpoint`` and ``control`` (``on`` or ``off``). Temperature stability and accuracy
    depend on bath and load: the factory's calibration of the working sensor is good to 0.1 degC. Safe is ``off``.
    """

    def __init__(self, name: str, options: JulaboOptions, wiring: Wiring) -> None:
        super().__init__(name, options, wiring)
        self._pause, self._tells_limits = options.pause, options.warning_limits
        known = (
            Attribute("temperature", "degC", low=-95.0, high=400.0, floor=0.1),
            Attribute("external_temperature", "degC", low=-95.0, high=400.0, floor=0.1),
            Attribute("power", "%", low=-100.0, high=100.0),
            Attribute("setpoint", "degC", settable=True, low=-95.0, high=400.0),
            Attribute("control", settable=True, choices=("off", "on")),
        )
        self._attributes = {a.name: a for a in known if options.external_sensor or a.name != "external_temperature"}

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """The set point within the warning limits that the circulator tells."""
        return self._attributes

    def identify(self) -> Identity:
        """Ask with ``version``; circulators do not tell serial numbers.

        Raises:
            DeviceError: no answer, or another device.
        """
        return self._exchange(lambda stream: parse_version(self._ask(stream, "version"), self.name), attempts=2)

    def status(self) -> Status:
        """Its state, its last refusal, or its alarm, without judging it.

        Raises:
            DeviceError: no answer, or one that is not understood.
        """
        return self._exchange(lambda stream: parse_status(self._ask(stream, "status"), self.name), attempts=2)

    def make_safe(self) -> Safety:
        """Stop heating, cooling and pumping: ``out_mode_05 0``, confirmed by ``in_mode_05``.

        Raises:
            DeviceError: it did not answer in several attempts.
        """
        for left in reversed(range(SAFE_ATTEMPTS)):
            try:
                stopped = self._exchange(self._stop)
            except (CommunicationError, ProtocolError):
                if not left:
                    raise
            else:
                if stopped or not left:
                    return Safety(stopped, f"control is {'off' if stopped else 'still on'}")
        raise RuntimeError("unreachable: the last attempt returns or raises")

    def _stop(self, stream: Stream) -> bool:
        stream.write(b"out_mode_05 0\r")
        stream.clear(quiet=self._pause)
        return parse_number(self._ask(stream, "in_mode_05"), self.name) == 0.0

    def _learn(self, identity: Identity) -> None:  # noqa: ARG002  the model does not tell its limits
        if not self._tells_limits:
            return
        high, low = self._limit("in_sp_03"), self._limit("in_sp_04")
        self._attributes["setpoint"] = replace(self._attributes["setpoint"], low=low, high=high)

    def _limit(self, command: str) -> float:
        try:
            return self._number(command)
        except DeviceTimeout as problem:
            if self.status().code != UNKNOWN_COMMAND:
                raise
            raise DeviceFault(
                f"this model does not know {command}.",
                device=self.name,
                code=str(UNKNOWN_COMMAND),
                field="warning_limits",
                mend="Write `warning_limits: false`, and `limits` of the setpoint.",
            ) from problem

    def _read(self, attribute: Attribute) -> Value:
        number = self._number(_QUESTIONS[attribute.name])
        if attribute.name != "control":
            return number
        if number not in (0.0, 1.0):
            raise ProtocolError(f"{number:g} is neither on nor off.", device=self.name)
        return "on" if number else "off"

    def _write(self, attribute: Attribute, value: Value) -> None:
        command = f"out_mode_05 {int(value == 'on')}" if attribute.name == "control" else f"out_sp_00 {value:.2f}"
        before, status = self._exchange(lambda stream: self._tell(stream, command), attempts=2)
        if status.code < 0:
            refused_for_alarm = status.code == NOT_NOW and before.code < 0 and before.code not in REFUSALS
            raise self._fault(before if refused_for_alarm else status, command)
        if not status.remote:
            raise self._fault(Status(NOT_NOW, status.text), command)
        found = self._read(attribute)
        same = found == value if isinstance(value, str) else abs(float(found) - value) < 0.051
        if not same:
            raise DeviceFault(f"after {command} it says {found}.", device=self.name, code="not taken")

    def _fault(self, status: Status, command: str) -> DeviceFault:
        meaning = MEANINGS.get(status.code, status.text or "an alarm that its manual lists")
        return DeviceFault(f"{meaning} ({command}).", device=self.name, code=f"{status.code:03d}")

    def _number(self, command: str) -> float:
        return self._exchange(lambda stream: parse_number(self._ask(stream, command), self.name), attempts=2)

    def _tell(self, stream: Stream, command: str) -> tuple[Status, Status]:
        """Send a command that is not answered; the status before and after it."""
        before = parse_status(self._ask(stream, "status"), self.name)  # takes away the refusal of an earlier command
        stream.write(command.encode() + b"\r")
        stream.clear(quiet=self._pause)
        return before, parse_status(self._ask(stream, "status"), self.name)

    def _ask(self, stream: Stream, command: str) -> bytes:
        stream.write(command.encode() + b"\r")
        return self._line(stream, time.monotonic() + self._timeout)

    def _resync(self, stream: Stream) -> None:
        """The version is the only answer that begins with letters."""
        stream.write(b"version\r")
        self._await(stream, lambda line: line.strip().upper().startswith(b"JULABO"))
