"""The plant behind the emulated instruments of a rig: cells, gas lines, pumps, a bath, a valve, vessels, contacts.

One current, one gas: what a potentiostat drives through a cell is what makes the gas that the chromatograph sees and
the flow that the meter behind the cell reads. Instruments are off by what their makers state, drawn once a device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING, Final

from simulators.emulators.pace import Pace
from simulators.emulators.virtual_cell import AIR, Electrode, VirtualCell
from simulators.errors import EmulatorError
from simulators.worlds import stream

if TYPE_CHECKING:
    from simulators.chemistries import Chemistry

SETTLING: Final = 0.4
"""Time in which a flow controller comes within 1/e of its set point, s."""
HEATING: Final = 90.0
"""The same of a bath, s."""
LINE_PRESSURE: Final = 1.01325
"""bar, at a controller that nothing holds back."""
RESISTANCE: Final = 0.004
"""bar for each sccm through a cell."""


class Relaxing:
    """A quantity that follows its set point exponentially.

    Args:
        pace: of time.
        seconds: in which it comes within 1/e.
        value: at the beginning.
    """

    def __init__(self, pace: Pace, seconds: float, value: float = 0.0) -> None:
        self._pace, self._seconds = pace, seconds
        self._value = self._target = value
        self._then = pace.now()

    def aim(self, value: float) -> None:
        """Another set point."""
        self.now()
        self._target = value

    @property
    def target(self) -> float:
        """The set point."""
        return self._target

    def now(self) -> float:
        """Where it is."""
        now = self._pace.now()
        stay = math.exp(-(now - self._then) / self._seconds)
        self._value, self._then = self._target + stay * (self._value - self._target), now
        return self._value


@dataclass
class Inlet:
    """A gas line into a cell, seen by its controller.

    Attributes:
        cell: that it feeds.
        species: of the gas.
        gain: true over reported flow, minus one.
        speed: of the controller.
    """

    cell: VirtualCell
    species: str
    gain: float
    speed: Relaxing

    def set(self, value: float) -> None:
        """Ask for a flow, sccm."""
        self.speed.aim(max(value, 0.0))
        self.cell.surround(gas={**self.cell.around.gas, self.species: max(value, 0.0) * (1.0 + self.gain)})

    def value(self) -> float:
        """What the controller reads, sccm."""
        return self.speed.now()

    def pressure(self) -> float:
        """Before the cell, bar."""
        return LINE_PRESSURE + RESISTANCE * self.speed.now()


@dataclass
class Outlet:
    """The gas line behind a cell, seen by its meter: dry gas, sccm."""

    cell: VirtualCell
    gain: float

    def set(self, value: float) -> None:
        """A meter sets nothing."""

    def value(self) -> float:
        """What the meter reads."""
        return self.cell.outlet() / (1.0 + self.gain)


@dataclass
class Line:
    """A liquid line, mL min-1: it moves, and nothing else depends on how fast."""

    speed: Relaxing

    def set(self, value: float) -> None:
        """Ask for a flow."""
        self.speed.aim(value)

    def value(self) -> float:
        """What flows."""
        return self.speed.now()


@dataclass
class Bath:
    """A bath.

    Attributes:
        speed: of the bath, degrees Celsius.
        room: temperature that it falls back to.
    """

    speed: Relaxing
    room: float = 25.0
    running: bool = False
    wanted: float = 25.0

    def set(self, celsius: float) -> None:
        """Ask for a temperature, degrees Celsius."""
        self.wanted = celsius
        self._aim()

    def run(self, running: bool) -> None:
        """Start or stop heating."""
        self.running = running
        self._aim()

    def value(self) -> float:
        """The temperature, degrees Celsius."""
        return self.speed.now()

    def _aim(self) -> None:
        self.speed.aim(self.wanted if self.running else self.room)


@dataclass
class Contact:
    """A relay's contact in the leads of a cell."""

    cell: VirtualCell

    def set(self, closed: bool) -> None:
        """Open or close it."""
        self.cell.surround(connected=closed)

    def closed(self) -> bool:
        """Whether it is closed."""
        return self.cell.around.connected


@dataclass
class Valve:
    """A multi-position valve that brings one of several gas streams to the chromatograph.

    Attributes:
        streams: what flows at each position, from 1; elsewhere it is air.
    """

    streams: Mapping[int, Callable[[], Mapping[str, float]]]
    at: int = 1

    def set(self, position: int) -> None:
        """Turn to a position."""
        self.at = position

    def position(self) -> int:
        """Where it is."""
        return self.at

    def composition(self) -> Mapping[str, float]:
        """Dry mole fractions at the chromatograph."""
        source = self.streams.get(self.at)
        return AIR if source is None else source()


@dataclass
class Gauge:
    """Something that only reads; tests and people may set it.

    Attributes:
        reading: what is there, or a function that says it.
    """

    reading: float | Callable[[], float] = 0.0

    def set(self, value: float) -> None:
        """Let something else be there."""
        self.reading = value

    def value(self) -> float:
        """What is there."""
        return float(self.reading() if callable(self.reading) else self.reading)


@dataclass
class Deck:
    """Vessels, and the electrodes among them: what is dispensed on one stays there.

    Attributes:
        concentrations: by place, element to mol L-1; sources never run dry.
        seats: places that lie in a cell: a deposit there is that cell's electrode at once.
        volumes: uL by place, of what was moved.
        deposits: micromoles by place and element.
        seed: of the laboratory, for the electrodes' draws.
    """

    concentrations: Mapping[str, Mapping[str, float]]
    seats: Mapping[str, VirtualCell] = field(default_factory=dict)
    volumes: dict[str, float] = field(default_factory=dict)
    deposits: dict[str, dict[str, float]] = field(default_factory=dict)
    seed: int = 0
    _made: int = 0
    _lock: RLock = field(default_factory=RLock)

    def transfer(self, source: str, target: str, microlitres: float) -> None:
        """Move liquid, and what is dissolved in it."""
        with self._lock:
            moved = self._taken(source, microlitres)
            if target in self.seats and self.seats[target].used:
                self.clean(target)  # somebody took the old electrode out
            self.volumes[source] = self.volumes.get(source, 0.0) - microlitres
            self.volumes[target] = self.volumes.get(target, 0.0) + microlitres
            there = self.deposits.setdefault(target, {})
            for element, amount in moved.items():
                there[element] = there.get(element, 0.0) + amount
            if target in self.seats and any(there.values()):
                self.mount(target, self.seats[target])

    def volume(self, place: str) -> float:
        """What a vessel holds of what was moved, uL."""
        return self.volumes.get(place, 0.0)

    def clean(self, place: str) -> None:
        """Empty a vessel, or take an electrode off."""
        with self._lock:
            self.deposits.pop(place, None)
            self.volumes.pop(place, None)

    def mount(self, place: str, cell: VirtualCell) -> None:
        """Put the electrode of a place into a cell.

        Raises:
            EmulatorError: nothing was dispensed there.
        """
        with self._lock:
            amounts = {element: n for element, n in self.deposits.get(place, {}).items() if n > 0.0}
            if not amounts:
                raise EmulatorError(f"there is no electrode at {place}.", field="place")
            total = sum(amounts.values())
            self._made += 1
            cell.mount(Electrode({e: n / total for e, n in amounts.items()}, (self.seed, place, self._made)))

    def _taken(self, source: str, microlitres: float) -> dict[str, float]:
        if source in self.concentrations:
            return {element: c * microlitres for element, c in self.concentrations[source].items()}
        there, volume = self.deposits.get(source, {}), self.volumes.get(source, 0.0)
        share = min(microlitres / volume, 1.0) if volume > 0.0 else 0.0
        taken = {element: share * n for element, n in there.items()}
        for element, n in taken.items():
            there[element] -= n
        return taken


class Plant:
    """Cells of one chemistry, and what stands around them.

    Args:
        chemistry: the physics of all cells.
        cells: name to true area, m2 (``None``: that of the kind of cell).
        pace: of time.
        seed: of the laboratory.
        noise: factor on all errors and spreads.
        reference: electrode of all cells.
        conditions: of the electrolyte, by column of the chemistry.
    """

    def __init__(
        self,
        chemistry: Chemistry,
        cells: Mapping[str, float | None],
        pace: Pace,
        *,
        seed: int = 0,
        noise: float = 1.0,
        reference: str = "Ag/AgCl (3 M KCl)",
        conditions: Mapping[str, float | str] | None = None,
    ) -> None:
        self.pace, self.seed, self.noise = pace, seed, noise
        self.cells = {
            name: VirtualCell(name, chemistry, pace, seed=seed, noise=noise, reference=reference, area=area)
            for name, area in cells.items()
        }
        for cell in self.cells.values():
            cell.surround(conditions=dict(conditions or {}))

    def error(self, device: str, accuracy: float) -> float:
        """How far a device is off, relative: one draw a device."""
        return self.noise * accuracy * float(stream("emulated device", self.seed, device).standard_normal())

    def inlet(self, device: str, cell: str, species: str = "co2", accuracy: float = 0.005) -> Inlet:
        """The controller of a gas line into a cell."""
        return Inlet(self.cells[cell], species, self.error(device, accuracy), Relaxing(self.pace, SETTLING))

    def outlet(self, device: str, cell: str, accuracy: float = 0.005) -> Outlet:
        """The meter behind a cell."""
        return Outlet(self.cells[cell], self.error(device, accuracy))

    def line(self) -> Line:
        """A pump's line."""
        return Line(Relaxing(self.pace, SETTLING))

    def pressure(self) -> Line:
        """What a back-pressure controller holds, bar."""
        return Line(Relaxing(self.pace, SETTLING, LINE_PRESSURE))

    def bath(self, room: float = 25.0) -> Bath:
        """A bath around all cells."""
        bath = Bath(Relaxing(self.pace, HEATING, room), room, wanted=room)
        for cell in self.cells.values():
            cell.thermometer = bath.value
        return bath

    def contact(self, cell: str) -> Contact:
        """The contact in the leads of a cell."""
        return Contact(self.cells[cell])

    def valve(self, cells: Mapping[int, str], mixtures: Mapping[int, Mapping[str, float]] | None = None) -> Valve:
        """A valve with cells, and mixtures of known composition, at its positions."""
        streams: dict[int, Callable[[], Mapping[str, float]]] = {}
        for position, cell in cells.items():
            streams[position] = self.cells[cell].composition
        for position, mixture in (mixtures or {}).items():
            streams[position] = dict(mixture).copy
        return Valve(streams)

    def truth(self) -> dict[str, object]:
        """What truly is, by cell, and was with each electrode before: for scoring, never for a driver."""
        return {
            name: {**cell.truth(), "past": list(cell.past), "changes": list(cell.changes), "time": self.pace.now()}
            for name, cell in self.cells.items()
        }
