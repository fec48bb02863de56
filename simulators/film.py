"""The electrolyte and the boundary layer of an H-cell.

Bulk speciation is that of a bicarbonate solution in equilibrium with its gas, without activity coefficients, or of a
hydroxide solution that has not met CO2 yet. The film is a stagnant layer in closed form: CO2 is consumed by hydroxide
on its way (Hatta number), carbon and alkalinity fluxes are conserved across it, and carbonate equilibrium holds at the
surface. Within the range of H-cells it agrees with the four-species boundary value problem to 0.05 in pH and 1.2 mM in
CO2.

Sources: Henry's constant Sander, Atmos. Chem. Phys. 2015, 15, 4399; salting-out Weisenberger and Schumpe, AIChE J.
1996, 42, 298; diffusivities and hydration kinetics after Gupta et al., J. Appl. Electrochem. 2006, 36, 161; limiting
ionic conductivities CRC Handbook of Chemistry and Physics.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

from simulators._arrays import LN10, Array, functions, ten_to
from simulators._torch import Record
from simulators.constants import GAS_CONSTANT, ROOM_TEMPERATURE

CATIONS: Final = MappingProxyType(
    {
        "Li": (0.0754, -0.9, 38.7),
        "Na": (0.1143, -0.4, 50.1),
        "K": (0.0922, 0.0, 73.5),
        "Rb": (0.0839, 0.25, 77.8),
        "Cs": (0.0759, 0.5, 77.2),
    }
)
"""Cation to its salting-out parameter (m3 kmol-1), its promotion of CO2 activation (a simulator parameter), and its
limiting molar conductivity at 298.15 K (S cm2 mol-1)."""

HENRY: Final = 34.0
"""Solubility of CO2 in water at 298.15 K, mol m-3 atm-1."""

PROFILE_FACTOR: Final = 0.45
"""Mean hydroxide concentration in the film over the excess at the surface."""

TRACE_PRESSURE: Final = 1e-6
"""CO2 pressure that remains in any other gas, atm."""

_BICARBONATE_SALTING, _HYDROXIDE_SALTING = 0.0967, 0.0839
_GAS_SALTING, _GAS_SALTING_SLOPE = -0.0172, -3.38e-4
_PK1, _PK2, _PKW = (6.352, 9.7), (10.329, 14.9), (14.00, 55.8)
_HYDROXYLATION, _HYDROXYLATION_BARRIER = 5.93, 55.4
_NEWTON_STEPS: Final = 6
_NO_CARBONATE: Final = 1e-6


def arrhenius(temperature: Array, barrier: Array | float) -> Array:
    """Factor on a rate constant at a temperature (K), for a barrier in kJ mol-1; one at 298.15 K."""
    scale = -1e3 * barrier / GAS_CONSTANT
    return functions(temperature).exp(scale / temperature - scale / ROOM_TEMPERATURE)


def _viscosity(temperature: Array) -> Array:
    """Viscosity of water, Pa s (Vogel's equation)."""
    return 2.414e-5 * ten_to(247.8 / (temperature - 140.0))


_ROOM_VISCOSITY: Final = 2.414e-5 * 10.0 ** (247.8 / (ROOM_TEMPERATURE - 140.0))


@dataclass(frozen=True)
class Electrolyte(Record):
    """The bulk solution; every array has one entry an experiment.

    Attributes:
        co2: dissolved in equilibrium with the gas, mol m-3; in hydroxide that of the salt's ionic strength.
        hco3, co3, oh: bulk concentrations, mol m-3.
        ph: bulk pH.
        pkw: of water.
        d_co2, d_hco3, d_co3, d_oh, d_co: diffusivities, m2 s-1.
        k_oh: rate constant of CO2 with hydroxide, m3 mol-1 s-1.
        carbonate: equilibrium constant of HCO3- + OH- = CO3-- + H2O, m3 mol-1.
        neutral_oh: hydroxide of the solution once it is saturated with CO2, mol m-3; less absorbs no CO2.
        carbonates: bulk (bi)carbonate, each times its diffusivity, mol m-1 s-1.
        alkalinity: bulk alkalinity, likewise.
        exchange: ``carbonate`` times the diffusivity of carbonate, m5 mol-1 s-1.
    """

    co2: Array
    hco3: Array
    co3: Array
    oh: Array
    ph: Array
    pkw: Array
    d_co2: Array
    d_hco3: Array
    d_co3: Array
    d_oh: Array
    d_co: Array
    k_oh: Array
    carbonate: Array
    neutral_oh: Array
    carbonates: Array
    alkalinity: Array
    exchange: Array

    def surface_ph(self, log_oh: Array) -> Array:
        """The pH that goes with the natural logarithm of a hydroxide concentration in mol m-3."""
        return self.pkw + (log_oh - math.log(1e3)) / LN10


def electrolyte(
    temperature: Array,
    concentration: Array,
    salting_out: Array,
    pressure: Array,
    hydroxide: Array | None = None,
) -> Electrolyte:
    """Speciate solutions of a bicarbonate or, where told so, of a hydroxide.

    Args:
        temperature: K.
        concentration: of the salt, mol m-3.
        salting_out: parameter of its cation, m3 kmol-1.
        pressure: of CO2, atm; at least :data:`TRACE_PRESSURE` is there.
        hydroxide: 1 where the salt is a hydroxide, else 0; all are bicarbonates by default.
    """
    xp = functions(temperature)
    away = temperature - ROOM_TEMPERATURE
    gas = _GAS_SALTING + _GAS_SALTING_SLOPE * away
    anion = _BICARBONATE_SALTING
    if hydroxide is not None:
        anion = anion + (_HYDROXIDE_SALTING - _BICARBONATE_SALTING) * hydroxide
    inverse = 1.0 / temperature - 1.0 / ROOM_TEMPERATURE
    salting = (salting_out + anion + 2.0 * gas) * concentration / 1e3
    co2 = HENRY * xp.exp(2400.0 * inverse - LN10 * salting) * xp.at_least(pressure, TRACE_PRESSURE)

    def pk(at_room: float, enthalpy: float) -> Array:
        return at_room + (1e3 * enthalpy / (GAS_CONSTANT * LN10)) * inverse

    pk1, pk2, pkw = (pk(*pair) for pair in (_PK1, _PK2, _PKW))
    k1, k2, kw = 1e3 * ten_to(-pk1), 1e3 * ten_to(-pk2), 1e6 * ten_to(-pkw)
    proton = _proton(k1 * co2, k2, kw, concentration)
    hco3 = k1 * co2 / proton
    co3, oh = hco3 * k2 / proton, kw / proton
    neutral = oh
    if hydroxide is not None:
        alkaline = hydroxide > 0.5
        hco3, co3 = (xp.where(alkaline, _NO_CARBONATE, carbon) for carbon in (hco3, co3))
        oh = xp.where(alkaline, concentration, oh)
    mobility = temperature / ROOM_TEMPERATURE * (_ROOM_VISCOSITY / _viscosity(temperature))
    d_hco3, d_co3, d_oh = 1.19e-9 * mobility, 0.923e-9 * mobility, 5.27e-9 * mobility
    carbonates = d_hco3 * hco3 + d_co3 * co3
    return Electrolyte(
        co2=co2,
        hco3=hco3,
        co3=co3,
        oh=oh,
        ph=pkw + xp.log(oh / 1e3) / LN10,
        pkw=pkw,
        d_co2=1.91e-9 * mobility,
        d_hco3=d_hco3,
        d_co3=d_co3,
        d_oh=d_oh,
        d_co=2.03e-9 * mobility,
        k_oh=_HYDROXYLATION * arrhenius(temperature, _HYDROXYLATION_BARRIER),
        carbonate=k2 / kw,
        neutral_oh=neutral,
        carbonates=carbonates,
        alkalinity=d_oh * oh + carbonates + d_co3 * co3,
        exchange=d_co3 * k2 / kw,
    )


def _proton(acid: Array, k2: Array, kw: Array, salt: Array) -> Array:
    """Proton concentration from the charge balance, by Newton's method on its logarithm; all in mol m-3."""
    xp = functions(acid)
    carbonic = acid * k2
    log_h = xp.log(0.5 * (acid + xp.sqrt(acid * acid + 8.0 * salt * carbonic)) / salt)
    for _ in range(_NEWTON_STEPS):
        h = xp.exp(log_h)
        bases, carbonate = (acid + kw) / h, carbonic / (h * h)
        excess = bases + 2.0 * carbonate - h - salt
        log_h = log_h + excess / (bases + 4.0 * carbonate + h)
    return xp.exp(log_h)


class Exchange(NamedTuple):
    """What an electrode takes and gives at a trial surface state: nearly in proportion to the CO2 there, or not.

    Attributes:
        uptake: CO2 consumed over its concentration at the surface, m s-1.
        hydroxide: released with the products of CO2, over the concentration of CO2, m s-1.
        from_water: hydroxide released with hydrogen, mol m-2 s-1.
    """

    uptake: Array
    hydroxide: Array
    from_water: Array


@dataclass(frozen=True)
class Film(Record):
    """The boundary layer of a stirred cell: its thickness, m, one entry an experiment."""

    thickness: Array

    def escape(self, solution: Electrolyte) -> Array:
        """Mass-transfer coefficient of CO from the electrode into the bulk, m s-1."""
        return solution.d_co / self.thickness

    def surface(self, solution: Electrolyte, oh: Array, exchange: Exchange) -> tuple[Array, Array]:
        """One step of the film, see :func:`film_surface`."""
        return film_surface(solution, self.thickness, oh, exchange)

    def absorbed(self, solution: Electrolyte, oh: Array, uptake: Array) -> Array:
        """CO2 that hydroxide turns into (bi)carbonate on its way to the electrode, mol m-2 s-1."""
        co2, _ = film_surface(solution, self.thickness, oh, Exchange(uptake, 0.0, 0.0))
        return solution.d_co2 * (solution.co2 - co2) / self.thickness - uptake * co2


def film_surface(solution: Electrolyte, thickness: Array, oh: Array, exchange: Exchange) -> tuple[Array, Array]:
    """One step of the film: surface concentrations from the fluxes at a trial surface state.

    At the steady state the returned hydroxide equals the trial value. Only the excess of hydroxide over the bulk
    consumes CO2, so that a film without current is exactly at equilibrium.

    Args:
        solution: the bulk.
        thickness: of the film, m.
        oh: trial hydroxide concentration at the surface, mol m-3.
        exchange: with the electrode.

    Returns:
        CO2 at the surface, and the next trial value of hydroxide there, mol m-3; never below the bulk's.
    """
    xp = functions(oh)
    excess = xp.at_least(oh - solution.oh, 0.0)
    travel = thickness / solution.d_co2
    hatta = xp.sqrt(PROFILE_FACTOR * solution.k_oh * thickness * travel * excess + 1e-12)
    decay = xp.exp(-hatta)
    squared = decay * decay
    sech, tanh = 2.0 * decay / (1.0 + squared), xp.tanh(hatta)
    co2 = solution.co2 * sech / (1.0 + exchange.uptake * travel * (tanh / hatta))
    taken = exchange.uptake * thickness
    total_carbon = solution.carbonates + solution.d_co2 * (solution.co2 - co2) - taken * co2
    released = (exchange.hydroxide * co2 + exchange.from_water) * thickness
    alkalinity = solution.alkalinity + released
    # a little more hydroxide takes much CO2 out of a thick film: fluxes are therefore taken as linear in the hydroxide
    # around its trial value, or the next value would overshoot
    fall = co2 * tanh * hatta / (2.0 * excess + 1e-9 * solution.oh)
    slopes = (solution.d_co2 + taken) * fall, exchange.hydroxide * thickness * fall
    return co2, xp.larger(surface_hydroxide(solution, oh, total_carbon, alkalinity, *slopes), solution.oh)


def surface_hydroxide(
    solution: Electrolyte, oh: Array, carbon: Array, alkalinity: Array, rise: Array, fall: Array
) -> Array:
    """Hydroxide at a surface, mol m-3, where carbonate equilibrium and both balances hold.

    Args:
        solution: the bulk.
        oh: hydroxide for which the fluxes are given, mol m-3.
        carbon: flux of dissolved carbonates times the film's thickness, mol m-1 s-1.
        alkalinity: flux of alkalinity times the thickness, mol m-1 s-1.
        rise: of ``carbon`` with hydroxide, m2 s-1.
        fall: of ``alkalinity`` with hydroxide, m2 s-1.
    """
    a = solution.exchange
    carbon, alkalinity, mobile = carbon - rise * oh, alkalinity + fall * oh, solution.d_oh + fall
    square = a * (mobile + 2.0 * rise)
    linear = (mobile + rise) * solution.d_hco3 + a * (2.0 * carbon - alkalinity)
    constant = (carbon - alkalinity) * solution.d_hco3
    return _positive_root(square, linear, constant)


def _positive_root(square: Array, linear: Array, constant: Array) -> Array:
    """The positive root of a quadratic, without cancellation; not positive where there is none."""
    xp = functions(linear)
    spread = xp.sqrt(xp.at_least(linear * linear - 4.0 * square * constant, 1e-300))
    return xp.where(linear > 0, -2.0 * constant / (linear + spread), (spread - linear) / (2.0 * square))
