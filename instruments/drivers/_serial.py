"""Instruments that answer one question at a time: options, and exchanges that get back into step after a fault.

After an answer that was late, cut or garbled, nothing that the instrument says can be trusted to belong to the next
question. The next exchange therefore begins with a *barrier*: a harmless question whose answer looks like no other.
Whatever comes before that answer is dropped.
"""

from __future__ import annotations

import re
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Final, Literal, TypeVar

from pydantic import Field

from instruments.device import DEFAULT_TIMEOUT, Device, DeviceOptions, Identity, Wiring
from instruments.errors import CommunicationError, DeviceError, DeviceTimeout, LimitError, ProtocolError
from instruments.transport.stream import SerialSettings, Stream, exchange

T = TypeVar("T")

Timeout = Annotated[float, Field(gt=0.0, le=60.0)]
"""Of one exchange, s."""

STRAY: Final = 32
"""Lines that are passed over while looking for an answer; an instrument that says more unasked is out of order."""
_NUMBER: Final = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,2})?")


class SerialOptions(DeviceOptions):
    """What all instruments behind a serial line or a socket are told.

    Attributes:
        port: ``/dev/ttyUSB0``, ``COM3``, ``socket://host:port``, ``rfc2217://host:port`` or ``replay://FILE``.
        timeout: of one exchange, s.
        baudrate: of a serial line, as the instrument's menu says.
        bytesize: data bits.
        parity: ``N``, ``E`` or ``O``.
        stopbits: 1 or 2.
        xonxoff: software flow control.
        rtscts: hardware flow control.
    """

    port: str = Field(min_length=1)
    timeout: Timeout = DEFAULT_TIMEOUT
    baudrate: int = Field(9600, ge=50, le=4_000_000)
    bytesize: Literal[7, 8] = 8
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1
    xonxoff: bool = False
    rtscts: bool = False

    @property
    def addresses(self) -> tuple[str, ...]:
        """The port."""
        return (self.port,)

    @property
    def settings(self) -> SerialSettings:
        """Of the serial line."""
        return SerialSettings(self.baudrate, self.bytesize, self.parity, self.stopbits, self.xonxoff, self.rtscts)


class Conversing(Device):
    """A device with one stream, whose exchanges get back into step after whatever went wrong before.

    Args:
        name: in its rig.
        options: of the driver.
        wiring: what the rig gives.
        stream: to the device.
        timeout: of one exchange, s.
    """

    def __init__(self, name: str, options: DeviceOptions, wiring: Wiring, stream: Stream, timeout: float) -> None:
        super().__init__(name, options, wiring)
        self.stream = stream
        self._timeout = timeout
        self._prepared = False
        self._doubtful = False

    # What drivers write

    @abstractmethod
    def _resync(self, stream: Stream) -> None:
        """Ask a harmless question, and drop whatever comes before its answer."""

    def _prepare(self, stream: Stream) -> None:
        """Tell the device what it must know once after each opening; moves nothing."""

    def _learn(self, identity: Identity) -> None:
        """Ask once, when connecting, for what narrows the ranges of attributes."""

    def _went_wrong(self, problem: DeviceError) -> None:
        """An exchange failed; the stream is held."""

    # What they use

    def connect(self) -> None:
        """Open the port, and make sure that this is the device; moves nothing.

        Raises:
            DeviceError: it cannot be reached, or is not what it should be.
        """
        identity = self.identify()
        self._check_serial(identity)
        self._learn(identity)

    def close(self) -> None:
        """Let go of the port."""
        self._prepared = False
        self.stream.close()

    def _exchange(self, talk: Callable[[Stream], T], *, attempts: int = 1) -> T:
        """Have one exchange, which begins in step.

        Args:
            talk: asks and reads the answer.
            attempts: in all; more than one only for what may be repeated.

        Raises:
            CommunicationError: no connection, or no answer in time.
            ProtocolError: an answer that is not understood.
            DeviceFault: the device reports an error of its own; never repeated.
        """
        with self._held(), exchange(self.stream, fresh=False) as stream:
            for left in reversed(range(attempts)):
                if not stream.is_open:
                    self._prepared = False
                    stream.open()  # which tries several times by itself
                try:
                    if self._doubtful:
                        stream.clear()
                        self._resync(stream)
                        self._doubtful = False
                    if not self._prepared:
                        self._prepare(stream)
                        self._prepared = True
                    stream.clear()
                    return talk(stream)
                except (CommunicationError, ProtocolError) as problem:
                    self._doubtful = True
                    self._went_wrong(problem)
                    if not left:
                        raise
        raise RuntimeError("unreachable: the last attempt returns or raises")

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Hold the stream; another thread's exchange is waited for within a bound."""
        patience = 10.0 * self._timeout + 10.0
        if not self.stream.lock.acquire(timeout=patience):
            raise DeviceTimeout(f"another exchange did not end within {patience:g} s.", device=self.name)
        try:
            yield
        finally:
            self.stream.lock.release()

    def _line(self, stream: Stream, deadline: float, ends: bytes = b"\r\n", limit: int = 1024) -> bytes:
        """The next line before a deadline, without its end."""
        left = max(deadline - time.monotonic(), 0.0)
        return stream.read_until(ends, left, limit)[: -len(ends)]

    def _await(
        self,
        stream: Stream,
        wanted: Callable[[bytes], bool],
        *,
        ends: bytes = b"\r\n",
        timeout: float | None = None,
        lines: int = STRAY,
    ) -> bytes:
        """The first line that is an answer; others are passed over, as many as are allowed.

        Raises:
            DeviceTimeout: none came in time.
            ProtocolError: too many others came.
        """
        deadline = time.monotonic() + (self._timeout if timeout is None else timeout)
        line = b""
        for _ in range(lines):
            line = self._line(stream, deadline, ends)
            if wanted(line):
                return line
        raise ProtocolError(f"{lines} lines, none of which is the answer; the last: {line[:60]!r}.", device=self.name)

    def _unreadable(self, name: str) -> LimitError:
        return LimitError(f"{name} is a command and cannot be read.", device=self.name, field=name)


class SerialDevice(Conversing):
    """A device behind a serial line or a socket."""

    def __init__(self, name: str, options: SerialOptions, wiring: Wiring) -> None:
        stream = Stream(name, options.port, options.settings, record=wiring.record(name))
        super().__init__(name, options, wiring, stream, options.timeout)


# Parts of parsers: pure functions that know no wire


def text_of(data: bytes, device: str) -> str:
    """Printable ASCII text without the white space around it.

    Raises:
        ProtocolError: a byte is none.
    """
    stripped = data.strip(b" \t\r\n\0")
    if not all(32 <= byte < 127 for byte in stripped):
        raise ProtocolError(f"an answer that is no text: {data[:60]!r}.", device=device)
    return stripped.decode("ascii")


def number_of(text: str, device: str) -> float:
    """A plain decimal number.

    Raises:
        ProtocolError: it is none.
    """
    if len(text) > 32 or not _NUMBER.fullmatch(text):
        raise ProtocolError(f"an answer that is no number: {text[:60]!r}.", device=device)
    return float(text)
