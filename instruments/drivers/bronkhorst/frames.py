"""Frames of binary ProPar, looked at before the maker's library sees them. Pure functions of bytes.

The library believes what it is told: a frame that is cut short ends its threads, and every later question stays without
an answer. Only frames that are whole reach it.

Source: Bronkhorst, "RS232 interface with FLOW-BUS protocol", document 9.17.027.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from instruments.errors import ProtocolError

DLE: Final = 0x10
STX: Final = 0x02
ETX: Final = 0x03
BEGIN: Final = bytes((DLE, STX))
LONGEST: Final = 600
"""Bytes of the longest frame, with every one doubled."""

STATUS: Final = 0
PARAMETERS: Final = 2
ERRORS: Final = {4: "a protocol error", 5: "a message that was rejected", 9: "a device behind it that did not answer"}
"""Messages of one byte, by which a device or an interface on the way says that it could not pass a question on."""
_SIZES: Final = {0x00: 1, 0x20: 2, 0x40: 4}
_STRING: Final = 0x60


@dataclass(frozen=True, slots=True)
class Message:
    """What a frame says.

    Attributes:
        sequence: number of the question that it answers.
        node: of the device.
        data: command and what follows.
    """

    sequence: int
    node: int
    data: bytes


def parse(frame: bytes, device: str) -> Message:
    """The message in a whole frame, from its DLE STX to its DLE ETX.

    Raises:
        ProtocolError: it is no frame, or its message is not one that a device may send.
    """
    if len(frame) < 8 or not frame.startswith(BEGIN) or frame[-2:] != bytes((DLE, ETX)):
        raise ProtocolError(f"no frame: {frame[:40].hex(' ')}.", device=device)
    inner, body, place = bytearray(), frame[2:-2], 0
    while place < len(body):
        if body[place] == DLE:
            place += 1
            if place == len(body) or body[place] != DLE:
                raise ProtocolError(f"a frame with a single DLE: {frame[:40].hex(' ')}.", device=device)
        inner.append(body[place])
        place += 1
    if len(inner) < 4 or inner[2] != len(inner) - 3:
        raise ProtocolError(f"a frame of the wrong length: {frame[:40].hex(' ')}.", device=device)
    message = Message(inner[0], inner[1], bytes(inner[3:]))
    if not _is_answer(message.data):
        raise ProtocolError(f"a message that is not understood: {message.data[:40].hex(' ')}.", device=device)
    return message


def _is_answer(data: bytes) -> bool:
    if len(data) == 1:
        return data[0] in ERRORS
    if data[0] == STATUS:
        return len(data) == 3
    return data[0] == PARAMETERS and _are_parameters(data)


def _are_parameters(data: bytes) -> bool:
    """Whether every parameter of the message is whole."""
    place, same_process, more = 1, False, True
    while place < len(data):
        if not same_process:
            more = bool(data[place] & 0x80)
            place += 1
        if place >= len(data):
            return False
        index = data[place]
        place, same_process = place + 1, bool(index & 0x80)
        size = _size(index & 0x60, data, place)
        if size is None or place + size > len(data):
            return False
        place += size
    return not same_process and not more and place > 1


def _size(kind: int, data: bytes, place: int) -> int | None:
    """Bytes of a value, ``None`` where it does not end."""
    if kind != _STRING:
        return _SIZES[kind]
    if place >= len(data):
        return None
    if data[place]:
        return 1 + data[place]
    end = data.find(b"\0", place + 1)
    return None if end < 0 else end - place + 1


@dataclass
class Splitter:
    """Cuts a stream of bytes into frames.

    Attributes:
        strayed: whether bytes came that belong to none.
    """

    strayed: bool = False
    _pending: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> list[bytes]:
        """Whole frames, as they end; what is between them is dropped."""
        self._pending += data
        frames: list[bytes] = []
        while True:
            begin = self._pending.find(BEGIN)
            if begin < 0:
                keep = 1 if self._pending[-1:] == bytes((DLE,)) else 0
                self.strayed |= len(self._pending) > keep
                del self._pending[: len(self._pending) - keep]
                return frames
            self.strayed |= begin > 0
            del self._pending[:begin]
            end = self._end()
            if end is None:
                if len(self._pending) > LONGEST:
                    self.strayed = True
                    del self._pending[:2]
                    continue
                return frames
            if end > 0:
                frames.append(bytes(self._pending[:end]))
            else:
                self.strayed = True
            del self._pending[: abs(end)]

    def _end(self) -> int | None:
        """Length of the frame; negative: bytes that are none, for another one begins after them; ``None``: not yet."""
        place = 2
        while place + 1 < len(self._pending):
            if self._pending[place] != DLE:
                place += 1
            elif self._pending[place + 1] == DLE:
                place += 2
            elif self._pending[place + 1] == ETX:
                return place + 2
            else:
                return -place
        return None
