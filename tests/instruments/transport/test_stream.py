"""Streams: deadlines, bounds, reconnecting, and the port of another thread."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from instruments.errors import CommunicationError, DeviceTimeout, ProtocolError, ReaderError
from instruments.transport.stream import Retries, SerialSettings, Stream

QUICK = Retries(attempts=2, pause=0.01)


@contextmanager
def server(serve: Callable[[socket.socket], None], port: int = 0) -> Iterator[int]:
    """A server that handles one connection after the other."""
    listener = socket.create_server(("127.0.0.1", port))
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            open_now.append(connection)
            with connection:
                try:
                    serve(connection)
                except OSError:
                    continue  # the client has gone

    open_now: list[socket.socket] = []
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in open_now:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5.0)


def echo(connection: socket.socket) -> None:
    while data := connection.recv(4096):
        connection.sendall(data)


def stream_to(port: int, **more: object) -> Stream:
    return Stream("device", f"socket://127.0.0.1:{port}", retries=QUICK, **more)  # type: ignore[arg-type]


def ask(stream: Stream, data: bytes, timeout: float = 2.0) -> bytes:
    with stream.lock:
        stream.write(data)
        return stream.read_until(b"\n", timeout)


def test_frames_are_cut_where_they_end() -> None:
    with server(echo) as port:
        stream = stream_to(port)
        stream.write(b"one\ntwo\nthree")
        assert stream.read_until(b"\n", 2.0) == b"one\n"
        assert stream.read_exactly(3, 2.0) == b"two"
        assert stream.read_until(b"\n", 2.0) == b"\n"
        assert stream.read_exactly(5, 2.0) == b"three"
        assert stream.read_some(0.0) == b""
        stream.close()


def test_a_terminator_in_two_pieces_is_found() -> None:
    gate = threading.Event()

    def halves(connection: socket.socket) -> None:
        connection.recv(1)
        connection.sendall(b"word\r")
        gate.wait(2.0)
        connection.sendall(b"\nnext\r\n")
        connection.recv(1)

    with server(halves) as port:
        stream = stream_to(port)
        stream.write(b"?")
        assert stream.read_exactly(1, 2.0) == b"w"
        threading.Timer(0.05, gate.set).start()
        assert stream.read_until(b"\r\n", 2.0) == b"ord\r\n"
        assert stream.read_until(b"\r\n", 2.0) == b"next\r\n"
        stream.close()


def test_silence_ends_at_the_deadline() -> None:
    with server(lambda connection: connection.recv(1) and None) as port:
        stream = stream_to(port)
        stream.open()
        began = time.monotonic()
        with pytest.raises(DeviceTimeout, match="no answer within"):
            stream.read_until(b"\n", 0.1)
        with pytest.raises(DeviceTimeout):
            stream.read_exactly(1, 0.1)
        assert stream.read_some(0.1) == b""
        assert 0.3 <= time.monotonic() - began < 1.5
        stream.close()


def drip(connection: socket.socket) -> None:
    """A byte each 10 ms, for ever."""
    connection.settimeout(0.01)
    while True:
        try:
            if not connection.recv(1):
                return
        except TimeoutError:
            connection.sendall(b"x")


def test_a_slow_drip_ends_at_the_deadline() -> None:
    """Each byte comes in time; the frame does not."""
    with server(drip) as port:
        stream = stream_to(port)
        stream.open()
        for read in (lambda: stream.read_until(b"\n", 0.2), lambda: stream.read_exactly(1000, 0.2)):
            began = time.monotonic()
            with pytest.raises(DeviceTimeout):
                read()
            assert time.monotonic() - began < 1.0
        began = time.monotonic()
        stream.clear(quiet=0.2, longest=0.3)
        assert time.monotonic() - began < 1.0
        stream.close()


def test_endless_garbage_ends_at_the_bound() -> None:
    def babble(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"x" * 4096)

    with server(babble) as port:
        stream = stream_to(port)
        stream.open()
        with pytest.raises(ProtocolError, match="more than 10000 bytes"):
            stream.read_until(b"\n", 5.0, limit=10_000)
        began = time.monotonic()
        stream.clear(quiet=0.1, longest=0.2)
        assert time.monotonic() - began < 1.0
        stream.close()


def test_a_dropped_connection_is_told_once_and_then_opened_again() -> None:
    def once(connection: socket.socket) -> None:
        connection.sendall(connection.recv(100))

    with server(once) as port:
        stream = stream_to(port)
        for _ in range(3):
            assert ask(stream, b"hello\n") == b"hello\n"
            with pytest.raises(CommunicationError, match="was lost"):
                stream.read_until(b"\n", 2.0)
            assert not stream.is_open
        stream.close()


def test_a_listener_that_is_started_again_is_found_within_bounds() -> None:
    with server(echo) as port:
        stream = stream_to(port)
        assert ask(stream, b"a\n") == b"a\n"
        stream.close()
    began = time.monotonic()
    with pytest.raises(CommunicationError, match="tried 2 times") as told:
        ask(stream, b"b\n")
    assert told.value.field == "port"
    assert time.monotonic() - began < 2.0
    with server(echo, port):
        assert ask(stream, b"c\n") == b"c\n"
    stream.close()


def test_what_came_before_an_opening_is_not_read_after_it() -> None:
    with server(echo) as port:
        stream = stream_to(port)
        stream.write(b"old\nolder")
        assert stream.read_until(b"\n", 2.0) == b"old\n"
        stream.close()
        assert ask(stream, b"new\n") == b"new\n"
        stream.close()


def test_clearing_drops_what_has_come() -> None:
    with server(echo) as port:
        stream = stream_to(port)
        stream.write(b"old\n")
        assert stream.clear(quiet=0.3) == b"old\n"
        assert ask(stream, b"new\n") == b"new\n"
        stream.close()


def test_another_thread_may_close_it() -> None:
    with server(lambda connection: connection.recv(1) and None) as port:
        stream = stream_to(port)
        stream.open()
        threading.Timer(0.05, stream.close).start()
        with pytest.raises(CommunicationError):
            stream.read_until(b"\n", 5.0)
        stream.close()


def test_closing_twice_and_before_opening() -> None:
    stream = Stream("device", "socket://127.0.0.1:1", retries=QUICK)
    stream.close()
    stream.close()
    assert not stream.is_open
    with pytest.raises(CommunicationError, match="closed"):
        stream.read_until(b"\n", 0.1)


@pytest.mark.parametrize("address", ["/dev/no-such-port", "socket://127.0.0.1:1", "nonsense://x"])
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(CommunicationError, match="cannot be opened"):
        Stream("device", address, retries=QUICK).open()


def test_a_terminal_needs_no_line_settings() -> None:
    """Seven bits and parity mean nothing to a pseudo-terminal, also when its timeout changes."""
    import os
    import tty

    master, slave = os.openpty()
    tty.setraw(slave)
    try:
        stream = Stream("device", os.ttyname(slave), SerialSettings(4800, 7, "E"), retries=QUICK)
        stream.write(b"ask\r")
        assert os.read(master, 10) == b"ask\r"
        os.write(master, b"25.0\r\n")
        assert stream.read_until(b"\r\n", 2.0) == b"25.0\r\n"
        stream.close()
    finally:
        os.close(master)
        os.close(slave)


# Recordings


def test_a_recording_gives_the_same_answers(tmp_path: Path) -> None:
    recorded = tmp_path / "folder" / "device.jsonl"
    with server(echo) as port:
        stream = stream_to(port, record=recorded)
        said = [ask(stream, data) for data in (b"one\n", bytes(range(256)).replace(b"\n", b"") + b"\n")]
        stream.close()
    played = Stream("device", f"replay://{recorded}")
    assert [ask(played, data) for data in (b"one\n", bytes(range(256)).replace(b"\n", b"") + b"\n")] == said
    with pytest.raises(DeviceTimeout):
        played.read_until(b"\n", 0.05)


def test_a_question_that_was_not_asked_is_told(tmp_path: Path) -> None:
    recorded = tmp_path / "device.jsonl"
    with server(echo) as port:
        stream = stream_to(port, record=recorded)
        ask(stream, b"one\n")
        stream.close()
    with pytest.raises(ProtocolError, match="expects b'one"):
        ask(Stream("device", f"replay://{recorded}"), b"two\n")
    played = Stream("device", f"replay://{recorded}")
    ask(played, b"one\n")
    with pytest.raises(ProtocolError, match="does not expect"):
        played.write(b"three\n")


def test_a_question_in_pieces_is_the_same_question(tmp_path: Path) -> None:
    recorded = tmp_path / "device.jsonl"
    recorded.write_text(
        '{"time": 0, "direction": ">", "data": "on"}\n{"time": 0, "direction": ">", "data": "e\\n"}\n'
        '{"time": 0, "direction": "<", "data": "yes\\n"}\n'
    )
    assert ask(Stream("device", f"replay://{recorded}"), b"one\n") == b"yes\n"
    played = Stream("device", f"replay://{recorded}")
    played.write(b"o")
    assert ask(played, b"ne\n") == b"yes\n"


@pytest.mark.parametrize("line", ["no json", "[]", '{"direction": "?", "data": ""}', '{"direction": "<", "data": "€"}'])
def test_lines_that_are_no_transcript(tmp_path: Path, line: str) -> None:
    path = tmp_path / "device.jsonl"
    path.write_text('\n{"direction": "<", "data": "a"}\n' + line, encoding="utf-8")
    with pytest.raises(ReaderError) as told:
        Stream("device", f"replay://{path}").open()
    assert told.value.line == 3
