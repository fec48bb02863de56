"""An emulated EZO circuit of Atlas Scientific in UART mode, as its data sheets describe it."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Event, Thread
from typing import ClassVar, Literal

from simulators.emulators.alone import Settable
from simulators.emulators.pace import Pace
from simulators.emulators.roles import Probe
from simulators.emulators.wire import Session, StreamEmulator, Wire

_LABELS = {"ph": ("pH", "2.16"), "ec": ("EC", "2.16"), "orp": ("ORP", "1.97"), "rtd": ("RTD", "2.01")}
_DIGITS = {"ph": 3, "ec": 2, "orp": 1, "rtd": 3}
_POINTS = {
    "ph": ("mid", "low", "high"),
    "ec": ("dry", "low", "high", ""),
    "orp": ("",),
    "rtd": ("",),
}
_TAKES = {"ph": 0.8, "ec": 0.6, "orp": 0.8, "rtd": 0.6}
"""Time of a reading, laboratory seconds."""


class AtlasEzoEmulator(StreamEmulator):
    """A sensor circuit.

    Args:
        name: of the device.
        probe: the true value: pH, uS/cm, mV or degC.
        pace: of laboratory time.
        wire: what it listens on.
        host: for TCP.
        port: for TCP.
        sensor: its kind.
        error: of the reading before it is calibrated.
    """

    terminator: ClassVar[bytes] = b"\r"
    own_faults: ClassVar[Mapping[str, str]] = {
        "no_probe": "the probe is not connected (temperature circuits say -1023)",
        "error": "it refuses a command with *ER",
        "under_voltage": "it says *UV before an answer",
    }

    def __init__(
        self,
        name: str,
        *,
        probe: Probe | None = None,
        pace: Pace | None = None,
        wire: Wire = "tcp",
        host: str = "127.0.0.1",
        port: int = 0,
        sensor: Literal["ph", "ec", "orp", "rtd"] = "ph",
        error: float = 0.0,
    ) -> None:
        super().__init__(name, wire=wire, host=host, port=port)
        self._probe, self._pace, self._sensor, self._error = probe or Settable(7.0), pace or Pace(), sensor, error
        self._every = 1
        self._codes = True
        self._asleep = False
        self._compensation = 25.0
        self._points: dict[str, tuple[float, float]] = {}
        self._ticking: Thread | None = None
        self._ended = Event()

    def state(self) -> Mapping[str, object]:
        """Its settings and calibration."""
        return {
            "continuous": self._every,
            "asleep": self._asleep,
            "compensation": self._compensation,
            "calibrated": sorted(self._points),
        }

    def start(self) -> None:
        """Begin to listen, and to say readings unasked."""
        super().start()
        self._ended.clear()
        self._ticking = Thread(target=self._tick, name=f"emulator-{self.name}-tick", daemon=True)
        self._ticking.start()

    def stop(self) -> None:
        """End all."""
        self._ended.set()
        super().stop()
        if self._ticking is not None:
            self._ticking.join()

    def power_cycle(self) -> None:
        """Forget what is not stored: it says readings again where that was left on, and wakes."""
        self._asleep, self._every = False, 1

    def _tick(self) -> None:
        while not self._pace.wait(max(self._every, 1), self._ended):
            if self._every and not self._asleep:
                for session in list(self.sessions):
                    session.send(f"{self._reading()}\r".encode())

    def _reading(self) -> str:
        if self._sensor == "rtd" and self.faults.holds("no_probe"):
            return "-1023.000"
        raw = self._probe.value() + self._error
        points = sorted(self._points.values())
        if len(points) == 1:
            raw += points[0][1] - points[0][0]
        elif len(points) > 1:
            (x0, y0), (x1, y1) = points[0], points[-1]
            raw = y0 + (raw - x0) * (y1 - y0) / (x1 - x0)
        return f"{raw:.{_DIGITS[self._sensor]}f}"

    def answer(self, frame: bytes, session: Session) -> bytes | None:  # noqa: ARG002  all hosts hear the same
        """One command."""
        text = frame.decode("latin-1").strip()
        if not text:
            return None
        if self._asleep:
            self._asleep = False
            return b"*WA\r"
        if self.faults.take("error"):
            return b"*ER\r"
        lines = self._do(text)
        if lines is None:
            return b"*ER\r"
        if self.faults.take("under_voltage"):
            lines = ["*UV", *lines]
        if self._codes and lines[-1:] != ["*SL"]:
            lines = [*lines, "*OK"]
        return "".join(f"{line}\r" for line in lines).encode() or None

    def _do(self, text: str) -> list[str] | None:  # noqa: PLR0911  a table of commands
        head, *arguments = [word.strip() for word in text.split(",")]
        asks = arguments == ["?"]
        match head.lower():
            case "i":
                return [f"?i,{','.join(_LABELS[self._sensor])}"]
            case "r":
                self._pace.wait(_TAKES[self._sensor], self._ended)
                return [self._reading()]
            case "c" if asks:
                return [f"?C,{self._every}"]
            case "c" if arguments and arguments[0].isdigit():
                self._every = int(arguments[0])
                return []
            case "*ok" if asks:
                return [f"?*OK,{int(self._codes)}"]
            case "*ok" if arguments in (["0"], ["1"]):
                self._codes = arguments == ["1"]
                return []
            case "t" if asks and self._sensor in ("ph", "ec"):
                return [f"?T,{self._compensation:.2f}"]
            case "t" if self._sensor in ("ph", "ec") and (value := _number(arguments[:1])) is not None:
                self._compensation = value
                return []
            case "cal":
                return self._calibrate(arguments)
            case "status":
                return ["?Status,P,5.038"]
            case "sleep":
                self._asleep = True
                return ["*SL"]
        return None

    def _calibrate(self, arguments: list[str]) -> list[str] | None:
        if arguments == ["?"]:
            return [f"?{'CAL' if self._sensor == 'ec' else 'Cal'},{len(self._points)}"]
        if arguments == ["clear"]:
            self._points.clear()
            return []
        point = arguments[0].lower() if arguments and arguments[0].lower() in _POINTS[self._sensor] else ""
        value = 0.0 if point == "dry" else _number(arguments[1:] if point else arguments)
        if value is None or point not in _POINTS[self._sensor]:
            return None
        if point in ("mid", "dry"):
            self._points.clear()
        self._points[point] = (self._probe.value() + self._error, value)
        return []


def _number(words: list[str]) -> float | None:
    try:
        return float(words[0])
    except (ValueError, IndexError):
        return None
