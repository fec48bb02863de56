"""Web requests to devices, with deadlines, bounds, and the package's own exceptions.

Requests that ask are tried again where the connection failed; requests that change something never are, since the
device may have heard them. ``replay://FILE`` as an address plays a transcript back.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Lock, Timer
from typing import Any, Final

import httpx

from instruments.errors import CommunicationError, DeviceTimeout, ProtocolError
from instruments.transport.stream import Retries
from instruments.transport.transcript import Recorder, load

PATIENCE: Final = 10.0
"""Of a whole answer, in timeouts."""
LARGEST: Final = 64 * 1024 * 1024
"""Bytes of the largest answer that is read."""
_BROKEN_OFF: Final = ("Server disconnected", "peer closed connection")
"""How httpx begins to tell of a connection that ended within an answer; it is no other class of exception."""


class Web:
    """A client of one device.

    Args:
        device: name for errors.
        address: of the device, such as ``http://192.168.0.20:31950``.
        headers: of every request.
        timeout: s, of connecting and of every pause in an answer.
        retries: of requests that only ask.
        record: a file to which a transcript of the requests that were answered is appended.
    """

    def __init__(
        self,
        device: str,
        address: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 5.0,
        retries: Retries | None = None,
        record: Path | None = None,
    ) -> None:
        self.device, self.address = device, address.rstrip("/")
        self._retries = retries or Retries()
        self._timeout = timeout
        self._headers = {"Accept-Encoding": "identity", **(headers or {})}
        self._record = record
        self._played: _Played | None = None
        if address.startswith("replay://"):
            self._played = _Played(device, Path(address.removeprefix("replay://")))
        self._opening = Lock()
        self._client: httpx.Client | None = None
        self._recorder: Recorder | None = None

    def close(self) -> None:
        """Let go of all connections; may be called more than once, and the next request opens them again."""
        with self._opening:
            client, self._client = self._client, None
            recorder, self._recorder = self._recorder, None
        if client is not None:
            client.close()
        if recorder is not None:
            recorder.close()

    def _open(self) -> httpx.Client:
        with self._opening:
            if self._client is None:
                # the list of certificates is slow to load, and of no use without encryption
                transport: httpx.BaseTransport = self._played or httpx.HTTPTransport(
                    verify=self.address.startswith("https:")
                )
                self._recorder = None if self._record is None else Recorder(self._record)
                # neither proxies nor credentials of the environment: instruments stand on the laboratory's own network
                self._client = httpx.Client(
                    base_url=self.address if self._played is None else "http://replayed",
                    headers=self._headers,
                    timeout=self._timeout,
                    transport=transport,
                    trust_env=False,
                )
            return self._client

    def ask(self, path: str, params: Mapping[str, str | int | float] | None = None, **more: Any) -> httpx.Response:
        """A GET request, tried again where the connection fails.

        Raises:
            CommunicationError: no connection.
            DeviceTimeout: no answer in time.
            ProtocolError: the answer is no HTTP, or larger than it may be.
        """
        pause = self._retries.pause
        for attempt in range(1, self._retries.attempts + 1):
            try:
                return self.request("GET", path, params=params, **more)
            except CommunicationError:
                if attempt == self._retries.attempts:
                    raise
                time.sleep(pause)
                pause = min(2.0 * pause, self._retries.longest)
        raise RuntimeError("unreachable: the last attempt returns or raises")

    def request(self, method: str, path: str, *, timeout: float | None = None, **more: Any) -> httpx.Response:
        """One request, made once, its answer read within bounds. Any HTTP status is an answer.

        Args:
            method: such as ``POST``.
            path: below the address.
            timeout: s, instead of the client's own.
            more: ``json``, ``params``, ``files``, ``headers`` as httpx has them.

        Raises:
            CommunicationError: no connection, or lost on the way.
            DeviceTimeout: no answer in time.
            ProtocolError: the answer is no HTTP, or larger than it may be.
        """
        limit = self._timeout if timeout is None else timeout
        longest, began = PATIENCE * limit, time.monotonic()
        watch = Timer(longest, self.close)  # httpx bounds each pause, but not a header that comes byte by byte
        watch.daemon = True
        watch.start()
        try:
            return self._once(method, path, limit, more)
        except (CommunicationError, ProtocolError) as problem:
            if time.monotonic() - began < longest:
                raise
            raise DeviceTimeout(f"{path} did not end within {longest:g} s.", device=self.device) from problem
        finally:
            watch.cancel()

    def _once(self, method: str, path: str, limit: float, more: Mapping[str, Any]) -> httpx.Response:
        try:
            with self._open().stream(method, path, timeout=limit, **more) as response:
                body = bytearray()
                for piece in response.iter_raw():
                    body += piece
                    if len(body) > LARGEST:
                        raise ProtocolError(f"an answer of more than {LARGEST} bytes.", device=self.device)
            if (recorder := self._recorder) is not None:
                recorder.note(">", _question(response.request))
                recorder.note("<", _answer(response, bytes(body)))
            return httpx.Response(
                response.status_code, headers=response.headers, content=bytes(body), request=response.request
            )
        except httpx.TimeoutException as problem:
            raise DeviceTimeout(f"no answer to {method} {path} within {limit:g} s.", device=self.device) from problem
        except (httpx.ProtocolError, httpx.DecodingError, httpx.TooManyRedirects) as problem:
            if str(problem).startswith(_BROKEN_OFF):
                raise CommunicationError(
                    f"the connection was lost before the answer to {method} {path} was complete.", device=self.device
                ) from problem
            raise ProtocolError(
                f"the answer to {method} {path} is no HTTP ({problem}).", device=self.device
            ) from problem
        except (httpx.TransportError, OSError) as problem:
            raise CommunicationError(
                f"{self.address} cannot be reached ({problem}).",
                device=self.device,
                field="address",
                mend="Check power, network and address.",
            ) from problem
        except RuntimeError as problem:  # httpx's word for a client that another thread has closed
            raise CommunicationError("the connection was closed meanwhile.", device=self.device) from problem

    def json(self, response: httpx.Response) -> Any:
        """The JSON of an answer.

        Raises:
            ProtocolError: it is none.
        """
        try:
            return response.json()
        except (ValueError, RecursionError) as problem:
            seen = response.content[:80]
            raise ProtocolError(f"the answer is no JSON: {seen!r}.", device=self.device) from problem


class _Played(httpx.BaseTransport):
    """Answers as a transcript does, and only to what it was asked."""

    def __init__(self, device: str, path: Path) -> None:
        self._device = device
        entries = load(path)
        self._left = list(zip(entries[::2], entries[1::2], strict=False))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        asked = _question(request)
        if not self._left:
            raise ProtocolError(f"the transcript expects nothing more, not {asked!r}.", device=self._device)
        expected, answer = self._left.pop(0)
        if expected.data != asked:
            raise ProtocolError(f"the transcript expects {expected.data!r}, not {asked!r}.", device=self._device)
        said = json.loads(answer.data)
        body = httpx.ByteStream(said["body"].encode("latin-1"))
        return httpx.Response(said["status"], headers=said["headers"], stream=body)


def _question(request: httpx.Request) -> bytes:
    body = request.read().decode("latin-1")
    return json.dumps({"method": request.method, "path": request.url.raw_path.decode(), "body": body}).encode()


def _answer(response: httpx.Response, body: bytes) -> bytes:
    said = {"status": response.status_code, "headers": dict(response.headers), "body": body.decode("latin-1")}
    return json.dumps(said).encode()
