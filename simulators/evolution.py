"""A run in time: sites are poisoned, restructured and leached, electrodes flood and salt up, the bulk changes.

Some histories are known beforehand (poisoning, restructuring, leaching). The others (flooding, salt, the alkalinity of
a batch catholyte, dissolved products) depend on what the cell does, which depends on them. The steady states of all
nodes in time are found in one batch for trial histories, the histories are integrated anew, and so on until they agree.
Between nodes what drives a history is taken at its mean, and the history follows in closed form, so that long steps are
stable. The cell itself is always in its steady state: its layers settle within seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from simulators._torch import double
from simulators.cell import Conditions, SteadyState, ideal_electrode, steady_state
from simulators.constants import FARADAY, GAS_CONSTANT, MA_PER_CM2, PRODUCTS, SIMULATED
from simulators.degradation import (
    BLOCKED,
    CLEAN_PRESSURE_DROP,
    LEACHING,
    LIQUIDS,
    RINSED,
    SALT_LIMITS,
    Degradation,
)
from simulators.elements import STEPS
from simulators.errors import ChemistryError, ConvergenceError
from simulators.film import electrolyte
from simulators.kinetics import Electrode
from simulators.materials import TYPICAL_MIXING, Elements, surface_sites
from simulators.worlds import World

Floats: TypeAlias = npt.NDArray[np.float64]

HOUR: Final = 3600.0
FLOODING_ONSET, FLOODING_SCALE, SALT_FLOODS = 0.8, 0.12, 4.0
"""V below RHE at which flooding has its nominal rate, V for an e-fold of it, and how much a salt crust adds."""

_POISONED: Final = np.array([step in {"co2_to_co", "co2_to_formate", "co_to_methane", "co_coupling"} for step in STEPS])
_WATER: Final = np.array([step == "water_to_h2" for step in STEPS])
_MORE_HYDROGEN: Final = 3.0
_IS_LIQUID: Final = np.array([key in LIQUIDS for key in SIMULATED])
_HYDROXIDES: Final = np.array([PRODUCTS[key].hydroxides for key in SIMULATED], dtype=float)
_LEAST_SALT: Final = 1.0
_ROUNDS: Final = 60
_AGREED: Final = 1e-7


@dataclass(frozen=True)
class Evolution:
    """A batch of runs; arrays are [nodes, experiments] where nothing else is said, amounts over the geometric area.

    Attributes:
        time: s, [nodes]. A time at which something is reset stands twice, before and after.
        rates: of the products, mol m-2 s-1, [nodes, experiments, products].
        potential: of the interface, V vs RHE at the bulk's pH then.
        applied: with the drop that is not compensated, on the same scale.
        voltage: of the whole cell, V.
        current: mA cm-2, a positive cathodic magnitude.
        resistance: of the cell times its area, ohm m2.
        absorbed: CO2 that becomes (bi)carbonate, mol m-2 s-1.
        surface_ph: at the cathode.
        flooded: share of the catalyst that gas does not reach.
        crust: share of the pores that salt closes.
        poisoned: share of the sites that impurities block.
        roughening: real area over that at the beginning.
        lost: share of each element that has left the surface, [nodes, experiments, elements].
        concentration: of the salt in the bulk, mol m-3.
        ph: of the bulk.
        pressure_drop: across the gas side, Pa.
        dissolved: liquid products in the catholyte, mol m-2, [nodes, experiments, liquids].
        stripped: those that left with the gas, likewise.
        crossed: those that went through the membrane, likewise.
        converged: whether each state is one.
    """

    time: Floats
    rates: Floats
    potential: Floats
    applied: Floats
    voltage: Floats
    current: Floats
    resistance: Floats
    absorbed: Floats
    surface_ph: Floats
    flooded: Floats
    crust: Floats
    poisoned: Floats
    roughening: Floats
    lost: Floats
    concentration: Floats
    ph: Floats
    pressure_drop: Floats
    dissolved: Floats
    stripped: Floats
    crossed: Floats
    converged: npt.NDArray[np.bool_]

    @property
    def blocked(self) -> npt.NDArray[np.bool_]:
        """Whether salt has closed a gas-diffusion electrode."""
        return self.crust > BLOCKED


def evolve(
    bulk: Tensor,
    elements: Elements,
    world: World,
    run: Conditions,
    electrode: Electrode | None = None,
    *,
    times: Sequence[float] | Floats,
    degradation: Degradation | None = None,
    mixing: Tensor | float = TYPICAL_MIXING,
    depth: float | None = None,
    strict: bool = True,
) -> Evolution:
    """Run a batch of experiments.

    Args:
        bulk: atomic fractions as made, [experiments, elements].
        elements: the elements of the last axis.
        world: alloy rules.
        run: conditions at the beginning. What is held is the current, or the potential on a scale that does not move
            with the bulk's pH.
        electrode: individuality at the beginning; ideal by default.
        times: nodes in s, from 0 on, increasing. Ten minutes are a good distance.
        degradation: constants of the ageing; usual ones by default.
        mixing: degree of mixing.
        depth: volume of a batch catholyte over the electrode's area, m; by default the electrolyte is always fresh.
        strict: whether a node without a steady state is an error; if not, ``converged`` tells.

    Raises:
        ChemistryError: the times are not increasing from 0.
        ConvergenceError: ``strict`` and a state has none, or the histories do not settle.
    """
    ageing = degradation or Degradation()
    model = _Model.of(bulk, elements, world, run, electrode, mixing, _grid(times, ageing), ageing, depth)
    history, state = model.start(), None
    for _ in range(_ROUNDS):
        state = model.cells(history, strict, state)
        after = model.integrated(history, state)
        change = max(float((np.abs(new - old) / (1.0 + old)).max()) for new, old in zip(after, history, strict=True))
        history = after
        if change < _AGREED:
            return model.result(history, state)
    raise ConvergenceError(
        "the histories of cell and ageing do not settle.", field="times", mend="Put the nodes closer together."
    )


def _grid(times: Sequence[float] | Floats, ageing: Degradation) -> Floats:
    grid = np.asarray(times, dtype=float)
    if grid.ndim != 1 or not len(grid) or grid[0] != 0.0 or not (np.diff(grid) > 0.0).all():
        raise ChemistryError(
            "the times of a run begin at 0 and increase.", field="times", mend="Give increasing seconds."
        )
    events = [time for time in {*ageing.rinses, *ageing.pulses} if 0.0 < time < grid[-1]]
    return np.sort(np.concatenate([np.union1d(grid, events), events]))


@dataclass(frozen=True)
class _Model:
    """A batch of runs on a grid of nodes; per-experiment numbers are [experiments].

    Attributes:
        run: conditions at the beginning, in arrays that :meth:`cells` repeats for every node.
        ph: of the bulk at the beginning.
        poisoned, roughening: [nodes, experiments].
        lost: [nodes, experiments, elements].
    """

    grid: Floats
    bulk: Tensor
    elements: Elements
    world: World
    run: Conditions
    electrode: Electrode
    mixing: Tensor
    ageing: Degradation
    depth: float | None
    ph: Floats
    poisoned: Floats
    roughening: Floats
    lost: Floats

    @classmethod
    def of(
        cls,
        bulk: Tensor,
        elements: Elements,
        world: World,
        run: Conditions,
        electrode: Electrode | None,
        mixing: Tensor | float,
        grid: Floats,
        ageing: Degradation,
        depth: float | None,
    ) -> _Model:
        """Everything that is known beforehand."""
        electrode = electrode or ideal_electrode(1)
        count = max(len(bulk), len(run.potential), len(electrode.roughness))

        def full(tensor: Tensor) -> Tensor:
            return tensor.detach().expand(count, *tensor.shape[1:])

        run = replace(run.each(full), bubbles=full(_column(ageing.bubbles)))
        hours = grid[:, None] / HOUR
        since = hours - _last(grid, ageing.pulses)[:, None] / HOUR
        dose = _numbers(ageing.impurity) * _numbers(ageing.poisoning)
        leaching = np.array([name in LEACHING for name in elements.names], dtype=float)
        gone = _numbers(ageing.open_leaching) * ageing.open_time + _numbers(ageing.leaching) * hours
        ones = np.ones((len(grid), count))
        return cls(
            grid=grid,
            bulk=full(bulk),
            elements=elements,
            world=world,
            run=run,
            electrode=electrode.each(full),
            mixing=full(_column(mixing)),
            ageing=ageing,
            depth=depth,
            ph=_bulk_ph(run),
            poisoned=-np.expm1(-dose * since) * ones,
            roughening=(1.0 - _numbers(ageing.growth) * np.expm1(-hours / ageing.growth_time)) * ones,
            lost=-np.expm1(-(gone * ones)[..., None] * leaching),
        )

    def start(self) -> tuple[Floats, Floats, Floats]:
        """Trial histories of flooding, salt and concentration: nothing happens."""
        columns = (self.run.flooded, self.run.crust, self.run.concentration)
        flooded, crust, salt = (np.tile(column.numpy(), (len(self.grid), 1)) for column in columns)
        return flooded, crust, salt

    def cells(self, history: tuple[Floats, ...], strict: bool, near: SteadyState | None) -> SteadyState:
        """Steady states of all nodes, [nodes times experiments] one node after the other."""
        nodes = len(self.grid)
        flooded, crust, salt = (double(part.reshape(-1)) for part in history)

        def repeated(tensor: Tensor) -> Tensor:
            return tensor.repeat(nodes, *(1,) * (tensor.dim() - 1))

        run = replace(self.run.each(repeated), flooded=flooded, crust=crust, concentration=salt)
        # a reference electrode stays where it is while the reversible hydrogen scale moves with the bulk
        moved = (double(_bulk_ph(run)) - repeated(double(self.ph))) * run.temperature
        run = replace(run, potential=run.potential + moved * (GAS_CONSTANT * np.log(10.0) / FARADAY))
        worn = self.poisoned.reshape(-1, 1)
        factors = np.where(_POISONED, 1.0 - worn, np.where(_WATER, 1.0 + _MORE_HYDROGEN * worn, 1.0))
        electrode = self.electrode.each(repeated)
        electrode = replace(
            electrode,
            roughness=electrode.roughness * double(self.roughening.reshape(-1)),
            factors=electrode.factors * double(factors),
        )
        lost = double(self.lost.reshape(len(worn), -1))
        sites = surface_sites(repeated(self.bulk), self.elements, self.world, repeated(self.mixing), lost=lost)
        with torch.no_grad():
            return steady_state(sites, run, electrode, strict=strict, start=near)

    def integrated(self, history: tuple[Floats, ...], state: SteadyState) -> tuple[Floats, Floats, Floats]:
        """Histories of flooding, salt and concentration that follow from the states of the cells."""
        flooded, crust, salt = history
        if self.run.cell != "h_cell":
            fill = _numbers(self.ageing.salting) * self._supersaturation(state)
            crust = self._relaxed(crust[0], fill, fill + _numbers(self.ageing.rinsing), resets=True)
            strain = np.exp((-self._nodes(state.potential) - FLOODING_ONSET) / FLOODING_SCALE)
            wetting = _numbers(self.ageing.flooding) * strain * (1.0 + SALT_FLOODS * crust)
            flooded = self._relaxed(flooded[0], wetting, wetting)
        if self.depth is not None:
            rise = self._alkalinity(state) * (HOUR / self.depth)
            salt = np.maximum(self._relaxed(salt[0], rise, 0.0 * rise), _LEAST_SALT)
        return flooded, crust, salt

    def result(self, history: tuple[Floats, ...], state: SteadyState) -> Evolution:
        """The settled runs."""
        flooded, crust, salt = history
        rates = self._nodes(state.rates)
        gas = self.run.cell != "h_cell"
        made = rates[..., _IS_LIQUID] * HOUR
        ageing = self.ageing
        stripping, crossover = (
            np.array([losses.get(key, 0.0) for key in LIQUIDS]) for losses in (ageing.stripping, ageing.crossover)
        )
        losing = stripping + crossover
        dissolved = self._relaxed(0.0 * made[0], made, np.broadcast_to(losing, made.shape))
        total = self._relaxed(0.0 * made[0], made, np.zeros_like(made))
        gone = (total - dissolved) / np.where(losing > 0.0, losing, 1.0)
        nodes = {
            name: self._nodes(getattr(state, name))
            for name in ("potential", "applied", "voltage", "current", "resistance", "absorbed", "converged")
        }
        return Evolution(
            time=self.grid,
            rates=rates,
            surface_ph=self._nodes(state.ph),
            flooded=flooded,
            crust=crust,
            poisoned=self.poisoned,
            roughening=self.roughening,
            lost=self.lost,
            concentration=salt,
            ph=self._nodes(state.solution.ph),
            pressure_drop=CLEAN_PRESSURE_DROP * (1.0 - crust) ** -3.0 if gas else 0.0 * crust,
            dissolved=dissolved,
            stripped=gone * stripping,
            crossed=gone * crossover,
            **nodes,
        )

    def _nodes(self, tensor: Tensor) -> Any:
        """[nodes times experiments, ...] as an array [nodes, experiments, ...]."""
        return tensor.numpy().reshape(len(self.grid), -1, *tensor.shape[1:])

    def _supersaturation(self, state: SteadyState) -> Floats:
        """How far carbonate at the catalyst is beyond the limit of its salt, [nodes, experiments]; 0 below it."""
        solution, run = state.solution, state.run
        oh = 1e3 * 10.0 ** (state.ph - solution.pkw)
        spread = solution.d_co3 + solution.d_hco3 / (solution.carbonate * oh)
        carbonate = (solution.carbonates + state.absorbed * run.thickness) / spread
        limit = self.ageing.salt_limit
        product = self._nodes(run.concentration * carbonate) / 1e6
        beyond: Floats = product / (SALT_LIMITS[run.cell] if limit is None else _numbers(limit)) - 1.0
        return np.maximum(beyond, 0.0)

    def _alkalinity(self, state: SteadyState) -> Floats:
        """What a batch catholyte gains of its salt, mol m-2 s-1, [nodes, experiments]."""
        released = self._nodes(state.rates) @ _HYDROXIDES
        taken = _numbers(self.ageing.carried) * self._nodes(state.current) * (MA_PER_CM2 / FARADAY)
        neutralised = 2.0 * self._nodes(state.absorbed * state.run.hydroxide)
        gain: Floats = released - taken - neutralised
        return gain

    def _relaxed(self, first: Floats, gain: Floats, loss: Floats, *, resets: bool = False) -> Floats:
        """The solution of ``dy/dt = gain - loss y`` on the grid, with both (h-1) at their mean between nodes.

        Args:
            first: y at the beginning, [...].
            gain: [nodes, ...].
            loss: [nodes, ...].
            resets: whether rinses bring it down.
        """
        values = np.empty_like(gain)
        values[0] = first
        rinsed = set(self.ageing.rinses) if resets else set()
        for node in range(1, len(self.grid)):
            hours = (self.grid[node] - self.grid[node - 1]) / HOUR
            if hours == 0.0:
                after = np.minimum(values[node - 1], RINSED) if self.grid[node] in rinsed else values[node - 1]
                values[node] = after
                continue
            decay = 0.5 * hours * (loss[node] + loss[node - 1])
            grown = 0.5 * hours * (gain[node] + gain[node - 1])
            small = decay < 1e-12
            weight = np.where(small, 1.0, -np.expm1(-decay) / np.where(small, 1.0, decay))
            values[node] = values[node - 1] * np.exp(-decay) + grown * weight
        return values


def _bulk_ph(run: Conditions) -> Floats:
    columns = (run.temperature, run.concentration, run.salting_out, run.pressure, run.hydroxide)
    ph: Floats = electrolyte(*(column.numpy() for column in columns)).ph
    return ph


def _last(grid: Floats, events: tuple[float, ...]) -> Floats:
    """The time of the last event at each node (s), 0 before the first one; the second of two equal nodes is after."""
    last = np.zeros_like(grid)
    for event in sorted(events):
        after = grid > event
        after[1:] |= (grid[1:] == event) & (grid[:-1] == event)
        last[after] = event
    return last


def _numbers(parameter: Any) -> Any:
    return parameter.numpy() if isinstance(parameter, Tensor) else np.asarray(parameter, dtype=float)


def _column(parameter: Any) -> Tensor:
    return double(parameter).reshape(-1)
