"""Questions to one Alicat device on a line that it may share, and the answers that are its own."""

from __future__ import annotations

import re
import time
from typing import Final

from instruments.drivers._serial import STRAY
from instruments.errors import DeviceFault, DeviceTimeout, ProtocolError
from instruments.transport.stream import Stream

LONGEST: Final = 256
"""Bytes of the longest line."""
ROWS: Final = 300
"""Rows of the longest table."""
GAP: Final = 0.1
"""Between the rows of a table, s."""
ROW: Final = 1000
"""Bits of the longest row, as they go over the line."""
SETPOINT_QUERY: Final = (9, 0)
"""Firmware from which ``LS`` reads and sets the set point; the same letters lock the display of older ones."""
GAS_QUERY: Final = (10, 5)
"""Firmware from which ``GS`` selects a gas, and ``LSS`` tells the source of set points."""

_DANGEROUS: Final = re.compile(r"[-+.\d]")
_BARRIERS: Final = (
    ("$$R46", re.compile(rb"\s+0?46 = \d+\s*")),
    ("VE", re.compile(rb"\s+\d{1,3}v\d[ -~]*")),
)
"""Questions that change nothing, and the answers that only they have."""
_OTHER: Final = re.compile(rb"[A-Z] ")


class Talk:
    """The device's side of the line.

    Args:
        device: name for errors.
        unit: the device's letter.
        timeout: of an answer, s.
        baudrate: of the line.
    """

    def __init__(self, device: str, unit: str, timeout: float, baudrate: int) -> None:
        self._device, self._unit, self._timeout = device, unit, timeout
        self._barriers = 0
        self._idle = GAP + ROW / baudrate
        self.firmware: tuple[int, int] | None = None

    def command(self, text: str) -> bytes:
        """The bytes of a command.

        Raises:
            RuntimeError: it would be taken for another one. A letter and a number are an integer set point (64000 is
                full scale), and ``L`` locks the display of old firmware: the driver must never send them.
        """
        old = self.firmware is None or self.firmware < SETPOINT_QUERY
        if _DANGEROUS.match(text) or (old and text.startswith("L")):
            raise RuntimeError(f"{self._device}: the command {text!r} must not be sent to this device")
        return f"{self._unit}{text}\r".encode("ascii")

    def ask(self, stream: Stream, text: str) -> str:
        """The one line that answers a command. Lines of other units are passed over.

        Raises:
            DeviceTimeout: none came in time.
            DeviceFault: the device refused.
            ProtocolError: what came is no answer.
        """
        stream.write(self.command(text))
        return self._own(stream, text, time.monotonic() + self._timeout)

    def table(self, stream: Stream, text: str, last: str | None = None) -> list[str]:
        """The rows that answer a command, without the letter of the unit.

        Args:
            stream: of the device.
            text: the command.
            last: begins the last row, where it is known; else the table ends with an empty row, or when no more come.

        Raises:
            DeviceTimeout: none came in time.
            DeviceFault: the device refused.
            ProtocolError: what came is no table.
        """
        stream.write(self.command(text))
        rows = [self._own(stream, text, time.monotonic() + 2.0 * self._timeout)[1:]]
        while len(rows) < ROWS and not (last and rows[-1].strip().startswith(last)):
            try:
                row = self._own(stream, text, time.monotonic() + self._idle, blank=True)
            except DeviceTimeout:
                break
            if not row:
                break
            rows.append(row[1:])
        return rows

    def resync(self, stream: Stream) -> None:
        """Get back into step after an answer that was late or broken.

        Waits until nothing more comes, then asks for a register or the version, whose answers look like no other, and
        drops what comes before. Which of them it is changes each time, so that an answer to the last one is not taken
        for this one's. A device that does not know them has at least been quiet for as long as an answer may take.
        """
        self._barriers += 1
        text, looks = _BARRIERS[self._barriers % len(_BARRIERS)]
        stream.clear(quiet=0.05, longest=1.0)
        stream.write(self.command(text))
        deadline = time.monotonic() + self._timeout
        for _ in range(STRAY):
            try:
                line = self._line(stream, deadline)
            except DeviceTimeout:
                return
            if line.startswith(self._unit.encode()) and looks.fullmatch(line[1:]):
                return
        raise ProtocolError(f"{STRAY} lines, none of which is the answer.", device=self._device)

    def _own(self, stream: Stream, text: str, deadline: float, *, blank: bool = False) -> str:
        """The next line of this unit; an empty one only where that means something."""
        own = self._unit.encode() + b" "
        for _ in range(STRAY):
            line = self._line(stream, deadline)
            if line.strip() in (b"?", own + b"?"):
                raise DeviceFault(
                    f"it refused {self._unit}{text}.",
                    device=self._device,
                    code="?",
                    mend="Its model or firmware lacks the function, or a value is out of its range.",
                )
            if line.startswith(own):
                return self._text(line)
            if blank and not line.strip():
                return ""
            if line.strip() and not _OTHER.match(line):
                self._text(line)
                raise ProtocolError(f"no answer of unit {self._unit}: {line[:60]!r}.", device=self._device)
        raise ProtocolError(f"{STRAY} lines of others, none of unit {self._unit}.", device=self._device)

    def _line(self, stream: Stream, deadline: float) -> bytes:
        return stream.read_until(b"\r", max(deadline - time.monotonic(), 0.0), LONGEST)[:-1].lstrip(b"\n")

    def _text(self, line: bytes) -> str:
        if not all(32 <= byte < 127 for byte in line):
            raise ProtocolError(f"an answer that is no text: {line[:60]!r}.", device=self._device)
        return line.decode("ascii")
