"""Experiments as tensors: the way from points of a search space to figures of merit."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from simulators._torch import double, one_thread
from simulators.cell import Conditions, SteadyState, conditions, ideal_electrode, steady_state
from simulators.constants import FARADAY, MA_PER_CM2, PRODUCTS, SCCM, SIMULATED
from simulators.control import OXYGEN
from simulators.kinetics import Electrode
from simulators.materials import TYPICAL_MIXING, Elements, surface_sites
from simulators.settings import CATION, CURRENT, ELECTROLYTE, POTENTIAL, CellKind, Layout, Points
from simulators.worlds import World

if TYPE_CHECKING:
    from simulators.chemistries import Chemistry

Floats: TypeAlias = npt.NDArray[np.float64]

CHUNK: Final = 4096
"""Experiments solved at a time: as many as fit the processor's caches."""

SQUARE_CENTIMETRE: Final = 1e-4
"""m2; gas flows are given over so much electrode."""

H_CELL_FEED: Final = 20 * SCCM / 4.5e-4
"""CO2 that bubbles through an H-cell, mol s-1 over each m2 of electrode."""

CHARGES: Final = np.array([PRODUCTS[key].electrons * FARADAY for key in SIMULATED])
CARBONS: Final = np.array([PRODUCTS[key].carbons for key in SIMULATED], dtype=float)
IN_C2PLUS: Final = (CARBONS > 1).astype(float)
"""One for products with two or more carbon atoms, in the order of all rate tensors."""


@dataclass(frozen=True)
class Solved:
    """What truly happens in each experiment of a batch.

    Attributes:
        rates: of the products, mol m-2 s-1, [experiments, products].
        potential: of the interface, V vs RHE, [experiments].
        voltage: of the whole cell, V, [experiments].
        absorbed: CO2 that becomes carbonate, mol m-2 s-1, [experiments].
        inlet: CO2 fed, mol m-2 s-1, [experiments].
        resistance: of the cell times its area, ohm m2, [experiments].
        ph: of the bulk electrolyte, [experiments].
    """

    rates: Floats
    potential: Floats
    voltage: Floats
    absorbed: Floats
    inlet: Floats
    resistance: Floats
    ph: Floats

    @classmethod
    def of(cls, state: SteadyState) -> Solved:
        """A steady state as plain arrays."""
        tensors = (
            state.rates,
            state.potential,
            state.voltage,
            state.absorbed,
            state.run.inlet,
            state.run.resistance,
            state.solution.ph,
        )
        solved = cls(*(tensor.numpy() for tensor in tensors))
        # the electrolyte of an H-cell stays saturated: what hydroxide takes up there leaves as CO2 again
        return replace(solved, absorbed=0.0 * solved.absorbed) if state.run.cell == "h_cell" else solved

    def weighted(self, weights: Floats, rows: npt.NDArray[np.int64]) -> Solved:
        """Weighted sums over the entries that belong to one row each; rows are sorted and none is left out."""
        starts = np.flatnonzero(np.diff(rows, prepend=-1))

        def summed(values: Floats) -> Floats:
            shaped = weights.reshape(-1, *(1,) * (values.ndim - 1))
            return np.asarray(np.add.reduceat(shaped * values, starts, axis=0))

        return Solved(*(summed(getattr(self, field.name)) for field in fields(self)))


@dataclass(frozen=True)
class Batch:
    """A batch of experiments in one world.

    Attributes:
        world: constants.
        elements: of the composition's last axis.
        fractions: bulk atomic fractions [experiments, elements].
        run: conditions.
        mixing: degree of mixing of each electrode [experiments].
        electrode: individuality of each electrode.
        separate: whether the metals are particles of their own, which share nothing but the film.
    """

    world: World
    elements: Elements
    fractions: Tensor
    run: Conditions
    mixing: Tensor
    electrode: Electrode
    separate: bool = False

    def steady_state(self) -> SteadyState:
        """The state of a world in which metals feel one another.

        Raises:
            ConvergenceError: an experiment has no steady state within tolerance.
        """
        return steady_state(
            surface_sites(self.fractions, self.elements, self.world, self.mixing), self.run, self.electrode
        )

    def solve(self) -> Solved:
        """What happens in the long run.

        In a world of patches each metal has a cell of its own, at the same potential or the same current density, and
        the electrode shows their mean.

        Raises:
            ConvergenceError: an experiment has no steady state within tolerance.
        """
        if not self.world.patches:
            return Solved.of(self.steady_state())
        row, metal = (self.fractions > 0.0).nonzero(as_tuple=True)
        pure = torch.eye(self.fractions.shape[-1], dtype=self.fractions.dtype)[metal]

        def repeated(column: Tensor) -> Tensor:
            return column[row]

        sites = surface_sites(pure, self.elements, self.world)
        state = steady_state(sites, self.run.each(repeated), self.electrode.each(repeated))
        return Solved.of(state).weighted(self.fractions[row, metal].numpy(), row.numpy())


def average_batch(chemistry: Chemistry, elements: Elements, layout: Layout, points: Points) -> Batch:
    """Average electrodes at points that were checked."""
    kind: CellKind = chemistry.definition.cell
    fractions = double(layout.compositions(points))
    held: dict[str, Any] = {"current": layout.numbers(points, CURRENT)} if layout.galvanostatic else {}
    flow = H_CELL_FEED if kind == "h_cell" else layout.numbers(points, "gas_flow") * (SCCM / SQUARE_CENTIMETRE)
    run = conditions(
        None if held else layout.numbers(points, POTENTIAL),
        cell=kind,
        temperature=layout.numbers(points, "temperature"),
        concentration=1e3 * layout.numbers(points, "concentration"),
        cation=layout.labels(points, CATION),
        salt=layout.labels(points, ELECTROLYTE),  # type: ignore[arg-type]
        thickness=1e-6 * layout.numbers(points, "boundary_layer"),
        pressure=layout.numbers(points, "co2_pressure"),
        inlet=flow,
        **held,
    )
    ideal = ideal_electrode(len(fractions))
    mixing = 0.0 if chemistry.definition.separate else TYPICAL_MIXING
    return Batch(
        world=chemistry.world,
        elements=elements,
        fractions=fractions,
        run=run,
        mixing=torch.full((len(fractions),), mixing, dtype=fractions.dtype),
        electrode=ideal,
        separate=chemistry.definition.separate,
    )


def figures(partials: Floats, conditions: Circumstances) -> Floats:
    """True figures of merit in the order of ``chemistries.FIGURES``, [..., figures].

    Args:
        partials: partial current densities, mA cm-2, [..., products].
        conditions: beside them.
    """
    total = partials.sum(-1)[..., None]
    potential, voltage, inlet, absorbed = (
        np.asarray(each)[..., None]
        for each in (conditions.potential, conditions.voltage, conditions.inlet, conditions.absorbed)
    )
    efficiencies = partials / total
    energy = efficiencies * (OXYGEN - equilibrium_potentials(conditions.ph)) / voltage
    converted = partials * (MA_PER_CM2 / CHARGES) * CARBONS / inlet
    parts = [
        efficiencies,
        (efficiencies * IN_C2PLUS).sum(-1, keepdims=True),
        efficiencies.sum(-1, keepdims=True),
        total,
        partials,
        (partials * IN_C2PLUS).sum(-1, keepdims=True),
        potential,
        voltage,
        energy,
        (energy * IN_C2PLUS).sum(-1, keepdims=True),
        converted.sum(-1, keepdims=True),
        absorbed / inlet,
    ]
    return np.concatenate(parts, axis=-1)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What figures of merit need beside the partial currents; each [...].

    Attributes:
        potential: V vs RHE.
        voltage: of the cell, V.
        inlet: CO2 fed, mol m-2 s-1.
        absorbed: CO2 that becomes carbonate, mol m-2 s-1.
        ph: of the bulk electrolyte.
    """

    potential: Floats | float
    voltage: Floats | float
    inlet: Floats | float
    absorbed: Floats | float
    ph: Floats | float


def equilibrium_potentials(ph: Floats | float) -> Floats:
    """Of the products at a bulk pH, V vs RHE, [..., products]."""
    potentials: Floats = _AT_PH_0 + _PER_PH * np.asarray(ph)[..., None]
    return potentials


_AT_PH_0: Final = np.array([PRODUCTS[key].potential for key in SIMULATED])
_PER_PH: Final = np.array([PRODUCTS[key].potential_slope for key in SIMULATED])


def truth(chemistry: Chemistry, layout: Layout, points: Points) -> Floats:
    """Noise-free figures of merit [experiments, figures] at one or more points that were checked."""
    count = len(next(iter(points.values())))
    elements = chemistry.elements(layout.elements)
    parts = []
    with one_thread(), torch.no_grad():
        for start in range(0, count, CHUNK):
            part = {name: values[start : start + CHUNK] for name, values in points.items()}
            solved = average_batch(chemistry, elements, layout, part).solve()
            partials = solved.rates * (CHARGES / MA_PER_CM2)
            beside = Circumstances(solved.potential, solved.voltage, solved.inlet, solved.absorbed, solved.ph)
            parts.append(figures(partials, beside))
    return np.concatenate(parts)
