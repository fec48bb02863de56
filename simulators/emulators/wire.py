"""Emulated instruments behind byte streams: a TCP listener on loopback, or a pseudo-terminal."""

from __future__ import annotations

import contextlib
import os
import random
import select
import socket
from abc import abstractmethod
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import ClassVar, Final, Literal, TypeAlias

from simulators.emulators.emulator import Emulator

Wire: TypeAlias = Literal["tcp", "pty"]

LONGEST: Final = 65536
"""Bytes that may come without an end of frame; then they are dropped, as a small buffer would."""
TICK: Final = 0.1
"""Between looks at whether it is to stop, s."""


class Session:
    """One connection to an instrument. Any thread may send."""

    def __init__(self, emulator: StreamEmulator, write: Callable[[bytes], object], close: Callable[[], object]) -> None:
        self._emulator, self._write, self._close = emulator, write, close
        self._lock = Lock()
        self.open = True
        self.buffer = bytearray()
        self.notes: dict[str, object] = {}

    def send(self, data: bytes) -> None:
        """Send bytes as they are; nothing where the connection has gone."""
        with self._lock:
            if not self.open:
                return
            try:
                self._write(data)
            except OSError:
                self.open = False

    def reply(self, data: bytes) -> None:
        """Send an answer, which faults on the wire may change."""
        faults = self._emulator.faults
        if slow := faults.take("slow"):
            self._emulator.stopping.wait(slow.values.get("seconds", 1.0))
        if faults.take("silence"):
            return
        if faults.take("drop"):
            self.close()
            return
        if faults.take("truncated"):
            data = data[: len(data) // 2]
        if faults.take("wrong_echo"):
            first = next((i for i, byte in enumerate(data) if 32 < byte < 127), None)
            if first is not None:
                data = data[:first] + bytes([33 + (data[first] - 32) % 93]) + data[first + 1 :]
        if faults.take("garbage"):
            # neither flow control nor line ends: those would be another fault
            letters = [b for b in range(256) if b not in (0x0A, 0x0D, 0x11, 0x13)]
            data = bytes(random.choices(letters, k=len(data))) + data[-1:]  # noqa: S311  nothing here is secret
        self.send(data)

    def close(self) -> None:
        """End the connection."""
        with self._lock:
            if self.open:
                self.open = False
                self._close()


class StreamEmulator(Emulator):
    """An instrument that reads frames and answers them.

    Args:
        name: of the device.
        wire: what it listens on.
        host: address to listen on, for TCP.
        port: for TCP; 0 takes a free one.
    """

    terminator: ClassVar[bytes] = b"\r"
    """Ends a frame from the host; empty: :meth:`received` gets bytes as they come."""

    def __init__(self, name: str, *, wire: Wire = "tcp", host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(name)
        self.stopping = Event()
        self.sessions: list[Session] = []
        self._wire, self._interface, self._wanted = wire, host, port
        self._threads: list[Thread] = []
        self._listener: socket.socket | None = None
        self._terminal: tuple[int, int] | None = None
        self._address = ""

    # What instruments write

    @abstractmethod
    def answer(self, frame: bytes, session: Session) -> bytes | None:
        """The answer to one frame, which comes without its terminator; ``None`` says nothing."""

    def opened(self, session: Session) -> None:
        """A host has connected."""

    def closed(self, session: Session) -> None:
        """A host has gone."""

    def received(self, data: bytes, session: Session) -> None:
        """Bytes have come. Splits them into frames; instruments without a terminator have their own."""
        session.buffer += data
        while (end := session.buffer.find(self.terminator)) >= 0:
            frame = bytes(session.buffer[:end])
            del session.buffer[: end + len(self.terminator)]
            answer = self.answer(frame, session)
            if answer is not None:
                session.reply(answer)
        if len(session.buffer) > LONGEST:
            session.buffer.clear()

    # Life

    @property
    def address(self) -> str:
        """Where it listens; empty before the start."""
        return self._address

    def start(self) -> None:
        """Begin to listen."""
        self.stopping.clear()
        if self._wire == "tcp":
            self._listener = socket.create_server((self._interface, self._wanted))
            self._listener.settimeout(TICK)
            self._wanted = self._listener.getsockname()[1]
            self._address = f"socket://{self._interface}:{self._wanted}"
            self._run(self._accept, self._listener)
        else:
            import tty

            master, slave = os.openpty()
            tty.setraw(master)
            tty.setraw(slave)
            self._terminal = (master, slave)
            self._address = os.ttyname(slave)
            self._run(self._serve_terminal, master)

    def stop(self) -> None:
        """End all connections and threads."""
        self.stopping.set()
        for session in list(self.sessions):
            session.close()
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # ends the wait for a host at once
            self._listener.close()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        if self._terminal is not None:
            for end in self._terminal:
                os.close(end)
            self._terminal = None

    def _run(self, work: Callable[..., None], argument: object) -> None:
        thread = Thread(target=work, args=(argument,), name=f"emulator-{self.name}", daemon=True)
        self._threads = [t for t in self._threads if t.is_alive()]
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return  # closed by stop()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._run(self._serve_socket, connection)

    def _serve_socket(self, connection: socket.socket) -> None:
        connection.settimeout(TICK)
        sending = connection.dup()
        sending.settimeout(2.0)

        def end() -> None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

        session = Session(self, sending.sendall, end)
        with connection, sending:
            self._serve(session, lambda: connection.recv(4096))

    def _serve_terminal(self, master: int) -> None:
        def write(data: bytes) -> None:
            while data and not self.stopping.is_set():
                data = data[os.write(master, data) :]

        def read() -> bytes:
            if not select.select([master], [], [], TICK)[0]:
                raise TimeoutError
            return os.read(master, 4096)

        while not self.stopping.is_set():  # a terminal cannot be hung up: the next session follows
            self._serve(Session(self, write, lambda: None), read)

    def _serve(self, session: Session, read: Callable[[], bytes]) -> None:
        self.sessions.append(session)
        self.opened(session)
        try:
            while session.open and not self.stopping.is_set():
                try:
                    data = read()
                except TimeoutError:
                    continue
                except OSError:
                    break
                if not data:
                    break
                self.received(data, session)
        finally:
            session.open = False
            self.sessions.remove(session)
            self.closed(session)
