"""The steady state of an H-cell under potential control.

Four unknowns an experiment (surface hydroxide and CO2, shared coupling, CO in the film; all as logarithms) solve a
fixed point. A few relaxed sweeps bring it near, Newton's method finishes: its Jacobian comes from the same batched
function with one more leading axis. The converged state is differentiated implicitly, by one last Newton step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from simulators._torch import DTYPE, Record, double
from simulators.constants import FARADAY, MA_PER_CM2, ROOM_TEMPERATURE
from simulators.elements import STEPS
from simulators.errors import ConvergenceError
from simulators.film import CATIONS, Electrolyte, electrolyte, film_surface
from simulators.kinetics import ELECTRONS, Electrode, RateConstants, Surface, Turnover, rate_constants, turnover
from simulators.materials import Sites

DEFAULT_CONCENTRATION: Final = 100.0
"""mol m-3 of bicarbonate."""

DEFAULT_THICKNESS: Final = 100e-6
"""m; the boundary layer of a stirred H-cell."""

_SWEEPS, _NEWTON = 8, 40
_RELAXATION: Final = 0.5
_RESCUES: Final = ((300, 0.15), (2000, 0.03))
"""Sweeps and relaxation for the few rows (thick films of hot, pressurised electrolyte) that swing to and fro."""
_STEP, _LONGEST, _CLOSE = 1e-6, 1.0, 1e-11
_FLOOR: Final = 1e-40
_NO_CURRENT: Final = 1e-30


@dataclass(frozen=True)
class Conditions(Record):
    """How a batch of experiments is run; every tensor has one entry an experiment.

    Attributes:
        potential: V vs RHE at the bulk pH.
        temperature: K.
        concentration: of the bicarbonate salt, mol m-3.
        salting_out: parameter of the cation, m3 kmol-1.
        promotion: of CO2 activation by the cation.
        thickness: of the boundary layer, m.
        pressure: of CO2, atm.
    """

    potential: Tensor
    temperature: Tensor
    concentration: Tensor
    salting_out: Tensor
    promotion: Tensor
    thickness: Tensor
    pressure: Tensor


def conditions(
    potential: object,
    *,
    temperature: object = ROOM_TEMPERATURE,
    concentration: object = DEFAULT_CONCENTRATION,
    cation: str | Sequence[str] = "K",
    thickness: object = DEFAULT_THICKNESS,
    pressure: object = 1.0,
) -> Conditions:
    """Conditions of a batch; everything broadcasts against everything.

    Args:
        potential: V vs RHE at the bulk pH.
        temperature: K.
        concentration: of the bicarbonate salt, mol m-3.
        cation: its symbol, or one for each experiment.
        thickness: of the boundary layer, m.
        pressure: of CO2, atm.
    """
    symbols = [cation] if isinstance(cation, str) else list(cation)
    salting, promotion = double([CATIONS[symbol] for symbol in symbols]).unbind(-1)
    columns = (potential, temperature, concentration, salting, promotion, thickness, pressure)
    tensors = [double(column).reshape(-1) for column in columns]
    count = max(len(column) for column in tensors)
    return Conditions(*(column.expand(count) for column in tensors))


def ideal_electrode(count: int) -> Electrode:
    """Electrodes without any individuality."""
    one = torch.ones(count, dtype=DTYPE)
    return Electrode(one, one, torch.ones(count, len(STEPS), dtype=DTYPE))


@dataclass(frozen=True)
class SteadyState:
    """What a cell does in the long run.

    Attributes:
        rates: of the products, mol m-2 s-1 over the geometric area, [experiments, products].
        co2: at the surface, mol m-3.
        ph: at the surface.
        co: in the film, mol m-3.
        carbon: CO2 consumed at the electrode, mol m-2 s-1.
        solution: the bulk electrolyte.
    """

    rates: Tensor
    co2: Tensor
    ph: Tensor
    co: Tensor
    carbon: Tensor
    solution: Electrolyte

    @property
    def partial_currents(self) -> Tensor:
        """Positive cathodic magnitudes in mA cm-2, [experiments, products]."""
        return self.rates * (ELECTRONS * (FARADAY / MA_PER_CM2))

    @property
    def current(self) -> Tensor:
        """Total current density, mA cm-2, [experiments]."""
        return self.partial_currents.sum(-1)

    @property
    def efficiencies(self) -> Tensor:
        """Faradaic efficiencies, [experiments, products]; zero where no current flows."""
        current = self.current.unsqueeze(-1)
        return torch.where(current > _NO_CURRENT, self.partial_currents / current.clamp_min(_NO_CURRENT), 0.0)


def steady_state(sites: Sites, run: Conditions, electrode: Electrode | None = None) -> SteadyState:
    """Solve a batch of H-cells under potential control.

    Args:
        sites: surfaces, leading axis the experiments.
        run: their conditions.
        electrode: their individuality; ideal by default.

    Raises:
        ConvergenceError: an experiment has no steady state within tolerance.
    """
    solution = electrolyte(run.temperature, run.concentration, run.salting_out, run.pressure)
    k = rate_constants(
        sites,
        electrode or ideal_electrode(len(run.potential)),
        solution,
        run.potential,
        run.temperature,
        run.thickness,
        run.promotion,
        run.pressure,
    )
    problem = _Problem(k, solution, run.thickness, solution.d_co / run.thickness)
    with torch.no_grad():
        state = _solve(problem.detached(), _start(solution))
    if torch.is_grad_enabled():
        with torch.no_grad():
            jacobian, _ = _linearise(problem.sweep, state)
        state = state - _newton_step(jacobian, state - problem.sweep(state))
    made = problem.turnover(state)
    return SteadyState(
        rates=made.products,
        co2=torch.exp(state[..., 1]),
        ph=solution.surface_ph(state[..., 0]),
        co=made.co,
        carbon=made.carbon,
        solution=solution,
    )


@dataclass(frozen=True)
class _Problem:
    """The fixed point of a batch: rate constants, bulk, film thickness (m) and escape of CO (m s-1)."""

    k: RateConstants
    solution: Electrolyte
    thickness: Tensor
    escape: Tensor

    def detached(self) -> _Problem:
        return self.each(Tensor.detach)

    def rows(self, index: Tensor) -> _Problem:
        return self.each(lambda column: column[index])

    def each(self, change: Callable[[Tensor], Tensor]) -> _Problem:
        """The same problem with every tensor changed."""
        return _Problem(
            k=self.k.each(change),
            solution=self.solution.each(change),
            thickness=change(self.thickness),
            escape=change(self.escape),
        )

    def turnover(self, state: Tensor) -> Turnover:
        return turnover(self.k, Surface(*state.unbind(-1)), self.solution, self.escape)

    def sweep(self, state: Tensor) -> Tensor:
        """The surface state [..., 4] that follows from the rates at a trial surface state."""
        made = self.turnover(state)
        oh, co2 = torch.exp(state[..., 0]), torch.exp(state[..., 1])
        co2, oh = film_surface(self.solution, self.thickness, oh, made.carbon / co2, made.carbon, made.hydroxide)
        return torch.stack([oh, co2, made.coupling, made.co], dim=-1).clamp_min(_FLOOR).log()


def _start(solution: Electrolyte) -> Tensor:
    """A first guess: half of the CO2, a surface two units more alkaline, half-covered sites."""
    one = torch.ones_like(solution.co2)
    guess = [100.0 * solution.oh, 0.5 * solution.co2, 1e-3 * one, 0.1 * one]
    return torch.stack(guess, dim=-1).detach().log()


def _solve(problem: _Problem, state: Tensor) -> Tensor:
    """The fixed point [experiments, 4]; rows stop where they have converged, whatever the rest of the batch does."""
    state = _relax(problem, state, _SWEEPS, _RELAXATION)
    state, open_rows = _newton(problem, state)
    for sweeps, relaxation in _RESCUES:
        if not open_rows.any():
            return state
        part = problem.rows(open_rows)
        rescued, still_open = _newton(part, _relax(part, _start(part.solution), sweeps, relaxation))
        state = state.index_put((open_rows,), rescued)
        open_rows = open_rows.index_put((open_rows.nonzero().squeeze(-1),), still_open)
    if open_rows.any():
        raise ConvergenceError(
            f"{int(open_rows.sum())} of {len(state)} experiments have no steady state within tolerance.",
            mend="Their settings are outside what the model describes.",
        )
    return state


def _relax(problem: _Problem, state: Tensor, sweeps: int, relaxation: float) -> Tensor:
    for _ in range(sweeps):
        state = state + relaxation * (problem.sweep(state) - state)
    return state


def _newton(problem: _Problem, state: Tensor) -> tuple[Tensor, Tensor]:
    """Newton's method, and which rows have not converged.

    Rows whose Newton step is still long are swept on instead; rows that have converged leave the batch.
    """
    finished = state
    rows = torch.arange(len(state))
    for _ in range(_NEWTON):
        jacobian, after = _linearise(problem.sweep, state)
        step = _newton_step(jacobian, state - after)
        length = step.abs().amax(-1, keepdim=True)
        swept = state + _RELAXATION * (after - state)
        state = torch.where(length < _LONGEST, state - step, swept)
        finished = finished.index_put((rows,), state)
        going = ~(length.squeeze(-1) < _CLOSE)
        if not going.any():
            return finished, torch.zeros(len(finished), dtype=torch.bool)
        if not going.all():
            state, rows, problem = state[going], rows[going], problem.rows(going)
    unfinished = torch.zeros(len(finished), dtype=torch.bool).index_fill(0, rows, True)
    return finished, unfinished


def _linearise(sweep: Callable[[Tensor], Tensor], state: Tensor) -> tuple[Tensor, Tensor]:
    """Jacobian of ``state - sweep(state)`` [experiments, 4, 4] by differences, and ``sweep(state)``."""
    count = state.shape[-1]
    shifts = torch.cat([torch.zeros(1, count, dtype=DTYPE), _STEP * torch.eye(count, dtype=DTYPE)]).unsqueeze(1)
    images = sweep(state + shifts)
    slopes = (images[1:] - images[0]) / _STEP
    return torch.eye(count, dtype=DTYPE) - slopes.permute(1, 2, 0), images[0]


def _newton_step(jacobian: Tensor, residual: Tensor) -> Tensor:
    solved: Tensor = torch.linalg.solve(jacobian, residual.unsqueeze(-1)).squeeze(-1)
    return solved
