"""Valve actuators of VICI Valco: multi-position selectors and two-position valves.

Commands are lines of ASCII that end with CR; on a bus of several actuators ``/`` and an id come first. ``CP`` asks for
the position; actuators answer ``CP03`` or ``Position is = 3``, by their age and interface mode. ``GO3`` moves by the
shorter way; some modes answer it, some do not: the position tells (VICI technical notes 413 and 415). A command that is
not taken is answered by ``Bad command``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from pydantic import Field

from instruments.device import Attribute, Device, Identity, Safety, Value, Wiring
from instruments.drivers._serial import SerialDevice, SerialOptions, text_of
from instruments.errors import DeviceError, DeviceFault, DeviceTimeout, LabError, LimitError, ProtocolError
from instruments.transport.stream import Stream

_POSITION: Final = re.compile(r'(?:CP|position is)\s*=?\s*"?([AB]|\d{1,3})"?', re.IGNORECASE)
_COUNT: Final = re.compile(r"NP\s*=?\s*(\d{1,3})", re.IGNORECASE)
LOOK: Final = 0.05
"""Between looks at a position that changes, s."""


def parse_position(line: bytes, address: str | None = None, device: str = "vici") -> str:
    """The position in an answer to ``CP``: ``A``, ``B``, or a number without leading zeros.

    Args:
        line: without its end.
        address: id of the actuator on a bus, which may stand before the answer.
        device: name for errors.

    Raises:
        DeviceFault: the actuator refuses.
        ProtocolError: it is no position.
    """
    text = _without(text_of(line, device), address)
    if "bad command" in text.lower():
        raise DeviceFault(f"it does not take this command ({text[:40]!r}).", device=device, code="bad command")
    found = _POSITION.fullmatch(text)
    if found is None:
        raise ProtocolError(f"{text[:60]!r} is no position.", device=device)
    return found[1].upper() if found[1].isalpha() else str(int(found[1]))


def _without(text: str, address: str | None) -> str:
    return text if address is None else re.sub(rf"^/?{re.escape(address)}\s*", "", text, flags=re.IGNORECASE)


class ViciOptions(SerialOptions):
    """An actuator.

    Attributes:
        positions: number of positions; 2 with ``letters`` is a two-position valve.
        letters: whether positions are called A and B.
        address: id on a bus, ``0`` to ``9`` or ``A`` to ``Z``.
        move_time: the longest time of a move, s.
        safe_position: where the valve turns to make it safe; without one it stays where it is.
    """

    kind: Literal["vici"] = "vici"
    positions: int = Field(10, ge=2, le=96)
    letters: bool = False
    address: str | None = Field(None, pattern=r"^[0-9A-Za-z]$")
    move_time: float = Field(5.0, gt=0.0, le=120.0)
    safe_position: int | Literal["A", "B"] | None = None

    def build(self, name: str, wiring: Wiring) -> Device:
        """The actuator, not yet connected.

        Raises:
            LabError: the safe position is none of the valve.
        """
        valve = Vici(name, self, wiring)
        if self.safe_position is not None:
            try:
                valve.check("position", self.safe_position)
            except LimitError as problem:
                raise LabError(f"{name}: the safe position is none of the valve.", field="safe_position") from problem
        if self.letters and self.positions != 2:
            raise LabError(f"{name}: a valve with letters has 2 positions.", field="positions", mend="Write 2.")
        return valve


class Vici(SerialDevice):
    """A valve actuator.

    Attributes to read and set: ``position``, a whole number from 1, or ``A`` and ``B``. Safe is ``safe_position``,
    where the options give one; otherwise any position, since a valve at rest holds what it holds.
    """

    def __init__(self, name: str, options: ViciOptions, wiring: Wiring) -> None:
        super().__init__(name, options, wiring)
        self._options = options
        position = (
            Attribute("position", settable=True, choices=("A", "B"))
            if options.letters
            else Attribute("position", settable=True, low=1.0, high=float(options.positions))
        )
        self._attributes = MappingProxyType({"position": position})

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """The position."""
        return self._attributes

    def identify(self) -> Identity:
        """Ask with ``VR`` for the firmware; actuators do not tell serial numbers.

        Raises:
            DeviceError: no answer, or one that is not understood.
        """
        return Identity("VICI", "", "", self._text("VR"))

    def check(self, name: str, value: Value) -> None:
        """As of every device; a position that is a number is a whole one."""
        super().check(name, value)
        if isinstance(value, float) and not value.is_integer():
            raise LimitError(f"{name} must be a whole number, not {value:g}.", device=self.name, field=name)

    def home(self) -> None:
        """Turn to the first position (``HM``).

        Raises:
            LimitError: the rig's limits forbid it.
            Interlocked: the rig does not permit it.
            DeviceError: it did not answer, or did not arrive.
        """
        first: Value = "A" if self._options.letters else 1
        self.allow("position", first)
        self._move("HM", str(first))

    def make_safe(self) -> Safety:
        """Turn to the safe position, where there is one, and read it back.

        Raises:
            DeviceError: it did not answer, or did not arrive.
        """
        wanted = self._options.safe_position
        if wanted is None:
            return Safety(True, f"position {self._position()}, where it rests")
        self._move(f"GO{wanted}", str(wanted))
        return Safety(True, f"position {wanted}")

    def _learn(self, identity: Identity) -> None:  # noqa: ARG002  the firmware does not tell the positions
        if self._options.letters:
            return
        found = _COUNT.fullmatch(self._text("NP"))
        if found is not None and int(found[1]) != self._options.positions:
            raise DeviceError(
                f"the actuator is set to {int(found[1])} positions, not to {self._options.positions}.",
                device=self.name,
                field="positions",
                mend="Correct `positions`, or teach the actuator.",
            )

    def _read(self, attribute: Attribute) -> Value:  # noqa: ARG002  there is only one
        found = self._position()
        return found if found.isalpha() else float(found)

    def _write(self, attribute: Attribute, value: Value) -> None:  # noqa: ARG002  there is only one
        where = value if isinstance(value, str) else str(int(value))
        self._move(f"GO{where}", where)

    def _position(self) -> str:
        address = self._options.address
        found = self._exchange(lambda stream: parse_position(self._ask(stream, "CP"), address, self.name), attempts=2)
        known = found in ("A", "B") if self._options.letters else found.isdigit()
        if not known or (found.isdigit() and not 1 <= int(found) <= self._options.positions):
            raise ProtocolError(f"it has no position {found}.", device=self.name, field="position")
        return found

    def _text(self, command: str) -> str:
        return self._exchange(
            lambda stream: _without(text_of(self._ask(stream, command), self.name), self._options.address), attempts=2
        )

    def _move(self, command: str, wanted: str) -> None:
        """Send it, and wait until the valve is there. Going to a position twice is going there once."""
        deadline = time.monotonic() + self._options.move_time
        self._exchange(lambda stream: self._send(stream, command), attempts=2)
        found = None
        while time.monotonic() < deadline:
            try:
                found = self._position()
            except (DeviceTimeout, ProtocolError):
                found = None  # some do not answer, or say no position, while they turn
            if found == wanted:
                return
            time.sleep(LOOK)
        raise DeviceFault(
            f"it did not arrive at position {wanted} within {self._options.move_time:g} s"
            f" ({'no answer' if found is None else f'it says {found}'}).",
            device=self.name,
            code="not moved",
            mend="Check the valve, its motor, and air where it has any.",
        )

    def _send(self, stream: Stream, command: str) -> None:
        stream.write(self._framed(command))
        answer = stream.clear(quiet=LOOK)
        if b"bad command" in answer.lower():
            raise DeviceFault(f"it does not take {command}.", device=self.name, code="bad command")

    def _ask(self, stream: Stream, command: str) -> bytes:
        stream.write(self._framed(command))
        return self._line(stream, time.monotonic() + self._timeout, b"\r")

    def _framed(self, command: str) -> bytes:
        address = self._options.address
        return f"{'' if address is None else f'/{address}'}{command}\r".encode()

    def _resync(self, stream: Stream) -> None:
        """``AM`` asks for the mode; whatever the answer, even a refusal, no other one speaks of it."""
        stream.write(self._framed("AM"))
        self._await(stream, lambda line: re.search(rb"AM|mode", line, re.IGNORECASE) is not None, ends=b"\r")
