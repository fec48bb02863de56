"""One line for several devices: units of an RS-485 bus share its lock and its connection.

Every device has a stream of its own, with its own name and transcript. Streams of one address in this process hold one
port between them, which is closed when the last of them lets go, and one lock, so that exchanges never mix. A
connection that one of them loses is lost for all; each opens it again at its next command.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import RLock
from typing import Final, Generic, Protocol, TypeVar
from weakref import WeakValueDictionary

from instruments.errors import LabError
from instruments.transport.stream import BROKEN, Port, Retries, SerialSettings, Stream, close_port, open_port


class Line:
    """A port that several streams share.

    Args:
        settings: of the serial line, the same for all.
        opener: opens the port.
    """

    def __init__(self, settings: SerialSettings, opener: Callable[[], Port]) -> None:
        self.lock = RLock()
        self.settings = settings
        self._opener = opener
        self._holding = RLock()
        self._port: Port | None = None
        self._members = 0

    def join(self) -> Port:
        """A share of the port, which is opened where it is not.

        Raises:
            OSError: it cannot be opened.
        """
        with self._holding:
            if self._port is None:
                self._port, self._members = self._opener(), 0
            self._members += 1
            return _Share(self, self._port)

    def leave(self, port: Port) -> None:
        """Give a share back; the last one closes the port."""
        with self._holding:
            if port is not self._port:
                return
            self._members -= 1
            if self._members == 0:
                self._port = None
                close_port(port)

    def lose(self, port: Port) -> None:
        """The connection is gone, for all shares."""
        with self._holding:
            if port is self._port:
                self._port = None
                close_port(port)

    def holds(self, port: Port) -> bool:
        """Whether a port is still this line's."""
        return port is self._port


class _Share:
    """One stream's share of a port."""

    def __init__(self, line: Line, port: Port) -> None:
        self._line, self._port = line, port
        self._closed = False
        self.timeout: float | None = None

    def read(self, size: int = 1) -> bytes:
        self._check()
        try:
            self._port.timeout = self.timeout
            return self._port.read(size)
        except BROKEN:
            self._line.lose(self._port)
            raise

    def write(self, data: bytes, /) -> int | None:
        self._check()
        try:
            return self._port.write(data)
        except BROKEN:
            self._line.lose(self._port)
            raise

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._line.leave(self._port)

    def _check(self) -> None:
        if self._closed or not self._line.holds(self._port):
            raise OSError("another device on the line lost it")


class Settled(Protocol):
    """Something at an address that has settings of a line."""

    settings: SerialSettings


L = TypeVar("L", bound=Settled)


class Directory(Generic[L]):
    """What stands at each address, as long as somebody holds it."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[str, L] = WeakValueDictionary()
        self._finding = RLock()

    def find(self, device: str, address: str, settings: SerialSettings, make: Callable[[], L]) -> L:
        """What stands at an address; made where nothing does.

        Raises:
            LabError: it has other settings of the line.
        """
        where = address if "://" in address else os.path.realpath(address)
        with self._finding:
            found = self._known.get(where)
            if found is None:
                found = self._known[where] = make()
            elif found.settings != settings:
                raise LabError(
                    f"{device}: {address} is shared with a device that has other settings of the line.",
                    field="port",
                    mend="Give all devices on one port the same baudrate and framing.",
                )
            return found


_LINES: Final[Directory[Line]] = Directory()


def shared_stream(
    device: str,
    address: str,
    settings: SerialSettings | None = None,
    *,
    retries: Retries | None = None,
    record: Path | None = None,
) -> Stream:
    """A stream of one device on a line that others of this process may share.

    Args:
        device: name for errors.
        address: of the port, see :mod:`instruments.transport.stream`.
        settings: of the serial line.
        retries: of opening.
        record: a file to which this device's part of the talk is appended.

    Raises:
        LabError: another device has the line with other settings.
    """
    used = settings or SerialSettings()
    line = _LINES.find(device, address, used, lambda: Line(used, lambda: open_port(device, address, used)))
    stream = Stream(device, address, used, retries=retries, record=record, opener=line.join)
    stream.lock = line.lock
    return stream
