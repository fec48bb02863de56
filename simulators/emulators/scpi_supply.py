"""An emulated power supply or source meter that speaks SCPI."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Literal

from simulators.emulators.alone import DummyCell
from simulators.emulators.pace import Pace
from simulators.emulators.roles import Drive, Electrical, Electrodes
from simulators.emulators.scpi import RefusedError, ScpiEmulator, number, switch
from simulators.emulators.wire import Wire

_IDENTITIES = {
    "generic": "Keysight Technologies,E36313A,MY59001234,2.1.0",
    "rigol": "RIGOL TECHNOLOGIES,DP832,DP8C193503801,00.01.14",
    "keithley_2450": "KEITHLEY INSTRUMENTS,MODEL 2450,04412345,1.7.3b",
}
HALVINGS = 40


class ScpiSupplyEmulator(ScpiEmulator):
    """A supply with one output that holds a voltage or a current, whichever limits first.

    Args:
        name: of the device.
        cell: at its terminals; the plus side is the counter electrode.
        pace: of laboratory time; a supply has none of its own.
        wire: what it listens on.
        host: for TCP.
        port: for TCP.
        dialect: of its commands.
        identity: what ``*IDN?`` says.
        rated_voltage: V.
        rated_current: A.
        tells_most: whether it answers ``VOLT? MAX``.
    """

    own_faults: ClassVar[Mapping[str, str]] = {
        "error": "it refuses a command with the error `number` (-200 without)",
        "stuck": "its output relay does not open",
        "trip": "its protection has tripped: the output is off",
        "overload": "a measured value is beyond the range (9.9E37)",
    }

    def __init__(
        self,
        name: str,
        *,
        cell: Electrodes | None = None,
        pace: Pace | None = None,
        wire: Wire = "tcp",
        host: str = "127.0.0.1",
        port: int = 0,
        dialect: Literal["generic", "rigol", "keithley_2450"] = "generic",
        identity: str | None = None,
        rated_voltage: float = 25.0,
        rated_current: float = 1.0,
        tells_most: bool = True,
    ) -> None:
        super().__init__(name, wire=wire, host=host, port=port, identity=identity or _IDENTITIES[dialect])
        self._cell, self._pace, self._dialect, self._tells_most = (
            cell or DummyCell(),
            pace or Pace(),
            dialect,
            tells_most,
        )
        self._rated = {"VOLT": rated_voltage, "CURR": rated_current}
        self._sourcemeter = dialect == "keithley_2450"
        self._values: dict[str, float] = {}
        self._words: dict[str, str] = {}
        self.output = False
        self.reset()

    def reset(self) -> None:
        """The state after power-on: output off."""
        top = self._rated
        self._values = {"VOLT": 0.0, "CURR": 0.0 if self._sourcemeter else top["CURR"]}
        self._values |= {
            "ILIM": 0.1 * top["CURR"],
            "VLIM": top["VOLT"],
            "OVP": 1.1 * top["VOLT"],
            "OCP": 1.1 * top["CURR"],
        }
        self._words = {"SOUR:FUNC": "VOLT", "SENS:FUNC": "CURR"}
        self._switch(False)

    def state(self) -> Mapping[str, object]:
        """Output, set points, and what is at the terminals."""
        volts, amperes = self._terminals()
        return {"output": self.output, **self._values, "measured_voltage": volts, "measured_current": amperes}

    def execute(self, header: str, asks: bool, argument: str) -> str | None:
        """One command."""
        if self.faults.take("trip"):
            self._switch(False)
        if header == "OUTP":
            if asks:
                return str(int(self.output))
            self._switch(switch(argument))
            return None
        if asks and (header.startswith("MEAS:") or header == "READ"):
            return self._measured(header)
        return (self._meter_commands if self._sourcemeter else self._supply_commands)(header, asks, argument)

    def _supply_commands(self, header: str, asks: bool, argument: str) -> str | None:
        header = header.removeprefix("SOUR:")
        tops = {"VOLT": self._rated["VOLT"], "CURR": self._rated["CURR"]}
        tops |= {"OVP": 1.2 * tops["VOLT"], "OCP": 1.2 * tops["CURR"]}
        key = {"VOLT:PROT": "OVP", "CURR:PROT": "OCP"}.get(header, header)
        if key in tops:
            return self._number(key, tops[key], asks, argument)
        if header in ("VOLT:PROT:STAT", "CURR:PROT:STAT", "INST:NSEL"):
            return self._word(header, asks, argument)
        raise RefusedError(-113, "Undefined header")

    def _meter_commands(self, header: str, asks: bool, argument: str) -> str | None:
        numbers = {
            "SOUR:VOLT": "VOLT",
            "SOUR:CURR": "CURR",
            "SOUR:VOLT:ILIM": "ILIM",
            "SOUR:CURR:VLIM": "VLIM",
        }
        if header in numbers:
            key = numbers[header]
            return self._number(key, self._rated["VOLT" if key[0] == "V" else "CURR"], asks, argument, signed=True)
        if header.startswith(("SOUR:", "SENS:", "TRAC:", "OUTP:", "DISP:", "STAT:", "ABOR")):
            return self._word(header, asks, argument)
        raise RefusedError(-113, "Undefined header")

    def _number(self, key: str, top: float, asks: bool, argument: str, *, signed: bool = False) -> str | None:
        low = -top if signed and key in ("VOLT", "CURR") else 0.0
        if not asks:
            self._values[key] = number(argument, low, top)
            self._regulate()
            return None
        if argument and not self._tells_most:
            raise RefusedError(-108, "Parameter not allowed")
        return f"{number(argument, low, top) if argument else self._values[key]:.6E}"

    def _word(self, header: str, asks: bool, argument: str) -> str | None:
        if asks:
            return self._words.get(header, "0")
        self._words[header] = argument.strip("'\"").upper()
        self._regulate()
        return None

    def _measured(self, header: str) -> str:
        if self.faults.take("overload"):
            return "9.900000E+37"
        self._regulate()
        volts, amperes = self._terminals()
        wanted = self._words["SENS:FUNC"][:4] if header == "READ" else header.split(":")[1]
        values: dict[str, Callable[[], float]] = {
            "VOLT": lambda: volts,
            "CURR": lambda: amperes,
            "RES": lambda: volts / amperes if amperes else 9.9e37,
        }
        if wanted not in values:
            raise RefusedError(-113, "Undefined header")
        return f"{values[wanted]():.6E}"

    def _switch(self, on: bool) -> None:
        if not on and self.faults.holds("stuck"):
            return
        self.output = on
        self._regulate()

    def _terminals(self) -> tuple[float, float]:
        """Volts and amperes at the output."""
        if not self.output:
            return 0.0, 0.0
        found: Electrical = self._cell.measure()
        sign = -1.0 if found.current > 0.0 else 1.0
        return sign * found.cell_voltage, -found.current

    def _regulate(self) -> None:
        """Hold the current, or less where the voltage limits."""
        if not self.output:
            self._cell.apply(Drive())
            return
        v = self._values
        current_first = self._sourcemeter and self._words["SOUR:FUNC"].startswith("CURR")
        volts, amperes = (
            (v["VLIM"], v["CURR"]) if current_first else (v["VOLT"], v["ILIM" if self._sourcemeter else "CURR"])
        )
        sign = -1.0 if (amperes if current_first else volts) < 0.0 else 1.0
        volts, low, high = abs(volts), 0.0, abs(amperes)
        if self._voltage_at(sign * high) <= volts:
            return
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            low, high = (low, middle) if self._voltage_at(sign * middle) > volts else (middle, high)
        self._voltage_at(sign * low)

    def _voltage_at(self, amperes: float) -> float:
        self._cell.apply(Drive("current", -amperes))
        return abs(self._cell.measure().cell_voltage)
