"""Stand-ins for the world behind an instrument that is emulated by itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from simulators.emulators.roles import Drive, Electrical


@dataclass
class DummyCell:
    """A resistor in series with a resistor and a capacitor side by side, as sold for testing potentiostats.

    Attributes:
        series: ohm.
        parallel: ohm.
        capacitance: F.
        open_circuit: V.
    """

    series: float = 100.0
    parallel: float = 900.0
    capacitance: float = 1e-6
    open_circuit: float = 0.0
    drive: Drive = field(default_factory=Drive)

    def apply(self, drive: Drive) -> None:
        """Hold something, from now on."""
        self.drive = drive

    def measure(self) -> Electrical:
        """Ohm's law."""
        total = self.series + self.parallel
        if self.drive.mode == "potential":
            potential, current = self.drive.value, (self.drive.value - self.open_circuit) / total
        elif self.drive.mode == "current":
            potential, current = self.open_circuit + self.drive.value * total, self.drive.value
        else:
            potential, current = self.open_circuit, 0.0
        return Electrical(potential, current, abs(potential))

    def impedance(self, frequency: float) -> complex:
        """Of the circuit, ohm."""
        omega = 2.0 * math.pi * frequency
        return self.series + self.parallel / (1.0 + 1j * omega * self.parallel * self.capacitance)


@dataclass
class Settable:
    """Follows what it is set to at once: a flow, a temperature, a position, a switch."""

    setting: float = 0.0
    running: bool = True

    def set(self, value: float) -> None:
        """Ask for a value."""
        self.setting = value

    def run(self, running: bool) -> None:
        """Start or stop."""
        self.running = running

    def value(self) -> float:
        """The value."""
        return float(self.setting)

    def position(self) -> int:
        """The value as a position."""
        return int(self.setting)

    def closed(self) -> bool:
        """The value as a contact."""
        return bool(self.setting)


@dataclass
class Gas:
    """One gas, always the same."""

    fractions: Mapping[str, float] = field(default_factory=lambda: {"co2": 1.0})

    def composition(self) -> Mapping[str, float]:
        """Dry mole fractions."""
        return self.fractions


@dataclass
class Vessels:
    """Vessels that hold volumes; sources are never empty.

    Attributes:
        volumes: uL by place.
    """

    volumes: dict[str, float] = field(default_factory=dict)

    def transfer(self, source: str, target: str, microlitres: float) -> None:
        """Move liquid."""
        self.volumes[source] = self.volumes.get(source, 0.0) - microlitres
        self.volumes[target] = self.volumes.get(target, 0.0) + microlitres

    def volume(self, place: str) -> float:
        """What a vessel holds, uL."""
        return self.volumes.get(place, 0.0)
