"""The equations of a batch of cells as fixed points, and how they are solved.

The unknowns [4 or 5, ..., experiments] are natural logarithms: hydroxide, CO2 (mol m-3), shared coupling (square root
of mol m-2 s-1) and CO (mol m-3) at the surface. Where the potential of the interface is unknown too it is the fifth,
as ``-TAFEL * potential``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Final

import numpy as np

from simulators._arrays import Array, functions
from simulators.constants import FARADAY
from simulators.control import HIGHEST, LOWEST, TAFEL, Galvanostat, Potentiostat
from simulators.film import Electrolyte, Exchange, Film
from simulators.gas_diffusion import GasElectrode
from simulators.kinetics import RateConstants, SiteConstants, Surface, Turnover, turnover
from simulators.solver import Floats, Mask, newton, relax


class Status(IntEnum):
    """How the search for a steady state ended."""

    CONVERGED = 0
    NOT_CONVERGED = 1
    OUT_OF_REACH = 2


_SWEEPS, _NEWTON, _NEAR = 4, 40, 8
_RELAXATION: Final = 0.8
_RESCUES: Final = ((300, 0.15), (2000, 0.03))
"""Sweeps and relaxation for the few rows (thick films of hot, pressurised electrolyte) that swing to and fro."""

_SMALLEST: Final = 1e-40
_LEAST_CURRENT: Final = 1e-30
_HALVINGS: Final = 100
_EXACT: Final = 1e-9


@dataclass(frozen=True)
class CellProblem:
    """A batch of cells.

    Attributes:
        constants: of their sites.
        solution: bulk electrolyte.
        layer: what lies between bulk or gas and the sites.
        k: rate constants where the potential is known, else ``None``.
        drive: what is held where the potential is not known, else ``None``.
    """

    constants: SiteConstants
    solution: Electrolyte
    layer: Film | GasElectrode
    k: RateConstants | None = None
    drive: Galvanostat | Potentiostat | None = None

    def each(self, change: Callable[[Any], Any]) -> CellProblem:
        """The same problem with every array changed."""
        return CellProblem(
            constants=self.constants.each(change),
            solution=self.solution.each(change),
            layer=self.layer.each(change),
            k=None if self.k is None else self.k.each(change),
            drive=None if self.drive is None else self.drive.each(change),
        )

    def rows(self, index: Any) -> CellProblem:
        """The problem of some experiments only."""
        return self.each(lambda array: array[..., index])

    def at(self, potential: Array) -> CellProblem:
        """The same cells at known potentials, V vs RHE."""
        return replace(self, k=self.constants.at(potential), drive=None)

    def held(self) -> Galvanostat | Potentiostat:
        """What is held where the potential is not known."""
        if self.drive is None:
            raise TypeError("the potential of these cells is known.")
        return self.drive

    def turnover(self, state: Array) -> Turnover:
        """Rates at a trial state [4 or 5, ..., experiments]."""
        k = self.constants.at(state[4] / -TAFEL) if self.k is None else self.k
        surface = Surface(state[0], state[1], state[2], state[3])
        return turnover(k, surface, self.solution, self.layer.escape(self.solution))

    def sweep(self, state: Array) -> Array:
        """The state that follows from the rates at a trial state, of its shape."""
        made = self.turnover(state)
        xp = functions(state)
        inverse, from_water = xp.exp(-state[1]), 2.0 * made.products[0]
        exchange = Exchange(made.carbon * inverse, (made.hydroxide - from_water) * inverse, from_water)
        co2, oh = self.layer.surface(self.solution, xp.exp(state[0]), exchange)
        image = [xp.log(xp.at_least(part, _SMALLEST)) for part in (oh, co2, made.coupling, made.co)]
        if self.drive is not None:
            current = xp.at_least(FARADAY * made.charge, _LEAST_CURRENT)
            image.append(state[4] + self.drive.miss(state[4] / -TAFEL, current))
        return xp.stack(image)

    def start(self) -> Floats:
        """A first guess: half of the CO2, a surface two units more alkaline, half-covered sites."""
        one = np.ones_like(self.solution.co2)
        guess = [math.log(100.0) + np.log(self.solution.oh), np.log(0.5 * self.solution.co2)]
        guess += [math.log(1e-3) * one, math.log(0.1) * one]
        if self.drive is not None:
            guess.append(0.9 * TAFEL * one)
        return np.array(guess)


def solve(problem: CellProblem, start: Floats | None = None) -> tuple[Floats, Any]:
    """States [4 or 5, experiments] of a problem of numpy arrays, and how each search ended [experiments].

    Rows that did not converge have finite but meaningless states.

    Args:
        problem: the cells.
        start: states near by, if there are any.
    """
    with np.errstate(all="ignore"):
        if start is not None and start.shape == problem.start().shape:
            state, going = newton(problem, start, _NEAR)
            if going.any():
                part = problem.rows(going)
                state[:, going], going[going] = _search(part, part.start())
        else:
            state, going = _search(problem, problem.start())
        status = np.where(going, Status.NOT_CONVERGED, Status.CONVERGED)
        if problem.drive is None:
            return np.nan_to_num(state), status
        beyond = ~going & (state[4] > -LOWEST * TAFEL) if isinstance(problem.drive, Galvanostat) else ~going & going
        doubtful = going | beyond
        if doubtful.any():
            state[:, doubtful], status[doubtful] = _bracketed(problem.rows(doubtful))
        return np.nan_to_num(state), status


def _search(problem: CellProblem, start: Floats) -> tuple[Floats, Mask]:
    """Sweeps, Newton's method, and slower sweeps for what is left; the last only where the potential is known."""
    state, going = newton(problem, relax(problem, start, _SWEEPS, _RELAXATION), _NEWTON)
    for sweeps, relaxation in _RESCUES if problem.drive is None else ():
        if not going.any():
            break
        part = problem.rows(going)
        state[:, going], going[going] = newton(part, relax(part, part.start(), sweeps, relaxation), _NEWTON)
    return state, going


def _bracketed(problem: CellProblem) -> tuple[Floats, Any]:
    """The potential between two bounds at which the drive is satisfied, by false position and halving.

    Slower than Newton's method on all unknowns, but certain where the cell has a steady state at each potential, for
    the current rises with the driving force (but for traces of it at the onset of metals that CO poisons).
    """
    drive = problem.held()
    low = np.full_like(problem.solution.co2, LOWEST)
    high = np.full_like(low, HIGHEST)
    if isinstance(drive, Potentiostat):
        low, high = drive.applied.copy(), np.maximum(drive.applied, HIGHEST)

    def at(rows: Any, potential: Floats, start: Floats) -> tuple[Floats, Mask, Floats]:
        part = problem.rows(rows)
        cells = part.at(potential)
        state, going = _search(cells, start)
        current = np.maximum(FARADAY * cells.turnover(state[:, None]).charge[0], _LEAST_CURRENT)
        return state, going, part.held().miss(potential, current)

    everything = np.ones(len(low), dtype=np.bool_)
    guess = problem.start()[:4]
    _, _, miss_high = at(everything, high, guess)
    state, lost, miss_low = at(everything, low, guess)
    status = np.where(lost, Status.NOT_CONVERGED, np.where(miss_low > 0.0, Status.OUT_OF_REACH, Status.CONVERGED))
    potential, miss = low.copy(), miss_low.copy()
    for count in range(_HALVINGS):
        wanted = (status == Status.CONVERGED) & (np.abs(miss) > _EXACT)
        if not wanted.any():
            break
        crossing = low + (high - low) * miss_low / (miss_low - miss_high)
        inside = (crossing > low) & (crossing < high) & (count % 4 < 3)
        potential[wanted] = np.where(inside, crossing, 0.5 * (low + high))[wanted]
        state[:, wanted], lost, miss[wanted] = at(wanted, potential[wanted], state[:, wanted])
        status[wanted] = np.where(lost, Status.NOT_CONVERGED, Status.CONVERGED)
        too_much = miss < 0.0
        # an end that stays again and again counts for less (Illinois), or false position would creep
        low, miss_low = np.where(too_much, potential, low), np.where(too_much, miss, 0.5 * miss_low)
        high, miss_high = np.where(too_much, high, potential), np.where(too_much, 0.5 * miss_high, miss)
    status = np.where((status == Status.CONVERGED) & ~(np.abs(miss) < 1e-7), Status.NOT_CONVERGED, status)
    return np.concatenate([state, -TAFEL * potential[None]]), status
