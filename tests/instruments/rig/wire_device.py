"""A device with a protocol of a few lines over TCP, and the bench of such devices that a test serves.

Several processes reach them, as they do real instruments. ``kind: wire_device:WireOptions``.
"""

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock, Thread
from typing import Any

from devices import ATTRIBUTES, SAFE

from instruments.device import Attribute, Device, DeviceOptions, Identity, Safety, Value, Wiring
from instruments.errors import ProtocolError
from instruments.transport.stream import Stream, exchange


class WireDevice(Device):
    def __init__(self, name: str, options: "WireOptions", wiring: Wiring) -> None:
        super().__init__(name, options, wiring)
        self.role = options.role
        self.stream = Stream(name, options.port)

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        return ATTRIBUTES[self.role]

    def _ask(self, question: str) -> str:
        with exchange(self.stream) as stream:
            stream.write(f"{question}\n".encode())
            answer = stream.read_until(b"\n", 0.5).decode("utf-8", "replace").strip()
        if not answer.startswith("ok"):
            raise ProtocolError(f"it says {answer!r}.", device=self.name)
        return answer.removeprefix("ok").strip()

    def connect(self) -> None:
        self.stream.open()

    def identify(self) -> Identity:
        return Identity("Wire", self.role, self._ask("who"), "1")

    def make_safe(self) -> Safety:
        self._ask("safe")
        wrong = [name for name, value in SAFE[self.role].items() if self._ask(f"get {name}") != str(value)]
        return Safety(not wrong, f"{wrong or 'all'} read back")

    def close(self) -> None:
        self.stream.close()

    def _read(self, attribute: Attribute) -> Value:
        found = self._ask(f"get {attribute.name}")
        return found if attribute.choices else float(found)

    def _write(self, attribute: Attribute, value: Value) -> None:
        self._ask(f"set {attribute.name} {value}")


class WireOptions(DeviceOptions):
    role: str
    port: str

    @property
    def addresses(self) -> tuple[str, ...]:
        return (self.port,)

    def build(self, name: str, wiring: Wiring) -> WireDevice:
        return WireDevice(name, self, wiring)


@dataclass
class Station:
    """The instrument itself: one socket, its values, and what it was told when.

    Attributes:
        exclusive: whether it talks to one client at a time, as a serial port that one process holds.
        mute: whether it hears and does nothing.
    """

    name: str
    role: str
    exclusive: bool = False
    mute: bool = False
    log: list[tuple[float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        attributes = ATTRIBUTES[self.role]
        self.values: dict[str, str] = {n: a.choices[0] if a.choices else "0.0" for n, a in attributes.items()}
        self._lock = Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        Thread(target=self._accept, daemon=True).start()

    def block(self, **more: Any) -> dict[str, Any]:
        """The device of this station in a rig file."""
        return {"kind": "wire_device:WireOptions", "role": self.role, "port": f"socket://127.0.0.1:{self.port}", **more}

    def told(self, what: str) -> list[float]:
        """When it was told something."""
        with self._lock:
            return [at for at, line in self.log if line == what]

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            if self.exclusive:
                self._serve(connection)
            else:
                Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rwb") as file:
            try:
                for line in file:
                    answer = self._answer(line.decode().strip())
                    if answer is not None:
                        file.write(f"{answer}\n".encode())
                        file.flush()
            except OSError:
                return

    def _answer(self, line: str) -> str | None:
        with self._lock:
            if self.mute:
                return None
            self.log.append((time.monotonic(), line))
            match line.split():
                case ["who"]:
                    return f"ok SN-{self.name}"
                case ["get", name]:
                    return f"ok {self.values[name]}"
                case ["set", name, value]:
                    self.values[name] = value
                    return "ok"
                case ["safe"]:
                    self.values.update({name: str(value) for name, value in SAFE[self.role].items()})
                    return "ok"
                case _:
                    return "what?"
