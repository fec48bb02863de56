"""An emulated balance that speaks MT-SICS, levels 0 and 1, as its reference manual describes it."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Event, Lock, Thread
from typing import ClassVar

from simulators.emulators.alone import Settable
from simulators.emulators.pace import Pace
from simulators.emulators.roles import Probe
from simulators.emulators.wire import Session, StreamEmulator, Wire

PATIENCE = 30.0
"""The longest wait for stability, laboratory seconds."""
LOOKS = 4
"""Equal weights in a row that count as stable."""


class MtSicsEmulator(StreamEmulator):
    """A balance.

    Args:
        name: of the device.
        pan: the gross mass on it, g.
        pace: of laboratory time.
        wire: what it listens on.
        host: for TCP.
        port: for TCP.
        model: as it calls itself.
        serial: its number.
        capacity: g.
        digits: decimals that it shows.
        unit: that it shows, ``g``, ``kg`` or ``mg``.
    """

    terminator: ClassVar[bytes] = b"\r\n"
    own_faults: ClassVar[Mapping[str, str]] = {
        "overload": "there is too much on the pan",
        "underload": "the pan is missing",
        "unstable": "the weight does not come to rest",
        "busy": "it cannot now",
        "garbled": "it received a command with a transmission error (ET)",
    }

    def __init__(
        self,
        name: str,
        *,
        pan: Probe | None = None,
        pace: Pace | None = None,
        wire: Wire = "tcp",
        host: str = "127.0.0.1",
        port: int = 0,
        model: str = "XPR204",
        serial: str = "B021002593",
        capacity: float = 220.0,
        digits: int = 4,
        unit: str = "g",
    ) -> None:
        super().__init__(name, wire=wire, host=host, port=port)
        self._pan, self._pace = pan or Settable(), pace or Pace()
        self._model, self._serial, self._capacity, self._digits = model, serial, capacity, digits
        self._unit, self._scale = unit, {"g": 1.0, "kg": 1e-3, "mg": 1e3}[unit]
        self._zero = self._tare = 0.0
        self._lock = Lock()
        self._cancelled = Event()
        self._waits: list[Thread] = []

    def state(self) -> Mapping[str, object]:
        """Gross mass, zero and tare in g."""
        return {"gross": self._pan.value(), "zero": self._zero, "tare": self._tare}

    def stop(self) -> None:
        """End all."""
        self._cancelled.set()
        super().stop()
        for wait in self._waits:
            wait.join()

    def answer(self, frame: bytes, session: Session) -> bytes | None:
        """One command."""
        words = frame.decode("latin-1").split()
        if not words:
            return None
        command, arguments = words[0], words[1:]
        if self.faults.take("garbled"):
            return b"ET\r\n"
        if command == "@":
            self._cancelled.set()
            return f'I4 A "{self._serial}"\r\n'.encode()
        if command in ("S", "T", "Z"):
            self._when_stable(command, session)
            return None
        said = self._at_once(command, arguments)
        return f"{said}\r\n".encode()

    def _at_once(self, command: str, arguments: list[str]) -> str:  # noqa: PLR0911  a table of commands
        match command:
            case "SI":
                stable = "D" if self.faults.holds("unstable") else "S"
                return self._weighed("S", stable)
            case "TI" | "ZI":
                return self._settled(command[0], command, "D" if self.faults.holds("unstable") else "S")
            case "TAC":
                self._tare = 0.0
                return "TAC A"
            case "TA" if not arguments:
                return f"TA A {self._number(self._tare)}"
            case "TA":
                return self._preset(arguments)
            case "I2":
                return f'I2 A "{self._model} {self._capacity * self._scale:.{self._digits}f} {self._unit}"'
            case "I3":
                return 'I3 A "4.10 10.28.0.493.142"'
            case "I4":
                return f'I4 A "{self._serial}"'
            case "D" | "DW":
                return f"{command} A"
        return "ES"

    def _preset(self, arguments: list[str]) -> str:
        try:
            value, unit = float(arguments[0]), arguments[1]
        except (ValueError, IndexError):
            return "TA L"
        if unit != self._unit:
            return "TA L"
        self._tare = value / self._scale
        return f"TA A {self._number(self._tare)}"

    def _number(self, grams: float) -> str:
        return f"{grams * self._scale:10.{self._digits}f} {self._unit}"

    def _weighed(self, command: str, mark: str) -> str:
        if refused := self._refused(command):
            return refused
        return f"{command} {mark} {self._number(self._pan.value() - self._zero - self._tare)}"

    def _refused(self, command: str) -> str | None:
        gross = self._pan.value() - self._zero
        if self.faults.take("overload") or gross > 1.02 * self._capacity:
            return f"{command} +"
        if self.faults.take("underload") or gross < -0.02 * self._capacity:
            return f"{command} -"
        return f"{command} I" if self.faults.take("busy") else None

    def _settled(self, what: str, command: str, mark: str) -> str:
        if refused := self._refused(command):
            return refused
        gross = self._pan.value()
        if what == "Z":
            self._zero, self._tare = gross, 0.0
            return f"{command} {'A' if command == 'Z' else mark}"
        self._tare = gross - self._zero
        return f"{command} {mark} {self._number(self._tare)}"

    def _when_stable(self, command: str, session: Session) -> None:
        """Answer in a thread of its own, so that ``@`` can cancel."""
        self._cancelled = cancelled = Event()

        def wait() -> None:
            begun, seen = self._pace.now(), [self._pan.value()]
            while len(seen) < LOOKS and self._pace.now() - begun < PATIENCE:
                if self._pace.wait(0.1, cancelled):
                    return
                value = self._pan.value()
                still = abs(value - seen[-1]) < 2.0 * 10.0**-self._digits and not self.faults.holds("unstable")
                seen = [*seen, value] if still else [value]
            with self._lock:
                if cancelled.is_set():
                    return
                if len(seen) < LOOKS:
                    said = f"{command} I"
                else:
                    said = self._weighed("S", "S") if command == "S" else self._settled(command, command, "S")
            session.reply(f"{said}\r\n".encode())

        self._waits = [w for w in self._waits if w.is_alive()]
        thread = Thread(target=wait, name=f"emulator-{self.name}-stable", daemon=True)
        self._waits.append(thread)
        thread.start()
