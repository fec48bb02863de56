"""What emulated instruments see of the world behind them, one small protocol a role.

The plant of a whole rig implements them with the virtual cell's physics; :mod:`simulators.emulators.alone` with simple
stand-ins, for an instrument by itself. Time is the laboratory's (:class:`simulators.emulators.pace.Pace`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

DriveMode: TypeAlias = Literal["off", "potential", "current"]


@dataclass(frozen=True, slots=True)
class Drive:
    """What a potentiostat does to its cell.

    Attributes:
        mode: ``off`` is an open circuit.
        value: V against the cell's reference electrode, or A (cathodic negative).
    """

    mode: DriveMode = "off"
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class Electrical:
    """What a potentiostat measures at one moment.

    Attributes:
        potential: of the working electrode, V against the cell's reference electrode, not corrected for resistance.
        current: A, cathodic negative.
        cell_voltage: between counter and working electrode, V, positive for an electrolysis cell.
    """

    potential: float
    current: float
    cell_voltage: float


class Electrodes(Protocol):
    """The terminals of a cell."""

    def apply(self, drive: Drive) -> None:
        """Hold a potential or a current, or open the circuit."""

    def measure(self) -> Electrical:
        """What is there now."""

    def impedance(self, frequency: float) -> complex:
        """Between working and reference electrode, ohm, at a frequency in Hz."""


class Flow(Protocol):
    """A gas or liquid line, as a controller or meter in it sees it."""

    def set(self, value: float) -> None:
        """Ask for a flow or a pressure, in the line's unit."""

    def value(self) -> float:
        """What truly flows, or what the pressure truly is, in the line's unit."""


class Heat(Protocol):
    """A bath, and what it heats."""

    def set(self, celsius: float) -> None:
        """Ask for a temperature."""

    def run(self, running: bool) -> None:
        """Start or stop heating."""

    def value(self) -> float:
        """The temperature, degrees Celsius."""


class Analyser(Protocol):
    """The gas stream at a chromatograph's sampling valve."""

    def composition(self) -> Mapping[str, float]:
        """Dry mole fractions by species key (``h2``, ``co``, ``ch4``, ``c2h4``, ``co2``, ``o2``, ``n2``...)."""


class Selector(Protocol):
    """A multi-position valve."""

    def set(self, position: int) -> None:
        """Turn to a position, from 1."""

    def position(self) -> int:
        """Where it is."""


class Switch(Protocol):
    """A contact of a relay."""

    def set(self, closed: bool) -> None:
        """Open or close it."""

    def closed(self) -> bool:
        """Whether it is closed."""


class Bench(Protocol):
    """What a liquid handler does to vessels."""

    def transfer(self, source: str, target: str, microlitres: float) -> None:
        """Move liquid; names are ``labware/well``."""

    def volume(self, place: str) -> float:
        """What a vessel holds, uL."""


class Probe(Protocol):
    """A sensor that only reads: pH, mass in g, pressure in bar, gas concentration in ppm."""

    def value(self) -> float:
        """What is there now."""
