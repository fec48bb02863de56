"""Emulated instruments behind a web server on loopback."""

from __future__ import annotations

import json
import random
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from simulators.emulators.emulator import Emulator

LARGEST: Final = 16 * 1024 * 1024
"""Bytes of the largest request."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a host asks.

    Attributes:
        method: such as ``GET``.
        path: as sent, without the query.
        query: its parameters.
        headers: with lower-case names.
        body: bytes.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON, ``None`` where it is empty.

        Raises:
            ValueError: it is none.
        """
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What an instrument says: a status, and JSON or bytes."""

    status: int = 200
    content: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def encoded(self) -> bytes:
        """The body."""
        if isinstance(self.content, bytes):
            return self.content
        return b"" if self.content is None else json.dumps(self.content).encode()


class WebEmulator(Emulator):
    """An instrument that answers web requests, each in a thread of its own.

    Args:
        name: of the device.
        host: address to listen on.
        port: 0 takes a free one.
    """

    def __init__(self, name: str, *, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(name)
        self.stopping = Event()
        self._host, self._wanted = host, port
        self._server: ThreadingHTTPServer | None = None
        self._thread: Thread | None = None

    @abstractmethod
    def handle(self, request: Request) -> Answer:
        """The answer to a request."""

    @property
    def address(self) -> str:
        """Where it listens; empty before the start."""
        return f"http://{self._host}:{self._wanted}" if self._server is not None else ""

    def start(self) -> None:
        """Begin to listen."""
        self.stopping.clear()
        emulator = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30.0
            disable_nagle_algorithm = True  # or the body of each answer waits 40 ms for a word of the host

            def _do(self) -> None:
                emulator._serve(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _do  # noqa: N815  the names that the base class calls

            def log_message(self, format: str, *args: object) -> None:  # noqa: ARG002  nothing is logged
                return

        server = ThreadingHTTPServer((self._host, self._wanted), Handler)
        server.daemon_threads = True
        self._server, self._wanted = server, server.server_address[1]
        self._thread = Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.05}, name=f"emulator-{self.name}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the server."""
        self.stopping.set()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = None

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        if length > LARGEST:
            handler.send_error(413)
            return
        parts = urlsplit(handler.path)
        request = Request(
            handler.command,
            parts.path,
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            {key.lower(): value for key, value in handler.headers.items()},
            handler.rfile.read(length),
        )
        self._reply(handler, self.handle(request))

    def _reply(self, handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        """Send an answer, which faults on the wire may change."""
        faults, body = self.faults, answer.encoded
        if slow := faults.take("slow"):
            self.stopping.wait(slow.values.get("seconds", 1.0))
        if silent := faults.take("silence"):
            self.stopping.wait(silent.values.get("seconds", 30.0))
            handler.close_connection = True
            return
        if faults.take("drop"):
            handler.close_connection = True
            return
        if faults.take("garbage"):
            body = random.randbytes(max(len(body), 16))  # noqa: S311  nothing here is secret
        if faults.take("wrong_echo"):
            body = body.replace(b'"', b"'", 1)
        cut = faults.take("truncated") is not None
        try:
            handler.send_response(answer.status)
            handler.send_header("Content-Length", str(len(body)))
            if not isinstance(answer.content, bytes):
                handler.send_header("Content-Type", "application/json")
            for key, value in answer.headers.items():
                handler.send_header(key, value)
            handler.end_headers()
            handler.wfile.write(body[: len(body) // 2] if cut else body)
        except OSError:
            handler.close_connection = True  # the host has gone
        if cut:
            handler.close_connection = True
