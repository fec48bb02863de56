"""How a cell is driven, and the voltages around it.

A potentiostat holds the potential of the cathode, less what it does not compensate of the ohmic drop; a galvanostat
holds the current. Both are one more equation for the potential of the interface. Anode and gap make the cell voltage.

Sources: conductivity of potassium hydroxide Gilliam et al., Int. J. Hydrogen Energy 2007, 32, 359; of bicarbonate
from limiting ionic conductivities (CRC Handbook) with a decline over concentration that is a simulator parameter, as
are anode and gaps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from simulators._arrays import LN10, Array, functions
from simulators._torch import Record
from simulators.constants import ROOM_TEMPERATURE

TAFEL: Final = 16.0
"""Scale of the unknown that stands for the potential, V-1: about one e-fold of the current for a step of one."""

OXYGEN: Final = 1.229
"""Equilibrium potential of oxygen evolution, V vs RHE."""

ANODE_TAFEL, ANODE_EXCHANGE = 0.060, 1e-4
"""Of the anode: V a decade, and A m-2; simulator parameters."""

LOWEST, HIGHEST = -2.5, 0.3
"""V vs RHE between which a galvanostat finds its current; above, nothing is reduced."""

_SOFT, _MOST_GAS = 0.025, 0.5
_BICARBONATE_CONDUCTIVITY, _HYDROXIDE_CONDUCTIVITY, _POTASSIUM_CONDUCTIVITY = 44.5, 198.0, 73.5
_CONDUCTIVITY_DECLINE, _CONDUCTIVITY_RISE = 0.66, 0.02


@dataclass(frozen=True)
class Galvanostat(Record):
    """Holds a current density, A m-2 (a positive cathodic magnitude)."""

    log_current: Array

    def miss(self, potential: Array, current: Array) -> Array:  # noqa: ARG002 - a potentiostat needs it
        """Zero where the current is right, negative where there is too much of it."""
        return self.log_current - functions(current).log(current)


@dataclass(frozen=True)
class Potentiostat(Record):
    """Holds a potential at the terminals.

    Attributes:
        applied: V vs RHE.
        resistance: what is not compensated, ohm m2, without bubbles.
        bubbles: share of gas in the electrolyte at 100 mA cm-2.
    """

    applied: Array
    resistance: Array
    bubbles: Array

    def miss(self, potential: Array, current: Array) -> Array:
        """Zero where potential and ohmic drop make the applied potential, negative where there is too much current."""
        arcsinh = functions(current).arcsinh
        drop = self.resistance * bubble_factor(self.bubbles, current) * current
        return arcsinh((potential - self.applied) / _SOFT) - arcsinh(drop / _SOFT)


def bubble_factor(bubbles: Array, current: Array) -> Array:
    """By how much bubbles raise a resistance (Bruggeman's relation; the share of gas grows as the current's root).

    Args:
        bubbles: share of gas at 100 mA cm-2.
        current: A m-2.
    """
    xp = functions(current)
    share = xp.at_most(bubbles * xp.sqrt(current / 1000.0), _MOST_GAS)
    return xp.exp(-1.5 * xp.log(1.0 - share))


def conductivity(concentration: Array, temperature: Array, mobility: Array, hydroxide: Array) -> Array:
    """Conductivity of a bicarbonate or hydroxide solution, S m-1.

    Args:
        concentration: of the salt, mol m-3.
        temperature: K.
        mobility: limiting molar conductivity of the cation at 298.15 K, S cm2 mol-1.
        hydroxide: 1 where the salt is a hydroxide, 0 for a bicarbonate.
    """
    xp = functions(temperature)
    m, t = concentration / 1e3, temperature
    gilliam = (
        -2.041 * m - 0.0028 * m * m + 0.005332 * m * t + 207.2 * m / t + 0.001043 * m * m * m - 3e-7 * m * m * t * t
    )
    alkaline = (
        100.0 * gilliam * (mobility + _HYDROXIDE_CONDUCTIVITY) / (_POTASSIUM_CONDUCTIVITY + _HYDROXIDE_CONDUCTIVITY)
    )
    molar = (mobility + _BICARBONATE_CONDUCTIVITY) / (1.0 + _CONDUCTIVITY_DECLINE * xp.sqrt(m))
    bicarbonate = 0.1 * m * molar * (1.0 + _CONDUCTIVITY_RISE * (temperature - ROOM_TEMPERATURE))
    return xp.where(hydroxide > 0.5, alkaline, bicarbonate)


def anode_potential(current: Array) -> Array:
    """Potential of an oxygen-evolving anode at a current density (A m-2), V vs RHE; at equilibrium below exchange."""
    xp = functions(current)
    decades = xp.log(xp.at_least(current / ANODE_EXCHANGE, 1.0)) / LN10
    return OXYGEN + ANODE_TAFEL * decades
