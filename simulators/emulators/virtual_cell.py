"""One electrolysis cell with the simulator's physics in it, as the instruments around it see it from moment to moment.

The cell is quasi-steady: whenever something changes (electrode, flow, temperature, what the potentiostat holds) its
steady state is solved anew, and the gas behind it follows as in a stirred volume. Liquids pile up in the catholyte.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from threading import RLock
from typing import TYPE_CHECKING, Final

import numpy as np

from instruments.electrochemistry.potentials import REFERENCE_ELECTRODES, nernst_slope, reference_potential
from simulators.batch import CARBONS, CHARGES, SQUARE_CENTIMETRE, Solved, average_batch
from simulators.constants import MA_PER_CM2, SCCM, SIMULATED
from simulators.course import HARDWARE, IS_GAS
from simulators.degradation import LIQUIDS
from simulators.emulators.pace import Pace
from simulators.emulators.roles import Drive, Electrical
from simulators.errors import ConvergenceError, EmulatorError
from simulators.readings import GAS_DENSITY
from simulators.signals import OPEN_CIRCUIT
from simulators.variability import GASES, individual
from simulators.worlds import stream

if TYPE_CHECKING:
    from simulators.chemistries import Chemistry

AIR: Final[Mapping[str, float]] = {"n2": 0.79, "o2": 0.21}
"""What an opened cell holds."""
LEAST_FLOW: Final = 1.0
"""sccm over 1 cm2 with which the physics reckons at least: diffusion from a stagnant channel."""
DOUBLE_LAYER: Final = 20e-6
"""Capacitance of the electrode, F cm-2."""
CHARGE_TRANSFER: Final = 2.0
"""Resistance in series with the electrolyte's at open circuit, ohm cm2."""
LOWEST, HIGHEST = 0.5, 1000.0
"""mA cm-2 between which the physics is solved; below, it is scaled."""


@dataclass(frozen=True, slots=True)
class Electrode:
    """What lies in the cell.

    Attributes:
        fractions: element to atomic fraction.
        identity: names the electrode; the same names are the same electrode.
    """

    fractions: Mapping[str, float]
    identity: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What instruments other than the potentiostat do to a cell.

    Attributes:
        gas: that flows in, by species, sccm.
        celsius: temperature.
        connected: whether the potentiostat's leads reach the cell.
        conditions: of the electrolyte and of whatever else the chemistry knows, by column.
    """

    gas: Mapping[str, float]
    celsius: float = 25.0
    connected: bool = True
    conditions: Mapping[str, float | str] | None = None


@dataclass(frozen=True, slots=True)
class _State:
    """What happens between two changes.

    Attributes:
        rates: of the products, mol s-1, [products].
        absorbed: CO2 that becomes carbonate, mol s-1.
        potential: iR-free, V vs RHE.
        voltage: of the whole cell, V.
        current: cathodic negative, A.
        resistance: ohm.
        ph: of the bulk.
    """

    rates: np.ndarray
    absorbed: float
    potential: float
    voltage: float
    current: float
    resistance: float
    ph: float


class VirtualCell:
    """The electrodes of one cell, and the gas and liquid around them.

    Args:
        name: of the cell, for its draws.
        chemistry: the physics.
        pace: of time.
        seed: of the laboratory.
        noise: factor on the scatter of electrodes and traces.
        reference: name of the reference electrode.
        area: true area, m2; by default that of the kind of cell.

    Raises:
        EmulatorError: the reference electrode is not known.
    """

    def __init__(
        self,
        name: str,
        chemistry: Chemistry,
        pace: Pace,
        *,
        seed: int = 0,
        noise: float = 1.0,
        reference: str = "Ag/AgCl (3 M KCl)",
        area: float | None = None,
    ) -> None:
        if reference not in REFERENCE_ELECTRODES:
            raise EmulatorError(f"there is no reference electrode {reference!r}.", field="reference")
        self.name, self.kind = name, chemistry.definition.cell
        self.hardware = HARDWARE[self.kind]
        self.area = self.hardware.area if area is None else area
        self._chemistry, self._pace, self._seed, self._noise = chemistry, pace, seed, noise
        self._reference = REFERENCE_ELECTRODES[reference]
        self._generator = stream("emulated cell", seed, name)
        self._lock = RLock()
        self._electrode = Electrode(chemistry.definition.composition, (seed, name, "bare"))
        self._around = Surroundings({})
        self._drive = Drive()
        self._solved: _State | None = None
        self._gas: dict[str, float] = dict(AIR)
        self._liquids = np.zeros(len(LIQUIDS))
        self._charge = 0.0
        self._made = np.zeros(len(SIMULATED))
        self._then = pace.now()
        self.history: list[tuple[float, Drive]] = []
        self.changes: deque[tuple[float, str, float]] = deque(maxlen=200)
        """The last changes: laboratory time, ``off``, ``potential``, ``current``, ``gas`` or ``connected``, value."""
        self.past: list[dict[str, object]] = []
        """The truth of each electrode that was taken out, as it was then."""
        self.thermometer: Callable[[], float] | None = None
        """Temperature of what the cell stands in, degrees Celsius; without it, that of the room."""

    # What others do to it

    def mount(self, electrode: Electrode) -> None:
        """Put an electrode in; opens the cell, so that air comes in."""
        with self._lock:
            self._advance()
            if self._charge > 0.0:
                self.past.append(self.truth())
            self._electrode, self._solved, self._gas = electrode, None, dict(AIR)
            self.renew()

    @property
    def used(self) -> bool:
        """Whether charge has passed since the electrode was put in or the electrolyte renewed."""
        return self._charge > 0.0

    def renew(self) -> None:
        """Fill in fresh electrolyte."""
        with self._lock:
            self._advance()
            self._liquids = np.zeros(len(LIQUIDS))
            self._charge, self._made = 0.0, np.zeros(len(SIMULATED))

    def surround(self, **changes: object) -> None:
        """Change what is around: fields of :class:`Surroundings`."""
        with self._lock:
            self._advance()
            around = replace(self._around, **changes)  # type: ignore[arg-type]
            if around != self._around:
                if around.gas != self._around.gas:
                    self.changes.append((self._pace.now(), "gas", sum(around.gas.values())))
                if around.connected != self._around.connected:
                    self.changes.append((self._pace.now(), "connected", float(around.connected)))
                self._around, self._solved = around, None

    @property
    def around(self) -> Surroundings:
        """What is around."""
        return self._around

    # The role of electrodes

    def apply(self, drive: Drive) -> None:
        """Hold a potential or a current, or open the circuit."""
        with self._lock:
            self._advance()
            if drive != self._drive:
                now = self._pace.now()
                self.history.append((now, drive))
                self.changes.append((now, drive.mode, drive.value))
                self._drive, self._solved = drive, None

    @property
    def drive(self) -> Drive:
        """What the potentiostat does, whether or not its leads reach the cell."""
        return self._drive

    def measure(self) -> Electrical:
        """What is there now, with the noise of the cell."""
        with self._lock:
            self._advance()
            state = self._state()
            wobble = 5e-5 * self._noise * float(self._generator.standard_normal())
            scatter = 1.0 + 5e-4 * self._noise * float(self._generator.standard_normal())
            potential = self._recorded(state) + wobble
            current, voltage = state.current, state.voltage + wobble
            if self._drive.mode == "potential" and self._around.connected:
                potential, current = self._drive.value, current * scatter
            elif self._drive.mode == "current":
                potential += 0.02 * (scatter - 1.0)
            return Electrical(potential, current, voltage)

    def impedance(self, frequency: float) -> complex:
        """Ohmic resistance in series with a charge-transfer resistance beside the double layer, ohm."""
        with self._lock:
            state = self._state()
            square_centimetres = self.area / SQUARE_CENTIMETRE
            transfer = CHARGE_TRANSFER / square_centimetres
            admittance = 1.0 / transfer + 2j * math.pi * frequency * DOUBLE_LAYER * square_centimetres
            scatter = 1.0 + 2e-3 * self._noise * float(self._generator.standard_normal())
            return (state.resistance + 1.0 / admittance) * scatter

    # What instruments behind it see

    def composition(self) -> dict[str, float]:
        """Dry mole fractions in the gas behind the cell."""
        with self._lock:
            self._advance()
            return dict(self._gas)

    def outlet(self) -> float:
        """Dry gas that leaves, sccm."""
        with self._lock:
            self._advance()
            return sum(self._flows(self._state()).values()) / SCCM

    def liquids(self) -> dict[str, float]:
        """Concentrations in the catholyte, mol m-3."""
        with self._lock:
            self._advance()
            return dict(zip(LIQUIDS, (self._liquids / self.hardware.catholyte).tolist(), strict=True))

    def ph(self) -> float:
        """Of the bulk electrolyte."""
        with self._lock:
            return self._state().ph

    def truth(self) -> dict[str, object]:
        """What truly is and was, since the electrolyte was renewed: for scoring, never for a driver."""
        with self._lock:
            self._advance()
            state = self._state()
            charges = self._made * CHARGES
            total = float(charges.sum())
            shares = charges / total if total > 0.0 else charges
            return {
                "fractions": dict(self._electrode.fractions),
                "drive": {"mode": self._drive.mode, "value": self._drive.value},
                "connected": self._around.connected,
                "current": state.current,
                "e_rhe": state.potential,
                "u_cell": state.voltage,
                "resistance": state.resistance,
                "charge": self._charge,
                "fe": dict(zip(SIMULATED, shares.tolist(), strict=True)),
                "gas": dict(self._gas),
            }

    # Inside

    def _advance(self) -> None:
        """Let gas and liquids follow what has held since the last look."""
        now = self._pace.now()
        elapsed, self._then = now - self._then, now
        if elapsed <= 0.0:
            return
        state = self._state()
        if self.thermometer is not None and (celsius := round(self.thermometer(), 1)) != self._around.celsius:
            self._around, self._solved = replace(self._around, celsius=celsius), None
        flows = self._flows(state)
        total = sum(flows.values())
        if total > 0.0:
            stay = math.exp(-elapsed * total / (self.hardware.headspace * GAS_DENSITY))
            species = {*self._gas, *flows}
            self._gas = {
                s: stay * self._gas.get(s, 0.0) + (1.0 - stay) * flows.get(s, 0.0) / total for s in sorted(species)
            }
        self._liquids = self._liquids + elapsed * state.rates[~IS_GAS]
        self._made = self._made + elapsed * state.rates
        self._charge += elapsed * abs(state.current)

    def _flows(self, state: _State) -> dict[str, float]:
        """Dry gas that leaves the electrode, by species, mol s-1."""
        flows = {species: flow * SCCM for species, flow in self._around.gas.items() if flow > 0.0}
        eaten = float(state.rates @ CARBONS) + state.absorbed
        if "co2" in flows or eaten > 0.0:
            flows["co2"] = max(flows.get("co2", 0.0) - eaten, 0.0)
        for species, rate in zip(GASES, state.rates[IS_GAS].tolist(), strict=True):
            flows[species] = flows.get(species, 0.0) + rate
        return flows

    def _state(self) -> _State:
        if self._solved is None:
            self._solved = self._find()
        return self._solved

    def _find(self) -> _State:
        drive = self._drive if self._around.connected else Drive()
        rest = self._solve("current_density", LOWEST)
        if drive.mode == "off" or (drive.mode == "current" and drive.value >= 0.0):
            return self._at_rest(rest)
        if drive.mode == "current":
            density = -drive.value / self.area / MA_PER_CM2
            if density < LOWEST:
                return self._scaled(rest, density / LOWEST)
            return self._solve("current_density", min(density, HIGHEST))
        return self._held(drive.value, rest)

    def _held(self, applied: float, rest: _State) -> _State:
        """At an applied potential, V against the reference: the current whose ohmic drop closes the circle."""
        target = applied + self._to_rhe(rest)

        def off(density: float) -> tuple[float, _State]:
            state = self._solve("current_density", density)
            return state.potential + state.current * state.resistance - target, state

        if target >= OPEN_CIRCUIT:
            return self._at_rest(rest)
        low, high = LOWEST, HIGHEST
        miss, state = off(low)
        if miss <= 0.0:  # less than the lowest current is enough
            return self._scaled(state, max((target - OPEN_CIRCUIT) / (target - miss - OPEN_CIRCUIT), 0.0))
        for _ in range(40):
            middle = math.sqrt(low * high)
            miss, state = off(middle)
            low, high = (middle, high) if miss > 0.0 else (low, middle)
            if high / low < 1.0 + 1e-4:
                break
        return state

    def _solve(self, control: str, value: float) -> _State:
        import torch

        from simulators._torch import one_thread

        columns: dict[str, list[float | str]] = {
            **{f"x_{element}": [share] for element, share in self._electrode.fractions.items()},
            control: [value],
            **{name: [setting] for name, setting in self._conditions().items()},
        }
        layout = self._chemistry.layout(tuple(columns))
        with one_thread(), torch.no_grad():
            batch = average_batch(self._chemistry, self._chemistry.elements(layout.elements), layout, columns)
            if self._noise > 0.0:
                batch = individual(batch, self._electrode.identity, self._noise)
            try:
                solved = batch.solve()
            except ConvergenceError as problem:
                raise EmulatorError(f"{self.name} has no steady state at {control} = {value:g}: {problem}") from problem
        return self._of(solved)

    def _conditions(self) -> dict[str, float | str]:
        around = self._around
        conditions: dict[str, float | str] = {"temperature": around.celsius + 273.15, **(around.conditions or {})}
        if self.kind != "h_cell":
            flow = around.gas.get("co2", 0.0) * SQUARE_CENTIMETRE / self.area
            conditions["gas_flow"] = min(max(flow, LEAST_FLOW), 200.0)
        return conditions

    def _of(self, solved: Solved) -> _State:
        rates = solved.rates[0] * self.area
        return _State(
            rates=rates,
            absorbed=float(solved.absorbed[0]) * self.area,
            potential=float(solved.potential[0]),
            voltage=float(solved.voltage[0]),
            current=-float(rates @ CHARGES),
            resistance=float(solved.resistance[0]) / self.area,
            ph=float(solved.ph[0]),
        )

    def _at_rest(self, state: _State) -> _State:
        return replace(self._scaled(state, 0.0), voltage=0.0)

    def _scaled(self, state: _State, share: float) -> _State:
        """With a share of the current: potential and voltage between those of the open circuit and these."""
        return replace(
            state,
            rates=share * state.rates,
            absorbed=share * state.absorbed,
            potential=OPEN_CIRCUIT + share * (state.potential - OPEN_CIRCUIT),
            voltage=share * state.voltage,
            current=share * state.current,
        )

    def _to_rhe(self, state: _State) -> float:
        """What a potential against the reference electrode lacks to the reversible hydrogen scale, V."""
        kelvin = self._around.celsius + 273.15
        return float(reference_potential(self._reference, kelvin) + nernst_slope(kelvin) * state.ph)

    def _recorded(self, state: _State) -> float:
        """The working electrode's potential against the reference, with its ohmic drop, V."""
        return state.potential - self._to_rhe(state) + state.current * state.resistance
