"""Devices on one line: one port, one lock, each with its own stream."""

import gc
import socket
import threading

import pytest

from instruments.errors import CommunicationError, LabError
from instruments.transport.shared import shared_stream
from instruments.transport.stream import Retries, SerialSettings


@pytest.fixture
def echo():
    """A server that echoes, and counts its connections."""
    listener = socket.create_server(("127.0.0.1", 0))
    connections: list[socket.socket] = []
    arrived = threading.Semaphore(0)

    def serve(connection):
        try:
            while data := connection.recv(4096):
                connection.sendall(data)
        except OSError:
            return

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(connection)
            arrived.release()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield f"socket://127.0.0.1:{listener.getsockname()[1]}", connections
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for connection in connections:
        connection.close()
    thread.join()


def ask(stream, data):
    with stream.lock:
        stream.write(data)
        return stream.read_until(b"\r", 2.0)


def test_one_connection_and_one_lock(echo):
    address, connections = echo
    first, second = shared_stream("a", address), shared_stream("b", address)
    assert first.lock is second.lock
    assert ask(first, b"one\r") == b"one\r"
    assert ask(second, b"two\r") == b"two\r"
    assert len(connections) == 1
    first.close()
    first.close()
    assert ask(second, b"three\r") == b"three\r"
    second.close()
    assert ask(first, b"four\r") == b"four\r"
    assert len(connections) == 2
    first.close()


def test_a_loss_is_told_to_each_once_and_mended(echo):
    address, connections = echo
    few = Retries(attempts=1)
    first, second = (shared_stream(name, address, retries=few) for name in "ab")
    ask(first, b"one\r")
    ask(second, b"two\r")
    connections[0].shutdown(socket.SHUT_RDWR)
    with pytest.raises(CommunicationError, match="a: the connection"):
        ask(first, b"three\r")
    with pytest.raises(CommunicationError, match="b: the connection"):
        ask(second, b"three\r")
    assert ask(first, b"four\r") == b"four\r"
    assert ask(second, b"five\r") == b"five\r"
    assert len(connections) == 2
    first.close()
    second.close()


def test_settings_must_agree(echo):
    address, _ = echo
    first = shared_stream("a", address, SerialSettings(9600))
    with pytest.raises(LabError, match="other settings"):
        shared_stream("b", address, SerialSettings(19200))
    del first
    gc.collect()
    shared_stream("b", address, SerialSettings(19200))


def test_each_device_has_its_own_transcript(echo, tmp_path):
    address, _ = echo
    first = shared_stream("a", address, record=tmp_path / "a.jsonl")
    second = shared_stream("b", address, record=tmp_path / "b.jsonl")
    ask(first, b"one\r")
    ask(second, b"two\r")
    first.close()
    second.close()
    assert "one" in (tmp_path / "a.jsonl").read_text()
    assert "two" not in (tmp_path / "a.jsonl").read_text()
