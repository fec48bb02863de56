"""An emulated relay card that speaks Modbus RTU: read coils, write one coil, write several."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar

from simulators.emulators.contacts import STUCK, Contacts
from simulators.emulators.pace import Pace
from simulators.emulators.roles import Switch
from simulators.emulators.wire import Session, StreamEmulator, Wire

GAP = 0.05
"""A pause that ends a frame, s: ports and sockets deliver in pieces, so that it is longer than the standard's."""
_TABLE: list[int] = []
for _value in range(256):
    for _ in range(8):
        _value = _value >> 1 ^ (0xA001 if _value & 1 else 0)
    _TABLE.append(_value)


def check(data: bytes) -> bytes:
    """The CRC-16 of a frame, by table."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return bytes([crc & 0xFF, crc >> 8])


class _RefusedError(Exception):
    """An exception of Modbus, by its code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class ModbusRelayEmulator(StreamEmulator):
    """A relay card.

    Args:
        name: of the device.
        switches: contacts by channel.
        pace: of laboratory time; a card has none of its own.
        wire: what it listens on.
        host: for TCP.
        port: for TCP.
        channels: number of relays.
        unit: address on its line.
    """

    terminator: ClassVar[bytes] = b""
    own_faults: ClassVar[Mapping[str, str]] = {
        "stuck": STUCK,
        "busy": "it answers with exception 6",
        "bad_check": "the CRC of an answer is wrong",
        "other_unit": "another card answers",
    }

    def __init__(
        self,
        name: str,
        *,
        switches: Mapping[int, Switch] | None = None,
        pace: Pace | None = None,
        wire: Wire = "tcp",
        host: str = "127.0.0.1",
        port: int = 0,
        channels: int = 8,
        unit: int = 1,
    ) -> None:
        super().__init__(name, wire=wire, host=host, port=port)
        self._pace, self._unit = pace or Pace(), unit
        self._contacts = Contacts(channels, switches, self.faults)

    def state(self) -> Mapping[str, object]:
        """Coils by channel."""
        return self._contacts.state()

    def received(self, data: bytes, session: Session) -> None:
        """Bytes of frames that end by their length; a pause drops what was begun."""
        now = time.monotonic()
        last = session.notes.get("last")
        if isinstance(last, float) and now - last > GAP:
            session.buffer.clear()
        session.notes["last"] = now
        session.buffer += data
        while (size := _size(bytes(session.buffer))) and len(session.buffer) >= size:
            frame = bytes(session.buffer[:size])
            if check(frame[:-2]) != frame[-2:]:
                session.buffer.clear()  # out of step: nothing is answered until the line has been silent
                return
            del session.buffer[:size]
            answer = self.answer(frame[:-2], session)
            if answer is not None:
                session.reply(answer)

    def answer(self, frame: bytes, session: Session) -> bytes | None:  # noqa: ARG002  all hosts hear the same
        """A frame without its check."""
        unit, function = frame[0], frame[1]
        if unit not in (0, self._unit):
            return None
        try:
            if self.faults.take("busy"):
                raise _RefusedError(6)
            body = bytes([self._unit, function]) + self._do(function, frame[2:])
        except _RefusedError as refused:
            body = bytes([self._unit, function | 0x80, refused.code])
        if unit == 0:
            return None  # a broadcast
        if self.faults.take("other_unit"):
            body = bytes([body[0] + 1]) + body[1:]
        tail = check(body)
        return body + (bytes([tail[0] ^ 0xFF, tail[1]]) if self.faults.take("bad_check") else tail)

    def _do(self, function: int, data: bytes) -> bytes:
        first, second = int.from_bytes(data[:2], "big"), int.from_bytes(data[2:4], "big")
        if function == 1:
            self._known(first, second)
            bits = sum(self._contacts.on(first + i) << i for i in range(second))
            size = (second + 7) // 8
            return bytes([size]) + bits.to_bytes(size, "little")
        if function == 5:
            if second not in (0x0000, 0xFF00):
                raise _RefusedError(3)
            self._known(first, 1)
            self._contacts.set(first, second == 0xFF00)
            return data[:4]
        if function == 15:
            self._known(first, second)
            bits = int.from_bytes(data[5:], "little")
            for i in range(second):
                self._contacts.set(first + i, bool(bits >> i & 1))
            return data[:4]
        raise _RefusedError(1)

    def _known(self, first: int, count: int) -> None:
        if not 1 <= count <= 2000:
            raise _RefusedError(3)
        if first + count > self._contacts.count:
            raise _RefusedError(2)


def _size(data: bytes) -> int:
    """Bytes of the frame that begins here; 0 where that is not known yet."""
    if len(data) < 7:
        return 0
    return 9 + data[6] if data[1] in (15, 16) else 8
