"""Byte streams to devices: serial ports, pseudo-terminals and TCP sockets, all with deadlines and bounds.

Addresses are pyserial's: ``/dev/ttyUSB0``, ``COM3``, ``socket://host:port``, ``rfc2217://host:port``; ``replay://FILE``
plays a transcript back. A stream whose connection is lost says so once; the next exchange opens it again, within
bounds.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import RLock
from typing import Any, Final, Literal, Protocol

from instruments.errors import CommunicationError, DeviceTimeout, InstrumentsError, ProtocolError
from instruments.transport.transcript import Recorder, load

logger = logging.getLogger(__name__)

SLICE: Final = 0.02
"""The longest single read, s: between slices a wait looks at its deadline and whether it is abandoned."""
try:
    from termios import error as _terminal_error
except ImportError:  # Windows has no terminals
    BROKEN: tuple[type[Exception], ...] = (OSError, TypeError, ValueError)
else:
    BROKEN = (OSError, TypeError, ValueError, _terminal_error)
"""What a port raises that cannot be opened or is lost; TypeError and ValueError are pyserial's, where another thread
closes the port meanwhile, and where an address is none."""
LONGEST: Final = 65536
"""Bytes of the longest line that is read unless a driver says otherwise."""


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """How a serial line is set. Sockets and pseudo-terminals pass over what means nothing to them."""

    baudrate: int = 9600
    bytesize: Literal[7, 8] = 8
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1
    xonxoff: bool = False
    rtscts: bool = False


@dataclass(frozen=True, slots=True)
class Retries:
    """How often, and how long, an opening is tried.

    Attributes:
        attempts: in all.
        pause: s after the first; it doubles with each.
        longest: s, of one pause.
    """

    attempts: int = 4
    pause: float = 0.1
    longest: float = 2.0


class Port(Protocol):
    """What pyserial's ports offer, as far as a stream uses it."""

    timeout: float | None

    def read(self, size: int = 1) -> bytes:
        """Up to so many bytes, within the timeout."""

    def write(self, data: bytes, /) -> int | None:
        """Send bytes."""

    def close(self) -> None:
        """Let go."""


class Stream:
    """A byte stream to one device.

    One exchange at a time: callers hold :attr:`lock` from their question to its answer. Only :meth:`write` may be
    called without it, so that a measurement that streams can be aborted from another thread. Every wait is bounded.

    Args:
        device: name for errors.
        address: see the module.
        settings: of a serial line.
        retries: of opening.
        record: a file to which a transcript is appended.
        opener: opens the port instead of pyserial; for what is no port.
    """

    def __init__(
        self,
        device: str,
        address: str,
        settings: SerialSettings | None = None,
        *,
        retries: Retries | None = None,
        record: Path | None = None,
        opener: Callable[[], Port] | None = None,
    ) -> None:
        self.device, self.address = device, address
        self.lock = RLock()
        self._settings = settings or SerialSettings()
        self._retries = retries or Retries()
        self._record = record
        self._recorder: Recorder | None = None
        self._opener = opener or partial(open_port, device, address, self._settings)
        self._port: Port | None = None
        self._pending = bytearray()
        self._holding = RLock()  # opening, and whole writes

    # Opening and closing

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._port is not None

    def open(self) -> Port:
        """Open the port, within the bounds of the retries; an open one stays as it is.

        Raises:
            CommunicationError: it cannot be opened.
        """
        with self._holding:
            if self._port is not None:
                return self._port
            pause = self._retries.pause
            for attempt in range(1, self._retries.attempts + 1):
                try:
                    port = self._port = self._opener()
                    break
                except InstrumentsError:
                    raise  # a transcript that is none
                except BROKEN as problem:  # pyserial's SerialException is an OSError
                    if attempt == self._retries.attempts:
                        raise CommunicationError(
                            f"{self.address} cannot be opened ({_words(problem)}); tried {attempt} times.",
                            device=self.device,
                            field="port",
                            mend="Check cable, power and address, and that no other program holds the port.",
                        ) from problem
                    time.sleep(pause)
                    pause = min(2.0 * pause, self._retries.longest)
            self._pending.clear()
            if self._record is not None and self._recorder is None:
                self._recorder = Recorder(self._record)
            return port

    def close(self) -> None:
        """Close the port; may be called at any time, and more than once."""
        port, self._port = self._port, None
        if port is not None:
            try:
                close_port(port)
            except OSError as problem:
                logger.warning("%s: %s did not close cleanly: %s", self.device, self.address, problem)
        if self._recorder is not None:
            self._recorder.close()
            self._recorder = None

    # Bytes

    def write(self, data: bytes) -> None:
        """Send bytes, after opening the port where it is closed.

        Raises:
            CommunicationError: there is no connection, or it was lost.
        """
        with self._holding:
            port = self.open()
            if self._recorder is not None:
                self._recorder.note(">", data)
            try:
                port.write(data)
            except BROKEN as problem:
                raise self._lost(problem) from problem

    def read_until(self, terminator: bytes, timeout: float, limit: int = LONGEST) -> bytes:
        """Bytes up to and with a terminator.

        Args:
            terminator: of the frame.
            timeout: s, for all of it.
            limit: the most bytes that a frame may have.

        Raises:
            DeviceTimeout: it did not come in time; what did come is dropped.
            ProtocolError: the frame is longer than it may be.
            CommunicationError: the connection was lost.
        """
        deadline, looked = time.monotonic() + timeout, 0
        while True:
            found = self._pending.find(terminator, max(looked - len(terminator) + 1, 0))
            if found >= 0:
                return self._take(found + len(terminator))
            looked = len(self._pending)
            if looked > limit:
                self._pending.clear()
                raise ProtocolError(f"more than {limit} bytes without an end of line.", device=self.device)
            self._more(deadline, timeout)

    def read_exactly(self, count: int, timeout: float) -> bytes:
        """So many bytes.

        Raises:
            DeviceTimeout: they did not come in time; what did come is dropped.
            CommunicationError: the connection was lost.
        """
        deadline = time.monotonic() + timeout
        while len(self._pending) < count:
            self._more(deadline, timeout)
        return self._take(count)

    def read_some(self, timeout: float, most: int = LONGEST) -> bytes:
        """What is there, at least one byte within the timeout, else nothing.

        Raises:
            CommunicationError: the connection was lost.
        """
        if not self._pending:
            try:
                self._more(time.monotonic() + timeout, timeout)
            except DeviceTimeout:
                return b""
        return self._take(min(len(self._pending), most))

    def clear(self, quiet: float = 0.0, longest: float = 1.0) -> bytes:
        """Drop what has come, and what comes until nothing has for so many seconds, within a bound.

        Returns:
            What was dropped.

        Raises:
            CommunicationError: the connection was lost.
        """
        dropped, end = bytearray(), time.monotonic() + longest
        while time.monotonic() < end:
            more = self.read_some(quiet) if quiet else self._waiting()
            if not more:
                break
            dropped += more
        return bytes(dropped)

    # Inside

    def _waiting(self) -> bytes:
        if not self._pending:
            self._fetch(0.0)
        return self._take(len(self._pending))

    def _take(self, count: int) -> bytes:
        taken = bytes(self._pending[:count])
        del self._pending[:count]
        return taken

    def _more(self, deadline: float, timeout: float) -> None:
        """Wait for at least one byte more."""
        while True:
            left = deadline - time.monotonic()
            if left <= 0.0:
                got = bytes(self._pending[:60])
                self._pending.clear()
                seen = f"; it had said {got!r}" if got else ""
                raise DeviceTimeout(f"no answer within {timeout:g} s{seen}.", device=self.device)
            if self._fetch(min(left, SLICE)):
                return

    def _fetch(self, seconds: float) -> bool:
        port = self._port  # another thread may close it meanwhile
        if port is None:
            raise CommunicationError("the connection is closed.", device=self.device, field="port")
        try:
            port.timeout = seconds
            data = port.read(1)
            if data:
                port.timeout = 0.0
                data += port.read(4096)
        except BROKEN as problem:
            raise self._lost(problem) from problem
        if data and self._recorder is not None:
            self._recorder.note("<", data)
        self._pending += data
        return bool(data)

    def _lost(self, problem: Exception) -> CommunicationError:
        self.close()
        self._pending.clear()
        return CommunicationError(
            f"the connection to {self.address} was lost ({_words(problem)}).",
            device=self.device,
            field="port",
            mend="Check cable and power; the next command opens it again.",
        )


def open_port(device: str, address: str, settings: SerialSettings) -> Port:
    """A port of pyserial, or one that plays a transcript back.

    Args:
        device: name for errors.
        address: see the module.
        settings: of a serial line.

    Raises:
        OSError: it cannot be opened.
        ReaderError: the file is no transcript.
    """
    if address.startswith("replay://"):
        return Replay(device, Path(address.removeprefix("replay://")))
    import serial

    if address.startswith("/dev/pts/"):
        settings = SerialSettings()  # a pseudo-terminal has no line, and refuses seven bits
    port: Any = serial.serial_for_url(
        address,
        baudrate=settings.baudrate,
        bytesize=settings.bytesize,
        parity=settings.parity,
        stopbits=settings.stopbits,
        xonxoff=settings.xonxoff,
        rtscts=settings.rtscts,
        timeout=SLICE,
        write_timeout=2.0,
    )
    return port  # type: ignore[no-any-return]


def close_port(port: Port) -> None:
    """Let go of a port, at once.

    pyserial's closing of a socket leaves it open where the other end has gone, and else waits for 0.3 s; a socket is
    therefore closed here.
    """
    raw = getattr(port, "_socket", None)
    if raw is None or not hasattr(port, "is_open") or hasattr(port, "rfc2217_flow_server_ready"):
        port.close()
        return
    port.is_open = False
    with contextlib.suppress(OSError):
        raw.shutdown(socket.SHUT_RDWR)
    raw.close()


@contextmanager
def exchange(stream: Stream, *, fresh: bool = True) -> Iterator[Stream]:
    """Hold a stream from a question to its answer.

    Args:
        stream: of the device.
        fresh: drop what the device said unasked before.
    """
    with stream.lock:
        if fresh and stream.is_open:
            stream.clear()
        yield stream


class Replay:
    """A port that answers as a transcript says, and only to what the transcript was asked.

    Args:
        device: name for errors.
        path: of the transcript.

    Raises:
        ReaderError: the file is no transcript.
    """

    timeout: float | None = None

    def __init__(self, device: str, path: Path) -> None:
        self._device = device
        self._left = deque((entry.direction, entry.data) for entry in load(path))
        self._said = bytearray()

    def read(self, size: int = 1) -> bytes:
        """What the device said next, as long as no question comes before it."""
        while len(self._said) < size and self._left and self._left[0][0] == "<":
            self._said += self._left.popleft()[1]
        taken = bytes(self._said[:size])
        del self._said[:size]
        return taken

    def write(self, data: bytes, /) -> int | None:
        """Take a question, which must be the transcript's next one.

        Raises:
            ProtocolError: it is another one.
        """
        sent = data
        while data:
            if not self._left or self._left[0][0] != ">":
                raise ProtocolError(f"the transcript does not expect {sent!r} here.", device=self._device)
            expected = self._left.popleft()[1]
            if expected.startswith(data):
                if len(expected) > len(data):
                    self._left.appendleft((">", expected[len(data) :]))
                return len(sent)
            if not data.startswith(expected):
                raise ProtocolError(f"the transcript expects {expected!r}, not {sent!r}.", device=self._device)
            data = data[len(expected) :]
        return len(sent)

    def close(self) -> None:
        """Nothing is held."""


def _words(problem: Exception) -> str:
    said = str(getattr(problem, "strerror", None) or problem)
    return said.splitlines()[0] if said else type(problem).__name__
