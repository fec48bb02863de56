"""USB relay cards of Numato Lab.

A command is a line that ends with CR; the card echoes it, says its answer on lines of its own, and ends with the prompt
``>`` (Numato, documentation of the USB relay modules, "The command set"). ``relay on 3`` and ``relay off 3`` have no
answer, ``relay read 3`` says ``on`` or ``off``. Relays from the tenth on are called by letters.
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from instruments.device import Device, Identity, Wiring
from instruments.drivers._relay import RelayCard, RelayOptions
from instruments.drivers._serial import STRAY
from instruments.errors import DeviceFault, LabError, ProtocolError
from instruments.transport.stream import Stream

PROMPT: Final = b">"
NAMES: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
"""What the card calls its relays."""


def parse_reply(data: bytes, command: str, device: str = "numato_relay") -> str:
    """The answer to a command, without echo and prompt; empty where there is none.

    Args:
        data: what the card said, up to its prompt.
        command: that was sent.
        device: name for errors.

    Raises:
        ProtocolError: it is the echo of another command, or no text.
    """
    body = data.removesuffix(PROMPT)
    if not all(32 <= byte < 127 or byte in b"\r\n\0" for byte in body):
        raise ProtocolError(f"an answer that is no text: {data[:60]!r}.", device=device)
    lines = [line.strip("\0 ") for line in body.decode("ascii").replace("\r", "\n").split("\n")]
    said = [line for line in lines if line]
    if not said or said[0].lower() != command.lower() or len(said) > 2:
        raise ProtocolError(f"{data[:60]!r} is no answer to {command!r}.", device=device)
    return said[1] if len(said) > 1 else ""


def parse_state(reply: str, device: str = "numato_relay") -> bool:
    """Whether ``relay read`` says that a relay is on.

    Raises:
        ProtocolError: it says neither ``on`` nor ``off``.
    """
    if reply not in ("on", "off"):
        raise ProtocolError(f"{reply[:60]!r} is neither on nor off.", device=device)
    return reply == "on"


class NumatoRelayOptions(RelayOptions):
    """A relay card of Numato.

    Attributes:
        channels: relays on the card.
    """

    kind: Literal["numato_relay"] = "numato_relay"
    baudrate: int = Field(19200, ge=50, le=4_000_000)
    channels: int = Field(8, ge=1, le=32)

    def build(self, name: str, wiring: Wiring) -> Device:
        """The card, not yet connected.

        Raises:
            LabError: a contact is on a channel that the card does not have.
        """
        for key, contact in self.contacts.items():
            if contact.channel >= self.channels:
                raise LabError(
                    f"{name}: the card has no channel {contact.channel}.",
                    field=f"contacts.{key}.channel",
                    mend=f"Channels are 0 to {self.channels - 1}.",
                )
        return NumatoRelay(name, self, wiring)


class NumatoRelay(RelayCard):
    """A relay card. Safe: each contact in the state that its options call safe."""

    def identify(self) -> Identity:
        """Firmware (``ver``) and the id that is stored in the card (``id get``), which stands for a serial number.

        Raises:
            DeviceError: no answer, or one that is not understood.
        """
        version = self._exchange(lambda stream: self._ask(stream, "ver"), attempts=2)
        number = self._exchange(lambda stream: self._ask(stream, "id get"), attempts=2)
        return Identity("Numato Lab", "USB relay card", number, version)

    def _switch(self, channel: int, on: bool, attempts: int = 2) -> None:
        command = _order(channel, on)
        reply = self._exchange(lambda stream: self._ask(stream, command), attempts=attempts)
        if reply:
            raise DeviceFault(f"{command!r}: {reply}.", device=self.name, code="refused")

    def _shout(self, channel: int, on: bool) -> None:
        with self._held():
            self._doubtful = True  # nobody waits for the prompts
            self.stream.write(f"\r{_order(channel, on)}\r".encode())

    def _is_on(self, channel: int, attempts: int = 2) -> bool:
        command = f"relay read {NAMES[channel]}"
        return self._exchange(lambda stream: parse_state(self._ask(stream, command), self.name), attempts=attempts)

    def _ask(self, stream: Stream, command: str) -> str:
        stream.write(command.encode() + b"\r")
        return parse_reply(stream.read_until(PROMPT, self._timeout, 1024), command, self.name)

    def _prepare(self, stream: Stream) -> None:
        """An empty line ends what another program may have begun to type; its prompt is waited for."""
        stream.write(b"\r")
        stream.read_until(PROMPT, self._timeout, 1024)

    def _resync(self, stream: Stream) -> None:
        """``ver`` is asked nowhere else but for the identity."""
        stream.write(b"\rver\r")
        for _ in range(STRAY):
            frame = stream.read_until(PROMPT, self._timeout, 1024)
            if frame.lstrip(b"\r\n\0 ").lower().startswith(b"ver"):
                return
        raise ProtocolError(f"{STRAY} prompts, none of which answers.", device=self.name)


def _order(channel: int, on: bool) -> str:
    return f"relay {'on' if on else 'off'} {NAMES[channel]}"
