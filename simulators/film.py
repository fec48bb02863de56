"""The electrolyte and the boundary layer of an H-cell.

Bulk speciation is that of a bicarbonate solution in equilibrium with its gas, without activity coefficients. The film
is a stagnant layer in closed form: CO2 is consumed by hydroxide on its way (Hatta number), carbon and alkalinity fluxes
are conserved across it, and carbonate equilibrium holds at the surface. Within the range of H-cells it agrees with the
four-species boundary value problem to 0.05 in pH and 1.2 mM in CO2.

Sources: Henry's constant Sander, Atmos. Chem. Phys. 2015, 15, 4399; salting-out Weisenberger and Schumpe, AIChE J.
1996, 42, 298; diffusivities and hydration kinetics after Gupta et al., J. Appl. Electrochem. 2006, 36, 161.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor

from simulators._torch import Record, double
from simulators.constants import GAS_CONSTANT, ROOM_TEMPERATURE

CATIONS: Final = MappingProxyType(
    {
        "Li": (0.0754, -0.9),
        "Na": (0.1143, -0.4),
        "K": (0.0922, 0.0),
        "Rb": (0.0839, 0.25),
        "Cs": (0.0759, 0.5),
    }
)
"""Cation to its salting-out parameter (m3 kmol-1) and its promotion of CO2 activation (a simulator parameter)."""

HENRY: Final = 34.0
"""Solubility of CO2 in water at 298.15 K, mol m-3 atm-1."""

PROFILE_FACTOR: Final = 0.45
"""Mean hydroxide concentration in the film over the excess at the surface."""

_BICARBONATE_SALTING, _GAS_SALTING, _GAS_SALTING_SLOPE = 0.0967, -0.0172, -3.38e-4
_PK1, _PK2, _PKW = (6.352, 9.7), (10.329, 14.9), (14.00, 55.8)
_HYDROXYLATION, _HYDROXYLATION_BARRIER = 5.93, 55.4
_NEWTON_STEPS: Final = 6


def arrhenius(temperature: Tensor, barrier: float) -> Tensor:
    """Factor on a rate constant at a temperature (K), for a barrier in kJ mol-1; one at 298.15 K."""
    return torch.exp(-(1e3 * barrier / GAS_CONSTANT) * (1.0 / temperature - 1.0 / ROOM_TEMPERATURE))


def _viscosity(temperature: Tensor) -> Tensor:
    """Viscosity of water, Pa s (Vogel's equation)."""
    return 2.414e-5 * 10.0 ** (247.8 / (temperature - 140.0))


@dataclass(frozen=True)
class Electrolyte(Record):
    """A bicarbonate solution in equilibrium with its gas; every tensor has one entry an experiment.

    Attributes:
        co2, hco3, co3, oh: bulk concentrations, mol m-3.
        ph: bulk pH.
        pkw: of water.
        d_co2, d_hco3, d_co3, d_oh, d_co: diffusivities, m2 s-1.
        k_oh: rate constant of CO2 with hydroxide, m3 mol-1 s-1.
        carbonate: equilibrium constant of HCO3- + OH- = CO3-- + H2O, m3 mol-1.
    """

    co2: Tensor
    hco3: Tensor
    co3: Tensor
    oh: Tensor
    ph: Tensor
    pkw: Tensor
    d_co2: Tensor
    d_hco3: Tensor
    d_co3: Tensor
    d_oh: Tensor
    d_co: Tensor
    k_oh: Tensor
    carbonate: Tensor

    def surface_ph(self, log_oh: Tensor) -> Tensor:
        """The pH that goes with the natural logarithm of a hydroxide concentration in mol m-3."""
        return self.pkw + (log_oh - math.log(1e3)) / math.log(10.0)


def electrolyte(temperature: Tensor, concentration: Tensor, salting_out: Tensor, pressure: Tensor) -> Electrolyte:
    """Speciate bicarbonate solutions.

    Args:
        temperature: K.
        concentration: of the bicarbonate salt, mol m-3.
        salting_out: parameter of its cation, m3 kmol-1.
        pressure: of CO2, atm; positive.
    """
    away = temperature - ROOM_TEMPERATURE
    gas = _GAS_SALTING + _GAS_SALTING_SLOPE * away
    salting = (salting_out + gas) + (_BICARBONATE_SALTING + gas)
    inverse = 1.0 / temperature - 1.0 / ROOM_TEMPERATURE
    co2 = HENRY * torch.exp(2400.0 * inverse) * pressure * 10.0 ** (-salting * concentration / 1e3)

    def pk(at_room: float, enthalpy: float) -> Tensor:
        return at_room + (1e3 * enthalpy / (GAS_CONSTANT * math.log(10.0))) * inverse

    pk1, pk2, pkw = (pk(*pair) for pair in (_PK1, _PK2, _PKW))
    k1, k2, kw = 1e3 * 10.0**-pk1, 1e3 * 10.0**-pk2, 1e6 * 10.0**-pkw
    proton = _proton(k1 * co2, k2, kw, concentration)
    hco3 = k1 * co2 / proton
    mobility = temperature / ROOM_TEMPERATURE * (_viscosity(double(ROOM_TEMPERATURE)) / _viscosity(temperature))
    return Electrolyte(
        co2=co2,
        hco3=hco3,
        co3=hco3 * k2 / proton,
        oh=kw / proton,
        ph=-torch.log10(proton / 1e3),
        pkw=pkw,
        d_co2=1.91e-9 * mobility,
        d_hco3=1.19e-9 * mobility,
        d_co3=0.923e-9 * mobility,
        d_oh=5.27e-9 * mobility,
        d_co=2.03e-9 * mobility,
        k_oh=_HYDROXYLATION * arrhenius(temperature, _HYDROXYLATION_BARRIER),
        carbonate=k2 / kw,
    )


def _proton(acid: Tensor, k2: Tensor, kw: Tensor, salt: Tensor) -> Tensor:
    """Proton concentration from the charge balance, by Newton's method on its logarithm; all in mol m-3."""
    log_h = torch.log(0.5 * (acid + torch.sqrt(acid.square() + 8.0 * salt * acid * k2)) / salt)
    for _ in range(_NEWTON_STEPS):
        h = torch.exp(log_h)
        bicarbonate, carbonate, hydroxide = acid / h, acid * k2 / h.square(), kw / h
        excess = bicarbonate + 2.0 * carbonate + hydroxide - h - salt
        log_h = log_h + excess / (bicarbonate + 4.0 * carbonate + hydroxide + h)
    return torch.exp(log_h)


def film_surface(
    solution: Electrolyte, thickness: Tensor, oh: Tensor, uptake: Tensor, carbon: Tensor, hydroxide: Tensor
) -> tuple[Tensor, Tensor]:
    """One step of the film: surface concentrations from the fluxes at a trial surface state.

    At the steady state the returned hydroxide equals the trial value. Only the excess of hydroxide over the bulk
    consumes CO2, so that a film without current is exactly at equilibrium.

    Args:
        solution: the bulk.
        thickness: of the film, m.
        oh: trial hydroxide concentration at the surface, mol m-3.
        uptake: CO2 consumed at the electrode over its surface concentration, m s-1.
        carbon: CO2 consumed at the electrode, mol m-2 s-1.
        hydroxide: hydroxide released there, mol m-2 s-1.

    Returns:
        CO2 at the surface, and the next trial value of hydroxide there, mol m-3; never below the bulk's.
    """
    excess = (oh - solution.oh).clamp_min(0.0)
    hatta = torch.sqrt(PROFILE_FACTOR * solution.k_oh * excess * thickness.square() / solution.d_co2 + 1e-12)
    decay = torch.exp(-hatta)
    sech, tanh = 2.0 * decay / (1.0 + decay.square()), torch.tanh(hatta)
    co2 = solution.co2 * sech / (1.0 + uptake * thickness / solution.d_co2 * tanh / hatta)
    total_carbon = (
        solution.d_hco3 * solution.hco3
        + solution.d_co3 * solution.co3
        + solution.d_co2 * (solution.co2 - co2)
        - carbon * thickness
    )
    alkalinity = (
        solution.d_oh * solution.oh
        + solution.d_hco3 * solution.hco3
        + 2.0 * solution.d_co3 * solution.co3
        + hydroxide * thickness
    )
    # a little more hydroxide takes much CO2 out of a thick film: the carbon flux is therefore taken as linear in the
    # hydroxide around its trial value, or the next value would overshoot
    slope = solution.d_co2 * co2 * tanh * hatta / (2.0 * excess + 1e-9 * solution.oh)
    offset = total_carbon - slope * oh
    a = solution.d_co3 * solution.carbonate
    square = a * (solution.d_oh + 2.0 * slope)
    linear = (solution.d_oh + slope) * solution.d_hco3 + a * (2.0 * offset - alkalinity)
    constant = (offset - alkalinity) * solution.d_hco3
    return co2, torch.maximum(_positive_root(square, linear, constant), solution.oh)


def _positive_root(square: Tensor, linear: Tensor, constant: Tensor) -> Tensor:
    """The positive root of a quadratic, without cancellation."""
    spread = torch.sqrt((linear.square() - 4.0 * square * constant).clamp_min(1e-300))
    return torch.where(linear > 0, -2.0 * constant / (linear + spread), (spread - linear) / (2.0 * square))
