"""What truly happens in a cell during a run, at nodes in time, and what its instruments could see of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from simulators.batch import CARBONS, CHARGES, Floats
from simulators.constants import MA_PER_CM2, SIMULATED
from simulators.settings import CellKind
from simulators.variability import GASES

IS_GAS: Final = np.array([key in GASES for key in SIMULATED])


@dataclass(frozen=True, slots=True)
class Hardware:
    """A kind of cell as it stands on the bench.

    Attributes:
        area: of the electrode, m2.
        catholyte: its volume, m3.
        headspace: gas volume between electrode and sampling valve, m3.
        compensated: share of the resistance that the potentiostat compensates.
    """

    area: float
    catholyte: float
    headspace: float
    compensated: float


HARDWARE: Final[Mapping[CellKind, Hardware]] = MappingProxyType(
    {
        "h_cell": Hardware(area=4.5e-4, catholyte=8e-6, headspace=4e-6, compensated=0.85),
        "gde": Hardware(area=1e-4, catholyte=20e-6, headspace=4e-6, compensated=0.85),
        "mea": Hardware(area=1e-4, catholyte=20e-6, headspace=4e-6, compensated=0.85),
    }
)
"""The virtual laboratory's cells; all numbers are simulator parameters."""


@dataclass(frozen=True)
class Course:
    """One run as it truly is.

    Attributes:
        kind: of cell.
        area: true area of the electrode, m2.
        time: nodes, s from the start of the electrolysis, [nodes].
        rates: of the products, mol m-2 s-1, [nodes, products].
        potential: iR-free, V vs RHE, [nodes].
        voltage: of the whole cell, V, [nodes].
        resistance: between working and reference electrode, ohm, [nodes].
        carbonate: CO2 that leaves the gas as carbonate, mol m-2 s-1, [nodes].
        pressure_drop: across the cell, Pa, [nodes].
        inlet: CO2 fed, mol s-1.
        kept: share of each liquid product that is still in the catholyte at the end, [liquids].
        ph: of the bulk electrolyte.
        temperature: K.
        temperature_set: K, as it should be.
        galvanostatic: whether the current is held.
    """

    kind: CellKind
    area: float
    time: Floats
    rates: Floats
    potential: Floats
    voltage: Floats
    resistance: Floats
    carbonate: Floats
    pressure_drop: Floats
    inlet: float
    kept: Floats
    ph: float
    temperature: float
    temperature_set: float
    galvanostatic: bool

    def at(self, values: Floats, times: Floats) -> Floats:
        """A node quantity [nodes, ...] at other times, linear between nodes and constant outside them."""
        if len(self.time) == 1:
            return np.broadcast_to(values[0], (len(times), *values.shape[1:])).copy()
        upper = np.clip(np.searchsorted(self.time, times), 1, len(self.time) - 1)
        lower = upper - 1
        share = np.clip((times - self.time[lower]) / (self.time[upper] - self.time[lower]), 0.0, 1.0)
        share = share.reshape(-1, *(1,) * (values.ndim - 1))
        mixed: Floats = (1.0 - share) * values[lower] + share * values[upper]
        return mixed

    def mean(self, values: Floats, start: float, end: float) -> Floats:
        """Time average of a node quantity between two times, exact for its linear pieces."""
        inner = self.time[(self.time > start) & (self.time < end)]
        times = np.concatenate([[start], inner, [end]])
        average: Floats = np.trapezoid(self.at(values, times), times, axis=0) / (end - start)
        return average

    @property
    def currents(self) -> Floats:
        """Partial currents as positive magnitudes, A, [nodes, products]."""
        return self.rates * (CHARGES * self.area)

    @property
    def current_density(self) -> Floats:
        """Of all products, mA cm-2, [nodes]."""
        density: Floats = (self.rates * CHARGES).sum(-1) / MA_PER_CM2
        return density

    @property
    def outlet(self) -> Floats:
        """Dry gas that leaves the cell, mol s-1, [nodes]."""
        consumed = self.rates @ CARBONS + self.carbonate
        made = self.rates @ IS_GAS.astype(float)
        flow: Floats = self.inlet + self.area * (made - consumed)
        return flow

    @property
    def gas_fractions(self) -> Floats:
        """Dry mole fractions of the gaseous products at the outlet, [nodes, gases]."""
        fractions: Floats = self.area * self.rates[:, IS_GAS] / self.outlet[:, None]
        return fractions

    @property
    def co2_fraction(self) -> Floats:
        """Dry mole fraction of CO2 at the outlet, [nodes]."""
        left: Floats = self.inlet - self.area * (self.rates @ CARBONS + self.carbonate)
        return left / self.outlet

    def liquids(self, seconds: float) -> Floats:
        """What the catholyte holds of the liquid products at the end of a run, mol, [liquids]."""
        made = self.area * seconds * self.mean(self.rates[:, ~IS_GAS], 0.0, seconds)
        return np.asarray(made * self.kept, dtype=float)

    def charge(self, seconds: float) -> float:
        """Passed until then, C, a positive magnitude."""
        return float(seconds * self.mean(self.currents.sum(-1), 0.0, seconds))
