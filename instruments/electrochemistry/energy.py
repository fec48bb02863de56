"""Energy efficiency, turnover frequency, limiting current.

Functions take floats, arrays or :class:`~instruments.electrochemistry.uncertain.Uncertain` alike.
"""

from __future__ import annotations

from typing import Final

from instruments.electrochemistry.constants import FARADAY, OXYGEN_POTENTIAL
from instruments.electrochemistry.uncertain import Value

COPPER_SITES: Final = 2.94e-5
"""Surface atoms of Cu(111), mol m-2 (1.77e15 cm-2)."""


def full_cell_efficiency(efficiency: Value, potential: Value, voltage: Value) -> Value:
    """``FE (1.229 V - E0) / U``: energy in the product over energy put into the cell.

    Args:
        efficiency: Faradaic efficiency.
        potential: standard potential of the product, V vs RHE.
        voltage: of the whole cell, as measured: never corrected for the ohmic drop.
    """
    return efficiency * (OXYGEN_POTENTIAL - potential) / voltage


def half_cell_efficiency(efficiency: Value, potential: Value, electrode: Value) -> Value:
    """``FE (1.229 V - E0) / (1.229 V - E)``: as if the anode had no losses; ``electrode`` in V vs RHE."""
    return efficiency * (OXYGEN_POTENTIAL - potential) / (OXYGEN_POTENTIAL - electrode)


def turnover_frequency(density: Value, electrons: Value, sites: Value, roughness: Value = 1.0) -> Value:
    """``|j| / (n F G RF)`` in s-1.

    Args:
        density: partial current density, A m-2.
        electrons: for one molecule.
        sites: mol m-2 of real area.
        roughness: real over geometric area.
    """
    return abs(density) / (electrons * FARADAY * sites * roughness)


def limiting_current_density(
    electrons: Value, carbons: Value, diffusivity: Value, concentration: Value, thickness: Value
) -> Value:
    """``(n / nC) F D c / d`` in A m-2: an upper bound, as hydroxide takes up CO2 on its way.

    Args:
        electrons: for one molecule.
        carbons: in one molecule.
        diffusivity: of CO2, m2 s-1.
        concentration: of CO2 in the bulk, mol m-3.
        thickness: of the boundary layer, m.
    """
    return electrons / carbons * FARADAY * diffusivity * concentration / thickness
