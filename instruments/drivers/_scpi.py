"""Instruments that speak SCPI, reached through VISA: addresses, the error queue, and what a model calls its commands.

Bytes go through PyVISA, so that everything that has a VISA resource name can be reached: ``TCPIP::host::5025::SOCKET``,
``TCPIP::host::INSTR``, ``USB::0x2A8D::0x1602::MY123::INSTR``, ``GPIB::5::INSTR``, ``ASRL/dev/ttyUSB0::INSTR``. Above
them stands the package's own stream, with its deadlines, bounds and transcripts.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import Field

from instruments.device import DeviceOptions, Identity, Wiring
from instruments.drivers._serial import Conversing, Timeout, number_of, text_of
from instruments.errors import CommunicationError, DeviceError, DeviceFault, ProtocolError
from instruments.transport.stream import Port, Replay, Stream

if TYPE_CHECKING:
    from pyvisa.resources import MessageBasedResource

T = TypeVar("T")

END: Final = b"\n"
OVERFLOW: Final = 9.9e37
"""What SCPI says for a value beyond the range; 9.91e37 stands for none (SCPI-99, 7.2.1.4)."""
QUEUE: Final = 32
"""Errors that are taken from the queue at a time; no instrument keeps more."""
_ERROR: Final = re.compile(r'([-+]?\d{1,6})\s*,\s*"([^"]*)"?.*')


@dataclass(frozen=True, slots=True)
class Reported:
    """An entry of the error queue.

    Attributes:
        number: 0 is none; negative ones are SCPI's, positive ones the maker's.
        text: in words.
    """

    number: int
    text: str


def parse_error(line: bytes, device: str = "scpi") -> Reported:
    """An answer to ``SYST:ERR?``.

    Raises:
        ProtocolError: it is none.
    """
    text = text_of(line, device)
    found = _ERROR.fullmatch(text)
    if found is None:
        raise ProtocolError(f"{text[:60]!r} is no entry of an error queue.", device=device)
    return Reported(int(found[1]), found[2])


def parse_identity(line: bytes, device: str = "scpi") -> Identity:
    """An answer to ``*IDN?``: maker, model, serial number, firmware.

    Raises:
        ProtocolError: it is none.
    """
    words = [word.strip() for word in text_of(line, device).split(",", 3)]
    if len(words) != 4 or not words[1]:
        raise ProtocolError(f"{line[:60]!r} does not say what the instrument is.", device=device)
    maker, model, serial, firmware = words
    return Identity(maker, model.removeprefix("MODEL").strip() or model, serial, firmware)


def parse_value(line: bytes, device: str = "scpi") -> float:
    """A number; of several, the first one.

    Raises:
        DeviceFault: it is beyond the range.
        ProtocolError: it is no number.
    """
    value = number_of(text_of(line, device).split(",")[0].strip(), device)
    if abs(value) >= OVERFLOW:
        raise DeviceFault("the value is beyond the range.", device=device, code="overload")
    return value


def parse_switch(line: bytes, device: str = "scpi") -> bool:
    """On or off.

    Raises:
        ProtocolError: it is neither.
    """
    text = text_of(line, device).upper()
    if text not in ("0", "1", "ON", "OFF"):
        raise ProtocolError(f"{text[:60]!r} is neither on nor off.", device=device)
    return text in ("1", "ON")


class VisaPort:
    """A VISA resource as a port. Its resource manager is closed with it, whatever happens.

    Args:
        resource: VISA resource name.
        backend: of PyVISA: ``@py`` is pure Python, empty the VISA library that is installed.
        baudrate: of serial resources.
        timeout: s, of a whole message where a resource gives only whole ones.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, resource: str, backend: str, baudrate: int, timeout: float) -> None:
        import pyvisa
        from pyvisa.constants import InterfaceType, StatusCode

        self.timeout: float | None = timeout
        self._errors: tuple[type[Exception], ...] = (pyvisa.Error, ValueError, TypeError, AttributeError)
        self._late, self._more = StatusCode.error_timeout, StatusCode.success_max_count_read
        self._whole, self._said = timeout, bytearray()
        self._manager: pyvisa.ResourceManager | None = None
        try:
            self._manager = pyvisa.ResourceManager(backend)
            opened: Any = self._manager.open_resource(resource, open_timeout=int(1e3 * timeout))
            self._resource: MessageBasedResource = opened
            serial = opened.interface_type == InterfaceType.asrl
            self._bytewise = serial or resource.upper().endswith("::SOCKET")
            opened.read_termination = opened.write_termination = END.decode()
            if serial:
                opened.baud_rate = baudrate
        except Exception as problem:  # pyvisa-py raises Exception itself where a host cannot be reached
            self.close()
            raise OSError(f"VISA: {problem}") from problem

    def read(self, size: int = 1) -> bytes:
        """What there is, within the timeout; at least waiting for it costs nothing beyond that."""
        if len(self._said) < size and (self._bytewise or not self._said):
            self._fetch(size)
        taken = bytes(self._said[:size])
        del self._said[:size]
        return taken

    def _fetch(self, size: int) -> None:
        # whole messages are waited for whole: a library may drop what came of one when the wait ends
        seconds = (self.timeout or 0.0) if self._bytewise or not self.timeout else self._whole
        try:
            self._resource.timeout = int(1e3 * seconds)
            with self._resource.ignore_warning(self._more):
                while len(self._said) < size:
                    self._said += self._resource.visalib.read(self._resource.session, 1 if self._bytewise else 4096)[0]
                    if not self._bytewise:
                        return
        except self._errors as problem:
            if getattr(problem, "error_code", None) != self._late:
                raise OSError(f"VISA: {problem}") from problem

    def write(self, data: bytes, /) -> int | None:
        """Send bytes."""
        try:
            return self._resource.write_raw(data)
        except self._errors as problem:
            raise OSError(f"VISA: {problem}") from problem

    def close(self) -> None:
        """Close resource and manager."""
        manager, self._manager = self._manager, None
        if manager is not None:
            try:
                manager.close()  # closes its resources too
            except self._errors as problem:
                raise OSError(f"VISA: {problem}") from problem


class ScpiOptions(DeviceOptions):
    """What all instruments with SCPI are told.

    Attributes:
        resource: VISA resource name, or ``replay://FILE``.
        backend: of PyVISA: ``@py`` (pure Python), or empty for the VISA library that is installed.
        baudrate: of a serial resource.
        timeout: of one exchange, s.
    """

    resource: str = Field(min_length=1)
    backend: str = "@py"
    baudrate: int = Field(9600, ge=50, le=4_000_000)
    timeout: Timeout = 2.0

    @property
    def addresses(self) -> tuple[str, ...]:
        """The resource."""
        return (self.resource,)


class ScpiDevice(Conversing):
    """An instrument that speaks SCPI."""

    def __init__(self, name: str, options: ScpiOptions, wiring: Wiring) -> None:
        def opened() -> Port:
            if options.resource.startswith("replay://"):
                return Replay(name, Path(options.resource.removeprefix("replay://")))
            return VisaPort(options.resource, options.backend, options.baudrate, options.timeout)

        stream = Stream(name, options.resource, record=wiring.record(name), opener=opened)
        super().__init__(name, options, wiring, stream, options.timeout)

    def identify(self) -> Identity:
        """Ask with ``*IDN?``.

        Raises:
            DeviceError: no answer, or one that is not understood.
        """
        return self._query("*IDN?", parse_identity)

    def errors(self) -> tuple[Reported, ...]:
        """Take what stands in the error queue.

        Raises:
            DeviceError: no answer, or one that is not understood.
        """
        return self._talk(self._drain)

    def _select(self) -> str:
        """What goes before every exchange, such as the choice of an output; empty for nothing."""
        return ""

    def _query(self, command: str, parse: Callable[[bytes, str], T]) -> T:
        def talk(stream: Stream) -> T:
            try:
                return parse(self._ask(stream, command), self.name)
            except CommunicationError as problem:
                # an instrument that does not know a question does not answer it; its queue says so
                raise self._explained(stream, command) or problem from problem

        return self._talk(talk, attempts=2)

    def _command(self, command: str) -> None:
        """Send a command, wait until it is done, and raise what the instrument thinks of it."""
        self._talk(lambda stream: self._told(stream, command))

    def _told(self, stream: Stream, command: str) -> None:
        self._drain(stream)  # what is older is not this command's
        stream.write(command.encode() + END)
        if faults := self._drain(stream):
            raise self._fault(faults[0], command)

    def _fault(self, first: Reported, command: str) -> DeviceFault:
        return DeviceFault(f"{first.text} ({first.number}, after {command}).", device=self.name, code=str(first.number))

    def _explained(self, stream: Stream, command: str) -> DeviceFault | None:
        if not stream.is_open:
            return None
        try:
            faults = self._drain(stream)
        except (CommunicationError, ProtocolError):
            return None  # it is silent altogether: what came before says so
        return self._fault(faults[0], command) if faults else None

    def _talk(self, talk: Callable[[Stream], T], attempts: int = 1) -> T:
        def selected(stream: Stream) -> T:
            if select := self._select():
                stream.write(select.encode() + END)
            return talk(stream)

        return self._exchange(selected, attempts=attempts)

    def _went_wrong(self, problem: DeviceError) -> None:
        """VISA does not tell a lost connection from a silent instrument: the next exchange opens it anew."""
        if isinstance(problem, CommunicationError):
            self.close()

    def _drain(self, stream: Stream) -> tuple[Reported, ...]:
        found: list[Reported] = []
        for _ in range(QUEUE):
            entry = parse_error(self._ask(stream, "SYST:ERR?"), self.name)
            if entry.number == 0:
                return tuple(found)
            found.append(entry)
        raise ProtocolError(f"the error queue has no end: {found[-1].text}.", device=self.name)

    def _ask(self, stream: Stream, command: str) -> bytes:
        stream.write(command.encode() + END)
        return self._line(stream, time.monotonic() + self._timeout, END, 65536)

    def _prepare(self, stream: Stream) -> None:
        """Clear the status and the error queue; that changes no setting and no output."""
        stream.write(b"*CLS\n")

    def _resync(self, stream: Stream) -> None:
        """Only the identity has three commas and a word at its beginning."""
        stream.write(b"*IDN?\n")
        self._await(stream, _is_identity, ends=END)


def _is_identity(line: bytes) -> bool:
    return line.count(b",") >= 3 and line.strip()[:1].isalpha()


@dataclass(frozen=True)
class Dialect:
    """What a family of models calls its commands. ``{}`` stands for a value in ``set``, keys are attributes.

    Attributes:
        ask: questions, by attribute.
        tell: commands that set, by attribute; after a semicolon a second command.
        most: questions for the largest value that can be set, by attribute.
        accuracy: standard uncertainties relative to the value, by attribute.
        floor: standard uncertainties near zero, in the attribute's unit.
    """

    ask: Mapping[str, str]
    tell: Mapping[str, str]
    most: Mapping[str, str]
    accuracy: Mapping[str, float]
    floor: Mapping[str, float]
