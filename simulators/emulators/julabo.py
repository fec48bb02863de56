"""An emulated circulator of JULABO, as the chapter on interface commands of its manuals describes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from simulators.emulators.alone import Settable
from simulators.emulators.pace import Pace
from simulators.emulators.roles import Heat
from simulators.emulators.wire import Session, StreamEmulator, Wire

_STATES = ("MANUAL STOP", "MANUAL START", "REMOTE STOP", "REMOTE START")
_REFUSALS = {
    -8: "INVALID COMMAND",
    -9: "COMMAND NOT ALLOWED IN CURRENT OPERATING MODE",
    -10: "VALUE TOO SMALL",
    -11: "VALUE TOO LARGE",
    -13: "VALUE EXCEEDS TEMPERATURE LIMITS",
}


class JulaboEmulator(StreamEmulator):
    """A circulator.

    Args:
        name: of the device.
        heat: the bath, and what it heats.
        pace: of laboratory time; such a device has none of its own.
        wire: what it listens on.
        host: for TCP.
        port: for TCP.
        version: as it calls itself.
        working: the range of the model, degC.
        warning: the warning limits that are set on it, degC.
        external: whether a Pt100 is connected.
        limits_told: whether the model knows ``in_sp_03`` and ``in_sp_04``.
    """

    terminator: ClassVar[bytes] = b"\r"
    own_faults: ClassVar[Mapping[str, str]] = {
        "low_level": "the bath loses fluid: it stops and says -01 until cleared",
        "stuck": "it goes on heating whatever it is told",
        "manual": "somebody has switched remote control off",
    }

    def __init__(
        self,
        name: str,
        *,
        heat: Heat | None = None,
        pace: Pace | None = None,
        wire: Wire = "tcp",
        host: str = "127.0.0.1",
        port: int = 0,
        version: str = "JULABO MAGIO MS-1000F VERSION 1.1.2",
        working: tuple[float, float] = (-30.0, 200.0),
        warning: tuple[float, float] = (5.0, 90.0),
        external: bool = False,
        limits_told: bool = True,
    ) -> None:
        super().__init__(name, wire=wire, host=host, port=port)
        self._heat, self._pace = heat or Settable(25.0, running=False), pace or Pace()
        self._version, self._working, self._warning = version, working, warning
        self._external, self._limits_told = external, limits_told
        self._setpoint, self._running, self._refusal = 25.0, False, 0
        self._heat.run(False)

    def state(self) -> Mapping[str, object]:
        """Whether it heats, its set point and its temperature, degC."""
        return {"running": self._running, "setpoint": self._setpoint, "temperature": self._heat.value()}

    def answer(self, frame: bytes, session: Session) -> bytes | None:  # noqa: ARG002  there is one line
        """One command; those that set are not answered."""
        head, _, argument = frame.decode("latin-1").strip().partition(" ")
        if self.faults.holds("low_level") and self._running:
            self._control(False)
        said = self._said(head.lower())
        if said is not None:
            return f"{said}\r\n".encode()
        self._refusal = self._set(head.lower(), argument.strip())
        return None

    def _said(self, head: str) -> str | None:  # noqa: PLR0911  a table of commands
        temperature = self._heat.value()
        match head:
            case "version":
                return self._version
            case "status":
                return self._status()
            case "in_pv_00" | "in_pv_03":
                return f"{temperature:.2f}"
            case "in_pv_01":
                return f"{max(-100.0, min(100.0, 20.0 * (self._setpoint - temperature))) if self._running else 0.0:.0f}"
            case "in_pv_02":
                return f"{temperature:.2f}" if self._external else "---.--"
            case "in_sp_00":
                return f"{self._setpoint:.2f}"
            case "in_sp_03" if self._limits_told:
                return f"{self._warning[1]:.2f}"
            case "in_sp_04" if self._limits_told:
                return f"{self._warning[0]:.2f}"
            case "in_mode_05":
                return str(int(self._running))
        return None

    def _status(self) -> str:
        if self._refusal:
            code, self._refusal = self._refusal, 0
            return f"{code:03d} {_REFUSALS[code]}"
        if self.faults.holds("low_level"):
            return "-01 LOW LEVEL ALARM"
        code = 2 * (not self.faults.holds("manual")) + self._running
        return f"{code:02d} {_STATES[code]}"

    def _set(self, head: str, argument: str) -> int:  # noqa: PLR0911  a table of commands
        """Zero, or why not."""
        if head not in ("out_sp_00", "out_mode_05"):
            return -8
        try:
            value = float(argument)
        except ValueError:
            return -8
        if self.faults.holds("manual"):
            return -9
        if head == "out_mode_05":
            if value not in (0.0, 1.0):
                return -8
            if value == 1.0 and self.faults.holds("low_level"):
                return -9
            self._control(value == 1.0)
            return 0
        if not self._working[0] <= value <= self._working[1]:
            return -10 if value < self._working[0] else -11
        if not self._warning[0] <= value <= self._warning[1]:
            return -13
        self._setpoint = round(value, 2)
        if self._running:
            self._heat.set(self._setpoint)
        return 0

    def _control(self, running: bool) -> None:
        if not running and self.faults.holds("stuck"):
            return
        self._running = running
        if running:
            self._heat.set(self._setpoint)
        self._heat.run(running)
