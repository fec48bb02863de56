"""Relay cards that speak Modbus RTU, over a serial line or through a gateway that passes frames on unchanged.

Frames are address, function, data and a CRC-16 with the low byte first (Modbus over Serial Line V1.02). Used are 01
(read coils) and 05 (write one coil); the answer to 05 repeats the request.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from pydantic import Field

from instruments.device import Device, Identity, Wiring
from instruments.drivers._relay import RelayCard, RelayOptions
from instruments.errors import DeviceFault, ProtocolError
from instruments.transport.stream import Stream

READ_COILS: Final = 1
WRITE_COIL: Final = 5
ON, OFF = 0xFF00, 0x0000
SHOUT_PAUSE: Final = 0.05
"""After a command whose answer nobody waits for, s, so that the next one does not meet it on a two-wire line."""
EXCEPTIONS: Final[Mapping[int, str]] = MappingProxyType(
    {
        1: "it does not know this function",
        2: "it has no such channel",
        3: "it does not take this value",
        4: "it failed",
        5: "it needs more time",
        6: "it is busy",
        8: "its memory has an error",
        10: "the gateway has no path to it",
        11: "the gateway has no answer from it",
    }
)
"""Exception codes (Modbus Application Protocol V1.1b3, section 7)."""


def crc16(data: bytes) -> bytes:
    """The check of a frame: CRC-16 with polynomial 0xA001, reflected, begun at 0xFFFF; low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


def request(unit: int, function: int, channel: int, value: int) -> bytes:
    """A frame that asks for coils or writes one."""
    body = bytes([unit, function]) + channel.to_bytes(2, "big") + value.to_bytes(2, "big")
    return body + crc16(body)


def parse_answer(frame: bytes, unit: int, function: int, device: str = "modbus_relay") -> bytes:
    """The data of an answer, between function and check.

    Raises:
        DeviceFault: an exception of the card.
        ProtocolError: a wrong check, another card, another function, or a cut frame.
    """
    if len(frame) < 5 or crc16(frame[:-2]) != frame[-2:]:
        raise ProtocolError(f"a frame with a wrong check: {frame[:32].hex(' ')}.", device=device)
    if frame[0] != unit:
        raise ProtocolError(f"an answer of card {frame[0]}, not of {unit}.", device=device)
    if frame[1] == function | 0x80 and len(frame) == 5:
        meaning = EXCEPTIONS.get(frame[2], "an exception that the standard does not know")
        raise DeviceFault(f"{meaning} (exception {frame[2]}).", device=device, code=str(frame[2]))
    if frame[1] != function:
        raise ProtocolError(f"an answer to function {frame[1]}, not to {function}.", device=device)
    return frame[2:-2]


def parse_coil(frame: bytes, unit: int, device: str = "modbus_relay") -> bool:
    """Whether the one coil that was asked for is on.

    Raises:
        DeviceFault: an exception of the card.
        ProtocolError: it is no answer to that.
    """
    data = parse_answer(frame, unit, READ_COILS, device)
    if len(data) != 2 or data[0] != 1 or data[1] > 1:
        raise ProtocolError(f"an answer that is not of one coil: {frame.hex(' ')}.", device=device)
    return data[1] == 1


def parse_written(frame: bytes, sent: bytes, device: str = "modbus_relay") -> None:
    """Nothing, where an answer repeats the request that wrote a coil.

    Raises:
        DeviceFault: an exception of the card.
        ProtocolError: it is no answer to that.
    """
    parse_answer(frame, sent[0], WRITE_COIL, device)
    if frame != sent:
        raise ProtocolError(f"the answer repeats another command: {frame.hex(' ')}.", device=device)


class ModbusRelayOptions(RelayOptions):
    """A relay card with Modbus RTU. A contact's ``channel`` is the address of its coil.

    Attributes:
        unit: address of the card on its line.
    """

    kind: Literal["modbus_relay"] = "modbus_relay"
    unit: int = Field(1, ge=1, le=247)

    def build(self, name: str, wiring: Wiring) -> Device:
        """The card, not yet connected."""
        return ModbusRelay(name, self, wiring)


class ModbusRelay(RelayCard):
    """A relay card. Safe: each contact in the state that its options call safe."""

    def __init__(self, name: str, options: ModbusRelayOptions, wiring: Wiring) -> None:
        super().__init__(name, options, wiring)
        self._unit = options.unit
        # silence of 3.5 characters separates frames, above 19200 baud 1.75 ms; ports and gateways add some ms
        self._gap = max(3.5 * 11.0 / options.baudrate, 0.00175) + 0.005

    def identify(self) -> Identity:
        """Such cards do not tell what they are; reading a coil shows that one is there.

        Raises:
            DeviceError: no answer, or one that is not understood.
        """
        self._is_on(next(iter(self.contacts.values())).channel)
        return Identity("", f"Modbus unit {self._unit}", "", "")

    def _switch(self, channel: int, on: bool, attempts: int = 2) -> None:
        frame = request(self._unit, WRITE_COIL, channel, ON if on else OFF)
        self._exchange(lambda stream: parse_written(self._ask(stream, frame, 8), frame, self.name), attempts=attempts)

    def _shout(self, channel: int, on: bool) -> None:
        with self._held():
            self.stream.open()
            self.stream.write(request(self._unit, WRITE_COIL, channel, ON if on else OFF))
            self.stream.clear(quiet=SHOUT_PAUSE)

    def _is_on(self, channel: int, attempts: int = 2) -> bool:
        frame = request(self._unit, READ_COILS, channel, 1)
        return self._exchange(
            lambda stream: parse_coil(self._ask(stream, frame, 6), self._unit, self.name), attempts=attempts
        )

    def _ask(self, stream: Stream, frame: bytes, length: int) -> bytes:
        """One frame and its answer, which is shorter where it is an exception."""
        stream.clear(quiet=self._gap)
        stream.write(frame)
        deadline = time.monotonic() + self._timeout
        answer = stream.read_exactly(5, self._timeout)
        if not answer[1] & 0x80:
            answer += stream.read_exactly(length - 5, max(deadline - time.monotonic(), 0.0))
        return answer

    def _resync(self, stream: Stream) -> None:
        """Answers have no numbers: wait until the line has been silent for as long as an answer may take."""
        dropped = stream.clear(quiet=self._timeout, longest=4.0 * self._timeout)
        if dropped and stream.read_some(0.0):
            raise ProtocolError("the line does not become silent.", device=self.name)
