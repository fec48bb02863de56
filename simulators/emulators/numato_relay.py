"""An emulated USB relay card of Numato Lab, with the few inputs and outputs that such cards have beside the relays."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from simulators.emulators.contacts import STUCK, Contacts
from simulators.emulators.pace import Pace
from simulators.emulators.roles import Switch
from simulators.emulators.wire import Session, StreamEmulator, Wire

_NAMES = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
_PINS = 8


class NumatoRelayEmulator(StreamEmulator):
    """A relay card.

    Args:
        name: of the device.
        switches: contacts by channel.
        pace: of laboratory time; a card has none of its own.
        wire: what it listens on.
        host: for TCP.
        port: for TCP.
        channels: number of relays.
        version: of the firmware.
        identity: eight hexadecimal digits stored in the card.
    """

    terminator: ClassVar[bytes] = b"\r"
    own_faults: ClassVar[Mapping[str, str]] = {"stuck": STUCK}

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
        version: str = "A0008.00",
        identity: str = "00000000",
    ) -> None:
        super().__init__(name, wire=wire, host=host, port=port)
        self._pace, self._version, self._identity = pace or Pace(), version, identity
        self._contacts = Contacts(channels, switches, self.faults)
        self._pins, self._inputs, self._mask = 0, 0xFF, 0xFF

    def state(self) -> Mapping[str, object]:
        """Coils by channel."""
        return self._contacts.state()

    def answer(self, frame: bytes, session: Session) -> bytes | None:  # noqa: ARG002  all hosts hear the same
        """One line: its echo, the answer, the prompt."""
        text = frame.decode("latin-1").lstrip("\n")
        said = self._do(text.strip().lower().split())
        return (f"{text}\n\r" + (f"{said}\n\r" if said else "") + ">").encode("latin-1")

    def _do(self, words: list[str]) -> str:  # noqa: PLR0911  a table of commands
        match words:
            case []:
                return ""
            case ["ver"]:
                return self._version
            case ["id", "get"]:
                return self._identity
            case ["id", "set", number]:
                self._identity = number
                return ""
            case ["reset"]:
                for channel in range(self._contacts.count):
                    self._contacts.set(channel, False)
                return ""
            case ["relay", "readall"]:
                bits = sum(self._contacts.on(i) << i for i in range(self._contacts.count))
                return f"{bits:0{max(self._contacts.count // 4, 1)}x}"
            case ["relay", ("on" | "off" | "read") as verb, name]:
                return self._relay(verb, name)
            case ["gpio", *rest]:
                return self._gpio(rest)
        return "Command Error"

    def _relay(self, verb: str, name: str) -> str:
        channel = _NAMES.find(name.upper())
        if not 0 <= channel < self._contacts.count:
            return "Command Error"
        if verb == "read":
            return "on" if self._contacts.on(channel) else "off"
        self._contacts.set(channel, verb == "on")
        return ""

    def _gpio(self, words: list[str]) -> str:
        if len(words) == 2 and not re.fullmatch(r"[0-9a-f]{1,8}", words[1]):
            return "Command Error"
        match words:
            case ["iomask", bits]:
                self._mask = int(bits, 16)
            case ["iodir", bits]:
                self._inputs = (self._inputs & ~self._mask) | (int(bits, 16) & self._mask)
            case ["writeall", bits]:
                writable = self._mask & ~self._inputs
                self._pins = (self._pins & ~writable) | (int(bits, 16) & writable)
            case ["readall"]:
                return f"{self._pins:0{_PINS // 4}x}"
            case _:
                return "Command Error"
        return ""
