"""What controller and guardian share: the guardian's plan, where it is found, and how they talk.

They talk over the loopback interface, a line of JSON each way. Whoever talks to a guardian shows the token that stands
in a file which only its user can read.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from instruments.rig.claim import Process
from instruments.rig.errors import LinkLost
from instruments.rig.safety import SafetyPlan

HOST: Final = "127.0.0.1"
LONGEST: Final = 1 << 20
"""Bytes of the longest line."""


@dataclass(frozen=True)
class GuardianPlan:
    """All that a guardian needs to know; it reads no rig file.

    Attributes:
        rig: name.
        folder: of the rig.
        heartbeat: s without a sign of life after which it acts.
        pace: seconds of the laboratory in one real second.
        devices: the drivers' blocks.
        safety: what is made safe when.
    """

    rig: str
    folder: Path
    heartbeat: float
    pace: float
    devices: Mapping[str, Mapping[str, Any]]
    safety: SafetyPlan

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "rig": self.rig,
            "folder": str(self.folder),
            "heartbeat": self.heartbeat,
            "pace": self.pace,
            "devices": {name: dict(block) for name, block in self.devices.items()},
            "safety": self.safety.to_json(),
        }

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> GuardianPlan:
        """From :meth:`to_json`.

        Raises:
            KeyError: something is missing.
            TypeError: something is of another kind.
        """
        return cls(
            found["rig"],
            Path(found["folder"]),
            float(found["heartbeat"]),
            float(found["pace"]),
            found["devices"],
            SafetyPlan.of(found["safety"]),
        )


@dataclass(frozen=True, slots=True)
class Post:
    """Where the files of a rig's guardian are."""

    folder: Path
    rig: str

    @property
    def plan(self) -> Path:
        """What it is to guard; may hold the devices' passwords, so only its user can read it."""
        return self.folder / f"{self.rig}.guardian.plan.json"

    @property
    def card(self) -> Path:
        """Where it listens, and the token to show; only its user can read it."""
        return self.folder / f"{self.rig}.guardian.json"

    @property
    def lock(self) -> Path:
        """Held as long as it lives."""
        return self.folder / f"{self.rig}.guardian.lock"

    @property
    def log(self) -> Path:
        """What it has done."""
        return self.folder / f"{self.rig}.guardian.log"


@dataclass(frozen=True, slots=True)
class Card:
    """A guardian that is there.

    Attributes:
        port: of the loopback interface.
        token: to show.
        process: that it is.
    """

    port: int
    token: str
    process: Process

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"port": self.port, "token": self.token, "process": self.process.to_json()}

    @classmethod
    def read(cls, path: Path) -> Card | None:
        """The card of a guardian that lives, or ``None``."""
        try:
            found = json.loads(path.read_bytes())
            process = Process.of(found["process"])
            if process is None or not process.alive:
                return None
            return cls(int(found["port"]), str(found["token"]), process)
        except (OSError, ValueError, KeyError, TypeError):
            return None


class Channel:
    """Lines of JSON over a socket. One thread at a time.

    Args:
        connection: which it takes over.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._pending = b""

    @classmethod
    def to(cls, card: Card, timeout: float) -> Channel:
        """A connection to a guardian.

        Raises:
            LinkLost: there is none.
        """
        try:
            return cls(socket.create_connection((HOST, card.port), timeout))
        except OSError as problem:
            raise LinkLost(f"it cannot be reached ({problem})") from problem

    def ask(self, question: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        """Send a line and receive the answer.

        Raises:
            LinkLost: no answer; the channel is of no more use.
        """
        self.send(question, timeout)
        answer = self.receive(timeout)
        if not answer.get("ok"):
            raise LinkLost(f"it refuses: {answer.get('problem', 'no reason given')}")
        return answer

    def send(self, line: Mapping[str, Any], timeout: float) -> None:
        """Send a line.

        Raises:
            LinkLost: the other one does not take it.
        """
        try:
            self._socket.settimeout(timeout)
            self._socket.sendall(json.dumps(line).encode() + b"\n")
        except OSError as problem:
            raise LinkLost(f"the connection was lost ({problem})") from problem

    def receive(self, timeout: float | None) -> dict[str, Any]:
        """The next line.

        Args:
            timeout: s, of each pause within; ``None`` waits until the other one speaks or ends.

        Raises:
            LinkLost: there is none.
        """
        try:
            self._socket.settimeout(timeout)
            while b"\n" not in self._pending:
                more = self._socket.recv(65536)
                if not more:
                    raise LinkLost("the connection has ended")
                self._pending += more
                if len(self._pending) > LONGEST:
                    raise LinkLost("a line without an end")
        except TimeoutError as problem:
            raise LinkLost(f"no answer within {timeout:g} s") from problem
        except OSError as problem:
            raise LinkLost(f"the connection was lost ({problem})") from problem
        line, _, self._pending = self._pending.partition(b"\n")
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as problem:
            raise LinkLost("a line that is no JSON") from problem
        if not isinstance(found, dict):
            raise LinkLost("a line that is no JSON object")
        return found

    def close(self) -> None:
        """Let go."""
        self._socket.close()
