"""A proxy before a PostgreSQL server that loses a commit, or the answer to it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Literal, TypeAlias

When: TypeAlias = Literal["before", "after", "late"]
"""What is lost: the commit; its answer; its answer, the commit itself being delivered by ``deliver`` alone."""


class Cutter:
    """Listens on loopback and passes everything on, until it is told to cut the next commit.

    Args:
        port: of the server, on loopback.
    """

    def __init__(self, port: int) -> None:
        self._server = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.on_cut: Callable[[], None] | None = None
        """What else happens then."""
        self._when: When | None = None
        self._held: tuple[socket.socket, bytes] | None = None
        self._sockets = [self._listening]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, when: When) -> None:
        """Lose the next commit, or its answer; the connection ends with it."""
        self._when = when

    def deliver(self) -> None:
        """Give the server the commit that was held back."""
        assert self._held is not None
        server, data = self._held
        server.sendall(data)

    def close(self) -> None:
        """End all connections."""
        for one in self._sockets:
            _end(one)

    @property
    def spent(self) -> bool:
        """Whether there was a commit to cut."""
        return self._when is None

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self._sockets.append(client)
                try:
                    server = socket.create_connection(("127.0.0.1", self._server))
                except OSError:
                    _end(client)
                    continue
                self._sockets.append(server)
                swallow = threading.Event()
                threading.Thread(target=self._forth, args=(client, server, swallow), daemon=True).start()
                threading.Thread(target=self._back, args=(client, server, swallow), daemon=True).start()

    def _forth(self, client: socket.socket, server: socket.socket, swallow: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                when = self._when if b"COMMIT\0" in data else None
                if when is not None:
                    self._when = None
                    swallow.set()
                    if self.on_cut is not None:
                        self.on_cut()
                if when == "late":
                    self._held = server, data
                    _end(client)
                    return
                if when == "before":
                    break
                server.sendall(data)
                if when == "after":
                    return  # the other thread ends the connection once the server has answered
        _end(client)
        _end(server)

    def _back(self, client: socket.socket, server: socket.socket, swallow: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if swallow.is_set():
                    break
                client.sendall(data)
        _end(client)
        _end(server)


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
