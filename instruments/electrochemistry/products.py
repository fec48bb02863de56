"""The table of products: electrons, standard potentials, phases.

Electrons follow from the formula, for reduction of CO2. Standard potentials follow from Gibbs energies of formation at
298.15 K (gases at 1 bar, dissolved species at 1 mol kg-1), on the reversible hydrogen scale; for the products of the
field's usual table they agree with Nitopi et al., Chem. Rev. 2019, 119, 7610, Table 1, within 0.01 V. (That table's
0.20 V for ethylene glycol and 0.11 V for allyl alcohol cannot be had from any Gibbs energy of these molecules: with
them, hydrogenation of allyl alcohol to propanol would yield 9 kJ mol-1 instead of 90.)
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from instruments.electrochemistry.constants import FARADAY, GAS_CONSTANT, ROOM_TEMPERATURE

_NERNST_SLOPE: Final = 2.302585092994046 * GAS_CONSTANT * ROOM_TEMPERATURE / FARADAY

ATOMIC_MASSES: Final = MappingProxyType({"C": 12.011, "H": 1.008, "O": 15.999})
"""Conventional atomic weights (IUPAC 2021), g mol-1."""

CARBON_DIOXIDE, WATER = -394.359, -237.129
"""Gibbs energies of formation of gaseous CO2 and liquid water, kJ mol-1 (NBS tables, 1982)."""


@dataclass(frozen=True, slots=True)
class Product:
    """A product of CO2 electroreduction.

    Attributes:
        key: as in metric names.
        formula: atoms of the species as it leaves the cathode.
        charge: of that species.
        electrons: taken up from CO2 for one molecule.
        molar_mass: g mol-1.
        potential: standard potential at pH 0, V vs RHE.
        potential_slope: its change with pH, V: not zero for anions only.
        phase: where it is found.
        name: in words.
        source: of its Gibbs energy.
    """

    key: str
    formula: MappingProxyType[str, int]
    charge: int
    electrons: int
    molar_mass: float
    potential: float
    potential_slope: float
    phase: Literal["gas", "liquid"]
    name: str = ""
    source: str = ""

    @property
    def carbons(self) -> int:
        """Carbon atoms in a molecule."""
        return self.formula.get("C", 0)

    @property
    def hydroxides(self) -> int:
        """Hydroxide ions released (or protons consumed) with one molecule near neutral pH."""
        return self.electrons + self.charge

    def equilibrium_potential(self, ph: float) -> float:
        """Standard potential in V vs RHE at a pH; no product forms above it."""
        return self.potential + self.potential_slope * ph


def electrons_from_carbon_dioxide(carbons: int, hydrogens: int, oxygens: int, charge: int = 0) -> int:
    """Electrons that CO2 takes up for one molecule: ``4 C + H - 2 O - charge``.

    From CO instead of CO2 it is ``2 C`` less: tables of CO reduction must not be mixed with this one.
    """
    return 4 * carbons + hydrogens - 2 * oxygens - charge


def standard_potential(carbons: int, oxygens: int, electrons: int, gibbs_energy: float) -> float:
    """Standard potential of the reduction of CO2 to a product and water at pH 0, V vs RHE.

    Args:
        carbons: of the product.
        oxygens: of the product.
        electrons: for one molecule.
        gibbs_energy: of formation of the product, kJ mol-1.
    """
    change = gibbs_energy + (2 * carbons - oxygens) * WATER - carbons * CARBON_DIOXIDE
    return -1e3 * change / (electrons * FARADAY) + 0.0  # no negative zero


def _product(
    key: str,
    name: str,
    atoms: tuple[int, int, int],
    gibbs_energy: float,
    source: str,
    phase: Literal["gas", "liquid"],
    charge: int = 0,
) -> Product:
    carbons, hydrogens, oxygens = atoms
    electrons = electrons_from_carbon_dioxide(carbons, hydrogens, oxygens, charge)
    formula = MappingProxyType({symbol: count for symbol, count in zip("CHO", atoms, strict=True) if count})
    return Product(
        key=key,
        formula=formula,
        charge=charge,
        electrons=electrons,
        molar_mass=round(sum(ATOMIC_MASSES[symbol] * count for symbol, count in formula.items()), 3),
        potential=standard_potential(carbons, oxygens, electrons, gibbs_energy),
        potential_slope=-charge * _NERNST_SLOPE / electrons,
        phase=phase,
        name=name,
        source=source,
    )


_NBS: Final = "NBS tables, 1982"
_CRC: Final = "CRC Handbook of Chemistry and Physics"
_ALBERTY: Final = "Alberty, Thermodynamics of Biochemical Reactions, 2003 (aqueous)"
_STULL: Final = "Stull, Westrum, Sinke 1969 (gas) with the Gibbs energy of hydration of Cabani et al. 1981"

_ROWS = (
    _product("h2", "hydrogen", (0, 2, 0), 0.0, "definition", "gas"),
    _product("co", "carbon monoxide", (1, 0, 1), -137.168, _NBS, "gas"),
    _product("hcoo", "formate", (1, 1, 2), -351.0, _NBS, "liquid", charge=-1),
    _product("ch3oh", "methanol", (1, 4, 1), -175.31, _ALBERTY, "liquid"),
    _product("ch4", "methane", (1, 4, 0), -50.72, _NBS, "gas"),
    _product("c2h4", "ethylene", (2, 4, 0), 68.15, _NBS, "gas"),
    _product("c2h6", "ethane", (2, 6, 0), -32.82, _NBS, "gas"),
    _product("c2h5oh", "ethanol", (2, 6, 1), -181.64, _ALBERTY, "liquid"),
    _product("ch3coo", "acetate", (2, 3, 2), -369.31, _NBS, "liquid", charge=-1),
    _product("c3h7oh", "1-propanol", (3, 8, 1), -175.81, _ALBERTY, "liquid"),
    _product("ch3cho", "acetaldehyde", (2, 4, 1), -139.0, _ALBERTY, "liquid"),
    _product("c3h5oh", "allyl alcohol", (3, 6, 1), -84.4, _STULL, "liquid"),
    _product("c2h5cho", "propionaldehyde", (3, 6, 1), -136.9, _STULL, "liquid"),
    _product("c3h6o", "acetone", (3, 6, 1), -159.7, _ALBERTY, "liquid"),
    _product("glycolaldehyde", "glycolaldehyde", (2, 4, 2), -291.3, "from its quoted potential, -0.03 V", "liquid"),
    _product("glycol", "ethylene glycol", (2, 6, 2), -323.08, f"{_CRC} (liquid)", "liquid"),
    _product("hcho", "formaldehyde", (1, 2, 1), -130.54, _ALBERTY, "liquid"),
    _product("c3h6", "propylene", (3, 6, 0), 62.72, _CRC, "gas"),
    _product("c3h8", "propane", (3, 8, 0), -23.49, _CRC, "gas"),
)

SIDE_GASES: Final = ("co2", "n2", "o2", "ar", "he", "h2o")
"""Species of a gas that are no products."""

PRODUCTS: Final = MappingProxyType({row.key: row for row in _ROWS})
"""Products by key; their order is that of all figures."""
