"""What emulated instruments with SCPI share: headers in their long and short forms, several commands a line, the queue.

A keyword's short form is its first four letters, or three where the fourth is a vowel (SCPI-99, 6.2.1).
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from typing import ClassVar

from simulators.emulators.wire import Session, StreamEmulator, Wire

_OPTIONAL = frozenset({"LEV", "IMM", "AMPL", "NEXT", "SCAL"})
_CAPACITY = 20


class RefusedError(Exception):
    """A command that is not taken, with SCPI's number and text."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number, self.text = number, text


def short(header: str) -> str:
    """A header in short forms, without keywords that may be left out."""
    words = []
    for word in header.upper().strip(":").split(":"):
        cut = word if len(word) <= 4 else (word[:3] if word[3] in "AEIOU" else word[:4])
        if cut not in _OPTIONAL:
            words.append(cut)
    return ":".join(words)


class ScpiEmulator(StreamEmulator):
    """An instrument with SCPI.

    Args:
        name: of the device.
        wire: what it listens on.
        host: for TCP.
        port: for TCP.
        identity: what ``*IDN?`` says.
    """

    terminator: ClassVar[bytes] = b"\n"

    def __init__(self, name: str, *, wire: Wire, host: str, port: int, identity: str) -> None:
        super().__init__(name, wire=wire, host=host, port=port)
        self._identity = identity
        self._queue: deque[tuple[int, str]] = deque(maxlen=_CAPACITY)

    @abstractmethod
    def execute(self, header: str, asks: bool, argument: str) -> str | None:
        """One command of the instrument itself, its header in short form.

        Raises:
            RefusedError: it is not taken.
        """

    def reset(self) -> None:
        """``*RST``."""

    def answer(self, frame: bytes, session: Session) -> bytes | None:  # noqa: ARG002  all hosts hear the same
        """One line of commands."""
        said, path = [], ""
        for part in frame.decode("latin-1").strip().split(";"):
            command = part.strip()
            if not command:
                continue
            header, _, argument = command.partition(" ")
            asks = header.endswith("?")
            header = header.rstrip("?")
            if not header.startswith((":", "*")):
                header = f"{path}{header}"
            path = header.rpartition(":")[0] + ":" if ":" in header.strip(":") else ""
            try:
                reply = self._common(header, asks, argument.strip())
            except RefusedError as refused:
                self._queue.append((refused.number, refused.text))
            else:
                if reply is not None:
                    said.append(reply)
        return (";".join(said) + "\n").encode() if said else None

    def _common(self, header: str, asks: bool, argument: str) -> str | None:  # noqa: PLR0911  a table of commands
        match header.upper(), asks:
            case "*IDN", True:
                return self._identity
            case "*OPC", True:
                return "1"
            case "*ESR", True:
                return "0"
            case "*CLS", False:
                self._queue.clear()
                return None
            case "*RST", False:
                self.reset()
                return None
        if short(header) == "SYST:ERR" and asks:
            number, text = self._queue.popleft() if self._queue else (0, "No error")
            return f'{number:+d},"{text}"'
        if short(header) == "SYST:CLE" and not asks:
            self._queue.clear()
            return None
        if armed := self.faults.take("error"):
            raise RefusedError(int(armed.values.get("number", -200)), "Execution error")
        return self.execute(short(header), asks, argument)


def number(argument: str, low: float, high: float) -> float:
    """A number within bounds; ``MIN`` and ``MAX`` stand for them.

    Raises:
        RefusedError: it is none, or outside.
    """
    if argument.upper() in ("MIN", "MAX"):
        return low if argument.upper() == "MIN" else high
    try:
        value = float(argument)
    except ValueError:
        raise RefusedError(-104, "Data type error") from None
    if not low <= value <= high:
        raise RefusedError(-222, "Data out of range")
    return value


def switch(argument: str) -> bool:
    """On or off.

    Raises:
        RefusedError: it is neither.
    """
    if argument.upper() not in ("0", "1", "ON", "OFF"):
        raise RefusedError(-104, "Data type error")
    return argument.upper() in ("1", "ON")
