"""The steady state of a virtual cell: H-cell, gas-diffusion electrode or membrane-electrode assembly.

Numpy finds it, for all experiments at once; if gradients are wanted, torch repeats one last Newton step, which
differentiates the converged state implicitly.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from simulators._arrays import LN10, Array, functions
from simulators._torch import DTYPE
from simulators.conditions import (
    DEFAULT_CONCENTRATION,
    DEFAULT_THICKNESS,
    Conditions,
    Control,
    conditions,
)
from simulators.constants import FARADAY, GAS_CONSTANT, MA_PER_CM2, PRODUCTS, SIMULATED
from simulators.control import LOWEST, TAFEL, Galvanostat, Potentiostat, anode_potential, bubble_factor
from simulators.elements import STEPS
from simulators.errors import ConvergenceError
from simulators.film import Electrolyte, Film, electrolyte
from simulators.gas_diffusion import GasElectrode, MembraneElectrode
from simulators.kinetics import CARBONS, ELECTRONS, Electrode, site_constants
from simulators.materials import Sites
from simulators.problem import CellProblem, Status, solve
from simulators.settings import CellKind
from simulators.solver import Floats, linearise

__all__ = [
    "DEFAULT_CONCENTRATION",
    "DEFAULT_THICKNESS",
    "GASES",
    "CellKind",
    "Conditions",
    "Control",
    "Status",
    "SteadyState",
    "conditions",
    "ideal_electrode",
    "steady_state",
]

GASES: Final = tuple(key for key in SIMULATED if PRODUCTS[key].phase == "gas")
"""Products that leave with the gas."""

_IS_GAS: Final = [key in GASES for key in SIMULATED]
_NO_CURRENT: Final = 1e-30


def ideal_electrode(count: int) -> Electrode:
    """Electrodes without any individuality."""
    one = torch.ones(count, dtype=DTYPE)
    return Electrode(one, one, torch.ones(count, len(STEPS), dtype=DTYPE))


@dataclass(frozen=True)
class SteadyState:
    """What a cell does in the long run; every tensor has one entry an experiment, fluxes are over the geometric area.

    Attributes:
        rates: of the products, mol m-2 s-1, [experiments, products].
        co2: at the surface, mol m-3.
        ph: at the surface.
        co: dissolved in the film, mol m-3.
        carbon: CO2 consumed by the reactions, mol m-2 s-1.
        absorbed: CO2 that becomes (bi)carbonate at the cathode, mol m-2 s-1.
        potential: of the interface, V vs RHE at the bulk pH, without ohmic drop.
        status: how the search ended, see :class:`Status`; the other fields of a row mean nothing unless it converged.
        run: conditions.
        solution: the bulk electrolyte.
        unknowns: what the solver found, for :func:`steady_state` to start from with slightly different conditions.
    """

    rates: Tensor
    co2: Tensor
    ph: Tensor
    co: Tensor
    carbon: Tensor
    absorbed: Tensor
    potential: Tensor
    status: Tensor
    run: Conditions
    solution: Electrolyte
    unknowns: Floats

    @property
    def converged(self) -> Tensor:
        """Which experiments have a steady state, [experiments] of bool."""
        return self.status == int(Status.CONVERGED)

    @property
    def partial_currents(self) -> Tensor:
        """Positive cathodic magnitudes in mA cm-2, [experiments, products]."""
        return self.rates * (ELECTRONS * (FARADAY / MA_PER_CM2))

    @cached_property
    def current(self) -> Tensor:
        """Total current density, mA cm-2, [experiments]."""
        return self.partial_currents.sum(-1)

    @property
    def efficiencies(self) -> Tensor:
        """Faradaic efficiencies, [experiments, products]; zero where no current flows."""
        current = self.current.unsqueeze(-1)
        return torch.where(current > _NO_CURRENT, self.partial_currents / current.clamp_min(_NO_CURRENT), 0.0)

    @property
    def on_she(self) -> Tensor:
        """Potential of the interface, V vs SHE, [experiments]."""
        volts: Tensor = LN10 * GAS_CONSTANT / FARADAY * self.run.temperature * self.solution.ph
        return self.potential - volts

    @property
    def resistance(self) -> Tensor:
        """Of the whole cell times its area, with bubbles, ohm m2, [experiments]."""
        factor: Tensor = bubble_factor(self.run.bubbles, self.current * MA_PER_CM2)
        return self.run.resistance * factor

    @property
    def drop(self) -> Tensor:
        """Ohmic drop over the whole cell, V, [experiments]."""
        return self.current * MA_PER_CM2 * self.resistance

    @property
    def applied(self) -> Tensor:
        """Potential with the drop that is not compensated, V vs RHE, [experiments]."""
        return self.potential - self.drop * self.run.uncompensated

    @property
    def voltage(self) -> Tensor:
        """Anode minus cathode, V, [experiments]."""
        anode: Tensor = anode_potential(self.current * MA_PER_CM2)
        return anode - self.potential + self.drop

    @property
    def outlet(self) -> Tensor:
        """CO2 that leaves as gas, mol m-2 s-1, [experiments]; negative where more is consumed than enters."""
        return self.run.inlet - self.carbon - self.absorbed

    @property
    def gases(self) -> Tensor:
        """Dry gas that leaves but for inert gas: CO2, then :data:`GASES`, mol m-2 s-1, [experiments, 1 + gases]."""
        return torch.cat([self.outlet.unsqueeze(-1), self.rates[..., _IS_GAS]], dim=-1)

    @property
    def composition(self) -> Tensor:
        """Mole fractions of :attr:`gases`, [experiments, 1 + gases]."""
        flows = self.gases
        return flows / flows.sum(-1, keepdim=True)

    @property
    def conversion(self) -> Tensor:
        """Single-pass conversion of CO2 to each product, [experiments, products]."""
        return self.rates * CARBONS / self.run.inlet.unsqueeze(-1)

    @property
    def carbonate(self) -> Tensor:
        """Share of the entering CO2 that becomes (bi)carbonate, [experiments]."""
        return self.absorbed / self.run.inlet


def steady_state(
    sites: Sites,
    run: Conditions,
    electrode: Electrode | None = None,
    *,
    strict: bool = True,
    start: SteadyState | None = None,
) -> SteadyState:
    """Solve a batch of cells.

    Args:
        sites: surfaces, leading axis the experiments.
        run: their conditions.
        electrode: their individuality; ideal by default.
        strict: whether an experiment without a steady state is an error. If not, ``status`` tells which are without.
        start: of the same kind of cell and control, to begin the search at; the result is the same to rounding.

    Raises:
        ConvergenceError: ``strict``, and an experiment has no steady state within tolerance.
    """
    sites, run, electrode = _aligned(sites, run, electrode)
    begin = None if start is None else start.unknowns
    if torch.is_grad_enabled() and _traced(sites, run, electrode):
        problem = _problem(sites, run, electrode)
        state, status = solve(problem.each(_as_array), begin)
        return _result(problem, _differentiable(problem, state), state, status, run, strict)
    arrays = Sites(_as_array(sites.fractions), _as_array(sites.log10_k), sites.elements)
    problem = _problem(arrays, run.each(_as_array), electrode.each(_as_array))
    state, status = solve(problem, begin)
    return _result(problem, state, state, status, run, strict)


def _aligned(sites: Sites, run: Conditions, electrode: Electrode | None) -> tuple[Sites, Conditions, Electrode]:
    """All three with one entry an experiment; what has a single entry stands for every experiment."""
    electrode = electrode or ideal_electrode(1)
    count = max(len(sites.fractions), len(run.potential), len(electrode.roughness))

    def full(tensor: Tensor) -> Tensor:
        return tensor if len(tensor) == count else tensor.expand(count, *tensor.shape[1:])

    sites = Sites(full(sites.fractions), full(sites.log10_k), sites.elements)
    return sites, run.each(full), electrode.each(full)


def _traced(*records: Any) -> bool:
    """Whether gradients with respect to anything in the records are wanted."""
    values = (getattr(record, each.name) for record in records for each in fields(record))
    return any(isinstance(value, Tensor) and value.requires_grad for value in values)


def _as_array(tensor: Tensor) -> Any:
    return tensor.detach().numpy()


def _problem(sites: Sites, run: Conditions, electrode: Electrode) -> CellProblem:
    """The equations of a batch, of the arrays that it is given."""
    solution = electrolyte(run.temperature, run.concentration, run.salting_out, run.pressure, run.hydroxide)
    constants = site_constants(
        sites,
        electrode,
        run.design.roughness,
        solution,
        run.temperature,
        run.thickness,
        run.promotion,
        run.pressure,
    )
    layer: Film | GasElectrode
    if run.cell == "h_cell":
        layer = Film(run.thickness)
    else:
        kind = GasElectrode if run.cell == "gde" else MembraneElectrode
        layer = kind(run.thickness, run.inlet, run.flooded, run.crust)
    problem = CellProblem(constants, solution, layer)
    if run.control == "current":
        return _driven(problem, Galvanostat(functions(run.current).log(run.current * MA_PER_CM2)))
    resistance = run.uncompensated * run.resistance
    if (resistance > 0.0).any():
        return _driven(problem, Potentiostat(run.potential, resistance, run.bubbles))
    return problem.at(run.potential)


def _driven(problem: CellProblem, drive: Galvanostat | Potentiostat) -> CellProblem:
    return CellProblem(problem.constants, problem.solution, problem.layer, drive=drive)


def _differentiable(problem: CellProblem, state: Any) -> Tensor:
    """The converged state as a function of the inputs: one Newton step from it, in torch."""
    with np.errstate(all="ignore"):
        jacobian, _ = linearise(problem.each(_as_array), state)
        inverse = torch.from_numpy(np.linalg.pinv(np.nan_to_num(jacobian, posinf=0.0, neginf=0.0)))
    fixed = torch.from_numpy(state)
    residual = fixed - problem.sweep(fixed[:, None])[:, 0]
    step: Tensor = (inverse @ residual.T.unsqueeze(-1)).squeeze(-1).T
    return fixed - step


def _result(
    problem: CellProblem, state: Array, unknowns: Floats, status: Any, run: Conditions, strict: bool
) -> SteadyState:
    if strict and status.any():
        raise _failure(status, run)
    made = problem.turnover(state[:, None])
    xp = functions(state)
    oh, uptake = xp.exp(state[0]), made.carbon[0] * xp.exp(-state[1])
    potential = run.potential if problem.drive is None else _tensor(state[4] / -TAFEL)
    return SteadyState(
        rates=_tensor(xp.stack([part[0] for part in made.products])).T,
        co2=_tensor(xp.exp(state[1])),
        ph=_tensor(problem.solution.surface_ph(state[0])),
        co=_tensor(made.dissolved[0]),
        carbon=_tensor(made.carbon[0]),
        absorbed=_tensor(problem.layer.absorbed(problem.solution, oh, uptake)),
        potential=potential,
        status=torch.from_numpy(np.asarray(status, dtype=np.int8)),
        run=run,
        solution=problem.solution.each(_tensor),
        unknowns=unknowns,
    )


def _tensor(array: Array) -> Tensor:
    return array if isinstance(array, Tensor) else torch.from_numpy(array)


def _failure(status: Any, run: Conditions) -> ConvergenceError:
    beyond = np.flatnonzero(status == Status.OUT_OF_REACH)
    if len(beyond):
        row = int(beyond[0])
        return ConvergenceError(
            f"{len(beyond)} of {len(status)} experiments, row {row} first, do not reach their current density "
            f"({float(run.current[row]):g} mA cm-2) above {LOWEST:g} V vs RHE.",
            field="current",
            mend="Ask for less current, or supply more CO2.",
        )
    lost = np.flatnonzero(status)
    return ConvergenceError(
        f"{len(lost)} of {len(status)} experiments, row {int(lost[0])} first, have no steady state within tolerance.",
        mend="Their settings are outside what the model describes.",
    )
