"""Emulated instruments behind streams: their life, their wires, and the faults on them."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import pytest

from simulators.emulators.wire import LONGEST, Session, StreamEmulator
from simulators.errors import EmulatorError

ANSWER = b"hello world\r\n"


class Greeter(StreamEmulator):
    """Answers everything alike, and counts."""

    terminator: ClassVar[bytes] = b"\r"
    own_faults: ClassVar[dict[str, str]] = {"deaf": "it does not hear"}

    def answer(self, frame: bytes, session: Session) -> bytes | None:
        session.notes["count"] = int(str(session.notes.get("count", 0))) + 1
        return None if self.faults.take("deaf") else ANSWER


@contextmanager
def talking(emulator: StreamEmulator) -> Iterator[tuple[int, socket.socket | None]]:
    """A file descriptor to talk through, and its socket where it is one."""
    if emulator.address.startswith("socket://"):
        host, port = emulator.address.removeprefix("socket://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            yield connection.fileno(), connection
    else:
        end = os.open(emulator.address, os.O_RDWR | os.O_NOCTTY)
        try:
            yield end, None
        finally:
            os.close(end)


def heard(end: int, timeout: float = 2.0, enough: int = len(ANSWER)) -> bytes:
    data, deadline = b"", time.monotonic() + timeout
    while len(data) < enough and select.select([end], [], [], max(deadline - time.monotonic(), 0.0))[0]:
        more = os.read(end, 4096)
        if not more:
            break
        data += more
    return data


@pytest.fixture(params=["tcp", "pty"])
def greeter(request: pytest.FixtureRequest) -> Iterator[Greeter]:
    with Greeter("greeter", wire=request.param) as running:
        yield running


def test_frames_in_pieces_and_several_at_once(greeter: Greeter) -> None:
    with talking(greeter) as (end, _):
        os.write(end, b"one")
        assert heard(end, 0.1) == b""
        os.write(end, b"\rtwo\rthree\r")
        assert heard(end, enough=3 * len(ANSWER)) == 3 * ANSWER


def test_each_fault_changes_one_answer(greeter: Greeter) -> None:
    with talking(greeter) as (end, _):
        for fault in ("silence", "truncated", "garbage", "wrong_echo", "slow"):
            greeter.faults.arm(fault, seconds=0.2)
            began = time.monotonic()
            os.write(end, b"ask\r")
            said = heard(end, 0.15 if fault != "slow" else 2.0)
            match fault:
                case "silence":
                    assert said == b""
                case "truncated":
                    assert said == ANSWER[: len(ANSWER) // 2]
                case "garbage":
                    assert said != ANSWER
                    assert said.endswith(b"\n")
                case "wrong_echo":
                    assert said[1:] == ANSWER[1:]
                    assert said[:1] != ANSWER[:1]
                case "slow":
                    assert said == ANSWER
                    assert time.monotonic() - began >= 0.2
            os.write(end, b"ask\r")
            assert heard(end) == ANSWER, fault


def test_a_dropped_connection_ends_and_the_next_one_works(greeter: Greeter) -> None:
    greeter.faults.arm("drop")
    with talking(greeter) as (end, connection):
        os.write(end, b"ask\r")
        assert heard(end, 0.3) == b""
        if connection is None:  # a terminal cannot be hung up: it goes on
            os.write(end, b"ask\r")
            assert heard(end) == ANSWER
    with talking(greeter) as (end, _):
        os.write(end, b"ask\r")
        assert heard(end) == ANSWER


def test_faults_wait_repeat_and_end() -> None:
    with Greeter("greeter") as running:
        faults = running.faults
        faults.arm("deaf", times=2, after=1)
        assert [faults.take("deaf") is not None for _ in range(5)] == [False, True, True, False, False]
        faults.arm("deaf", times=None)
        assert all(faults.take("deaf") for _ in range(5))
        assert faults.holds("deaf")
        faults.clear("deaf")
        assert not faults.holds("deaf")
        faults.arm("deaf", level=3.0)
        armed = faults.take("deaf")
        assert armed is not None
        assert armed.values == {"level": 3.0}
        with pytest.raises(EmulatorError, match="deaf, drop, garbage") as told:
            faults.arm("plague")
        assert told.value.field == "fault"


def test_too_much_without_an_end_is_dropped(greeter: Greeter) -> None:
    with talking(greeter) as (end, _):
        sent = 0
        while sent <= LONGEST + 5000:
            sent += os.write(end, b"x" * 2000)
        deadline = time.monotonic() + 5.0
        while time.monotonic() < deadline and greeter.sessions and not greeter.sessions[0].buffer:
            threading.Event().wait(0.01)
        os.write(end, b"\rask\r")
        assert heard(end, enough=2 * len(ANSWER)) == 2 * ANSWER


def test_several_hosts_have_sessions_of_their_own() -> None:
    with Greeter("greeter") as running, talking(running) as (one, _), talking(running) as (two, _):
        os.write(one, b"a\rb\r")
        os.write(two, b"a\r")
        assert heard(one, enough=2 * len(ANSWER)) == 2 * ANSWER
        assert heard(two) == ANSWER
        assert sorted(int(str(session.notes["count"])) for session in running.sessions) == [1, 2]


def test_stopping_ends_threads_and_the_port_is_free(greeter: Greeter) -> None:
    with talking(greeter) as (end, _):
        os.write(end, b"ask\r")
        assert heard(end) == ANSWER
        greeter.stop()
        greeter.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "emulator-greeter"]
    greeter.start()
    with talking(greeter) as (end, _):
        os.write(end, b"ask\r")
        assert heard(end) == ANSWER
