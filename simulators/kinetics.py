"""Competing pathways at the sites of an electrode: from CO2 and water to hydrogen and C1 to C3 products.

CO2 activation and C-C coupling depend on the potential on the standard-hydrogen scale (no proton in the rate-limiting
step), methane also on the surface pH: transfer coefficients and order after Hori et al., J. Phys. Chem. B 1997, 101,
7075; the effective values here are calibrated. Adsorbed CO is shared between neighbouring sites, in coupling and by
re-adsorption from the film.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from simulators._torch import Record, double
from simulators.constants import FARADAY, GAS_CONSTANT, PRODUCTS, SIMULATED
from simulators.film import HENRY, Electrolyte, arrhenius
from simulators.materials import STRONG_CO, Sites

REFERENCE_POTENTIAL: Final = -1.40
"""V vs SHE, at which rate constants are tabulated."""

READSORPTION: Final = 10.0
"""Re-adsorption of CO over its desorption from copper, m3 mol-1."""

CO_SATURATION: Final = 3.0
"""Concentration in the film beyond which CO leaves as bubbles, mol m-3."""

POISON_PRESSURE: Final = 0.01
"""CO2 pressure that half poisons strongly binding metals, atm."""

_TRANSFER: Final = {"co": 0.419, "hcoo": 0.250, "h2": 0.417, "buffer": 0.071, "ch4": 0.860, "c2": 0.529}
_BARRIER: Final = {"co": 45.0, "hcoo": 45.0, "h2": 60.0, "buffer": 20.0, "desorption": 60.0, "ch4": 25.0, "c2": 65.0}
_METHANE_ORDER: Final = 0.471
_FORMATE_ORDER: Final = 0.52
_LN10: Final = math.log(10.0)


@dataclass(frozen=True)
class Electrode(Record):
    """What makes one electrode differ from another of the same composition; each tensor has one entry an experiment.

    Attributes:
        roughness: real over geometric area.
        activity: share of sites that work.
        factors: on the site rate constants, [..., steps].
    """

    roughness: Tensor
    activity: Tensor
    factors: Tensor


@dataclass(frozen=True)
class RateConstants(Record):
    """Rate constants of a batch at its potential and temperature, in mol m-2 s-1 where nothing else is said.

    Shapes are [..., elements], those of per-electrode quantities [..., 1] and of ``split`` [..., 4].

    Attributes:
        fractions: surface fractions.
        activation: CO2 to *CO at 1 mol m-3 of CO2.
        formate: CO2 to formate at 1 mol m-3 of CO2 on bare sites.
        hydrogen: on bare sites.
        blocked: how much *CO coverage lowers hydrogen evolution.
        methane: at pH 9 and full coverage.
        coupling: square root of the C-C coupling constant.
        desorption: at full coverage.
        adsorption: of CO at 1 mol m-3, the same for all sites.
        split: weights of ethylene, ethanol, acetate (at pH 9.5) and propanol among coupled pairs.
    """

    fractions: Tensor
    activation: Tensor
    formate: Tensor
    hydrogen: Tensor
    blocked: Tensor
    methane: Tensor
    coupling: Tensor
    desorption: Tensor
    adsorption: Tensor
    split: Tensor


@dataclass(frozen=True)
class Surface:
    """What the sites see, as natural logarithms, each [...].

    Attributes:
        log_oh: hydroxide, mol m-3.
        log_co2: CO2, mol m-3.
        log_coupling: shared coupling, square root of mol m-2 s-1.
        log_co: CO in the film were it not to bubble, mol m-3.
    """

    log_oh: Tensor
    log_co2: Tensor
    log_coupling: Tensor
    log_co: Tensor


@dataclass(frozen=True)
class Turnover:
    """Rates at a trial surface state, in mol m-2 s-1 over the geometric area.

    Attributes:
        products: [..., products] in the order of :data:`SIMULATED`.
        carbon: CO2 consumed, as the sites take it up.
        hydroxide: released.
        coupling: the shared coupling that these coverages give.
        co: the film concentration of CO that these coverages give, were it not to bubble, mol m-3.
    """

    products: Tensor
    carbon: Tensor
    hydroxide: Tensor
    coupling: Tensor
    co: Tensor


def rate_constants(
    sites: Sites,
    electrode: Electrode,
    solution: Electrolyte,
    potential: Tensor,
    temperature: Tensor,
    thickness: Tensor,
    promotion: Tensor,
    pressure: Tensor,
) -> RateConstants:
    """Rate constants at a potential.

    Args:
        sites: the surface.
        electrode: electrode-level factors.
        solution: the bulk electrolyte.
        potential: V vs RHE at the bulk pH, [...].
        temperature: K.
        thickness: of the boundary layer, m.
        promotion: of CO2 activation by the cation.
        pressure: of CO2, atm.
    """
    f = FARADAY / (GAS_CONSTANT * temperature)
    shift = potential - _LN10 / f * solution.ph - REFERENCE_POTENTIAL
    area = electrode.roughness * electrode.activity
    k = 10.0**sites.log10_k * electrode.factors.unsqueeze(-2)

    def drive(step: str, scale: Tensor) -> Tensor:
        tilt = torch.exp(-_TRANSFER[step] * f * shift) if step in _TRANSFER else 1.0
        return (scale * tilt * arrhenius(temperature, _BARRIER[step])).unsqueeze(-1)

    def gate(equilibrium: Tensor | float) -> Tensor:
        return -torch.expm1((f * (potential - equilibrium)).clamp_max(0.0))

    formate = PRODUCTS["hcoo"].equilibrium_potential(0.0) + PRODUCTS["hcoo"].potential_slope * solution.ph
    promoted = area * torch.exp(0.5 * promotion) / HENRY
    water = k[..., 2] * drive("h2", area * gate(PRODUCTS["h2"].potential))
    buffer = k[..., 3] * drive("buffer", electrode.activity * (solution.hco3 / 100.0) ** 0.7)
    supply = (solution.d_hco3 * solution.hco3 / thickness).unsqueeze(-1)
    buffer = buffer * supply / (buffer + supply) * gate(PRODUCTS["h2"].potential).unsqueeze(-1)
    strong = double(sites.elements.e_co < STRONG_CO)
    poisoned = sites.elements.poisoned
    covered = (pressure / (pressure + POISON_PRESSURE)).unsqueeze(-1)
    copper = 10.0 ** sites.elements.copper[4]
    return RateConstants(
        fractions=sites.fractions,
        activation=k[..., 0] * drive("co", promoted * gate(PRODUCTS["co"].potential)),
        formate=k[..., 1] * drive("hcoo", promoted * gate(formate)),
        hydrogen=(water + buffer) * (1.0 - strong * poisoned * covered),
        blocked=(poisoned * (1.0 - strong)).expand_as(sites.fractions),
        methane=k[..., 5] * drive("ch4", area),
        coupling=torch.sqrt(k[..., 6] * drive("c2", area * torch.exp(promotion))),
        desorption=k[..., 4] * drive("desorption", area),
        adsorption=READSORPTION * copper * drive("desorption", area),
        split=torch.exp(_split_exponents(shift)),
    )


def _split_exponents(shift: Tensor) -> Tensor:
    """Logarithmic weights of ethylene, ethanol, acetate (at pH 9.5) and propanol."""
    zero = torch.zeros_like(shift)
    return torch.stack([zero, -1.677 - 3.111 * shift, zero - 4.0, -2.077 + 4.168 * shift], dim=-1)


def turnover(k: RateConstants, surface: Surface, solution: Electrolyte, escape: Tensor) -> Turnover:
    """Rates at a trial surface state.

    Args:
        k: rate constants.
        surface: the trial state, [...] (leading axes may be added).
        solution: the bulk electrolyte.
        escape: mass-transfer coefficient with which CO leaves the film, m s-1.
    """
    co2 = torch.exp(surface.log_co2).unsqueeze(-1)
    coupling, unbound = torch.exp(surface.log_coupling).unsqueeze(-1), torch.exp(surface.log_co)
    dissolved = CO_SATURATION * torch.tanh(unbound / CO_SATURATION)
    ph = solution.surface_ph(surface.log_oh)
    methane = k.methane * torch.exp(-_METHANE_ORDER * _LN10 * (ph - 9.0)).unsqueeze(-1)
    gain = k.activation * co2
    adsorbing = gain + k.adsorption * dissolved.unsqueeze(-1)
    reacting = methane + 2.0 * k.coupling * coupling
    leaving = k.desorption + reacting
    total = adsorbing + leaving
    share = k.fractions / total
    covered, bare = share * adsorbing, leaving / total

    made_formate = (k.fractions * k.formate * bare**_FORMATE_ORDER).sum(-1) * co2.squeeze(-1)
    hydrogen = (k.hydrogen * (k.fractions - covered * k.blocked)).sum(-1)
    made_methane = (covered * methane).sum(-1)
    shared = (covered * k.coupling).sum(-1)
    # CO that only goes round between sites and film is left out of the balance: with it the film's CO would barely
    # react to a trial value, and no iteration would end
    fresh = (share * k.desorption * gain).sum(-1)
    caught = k.adsorption.squeeze(-1)
    consumed = caught * (share * reacting).sum(-1)
    bubbling = 1.0 - dissolved / unbound
    sink = escape + (1.0 - bubbling) * consumed + bubbling * caught * (share * leaving).sum(-1)
    monoxide = (fresh - dissolved * consumed).clamp_min(0.0)
    pairs = shared.square()
    ethylene, ethanol, acetate, propanol = _split(k.split, ph, pairs)

    products = torch.stack(
        [hydrogen, monoxide, made_formate, made_methane, ethylene, ethanol, acetate, propanol], dim=-1
    )
    return Turnover(
        products=products,
        carbon=(share * leaving * gain).sum(-1) + made_formate,
        hydroxide=(products * _HYDROXIDES).sum(-1),
        coupling=shared,
        co=fresh / sink,
    )


def _split(weights: Tensor, ph: Tensor, pairs: Tensor) -> tuple[Tensor, ...]:
    """Share coupled pairs among the products with two and three carbon atoms; carbon is conserved."""
    ethylene, ethanol, acetate, propanol = weights.unbind(-1)
    acetate = acetate * torch.exp(0.35 * _LN10 * (ph - 9.5))
    unit = pairs / (ethylene + ethanol + acetate + propanol)
    return unit * ethylene, unit * ethanol, unit * acetate, unit * propanol * (2.0 / 3.0)


_HYDROXIDES = double([PRODUCTS[key].hydroxides for key in SIMULATED])
ELECTRONS: Final = double([PRODUCTS[key].electrons for key in SIMULATED])
CARBONS: Final = double([PRODUCTS[key].carbons for key in SIMULATED])
