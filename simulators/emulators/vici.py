"""An emulated valve actuator of VICI Valco, in both forms of its answers."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock, Thread
from typing import ClassVar, Literal

from simulators.emulators.alone import Settable
from simulators.emulators.pace import Pace
from simulators.emulators.roles import Selector
from simulators.emulators.wire import Session, StreamEmulator, Wire


class ViciEmulator(StreamEmulator):
    """A valve actuator. While it turns it is deaf.

    Args:
        name: of the device.
        selector: the valve; of a two-position valve 1 is A and 2 is B.
        pace: of laboratory time.
        wire: what it listens on.
        host: for TCP.
        port: for TCP.
        positions: of the valve.
        letters: whether they are called A and B.
        form: of its answers, ``CP03`` or ``Position is = 3``.
        address: id on a bus.
        step: from a position to the next one, laboratory seconds.
    """

    terminator: ClassVar[bytes] = b"\r"
    own_faults: ClassVar[Mapping[str, str]] = {
        "stuck": "the valve does not turn",
        "refuses": "it answers a command with Bad command",
    }

    def __init__(
        self,
        name: str,
        *,
        selector: Selector | None = None,
        pace: Pace | None = None,
        wire: Wire = "tcp",
        host: str = "127.0.0.1",
        port: int = 0,
        positions: int = 10,
        letters: bool = False,
        form: Literal["short", "long"] = "short",
        address: str | None = None,
        step: float = 0.1,
    ) -> None:
        super().__init__(name, wire=wire, host=host, port=port)
        self._selector, self._pace = selector or Settable(1.0), pace or Pace()
        self._positions, self._letters, self._form = positions, letters, form
        self._id, self._step = address, step
        self._mode = 0
        self._turning = False
        self._lock = Lock()
        self._moves: list[Thread] = []

    def state(self) -> Mapping[str, object]:
        """Where the valve is, and whether it turns."""
        return {"position": self._selector.position(), "turning": self._turning}

    def stop(self) -> None:
        """End all."""
        super().stop()
        for move in self._moves:
            move.join()

    def answer(self, frame: bytes, session: Session) -> bytes | None:
        """One command."""
        text = frame.decode("latin-1").strip().upper()
        if text.startswith("/"):
            if self._id is None or text[1:2] != self._id.upper():
                return None
            text = text[2:]
        elif self._id is not None:
            return None
        with self._lock:
            if not text or self._turning:
                return None
            if self.faults.take("refuses"):
                return self._framed(f"{text} = Bad command")
            said = self._do(text, session)
        return None if said is None else self._framed(said)

    def _framed(self, text: str) -> bytes:
        return f"{self._id or ''}{text}\r".encode()

    def _named(self) -> str:
        position = self._selector.position()
        shown = "AB"[position - 1] if self._letters else f"{position:02d}"
        if self._form == "short":
            return f"CP{shown}"
        return f'Position is "{shown}"' if self._letters else f"Position is = {position}"

    def _do(self, text: str, session: Session) -> str | None:  # noqa: PLR0911  a table of commands
        match text:
            case "CP":
                return self._named()
            case "NP":
                return f"NP{self._positions:02d}" if self._form == "short" else f"NP = {self._positions}"
            case "AM":
                return f"AM{1 if self._letters else 3}" if self._form == "short" else "Actuator mode = 3"
            case "VR":
                return "I-PD-UMA88RX1.0"
            case "IFM0" | "IFM1":
                self._mode = int(text[-1])
                return text if self._mode else None
            case "HM" | "LRN":
                return self._go(1, text, session)
            case "TO" if self._letters:
                return self._go(3 - self._selector.position(), text, session)
        if text[:2] in ("GO", "CW", "CC") and (wanted := self._named_position(text[2:])) is not None:
            return self._go(wanted, text, session)
        return f"{text} = Bad command"

    def _named_position(self, word: str) -> int | None:
        if self._letters:
            return "AB".index(word) + 1 if word in ("A", "B") else None
        return int(word) if word.isdigit() and 1 <= int(word) <= self._positions else None

    def _go(self, wanted: int, command: str, session: Session) -> str | None:
        """Begin to turn; in mode 1 it says something once it is there."""
        here = self._selector.position()
        if self.faults.take("stuck"):
            return None
        steps = min(abs(wanted - here), self._positions - abs(wanted - here))
        self._turning = True

        def turn() -> None:
            self._pace.wait(self._step * max(steps, 1), self.stopping)
            self._selector.set(wanted)
            with self._lock:
                self._turning = False
                said = command if command[:2] in ("GO", "CW", "CC") else self._named()
            if self._mode:
                session.reply(self._framed(said))

        self._moves = [move for move in self._moves if move.is_alive()]
        move = Thread(target=turn, name=f"emulator-{self.name}-turn", daemon=True)
        self._moves.append(move)
        move.start()
        return None
