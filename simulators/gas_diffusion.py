"""The cathode side of a gas-diffusion electrode: CO2 from a gas channel, through a thin liquid film, to the catalyst.

The catalyst is wetted by a film far thinner than a boundary layer, through which CO2 arrives; hydroxide in the wetted
layer absorbs some of it, which leaves as (bi)carbonate, into the liquid on the other side or through a membrane. A
flooded share of the catalyst gets its CO2 across the whole liquid layer instead. The gas channel is well mixed: what
is consumed and absorbed is missing in it. Salt crusts close pores. Lengths are simulator parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from simulators._arrays import Array, functions
from simulators._torch import Record
from simulators.film import Electrolyte, Exchange, surface_hydroxide

GAS_FILM: Final = 0.1e-6
"""Liquid between gas and catalyst, m."""

WETTED_DEPTH: Final = 3e-6
"""Of the catalyst layer in which hydroxide meets CO2, m."""

CO_DISTANCE: Final = 5e-6
"""Way of CO from the catalyst to the gas, m."""

HYDROXIDE_LEAK: Final = 0.05
"""Diffusivity of hydroxide in a membrane full of carbonate, over that in water."""


@dataclass(frozen=True)
class GasBalance:
    """What becomes of the CO2 in the channel; every array has one entry an experiment.

    Attributes:
        co2: at the catalyst, mol m-3.
        left: share of the inlet's CO2 that leaves the channel as gas.
        absorbed: CO2 that leaves as (bi)carbonate, mol m-2 s-1.
        fall: of ``co2`` with the hydroxide at the catalyst.
        rise: of ``absorbed`` with it, m s-1.
    """

    co2: Array
    left: Array
    absorbed: Array
    fall: Array
    rise: Array


@dataclass(frozen=True)
class GasElectrode(Record):
    """A gas-diffusion electrode in front of flowing liquid; every array has one entry an experiment.

    Attributes:
        thickness: of the liquid's boundary layer, m.
        inlet: CO2 that enters the channel, mol m-2 s-1 over the geometric area.
        flooded: share of the catalyst that gas does not reach, 0 to 1.
        crust: share of the pores that salt closes, 0 to below 1.
    """

    thickness: Array
    inlet: Array
    flooded: Array
    crust: Array

    def escape(self, solution: Electrolyte) -> Array:
        """Mass-transfer coefficient of CO from the catalyst to the gas, m s-1."""
        return solution.d_co / CO_DISTANCE

    def surface(self, solution: Electrolyte, oh: Array, exchange: Exchange) -> tuple[Array, Array]:
        """CO2 at the catalyst and the next trial value of hydroxide there, as :func:`simulators.film.film_surface`."""
        balance = self.balance(solution, oh, exchange.uptake)
        return balance.co2, self.hydroxide(solution, balance, oh, exchange)

    def absorbed(self, solution: Electrolyte, oh: Array, uptake: Array) -> Array:
        """CO2 that leaves as (bi)carbonate, mol m-2 s-1."""
        return self.balance(solution, oh, uptake).absorbed

    def balance(self, solution: Electrolyte, oh: Array, uptake: Array) -> GasBalance:
        """The well-mixed channel and the way to the catalyst, at a given hydroxide concentration there.

        Args:
            solution: the liquid; its CO2 is that in equilibrium with the gas that enters.
            oh: hydroxide at the catalyst, mol m-3.
            uptake: CO2 consumed at the catalyst over its concentration there, m s-1.
        """
        excess = functions(oh).at_least(oh - solution.neutral_oh, 0.0)
        reaction = solution.k_oh * WETTED_DEPTH
        absorbing = reaction * excess
        used = absorbing + uptake
        open_pores = 1.0 - self.crust
        through_film = solution.d_co2 / GAS_FILM * open_pores * open_pores * open_pores
        through_liquid = solution.d_co2 / self.thickness
        film, liquid = through_film + used, through_liquid + used
        dry = (1.0 - self.flooded) * through_film * solution.co2 / film
        wet = self.flooded * through_liquid * solution.co2 / liquid
        fed = dry + wet
        left = 1.0 / (1.0 + used * fed / self.inlet)
        co2 = fed * left
        fall = dry / film + wet / liquid + fed * fed / self.inlet
        fall = reaction * left * left * fall
        rise = reaction * co2 - absorbing * fall
        return GasBalance(co2=co2, left=left, absorbed=absorbing * co2, fall=fall, rise=rise)

    def hydroxide(self, solution: Electrolyte, balance: GasBalance, oh: Array, exchange: Exchange) -> Array:
        """The next trial value of hydroxide at the catalyst, mol m-3.

        CO2 and what is absorbed of it are taken as linear in the hydroxide around its trial value.

        Args:
            solution: the liquid.
            balance: of the gas side at the trial value.
            oh: trial value, mol m-3.
            exchange: of the catalyst.
        """
        carbon = solution.carbonates + balance.absorbed * self.thickness
        released = (exchange.hydroxide * balance.co2 + exchange.from_water) * self.thickness
        alkalinity = solution.alkalinity + released
        slopes = balance.rise * self.thickness, exchange.hydroxide * self.thickness * balance.fall
        root = surface_hydroxide(solution, oh, carbon, alkalinity, *slopes)
        return functions(root).larger(root, solution.neutral_oh)


class MembraneElectrode(GasElectrode):
    """A gas-diffusion electrode on an anion-exchange membrane, whose thickness (m) it has.

    Charge leaves as carbonate, but for a little hydroxide where CO2 is short.
    """

    def hydroxide(self, solution: Electrolyte, balance: GasBalance, oh: Array, exchange: Exchange) -> Array:
        """The next trial value of hydroxide at the catalyst, mol m-3; arguments as for liquid."""
        leak = HYDROXIDE_LEAK * solution.d_oh / self.thickness
        released = exchange.hydroxide * balance.co2 + exchange.from_water
        slope = 2.0 * balance.rise + exchange.hydroxide * balance.fall
        supply = released + leak * solution.neutral_oh - 2.0 * balance.absorbed + slope * oh
        return functions(oh).larger(supply / (leak + slope), solution.neutral_oh)
