"""The maker's library (bronkhorst-propar) on this package's streams: bounded, in step, with exceptions, and an end.

The library opens ports by itself, keeps a thread for each that reads and one that sorts answers, has no way to end
them, and gives ``None`` or a number for whatever goes wrong. Here it gets a port that is one of this package's streams
(so that sockets, pseudo-terminals, recordings and reconnecting work as for every device), hears only whole frames, and
is asked through :class:`Bus`, which turns its numbers into exceptions. Devices on one line share a bus.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, RLock
from typing import Any, Final

import propar

from instruments.drivers.bronkhorst.frames import ERRORS, Splitter, parse
from instruments.errors import CommunicationError, DeviceFault, DeviceTimeout, ProtocolError
from instruments.transport.shared import Directory
from instruments.transport.stream import SLICE, SerialSettings, Stream

TIMEOUT: Final = propar.PP_STATUS_TIMEOUT_ANSWER
REFUSED: Final = 0x80
"""Added by the library to a message of one byte."""
ENDING: Final = 2.0
"""That a thread may take to end, s."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a device.

    Attributes:
        process: its number.
        number: within the process.
        kind: of the library's ``PP_TYPE_...``.
        name: for errors.
    """

    process: int
    number: int
    kind: int
    name: str

    @property
    def request(self) -> dict[str, Any]:
        """As the library wants it."""
        return {"proc_nr": self.process, "parm_nr": self.number, "parm_type": self.kind}


class Guard:
    """The port that the library's thread reads from: whole frames of a stream.

    Args:
        stream: to the line.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._splitter = Splitter()
        self._splitting = Lock()
        self._whole = bytearray()
        self._ended = Event()
        self._opened = Event()
        self.problem: CommunicationError | None = None
        self.garbled: ProtocolError | None = None

    def begin(self) -> None:
        """Before a question: open the stream where it is closed, and forget what went wrong before.

        Raises:
            CommunicationError: it cannot be opened.
        """
        self._stream.open()
        with self._splitting:
            self.problem = self.garbled = None
            self._splitter = Splitter()  # half a frame from before would take the next one's beginning for its own
        self._opened.set()

    def end(self) -> None:
        """Let the library's thread come to its end."""
        self._ended.set()
        self._opened.set()

    # What the library calls

    @property
    def in_waiting(self) -> int:
        """Bytes of whole frames; waits a moment for them."""
        if not self._whole and not self._ended.is_set():
            self._fetch()
        return len(self._whole)

    def _fetch(self) -> None:
        if not self._opened.wait(SLICE):
            return
        try:
            data = self._stream.read_some(SLICE)
        except CommunicationError as problem:
            self._opened.clear()
            self.problem = problem
            return
        with self._splitting:
            for frame in self._splitter.feed(data) if data else ():
                try:
                    parse(frame, self._stream.device)
                except ProtocolError as problem:
                    self.garbled = problem
                else:
                    self._whole += frame
            if self._splitter.strayed and self.garbled is None:
                self.garbled = ProtocolError("bytes that are no frame.", device=self._stream.device)

    def read(self, size: int = 1) -> bytes:
        """Bytes of whole frames."""
        taken = bytes(self._whole[:size])
        del self._whole[:size]
        return taken

    def write(self, data: bytes) -> None:
        """Send a frame."""
        self._stream.write(data)

    def open(self) -> None:
        """The library opens what it lost; here :meth:`begin` does."""

    def close(self) -> None:
        """The library closes what it lost; here the stream did."""


class _Ended(BaseException):
    """Takes the place of the library's provider and ends its sorting thread, which has no other end."""

    def read_propar_message(self) -> None:
        raise self


class _Master(propar.master):  # type: ignore[misc]  # the library has no types
    """The library's master, whose sorting thread can end."""

    def _master__message_handler_task(self) -> None:
        with contextlib.suppress(_Ended):
            super()._master__message_handler_task()


class Bus:
    """One line with its devices.

    Args:
        address: of the port.
        settings: of the line.
        stream: to it.
    """

    def __init__(self, settings: SerialSettings, stream: Stream) -> None:
        self.lock = RLock()
        self.settings, self.stream = settings, stream
        self._guard: Guard | None = None
        self._master: Any = None
        self._members: set[int] = set()

    def read(self, device: object, name: str, node: int, timeout: float, wanted: Iterable[Parameter]) -> list[Any]:
        """Values of parameters, by one question.

        Args:
            device: that asks; it must :meth:`leave` when it is closed.
            name: of the device, for errors.
            node: of the device on the line.
            timeout: of the answer, s.
            wanted: the parameters.

        Raises:
            CommunicationError: no connection, or no answer in time.
            ProtocolError: the answer is not understood.
            DeviceFault: the device refused.
        """
        parameters = list(wanted)
        requests = [{**parameter.request, "node": node} for parameter in parameters]
        with self.lock:
            guard, master = self._running(device, timeout)
            try:
                answers: list[Mapping[str, Any]] = master.read_parameters(requests)
            except CommunicationError as problem:
                raise _named(problem, name) from problem
            status = answers[0].get("status", TIMEOUT) if answers else TIMEOUT
            if status != propar.PP_STATUS_OK:
                raise self._failure(guard, status, name, parameters[0], timeout)
        if [(a.get("proc_nr"), a.get("parm_nr")) for a in answers] != [(p.process, p.number) for p in parameters]:
            raise ProtocolError(f"an answer to another question than {parameters[0].name}.", device=name)
        return [answer["data"] for answer in answers]

    def write(self, device: object, name: str, node: int, timeout: float, what: Parameter, value: float) -> None:
        """Set a parameter; the device acknowledges it.

        Raises:
            CommunicationError: no connection, or no answer in time.
            ProtocolError: the answer is not understood.
            DeviceFault: the device refused.
        """
        with self.lock:
            guard, master = self._running(device, timeout)
            try:
                status = master.write_parameters([{**what.request, "node": node, "data": value}])
            except CommunicationError as problem:
                raise _named(problem, name) from problem
            except IndexError:  # the library reads the second byte of a message of one byte
                status = REFUSED + next(iter(ERRORS))
            if status != propar.PP_STATUS_OK:
                raise self._failure(guard, status, name, what, timeout)

    def leave(self, device: object) -> None:
        """A device is closed; with the last one the line is."""
        with self.lock:
            self._members.discard(id(device))
            if not self._members:
                self._end()

    def _running(self, device: object, timeout: float) -> tuple[Guard, Any]:
        """The library, running, on an open stream."""
        threads = (
            () if self._master is None else (self._master.msg_handler_thread, self._master.propar.serial_read_thread)
        )
        if self._guard is None or not all(thread.is_alive() for thread in threads):
            self._end()
            guard = self._guard = Guard(self.stream)
            self._master = _Master(
                self.stream.address, self.settings.baudrate, serial_class=lambda *_args, **_more: guard
            )
        self._members.add(id(device))
        self._guard.begin()
        self._master.response_timeout = timeout
        return self._guard, self._master

    def _end(self) -> None:
        """End the library's threads, then close the stream."""
        master, guard, self._master, self._guard = self._master, self._guard, None, None
        if master is not None and guard is not None:
            provider = master.propar
            provider.run = False
            guard.end()
            provider.serial_read_thread.join(ENDING)
            master.propar = _Ended()
            master.msg_handler_thread.join(ENDING)
        self.stream.close()

    def _failure(
        self, guard: Guard, status: int, name: str, what: Parameter, timeout: float
    ) -> CommunicationError | ProtocolError | DeviceFault:
        """What a status of the library means."""
        if guard.problem is not None:
            return _named(guard.problem, name)
        if status == TIMEOUT:
            if guard.garbled is not None:
                return ProtocolError(f"no answer about {what.name}, but {guard.garbled.args[0]}", device=name)
            return DeviceTimeout(f"no answer about {what.name} within {timeout:g} s.", device=name)
        if status >= REFUSED:
            said = ERRORS.get(status - REFUSED, "an error")
            return DeviceFault(f"it was answered {said} to {what.name}.", device=name, code=f"error {status - REFUSED}")
        code = propar.pp_status_codes.get(status, f"status {status}")
        return DeviceFault(f"it refused {what.name}: {code}.", device=name, code=code)


def _named(problem: CommunicationError, name: str) -> CommunicationError:
    """The same, said by a device of the line."""
    message = str(problem.args[0]).removeprefix(f"{problem.device}: ")
    return type(problem)(message, device=name, field=problem.field, mend=problem.mend)


_BUSES: Final[Directory[Bus]] = Directory()


def shared_bus(device: str, address: str, settings: SerialSettings, record: Path | None) -> Bus:
    """The bus at an address, which devices of this process share.

    Args:
        device: name for errors.
        address: of the port, see :mod:`instruments.transport.stream`.
        settings: of the line.
        record: a transcript of the whole line, by the first device on it.

    Raises:
        LabError: another device has the line with other settings.
    """
    return _BUSES.find(
        device, address, settings, lambda: Bus(settings, Stream(device, address, settings, record=record))
    )
