"""An emulated multimeter that speaks SCPI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from simulators.emulators.alone import Settable
from simulators.emulators.pace import Pace
from simulators.emulators.roles import Probe
from simulators.emulators.scpi import RefusedError, ScpiEmulator
from simulators.emulators.wire import Wire

_HEADERS = {
    "MEAS:VOLT:DC": "voltage",
    "MEAS:VOLT": "voltage",
    "MEAS:CURR:DC": "current",
    "MEAS:CURR": "current",
    "MEAS:RES": "resistance",
    "MEAS:TEMP": "temperature",
}


class ScpiMeterEmulator(ScpiEmulator):
    """A multimeter.

    Args:
        name: of the device.
        probes: what is at its terminals, by quantity: ``voltage`` (V), ``current`` (A), ``resistance`` (ohm),
            ``temperature`` (degC); what is left out the model does not have.
        pace: of laboratory time.
        wire: what it listens on.
        host: for TCP.
        port: for TCP.
        identity: what ``*IDN?`` says.
        takes: time of a measurement, laboratory seconds.
    """

    own_faults: ClassVar[Mapping[str, str]] = {
        "error": "it refuses a command with the error `number` (-200 without)",
        "overload": "the value is beyond the range (9.9E37)",
    }

    def __init__(
        self,
        name: str,
        *,
        probes: Mapping[str, Probe] | None = None,
        pace: Pace | None = None,
        wire: Wire = "tcp",
        host: str = "127.0.0.1",
        port: int = 0,
        identity: str = "Keysight Technologies,34461A,MY60012345,A.03.03-03.15-03.03-00.52-05-01",
        takes: float = 0.04,
    ) -> None:
        super().__init__(name, wire=wire, host=host, port=port, identity=identity)
        self._probes: Mapping[str, Probe] = probes if probes is not None else {"voltage": Settable(1.0)}
        self._pace, self._takes = pace or Pace(), takes

    def state(self) -> Mapping[str, object]:
        """What is at its terminals."""
        return {key: probe.value() for key, probe in self._probes.items()}

    def execute(self, header: str, asks: bool, argument: str) -> str | None:  # noqa: ARG002  ranges are its own business
        """One measurement."""
        quantity = _HEADERS.get(header)
        if not asks or quantity is None or quantity not in self._probes:
            raise RefusedError(-113, "Undefined header")
        self._pace.wait(self._takes, self.stopping)
        if self.faults.take("overload"):
            return "+9.90000000E+37"
        return f"{self._probes[quantity].value():+.8E}"
