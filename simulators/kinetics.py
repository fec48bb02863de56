"""Competing pathways at the sites of an electrode: from CO2 and water to hydrogen and C1 to C3 products.

CO2 activation and C-C coupling depend on the potential on the standard-hydrogen scale (no proton in the rate-limiting
step), methane also on the surface pH: transfer coefficients and order after Hori et al., J. Phys. Chem. B 1997, 101,
7075; the effective values here are calibrated. Adsorbed CO is shared between neighbouring sites, in coupling and by
re-adsorption from the film.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from torch import Tensor

from simulators._arrays import LN10, Array, functions, ten_to
from simulators._torch import Record, double
from simulators.constants import FARADAY, GAS_CONSTANT, PRODUCTS, SIMULATED
from simulators.elements import STEPS
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
_BARRIER: Final = {
    "co2_to_co": 45.0,
    "co2_to_formate": 45.0,
    "water_to_h2": 60.0,
    "buffer_to_h2": 20.0,
    "co_desorption": 60.0,
    "co_to_methane": 25.0,
    "co_coupling": 65.0,
}
"""Activation energies, kJ mol-1."""
_BARRIERS: Final = double([_BARRIER[step] for step in STEPS])[:, None]
_METHANE_ORDER: Final = 0.471
_FORMATE_ORDER: Final = 0.52


@dataclass(frozen=True)
class Electrode(Record):
    """What makes one electrode differ from another of the same composition; each array has one entry an experiment.

    Attributes:
        roughness: over that of the ideal electrode of its kind of cell (which is 1 for a smooth sheet).
        activity: share of sites that work.
        factors: on the site rate constants, [..., steps].
    """

    roughness: Array
    activity: Array
    factors: Array


@dataclass(frozen=True)
class SiteConstants(Record):
    """What rate constants are made of apart from the potential, in mol m-2 s-1 where nothing else is said.

    Arrays are [elements, 1, experiments] for what differs between sites, else [experiments].

    Attributes:
        fractions: surface fractions.
        activation, formate: CO2 to *CO and to formate at 1 mol m-3 of CO2, the latter on bare sites.
        water, buffer: hydrogen from water and from buffer ions (before their supply limits it).
        unpoisoned: share of hydrogen evolution that CO from the gas leaves.
        blocked: how much *CO coverage lowers hydrogen evolution.
        methane: at pH 9 and full coverage.
        coupling: square root of the C-C coupling constant.
        desorption: at full coverage.
        adsorption: of CO at 1 mol m-3, the same for all sites.
        supply: of buffer ions through the film.
        slope: F/RT, V-1.
        offset: from V vs RHE to volts from the reference potential.
        formate_equilibrium: V vs RHE.
    """

    fractions: Array
    activation: Array
    formate: Array
    water: Array
    buffer: Array
    unpoisoned: Array
    blocked: Array
    methane: Array
    coupling: Array
    desorption: Array
    adsorption: Array
    supply: Array
    slope: Array
    offset: Array
    formate_equilibrium: Array

    def at(self, potential: Array) -> RateConstants:
        """Rate constants at potentials in V vs RHE at the bulk pH, [..., experiments]."""
        xp = functions(potential)
        shift = potential + self.offset
        volts = -self.slope * shift

        def tilt(step: str) -> Array:
            return xp.exp(_TRANSFER[step] * volts)

        def gate(equilibrium: Array | float) -> Array:
            return -xp.expm1(xp.at_most(self.slope * (potential - equilibrium), 0.0))

        open_h2 = gate(PRODUCTS["h2"].potential)
        buffer = self.buffer * tilt("buffer")
        buffer = buffer * self.supply / (buffer + self.supply)
        return RateConstants(
            fractions=self.fractions,
            activation=self.activation * (tilt("co") * gate(PRODUCTS["co"].potential)),
            formate=self.formate * (tilt("hcoo") * gate(self.formate_equilibrium)),
            hydrogen=(self.water * tilt("h2") + buffer) * (open_h2 * self.unpoisoned),
            blocked=self.blocked,
            methane=self.methane * tilt("ch4"),
            coupling=self.coupling * xp.exp((0.5 * _TRANSFER["c2"]) * volts),
            desorption=self.desorption,
            adsorption=self.adsorption,
            ethanol=xp.exp(-1.677 - 3.111 * shift),
            propanol=xp.exp(-2.077 + 4.168 * shift),
        )


@dataclass(frozen=True)
class RateConstants(Record):
    """Rate constants of a batch at its potentials, in mol m-2 s-1 where nothing else is said.

    Arrays are [elements, ..., experiments] for what differs between sites, else [..., experiments].

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
        ethanol, propanol: their weights among coupled pairs, where ethylene has 1.
    """

    fractions: Array
    activation: Array
    formate: Array
    hydrogen: Array
    blocked: Array
    methane: Array
    coupling: Array
    desorption: Array
    adsorption: Array
    ethanol: Array
    propanol: Array


@dataclass(frozen=True)
class Surface:
    """What the sites see, as natural logarithms, each [..., experiments].

    Attributes:
        log_oh: hydroxide, mol m-3.
        log_co2: CO2, mol m-3.
        log_coupling: shared coupling, square root of mol m-2 s-1.
        log_co: CO in the film were it not to bubble, mol m-3.
    """

    log_oh: Array
    log_co2: Array
    log_coupling: Array
    log_co: Array


@dataclass(frozen=True)
class Turnover:
    """Rates at a trial surface state, in mol m-2 s-1 over the geometric area, each [..., experiments].

    Attributes:
        products: in the order of :data:`SIMULATED`, [products, ..., experiments].
        carbon: CO2 consumed, as the sites take it up.
        hydroxide: released.
        charge: electrons consumed.
        coupling: the shared coupling that these coverages give.
        dissolved: CO in the film at the trial state, mol m-3.
        co: the film concentration of CO that these coverages give, were it not to bubble, mol m-3.
    """

    products: tuple[Array, ...]
    carbon: Array
    hydroxide: Array
    charge: Array
    coupling: Array
    dissolved: Array
    co: Array


def site_constants(
    sites: Sites,
    electrode: Electrode,
    roughness: float,
    solution: Electrolyte,
    temperature: Array,
    thickness: Array,
    promotion: Array,
    pressure: Array,
) -> SiteConstants:
    """Rate constants but for their potential.

    Args:
        sites: the surface, of arrays [experiments, elements].
        electrode: electrode-level factors.
        roughness: of the ideal electrode; CO re-adsorbs from the film over its outer surface only.
        solution: the bulk electrolyte.
        temperature: K.
        thickness: of the boundary layer, m.
        promotion: of CO2 activation by the cation.
        pressure: of CO2, atm.
    """
    xp = functions(temperature)
    slope = FARADAY / (GAS_CONSTANT * temperature)
    outer = electrode.roughness * electrode.activity
    area = roughness * outer
    warmth = arrhenius(temperature, _like(temperature, _BARRIERS))
    factors = xp.turned(electrode.factors) * warmth
    k = xp.turned(ten_to(sites.log10_k))[:, :, None]
    made = dict(zip(STEPS, k, strict=True))

    def scaled(step: str, scale: Array) -> Array:
        return made[step] * (factors[STEPS.index(step)] * scale)

    promoted = area * xp.exp(0.5 * promotion) / HENRY
    strong = _like(temperature, double(sites.elements.e_co < STRONG_CO))[:, None, None]
    poisoned = _like(temperature, sites.elements.poisoned)[:, None, None]
    covered = pressure / (pressure + POISON_PRESSURE)
    copper = 10.0 ** float(sites.elements.copper[STEPS.index("co_desorption")])
    return SiteConstants(
        fractions=xp.turned(sites.fractions)[:, None],
        activation=scaled("co2_to_co", promoted),
        formate=scaled("co2_to_formate", promoted),
        water=scaled("water_to_h2", area),
        buffer=scaled("buffer_to_h2", electrode.activity * (solution.hco3 / 100.0) ** 0.7),
        unpoisoned=1.0 - strong * poisoned * covered,
        blocked=poisoned * (1.0 - strong) * xp.ones(covered),
        methane=scaled("co_to_methane", area),
        coupling=xp.sqrt(scaled("co_coupling", area * xp.exp(promotion))),
        desorption=scaled("co_desorption", area),
        adsorption=READSORPTION * copper * outer * warmth[STEPS.index("co_desorption")],
        supply=solution.d_hco3 * solution.hco3 / thickness,
        slope=slope,
        offset=-LN10 / slope * solution.ph - REFERENCE_POTENTIAL,
        formate_equilibrium=PRODUCTS["hcoo"].equilibrium_potential(0.0)
        + PRODUCTS["hcoo"].potential_slope * solution.ph,
    )


def _like(kind: Array, tensor: Tensor) -> Array:
    """A constant tensor as an array of some kind."""
    return tensor if isinstance(kind, Tensor) else tensor.numpy()


def turnover(k: RateConstants, surface: Surface, solution: Electrolyte, escape: Array) -> Turnover:
    """Rates at a trial surface state.

    Args:
        k: rate constants.
        surface: the trial state, [..., experiments].
        solution: the bulk electrolyte.
        escape: mass-transfer coefficient with which CO leaves the film, m s-1.
    """
    xp = functions(surface.log_co2)
    co2, coupling, unbound = xp.exp(surface.log_co2), xp.exp(surface.log_coupling), xp.exp(surface.log_co)
    dissolved = CO_SATURATION * xp.tanh(unbound / CO_SATURATION)
    ph = solution.surface_ph(surface.log_oh)
    gain = k.activation * co2
    adsorbing = gain + k.adsorption * dissolved
    methane = k.methane * xp.exp((-_METHANE_ORDER * LN10) * (ph - 9.0))
    reacting = methane + k.coupling * (2.0 * coupling)
    leaving = k.desorption + reacting
    total = adsorbing + leaving
    bare = leaving / total
    share, emptied = k.fractions / total, k.fractions * bare
    covered = share * adsorbing

    made_formate = xp.total(k.fractions * k.formate * xp.exp(_FORMATE_ORDER * xp.log(bare))) * co2
    hydrogen = xp.total(k.hydrogen * (k.fractions - covered * k.blocked))
    made_methane = xp.total(covered * methane)
    shared = xp.total(covered * k.coupling)
    # CO that only goes round between sites and film is left out of the balance: with it the film's CO would barely
    # react to a trial value, and no iteration would end
    fresh = xp.total(share * k.desorption * gain)
    free = xp.total(emptied)
    consumed = k.adsorption * xp.total(share * reacting)
    bubbling = 1.0 - dissolved / unbound
    sink = escape + (1.0 - bubbling) * consumed + bubbling * k.adsorption * free
    monoxide = xp.at_least(fresh - dissolved * consumed, 0.0)
    ethylene, ethanol, acetate, propanol = _split(k, ph, shared * shared)
    products = (hydrogen, monoxide, made_formate, made_methane, ethylene, ethanol, acetate, propanol)
    charge = hydroxide = _charge(products)
    for anion in _ANIONS:  # they leave with the charge that would have been hydroxide's
        hydroxide = hydroxide - products[anion]
    return Turnover(
        products=products,
        carbon=xp.total(emptied * gain) + made_formate,
        hydroxide=hydroxide,
        charge=charge,
        coupling=shared,
        dissolved=dissolved,
        co=fresh / sink,
    )


def _split(k: RateConstants, ph: Array, pairs: Array) -> tuple[Array, ...]:
    """Share coupled pairs among the products with two and three carbon atoms; carbon is conserved."""
    acetate = functions(ph).exp((0.35 * LN10) * (ph - 9.5) - 4.0)
    unit = pairs / (1.0 + k.ethanol + acetate + k.propanol)
    return unit, unit * k.ethanol, unit * acetate, unit * k.propanol * (2.0 / 3.0)


def _charge(products: tuple[Array, ...]) -> Array:
    """Electrons consumed, mol m-2 s-1."""
    total = _ELECTRONS[0] * products[0]
    for electrons, rate in zip(_ELECTRONS[1:], products[1:], strict=True):
        total = total + electrons * rate
    return total


_ANIONS: Final = tuple(i for i, key in enumerate(SIMULATED) if PRODUCTS[key].charge == -1)
_ELECTRONS: Final = tuple(float(PRODUCTS[key].electrons) for key in SIMULATED)
ELECTRONS: Final = double(_ELECTRONS)
CARBONS: Final = double([PRODUCTS[key].carbons for key in SIMULATED])
