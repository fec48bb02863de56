"""Physical constants and the table of products.

Standard potentials are from Gibbs energies of formation at 298.15 K (gases at 1 bar, dissolved species at 1 mol kg-1)
for reduction of gaseous CO2, on the reversible hydrogen scale; they agree with Nitopi et al., Chem. Rev. 2019, 119,
7610, Table 1, within 0.01 V.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

FARADAY: Final = 96485.33212
"""Charge of a mole of electrons, C mol-1 (CODATA 2018)."""

GAS_CONSTANT: Final = 8.314462618
"""J mol-1 K-1 (CODATA 2018)."""

ROOM_TEMPERATURE: Final = 298.15
"""K; rate and equilibrium constants refer to it."""

SCCM: Final = 7.43584e-7
"""Molar flow of a standard cubic centimetre a minute at 0 degrees Celsius and 101.325 kPa, mol s-1."""

MA_PER_CM2: Final = 10.0
"""One mA cm-2 in A m-2."""


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
    """

    key: str
    formula: MappingProxyType[str, int]
    charge: int
    electrons: int
    molar_mass: float
    potential: float
    potential_slope: float
    phase: Literal["gas", "liquid"]

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


def _product(
    key: str,
    atoms: tuple[int, int, int],
    electrons: int,
    molar_mass: float,
    potential: float,
    phase: Literal["gas", "liquid"],
    charge: int = 0,
    slope: float = 0.0,
) -> Product:
    formula = MappingProxyType({symbol: count for symbol, count in zip("CHO", atoms, strict=True) if count})
    return Product(key, formula, charge, electrons, molar_mass, potential, slope, phase)


_ROWS = (
    _product("h2", (0, 2, 0), 2, 2.016, 0.000, "gas"),
    _product("co", (1, 0, 1), 2, 28.010, -0.104, "gas"),
    _product("hcoo", (1, 1, 2), 2, 45.017, -0.225, "liquid", charge=-1, slope=0.02958),
    _product("ch3oh", (1, 4, 1), 6, 32.042, 0.031, "liquid"),
    _product("ch4", (1, 4, 0), 8, 16.043, 0.169, "gas"),
    _product("c2h4", (2, 4, 0), 12, 28.053, 0.079, "gas"),
    _product("c2h6", (2, 6, 0), 14, 30.069, 0.143, "gas"),
    _product("c2h5oh", (2, 6, 1), 12, 46.069, 0.090, "liquid"),
    _product("ch3coo", (2, 3, 2), 8, 59.044, 0.071, "liquid", charge=-1, slope=0.00739),
    _product("c3h7oh", (3, 8, 1), 18, 60.095, 0.103, "liquid"),
)

PRODUCTS: Final = MappingProxyType({row.key: row for row in _ROWS})
"""Products by key."""

SIMULATED: Final = ("h2", "co", "hcoo", "ch4", "c2h4", "c2h5oh", "ch3coo", "c3h7oh")
"""The products that the virtual cell makes, in the order of all its rate tensors."""

MULTICARBON: Final = tuple(key for key in SIMULATED if PRODUCTS[key].carbons > 1)
"""Those with two or more carbon atoms: ``c2plus``."""
