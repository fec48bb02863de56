"""The equations of ageing: what time alone does to an electrode, and what the working cell does to itself.

Poisoning, restructuring and leaching are known beforehand. Flooding, salt and the alkalinity of a batch catholyte are
driven by the cell: each follows ``dy/dt = gain - loss y``, with gain and loss (h-1) that depend on the cell's state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from simulators._torch import double
from simulators.cell import Conditions, SteadyState, ideal_electrode, steady_state
from simulators.constants import FARADAY, GAS_CONSTANT, MA_PER_CM2, PRODUCTS, SIMULATED
from simulators.degradation import LEACHING, SALT_LIMITS, Degradation
from simulators.elements import STEPS
from simulators.film import electrolyte
from simulators.kinetics import Electrode
from simulators.materials import Elements, surface_sites
from simulators.worlds import World

Floats: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.int64]

HOUR: Final = 3600.0
FLOODED, CRUST, SALT = 0, 1, 2
"""Positions on the first axis of what the cell drives: two shares, and the bulk's salt over that at the beginning."""

FLOODING_ONSET, FLOODING_SCALE, SALT_FLOODS = 0.8, 0.12, 4.0
"""V below RHE at which flooding has its nominal rate, V for an e-fold of it, and how much a salt crust adds."""

_HIGHEST: Final = np.array([1.0, 0.999, np.inf])[:, None]
_LOWEST: Final = np.array([0.0, 0.0, 1e-3])[:, None]
_POISONED: Final = np.array([step in {"co2_to_co", "co2_to_formate", "co_to_methane", "co_coupling"} for step in STEPS])
_WATER: Final = np.array([step == "water_to_h2" for step in STEPS])
_MORE_HYDROGEN: Final = 3.0
_HYDROXIDES: Final = np.array([PRODUCTS[key].hydroxides for key in SIMULATED], dtype=float)


@dataclass(frozen=True)
class Wear:
    """What time alone does, one entry a row.

    Attributes:
        poisoned: share of the sites that impurities block.
        roughening: real area over that at the beginning.
        lost: share of each element that has left the surface, [rows, elements].
    """

    poisoned: Floats
    roughening: Floats
    lost: Floats


@dataclass(frozen=True)
class Ageing:
    """A batch of ageing cells; every array and tensor has one entry an experiment.

    A *row* is an experiment at some time; an experiment may have many.

    Attributes:
        bulk: atomic fractions as made, [experiments, elements].
        elements: the elements of the last axis.
        world: alloy rules.
        run: conditions at the beginning.
        electrode: individuality at the beginning.
        mixing: degree of mixing.
        constants: of the ageing.
        depth: volume of a batch catholyte over the electrode's area, m; ``None`` if it is always fresh.
        ph: of the bulk at the beginning.
    """

    bulk: Tensor
    elements: Elements
    world: World
    run: Conditions
    electrode: Electrode
    mixing: Tensor
    constants: Degradation
    depth: float | None
    ph: Floats

    @classmethod
    def of(
        cls,
        bulk: Tensor,
        elements: Elements,
        world: World,
        run: Conditions,
        electrode: Electrode | None,
        mixing: Tensor | float,
        constants: Degradation,
        depth: float | None,
    ) -> Ageing:
        """A batch from inputs of which each has one entry, or one an experiment."""
        electrode = electrode or ideal_electrode(1)
        count = max(len(bulk), len(run.potential), len(electrode.roughness))

        def full(tensor: Tensor) -> Tensor:
            return tensor.detach().expand(count, *tensor.shape[1:])

        run = replace(run.each(full), bubbles=full(double(constants.bubbles).reshape(-1)))
        mixed = full(double(mixing).reshape(-1))
        ph = bulk_ph(run)
        return cls(full(bulk), elements, world, run, electrode.each(full), mixed, constants.spread(count), depth, ph)

    @property
    def beginning(self) -> Floats:
        """What the cell drives, at the beginning, [3, experiments]."""
        flooded, crust = self.run.flooded.numpy(), self.run.crust.numpy()
        return np.array([flooded, crust, np.ones_like(crust)])

    @property
    def feeds_back(self) -> bool:
        """Whether what the cell drives acts on the cell."""
        return self.run.cell != "h_cell" or self.depth is not None

    def wear(self, rows: Rows, hours: Floats, since: Floats) -> Wear:
        """What time has done.

        Args:
            rows: experiment of each row.
            hours: of electrolysis.
            since: hours since the last cleaning.
        """
        by = self.constants.numbers(rows)
        leaches = np.array([name in LEACHING for name in self.elements.names], dtype=float)
        gone = by("open_leaching") * self.constants.open_time + by("leaching") * hours
        return Wear(
            poisoned=-np.expm1(-by("impurity") * by("poisoning") * since),
            roughening=1.0 - by("growth") * np.expm1(-hours / self.constants.growth_time),
            lost=-np.expm1(-gone[:, None] * leaches),
        )

    def cells(self, rows: Rows, wear: Wear, driven: Floats, strict: bool, near: SteadyState | None) -> SteadyState:
        """Steady states of aged cells.

        Args:
            rows: experiment of each row.
            wear: what time has done to each.
            driven: what the cells have done to themselves, [3, rows].
            strict: whether a row without a steady state is an error.
            near: states of as many rows near by, if there are any.
        """
        index = torch.from_numpy(rows)

        def taken(tensor: Tensor) -> Tensor:
            return tensor[index]

        run = self.run.each(taken)
        run = replace(
            run,
            flooded=double(driven[FLOODED]),
            crust=double(driven[CRUST]),
            concentration=run.concentration * double(driven[SALT]),
        )
        if self.depth is not None:
            # a reference electrode stays where it is while the reversible hydrogen scale moves with the bulk
            moved = double(bulk_ph(run) - self.ph[rows]) * run.temperature
            run = replace(run, potential=run.potential + moved * (GAS_CONSTANT * np.log(10.0) / FARADAY))
        worn = wear.poisoned[:, None]
        factors = np.where(_POISONED, 1.0 - worn, np.where(_WATER, 1.0 + _MORE_HYDROGEN * worn, 1.0))
        electrode = self.electrode.each(taken)
        electrode = replace(
            electrode,
            roughness=electrode.roughness * double(wear.roughening),
            factors=electrode.factors * double(factors),
        )
        mixing, lost = taken(self.mixing), double(wear.lost)
        sites = surface_sites(taken(self.bulk), self.elements, self.world, mixing, lost=lost)
        with torch.no_grad():
            return steady_state(sites, run, electrode, strict=strict, start=near)

    def drives(self, rows: Rows, state: SteadyState, driven: Floats) -> tuple[Floats, Floats]:
        """Gain and loss (h-1) of what the cell drives, each [3, rows].

        Args:
            rows: experiment of each row.
            state: of their cells.
            driven: what led to it, [3, rows].
        """
        by = self.constants.numbers(rows)
        gain, loss = np.zeros_like(driven), np.zeros_like(driven)
        if self.run.cell != "h_cell":
            limit = SALT_LIMITS[self.run.cell] if self.constants.salt_limit is None else by("salt_limit")
            fill = by("salting") * np.maximum(_carbonate_product(state) / limit - 1.0, 0.0)
            strain = np.exp((-state.potential.numpy() - FLOODING_ONSET) / FLOODING_SCALE)
            wetting = by("flooding") * strain * (1.0 + SALT_FLOODS * driven[CRUST])
            gain[FLOODED], loss[FLOODED] = wetting, wetting
            gain[CRUST], loss[CRUST] = fill, fill + by("rinsing")
        if self.depth is not None:
            released = state.rates.numpy() @ _HYDROXIDES
            taken = by("carried") * state.current.numpy() * (MA_PER_CM2 / FARADAY)
            neutralised = 2.0 * (state.absorbed * state.run.hydroxide).numpy()
            per_salt = HOUR / (self.depth * self.run.concentration.numpy()[rows])
            gain[SALT] = (released - taken - neutralised) * per_salt
        return gain, loss


def advanced(driven: Floats, gain: Floats, loss: Floats, hours: Floats | float) -> Floats:
    """The solution of ``dy/dt = gain - loss y`` after some hours with constant gain and loss, [3, ...]."""
    decay = loss * hours
    small = decay < 1e-12
    weight = np.where(small, 1.0, -np.expm1(-decay) / np.where(small, 1.0, decay))
    after = driven * np.exp(-decay) + gain * hours * weight
    return np.clip(after, _LOWEST, _HIGHEST)


def bulk_ph(run: Conditions) -> Floats:
    """The pH of the bulk, [experiments]."""
    columns = (run.temperature, run.concentration, run.salting_out, run.pressure, run.hydroxide)
    ph: Floats = electrolyte(*(column.numpy() for column in columns)).ph
    return ph


def _carbonate_product(state: SteadyState) -> Floats:
    """Cations of the electrolyte times carbonate at the catalyst, mol2 L-2, [rows]."""
    solution, run = state.solution, state.run
    oh = 1e3 * 10.0 ** (state.ph - solution.pkw)
    spread = solution.d_co3 + solution.d_hco3 / (solution.carbonate * oh)
    carbonate = (solution.carbonates + state.absorbed * run.thickness) / spread
    product: Floats = (run.concentration * carbonate).numpy() / 1e6
    return product
