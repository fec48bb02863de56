"""Bronkhorst mass-flow and pressure controllers, as ProPar shows them: binary and ASCII.

Source: Bronkhorst, "RS232 interface with FLOW-BUS protocol", document 9.17.027, and frames captured from the maker's
library. A frame that begins with a colon is ASCII; the device answers in the form in which it was asked.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Final, Literal

from simulators.emulators.alone import Settable
from simulators.emulators.pace import Pace
from simulators.emulators.roles import Flow
from simulators.emulators.wire import LONGEST, Session, StreamEmulator, Wire

DLE, STX, ETX = 0x10, 0x02, 0x03
LOCAL: Final = 0x80
"""The node at the port itself."""
FULL: Final = 32000
TOP: Final = 41942
"""Of the integer measure; what is above it counts down from 65535."""

STATUS, WRITE, SEND, REQUEST = 0, 1, 2, 4
OK, COMMAND, PROCESS, PARAMETER, TYPE, VALUE, READ_ONLY = 0, 2, 3, 4, 5, 6, 13
PROTOCOL_ERROR: Final = 4
INT8, INT16, LONG, STRING = 0x00, 0x20, 0x40, 0x60
FOLLOWING: Final = frozenset({0, 11, 18})
"""Control modes in which the valve follows the set point from the line."""

SCCM: Final[Mapping[str, float]] = MappingProxyType({"mln/min": 1.0, "ln/min": 1e-3, "mls/min": 293.15 / 273.15})
"""Units of flow, in one sccm at 0 degrees Celsius."""
BAR: Final[Mapping[str, float]] = MappingProxyType({"bara": 1.0, "mbara": 1e3, "psia": 1.0 / 0.0689475729})
"""Units of pressure, in one bar."""


class Refused(Exception):  # noqa: N818  what happened
    """A parameter cannot be read or written; the status says why."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class Cell:
    """One parameter of a device."""

    kind: int
    get: Callable[[], float | str]
    put: Callable[[float | str], None] | None = None
    is_float: bool = False


class BronkhorstEmulator(StreamEmulator):
    """One Bronkhorst device.

    Args:
        name: of the device in its rig.
        flow: the line that it controls or meters: sccm (at 0 degrees Celsius, 101.325 kPa), or bar.
        kind: what it is.
        node: of the device on FLOW-BUS; it also answers to 128.
        capacity: full scale, in ``unit``.
        unit: such as ``mln/min``, ``ln/min``, ``mls/min``, or ``bara`` of a pressure controller.
        fluid: that it is set to.
        serial: number.
        temperature: of the gas, degrees Celsius.
        legacy: whether it is an old one, that has integers only.
        pace: of the laboratory; answers come in real time.
        wire: what it listens on.
        host: address to listen on, for TCP.
        port: for TCP; 0 takes a free one.
    """

    terminator: ClassVar[bytes] = b""
    own_faults: ClassVar[Mapping[str, str]] = {
        "stuck_flow": "the valve no longer follows the set point",
        "offset": "flow or pressure reads higher by `value`, in the device's unit",
        "status": "the next question is answered with the status `code`",
        "error": "the next question is answered with a message of one byte, `code` (4, 5 or 9)",
        "alarm": "the alarm information has the bits `bits`",
        "deaf": "set points are acknowledged and not taken",
    }

    def __init__(
        self,
        name: str,
        *,
        flow: Flow | None = None,
        kind: Literal["flow", "pressure", "meter"] = "flow",
        node: int = 3,
        capacity: float | None = None,
        unit: str | None = None,
        fluid: str = "CO2",
        serial: str = "M21207123A",
        temperature: float = 21.9,
        legacy: bool = False,
        pace: Pace | None = None,
        wire: Wire = "tcp",
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(name, wire=wire, host=host, port=port)
        self.flow: Flow = flow or Settable()
        self.pace = pace or Pace()
        self.kind, self.node, self.serial, self.fluid, self.legacy = kind, node, serial, fluid, legacy
        self.unit = unit or ("bara" if kind == "pressure" else "mln/min")
        self.capacity = capacity if capacity is not None else (10.0 if kind == "pressure" else 500.0)
        self.factor = (BAR if kind == "pressure" else SCCM)[self.unit]
        self.temperature = temperature
        self.setpoint = 0.0
        self.mode = 0
        self.heard: list[bytes] = []
        self._cells = self._parameters()

    # What it knows

    def _parameters(self) -> Mapping[tuple[int, int], Cell]:
        letters = {"flow": "F-201CV", "pressure": "P-702CV", "meter": "F-111C"}[self.kind]
        cells = {
            (0, 0): Cell(STRING, lambda: f"\x07\x07\x07{self.serial}"),
            (0, 1): Cell(INT8, lambda: float(self.node)),
            (0, 3): Cell(INT8, lambda: 0.0),
            (1, 0): Cell(INT16, lambda: self._integer(self._measured() / self.capacity * FULL)),
            (1, 1): Cell(INT16, lambda: float(round(self.setpoint / self.capacity * FULL)), self._put_integer),
            (1, 4): Cell(INT8, lambda: float(self.mode), self._put_mode),
            (1, 13): Cell(LONG, lambda: self.capacity, is_float=True),
            (1, 16): Cell(INT8, lambda: 0.0),
            (1, 17): Cell(STRING, lambda: self.fluid),
            (1, 20): Cell(INT8, self._alarm),
            (1, 31): Cell(STRING, lambda: f"{self.unit:<7}"[:7]),
            (33, 0): Cell(LONG, self._measured, is_float=True),
            (33, 3): Cell(LONG, lambda: self.setpoint, self._put_float, is_float=True),
            (33, 7): Cell(LONG, lambda: self.temperature, is_float=True),
            (113, 1): Cell(STRING, lambda: "DEPC" if self.kind == "pressure" else "DMFC"),
            (113, 2): Cell(STRING, lambda: f"{letters}-500-AAD-22-V"),
            (113, 3): Cell(STRING, lambda: self.serial),
            (113, 5): Cell(STRING, lambda: "V8.35"),
        }
        if self.legacy:
            return {key: cell for key, cell in cells.items() if key[0] != 33}
        return cells

    def _measured(self) -> float:
        shown = self.flow.value() * self.factor
        if self.faults.holds("offset") and (fault := self.faults.take("offset")):
            shown += fault.values.get("value", 0.0)
        return shown

    @staticmethod
    def _integer(value: float) -> float:
        whole = round(value)
        return float(min(whole, TOP) if whole >= 0 else max(0xFFFF + whole, TOP + 1))

    def _alarm(self) -> float:
        fault = self.faults.take("alarm") if self.faults.holds("alarm") else None
        return fault.values.get("bits", 1.0) if fault else 0.0

    def _put_integer(self, value: float | str) -> None:
        number = float(value)
        if number > FULL:
            raise Refused(VALUE)
        self._put_float(number / FULL * self.capacity)

    def _put_float(self, value: float | str) -> None:
        number = float(value)
        if self.kind == "meter":
            raise Refused(READ_ONLY)
        if not 0.0 <= number <= self.capacity * 1.0001:
            raise Refused(VALUE)
        if not self.faults.holds("deaf"):
            self.setpoint = number
            self._drive()

    def _put_mode(self, value: float | str) -> None:
        if not 0 <= float(value) <= 24:
            raise Refused(VALUE)
        self.mode = int(float(value))
        self._drive()

    def _drive(self) -> None:
        """Let the valve do what the control mode says."""
        if self.faults.holds("stuck_flow"):
            return
        if self.mode in FOLLOWING:
            self.flow.set(self.setpoint / self.factor)
        elif self.mode in (3, 12):
            self.flow.set(0.0)
        elif self.mode in (7, 8):
            self.flow.set(self.capacity / self.factor)

    # On the wire

    def received(self, data: bytes, session: Session) -> None:
        """Bytes have come: binary or ASCII frames, one after another."""
        session.buffer += data
        while session.buffer:
            if session.buffer[0] == ord(":"):
                end = session.buffer.find(b"\r\n")
                if end < 0:
                    break
                frame = bytes(session.buffer[: end + 2])
            elif session.buffer[0] == DLE:
                length = _binary_length(session.buffer)
                if length is None:
                    break
                frame = bytes(session.buffer[:length])
            else:
                del session.buffer[:1]
                continue
            del session.buffer[: len(frame)]
            answer = self.answer(frame, session)
            if answer is not None:
                session.reply(answer)
        if len(session.buffer) > LONGEST:
            session.buffer.clear()

    def answer(self, frame: bytes, session: Session) -> bytes | None:  # noqa: ARG002  the same for every host
        """The answer to one frame, in its own form; frames for other nodes and broken ones are passed over."""
        self.heard.append(frame)
        if frame[:1] == b":":
            try:
                inner = bytes.fromhex(frame[1:-2].decode("ascii"))
            except ValueError:
                return self._ascii(LOCAL, bytes((1,)))
            if len(inner) < 3 or inner[0] != len(inner) - 1:
                return self._ascii(LOCAL, bytes((3,)))
            said = self._hear(inner[1], inner[2:])
            return None if said is None else self._ascii(inner[1], said)
        inner = frame[2:-2].replace(bytes((DLE, DLE)), bytes((DLE,)))
        if len(inner) < 4 or inner[2] != len(inner) - 3:
            return None
        said = self._hear(inner[1], inner[3:])
        return None if said is None else _binary(inner[0], inner[1], said)

    @staticmethod
    def _ascii(node: int, data: bytes) -> bytes:
        return b":" + bytes((len(data) + 1, node, *data)).hex().upper().encode() + b"\r\n"

    def _hear(self, node: int, data: bytes) -> bytes | None:
        if node not in (LOCAL, self.node):
            return None
        if fault := self.faults.take("error"):
            return bytes((int(fault.values.get("code", 5)),))
        if fault := self.faults.take("status"):
            return bytes((STATUS, int(fault.values.get("code", 1)), 0))
        try:
            return self._done(data)
        except (IndexError, struct.error):
            return bytes((PROTOCOL_ERROR,))

    def _done(self, data: bytes) -> bytes | None:
        if data[0] == REQUEST:
            return self._requested(data)
        if data[0] not in (WRITE, SEND):
            return bytes((STATUS, COMMAND, 0))
        acknowledged = self._written(data)
        return acknowledged if data[0] == WRITE else None

    def _requested(self, data: bytes) -> bytes:
        """Answer a request of one parameter, or of several in a chain."""
        said, place, same, chained = bytearray((SEND,)), 1, False, True
        while place < len(data):
            if not same:
                if not chained:
                    return bytes((PROTOCOL_ERROR,))
                chained = bool(data[place] & 0x80)
                said.append(data[place])
                place += 1
            index, process, number = data[place], data[place + 1] & 0x7F, data[place + 2]
            place, same = place + 3, bool(index & 0x80)
            kind, length = index & 0x60, 0
            if kind == STRING:
                length, place = data[place], place + 1
            try:
                cell = self._cell(process, number & 0x1F, number & 0x60)
            except Refused as refused:
                return bytes((STATUS, refused.status, place))
            said.append(index)
            said += _encoded(cell, length)
        return bytes(said)

    def _written(self, data: bytes) -> bytes:
        """Take one parameter, or several in a chain."""
        place, same, process = 1, False, 0
        while place < len(data):
            if not same:
                process, place = data[place] & 0x7F, place + 1
            index, place = data[place], place + 1
            same = bool(index & 0x80)
            try:
                cell = self._cell(process, index & 0x1F, index & 0x60)
                value, place = _decoded(cell, data, place)
                if cell.put is None:
                    raise Refused(READ_ONLY)
                cell.put(value)
            except Refused as refused:
                return bytes((STATUS, refused.status, place))
        return bytes((STATUS, OK, place))

    def _cell(self, process: int, number: int, kind: int) -> Cell:
        if process not in {key[0] for key in self._cells}:
            raise Refused(PROCESS)
        cell = self._cells.get((process, number))
        if cell is None:
            raise Refused(PARAMETER)
        if cell.kind != kind:
            raise Refused(TYPE)
        return cell

    def state(self) -> Mapping[str, object]:
        """Set point and flow in the device's unit, and what its valve does."""
        true = self.flow.value()
        return {
            "setpoint": self.setpoint,
            "flow": true * self.factor,
            "true": true,
            "unit": self.unit,
            "mode": self.mode,
            "gas": self.fluid,
        }


def _encoded(cell: Cell, length: int) -> bytes:
    value = cell.get()
    if cell.kind == STRING:
        text = str(value).encode("latin-1")
        return bytes((0, *text, 0)) if length == 0 else bytes((length, *text[:length].ljust(length)))
    if cell.is_float:
        return struct.pack(">f", float(value))
    return struct.pack({INT8: ">B", INT16: ">H", LONG: ">I"}[cell.kind], int(float(value)))


def _decoded(cell: Cell, data: bytes, place: int) -> tuple[float | str, int]:
    if cell.kind == STRING:
        length, begin = data[place], place + 1
        end = data.index(b"\0", begin) if length == 0 else begin + length
        return data[begin:end].decode("latin-1"), end + (length == 0)
    form = ">f" if cell.is_float else {INT8: ">B", INT16: ">H", LONG: ">I"}[cell.kind]
    size = struct.calcsize(form)
    return float(struct.unpack(form, data[place : place + size])[0]), place + size


def _binary(sequence: int, node: int, data: bytes) -> bytes:
    inner = bytes((sequence, node, len(data), *data)).replace(bytes((DLE,)), bytes((DLE, DLE)))
    return bytes((DLE, STX, *inner, DLE, ETX))


def _binary_length(buffer: bytearray) -> int | None:
    """Bytes of the first frame in the buffer, or of what is none before the next; ``None``: more must come."""
    if len(buffer) < 2:
        return None
    if buffer[1] != STX:
        return 1
    place = 2
    while place + 1 < len(buffer):
        if buffer[place] != DLE:
            place += 1
        elif buffer[place + 1] == DLE:
            place += 2
        elif buffer[place + 1] == ETX:
            return place + 2
        else:
            return place
    return None
