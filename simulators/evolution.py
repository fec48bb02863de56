"""A run in time: sites are poisoned, restructured and leached, electrodes flood and salt up, the bulk changes.

The cell is always in its steady state, for its layers settle within seconds. The states of all nodes in time are found
in one batch for trial histories, the histories are integrated anew, and so on until they agree; between nodes what
drives a history is taken at its mean, and the history follows in closed form. Runs whose histories do not settle (salt
that chokes the cell that makes it) are marched instead, with steps in which little changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from torch import Tensor

from simulators.ageing import CRUST, FLOODED, HOUR, SALT, Ageing, Wear, advanced
from simulators.cell import Conditions, SteadyState
from simulators.constants import SIMULATED
from simulators.degradation import BLOCKED, CLEAN_PRESSURE_DROP, LIQUIDS, RINSED, Degradation
from simulators.errors import ChemistryError, ConvergenceError
from simulators.kinetics import Electrode
from simulators.materials import TYPICAL_MIXING, Elements
from simulators.worlds import World

Floats: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]

_IS_LIQUID: Final = np.array([key in LIQUIDS for key in SIMULATED])
_ROUNDS: Final = 12
_AGREED: Final = 1e-6
_LONGEST_LEAP: Final = 0.2
_MOST_CHANGE, _MOST_STEPS = 0.05, 5000


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
    ageing = Ageing.of(bulk, elements, world, run, electrode, mixing, degradation or Degradation(), depth)
    grid = _grid(times, ageing.constants)
    runs = _Runs(ageing, grid, _last(grid, ageing.constants.pulses), strict)
    driven, state, unsettled = runs.settled()
    if unsettled.any():
        driven[:, :, unsettled] = runs.marched(np.flatnonzero(unsettled))
        state = runs.states(driven, state)
    return runs.result(driven, state)


def _grid(times: Sequence[float] | Floats, constants: Degradation) -> Floats:
    grid = np.asarray(times, dtype=float)
    if grid.ndim != 1 or not len(grid) or grid[0] != 0.0 or not (np.diff(grid) > 0.0).all():
        raise ChemistryError(
            "the times of a run begin at 0 and increase.", field="times", mend="Give increasing seconds."
        )
    events = [time for time in {*constants.rinses, *constants.pulses} if 0.0 < time < grid[-1]]
    return np.sort(np.concatenate([np.union1d(grid, events), events]))


def _last(grid: Floats, events: tuple[float, ...]) -> Floats:
    """The time of the last event at each node (s), 0 before the first one; the second of two equal nodes is after."""
    last = np.zeros_like(grid)
    for event in sorted(events):
        after = grid > event
        after[1:] |= (grid[1:] == event) & (grid[:-1] == event)
        last[after] = event
    return last


@dataclass(frozen=True)
class _Runs:
    """Runs of a batch on a grid of nodes.

    Attributes:
        ageing: their equations.
        grid: nodes, s.
        cleaned: time of the last anodic pulse at each node, s.
        strict: whether a node without a steady state is an error.
    """

    ageing: Ageing
    grid: Floats
    cleaned: Floats
    strict: bool

    @property
    def count(self) -> int:
        return len(self.ageing.bulk)

    def wear(self) -> Wear:
        """What time alone does at all nodes, node by node."""
        hours, since = (np.repeat(column / HOUR, self.count) for column in (self.grid, self.grid - self.cleaned))
        return self.ageing.wear(self._rows(), hours, since)

    def states(self, driven: Floats, near: SteadyState | None) -> SteadyState:
        """Steady states at all nodes, node by node, for histories [3, nodes, experiments]."""
        return self.ageing.cells(self._rows(), self.wear(), driven.reshape(3, -1), self.strict, near)

    def settled(self) -> tuple[Floats, SteadyState, Mask]:
        """Histories that agree with the cells that they drive, those cells, and which runs have not settled.

        A run that leaps from node to node has not settled either: its histories bend between the nodes.
        """
        driven = np.tile(self.ageing.beginning[:, None], (1, len(self.grid), 1))
        unsettled = np.ones(self.count, dtype=np.bool_)
        state = self.states(driven, None)
        if not self.ageing.feeds_back:
            return driven, state, ~unsettled
        for _ in range(_ROUNDS):
            after = self._integrated(driven, state)
            change = np.abs(after - driven).max(axis=(0, 1))
            driven = np.where(unsettled, after, driven)
            unsettled &= change > _AGREED
            if not unsettled.any():
                break
            state = self.states(driven, state)
        long = np.diff(self.grid) > 0.0
        leaps = np.abs(np.diff(driven, axis=1))[:, long] / np.maximum(driven[:, 1:][:, long], 1.0)
        return driven, state, unsettled | (leaps > _LONGEST_LEAP).any(axis=(0, 1))

    def _integrated(self, driven: Floats, state: SteadyState) -> Floats:
        """Histories that follow from the cells at all nodes."""
        gain, loss = (
            part.reshape(driven.shape) for part in self.ageing.drives(self._rows(), state, driven.reshape(3, -1))
        )
        after = driven.copy()
        for node in range(1, len(self.grid)):
            hours = (self.grid[node] - self.grid[node - 1]) / HOUR
            mean_gain, mean_loss = (0.5 * (part[:, node] + part[:, node - 1]) for part in (gain, loss))
            after[:, node] = self._reset(node, advanced(after[:, node - 1], mean_gain, mean_loss, hours))
        return after

    def marched(self, runs: npt.NDArray[np.int64]) -> Floats:
        """Histories [3, nodes, runs] of some runs, each by steps of its own in which little changes."""
        driven = self.ageing.beginning[:, runs]
        history = [driven]
        for node in range(1, len(self.grid)):
            driven = self._reset(node, self._across(node, runs, driven))
            history.append(driven)
        return np.stack(history, axis=1)

    def _across(self, node: int, runs: npt.NDArray[np.int64], driven: Floats) -> Floats:
        """From the node before to a node: Heun's method, with gain and loss for rates."""
        driven, end = driven.copy(), self.grid[node] / HOUR
        cleaned = self.cleaned[node - 1] / HOUR
        now = np.full(len(runs), self.grid[node - 1] / HOUR)
        going = np.flatnonzero(now < end)

        near: SteadyState | None = None

        def rates(rows: npt.NDArray[np.int64], hours: Floats, trial: Floats) -> tuple[Floats, Floats]:
            nonlocal near
            experiments = runs[rows]
            wear = self.ageing.wear(experiments, hours, hours - cleaned)
            near = self.ageing.cells(experiments, wear, trial, self.strict, near)
            return self.ageing.drives(experiments, near, trial)

        for _ in range(_MOST_STEPS):
            if not len(going):
                return driven
            start = driven[:, going]
            gain, loss = rates(going, now[going], start)
            speed = (np.abs(gain - loss * start) / np.maximum(start, 1.0)).max(axis=0)
            step = np.minimum(end - now[going], _MOST_CHANGE / np.maximum(speed, 1e-12))
            trial = advanced(start, gain, loss, step)
            gain_after, loss_after = rates(going, now[going] + step, trial)
            driven[:, going] = advanced(start, 0.5 * (gain + gain_after), 0.5 * (loss + loss_after), step)
            now[going] = np.where(step < end - now[going], now[going] + step, end)
            going = np.flatnonzero(now < end)
        raise ConvergenceError(
            "what the cell does changes too fast to be followed.", field="times", mend="Use gentler conditions."
        )

    def _reset(self, node: int, driven: Floats) -> Floats:
        """What is left after the rinse at a node, if there is one: at the second of two equal times."""
        if self.grid[node] == self.grid[node - 1] and self.grid[node] in self.ageing.constants.rinses:
            driven = driven.copy()
            driven[CRUST] = np.minimum(driven[CRUST], RINSED)
        return driven

    def result(self, driven: Floats, state: SteadyState) -> Evolution:
        """The runs as they went."""
        crust = driven[CRUST]
        gas = self.ageing.run.cell != "h_cell"
        wear, shape = self.wear(), crust.shape
        rates = self._nodes(state.rates)
        names = ("potential", "applied", "voltage", "current", "resistance", "absorbed", "converged")
        nodes: dict[str, Any] = {name: self._nodes(getattr(state, name)) for name in names}
        return Evolution(
            time=self.grid,
            rates=rates,
            surface_ph=self._nodes(state.ph),
            flooded=driven[FLOODED],
            crust=crust,
            poisoned=wear.poisoned.reshape(shape),
            roughening=wear.roughening.reshape(shape),
            lost=wear.lost.reshape(*shape, -1),
            concentration=driven[SALT] * self.ageing.run.concentration.numpy(),
            ph=self._nodes(state.solution.ph),
            pressure_drop=CLEAN_PRESSURE_DROP * (1.0 - crust) ** -3.0 if gas else 0.0 * crust,
            **self._liquids(rates),
            **nodes,
        )

    def _liquids(self, rates: Floats) -> dict[str, Any]:
        """What becomes of dissolved products, mol m-2, [nodes, experiments, liquids] each."""
        made = rates[..., _IS_LIQUID] * HOUR
        stripping, crossover = (
            _by_liquid(losses) for losses in (self.ageing.constants.stripping, self.ageing.constants.crossover)
        )
        losing = stripping + crossover
        dissolved, total = np.zeros_like(made), np.zeros_like(made)
        for node in range(1, len(self.grid)):
            hours = (self.grid[node] - self.grid[node - 1]) / HOUR
            grown = 0.5 * (made[node] + made[node - 1])
            total[node] = total[node - 1] + hours * grown
            weight = np.where(losing > 0.0, -np.expm1(-losing * hours) / np.where(losing > 0.0, losing, 1.0), hours)
            dissolved[node] = dissolved[node - 1] * np.exp(-losing * hours) + grown * weight
        gone = (total - dissolved) / np.where(losing > 0.0, losing, 1.0)
        return {"dissolved": dissolved, "stripped": gone * stripping, "crossed": gone * crossover}

    def _rows(self) -> npt.NDArray[np.int64]:
        """The experiment of each row, node by node."""
        return np.tile(np.arange(self.count), len(self.grid))

    def _nodes(self, tensor: Tensor) -> Any:
        """What has one entry a row as an array [nodes, experiments, ...]."""
        return tensor.numpy().reshape(len(self.grid), -1, *tensor.shape[1:])


def _by_liquid(losses: Mapping[str, float]) -> Floats:
    return np.array([losses.get(key, 0.0) for key in LIQUIDS])
