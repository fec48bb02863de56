"""Web requests: deadlines, bounds, and what is no HTTP."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from instruments.errors import CommunicationError, DeviceTimeout, ProtocolError
from instruments.transport import web as web_module
from instruments.transport.stream import Retries
from instruments.transport.web import Web

QUICK = Retries(attempts=3, pause=0.01)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@contextmanager
def server(*answers: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[bytes]]]:
    """A server whose connections are answered by these in turn, the last one for ever; and what it was asked."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked: list[bytes] = []
    left = list(answers)

    def work() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            open_now.append(connection)
            with connection:
                try:
                    while data := connection.recv(65536):
                        asked.append(data)
                        (left.pop(0) if len(left) > 1 else left[0])(connection)
                except OSError:
                    continue  # the client has gone

    open_now: list[socket.socket] = []
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in open_now:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5.0)


def says(data: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(data)


def whole(body: bytes, status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    return b"HTTP/1.1 " + status + b"\r\nContent-Length: " + str(len(body)).encode() + b"\r\n" + more + b"\r\n" + body


def drop(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def drip(before: bytes) -> Callable[[socket.socket], None]:
    """A byte each 10 ms, for ever."""

    def work(connection: socket.socket) -> None:
        connection.sendall(before)
        pause = threading.Event()
        while not pause.wait(0.01):
            connection.sendall(b"x")

    return work


@pytest.fixture
def client() -> Iterator[Callable[..., Web]]:
    made: list[Web] = []

    def one(address: str, **more: object) -> Web:
        made.append(Web("device", address, retries=QUICK, **{"timeout": 0.3, **more}))  # type: ignore[arg-type]
        return made[-1]

    yield one
    for web in made:
        web.close()
        web.close()


def test_any_status_is_an_answer(client: Callable[..., Web]) -> None:
    with server(says(whole(b'{"a": [1, 2]}', b"418 I am a teapot"))) as (address, asked):
        web = client(address)
        response = web.ask("/state", {"x": "a b"})
        assert (response.status_code, web.json(response)) == (418, {"a": [1, 2]})
        assert asked[0].startswith(b"GET /state?x=a+b HTTP/1.1")


def test_questions_are_asked_again_and_orders_are_not(client: Callable[..., Web]) -> None:
    with server(drop, drop, says(whole(b"1"))) as (address, asked):
        assert client(address).ask("/state").content == b"1"
        assert len(asked) == 3
    with server(drop, says(whole(b"1"))) as (address, asked):
        with pytest.raises(CommunicationError):
            client(address).request("POST", "/move", json={"to": 3})
        assert len(asked) == 1


def test_an_endless_body_ends_at_the_bound(client: Callable[..., Web], monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")

    monkeypatch.setattr(web_module, "LARGEST", 100_000)
    with server(endless) as (address, _), pytest.raises(ProtocolError, match="more than 100000 bytes"):
        client(address).request("GET", "/")


@pytest.mark.parametrize(
    "before", [HEAD + b"Content-Length: 1000000\r\n\r\n", HEAD + b"Long: ", b"HTTP/1.1 "], ids=["body", "header", "status"]
)  # fmt: skip
def test_a_slow_drip_ends_within_bounds(client: Callable[..., Web], before: bytes) -> None:
    """Each byte comes in time; the answer does not end."""
    with server(drip(before)) as (address, _):
        began = time.monotonic()
        with pytest.raises(DeviceTimeout):
            client(address, timeout=0.1).request("GET", "/")
        assert time.monotonic() - began < 4.0


def test_silence_ends_at_the_deadline(client: Callable[..., Web]) -> None:
    with server(lambda connection: connection.recv(1) and None) as (address, _):
        began = time.monotonic()
        with pytest.raises(DeviceTimeout, match=r"within 0\.1 s"):
            client(address).request("GET", "/", timeout=0.1)
        assert time.monotonic() - began < 2.0


@pytest.mark.parametrize(
    "said",
    [b"SSH-2.0-OpenSSH_9.6\r\n", b"\x00\xff" * 50, b"HTTP/1.1 abc\r\n\r\n", HEAD + b"Content-Length: many\r\n\r\n", HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"],
)  # fmt: skip
def test_what_is_no_http_is_told(client: Callable[..., Web], said: bytes) -> None:
    def work(connection: socket.socket) -> None:
        connection.sendall(said)
        connection.shutdown(socket.SHUT_WR)

    with server(work) as (address, _), pytest.raises((ProtocolError, CommunicationError)):
        client(address).request("GET", "/")


def test_an_answer_that_breaks_off_is_told(client: Callable[..., Web]) -> None:
    def work(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
        connection.shutdown(socket.SHUT_WR)

    with server(work) as (address, _), pytest.raises(CommunicationError):
        client(address).request("GET", "/")


def test_redirects_are_not_followed(client: Callable[..., Web]) -> None:
    """An instrument that sends elsewhere is none; nobody is led to another host."""
    with server(says(whole(b"", b"302 Found", b"Location: http://127.0.0.1:1/\r\n"))) as (address, asked):
        assert client(address).ask("/").status_code == 302
        assert len(asked) == 1


def test_a_compressed_answer_is_not_unpacked(client: Callable[..., Web]) -> None:
    """Nobody asked for one; unpacking could grow without bound."""
    with server(says(whole(b"not gzip", more=b"Content-Encoding: gzip\r\n"))) as (address, asked):
        with pytest.raises(ProtocolError):
            client(address).request("GET", "/")
        assert b"Accept-Encoding: identity" in asked[0]


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff"])
def test_what_is_no_json_is_told(client: Callable[..., Web], body: bytes) -> None:
    with server(says(whole(body))) as (address, _):
        web = client(address)
        response = web.ask("/")
        with pytest.raises(ProtocolError, match="no JSON"):
            web.json(response)


def test_a_server_that_is_not_there(client: Callable[..., Web]) -> None:
    began = time.monotonic()
    with pytest.raises(CommunicationError) as told:
        client("http://127.0.0.1:1").ask("/")
    assert told.value.field == "address"
    assert time.monotonic() - began < 2.0


def test_a_recording_gives_the_same_answers(client: Callable[..., Web], tmp_path: Path) -> None:
    recorded = tmp_path / "device.jsonl"
    with server(says(whole(b'{"a": 1}')), says(whole("µ".encode()))) as (address, _):
        web = client(address, record=recorded)
        said = [web.ask("/a").content, web.request("POST", "/b", json={"x": 1}).content]
        web.close()
    played = client(f"replay://{recorded}")
    assert [played.ask("/a").content, played.request("POST", "/b", json={"x": 1}).content] == said
    with pytest.raises(ProtocolError, match="nothing more"):
        played.request("GET", "/c")
    other = client(f"replay://{recorded}")
    with pytest.raises(ProtocolError, match="expects"):
        other.request("GET", "/b")


def test_secrets_are_not_recorded(client: Callable[..., Web], tmp_path: Path) -> None:
    recorded = tmp_path / "device.jsonl"
    with server(says(whole(b"1"))) as (address, asked):
        client(address, headers={"Authorization": "Bearer hush"}, record=recorded).ask("/")
        assert b"Bearer hush" in asked[0]
    assert "hush" not in recorded.read_text()
