"""Published measurements that the virtual cell is calibrated to or compared with.

Hori: polycrystalline metals in 0.1 M KHCO3 at 18.5 degrees Celsius under galvanostatic control; Hori, Wakebe, Tsukamoto
and Koga, Electrochim. Acta 1994, 39, 1833, as reprinted in Hori, Modern Aspects of Electrochemistry 2008, 42, 89,
Table 3. Kuhl: polycrystalline copper in 0.1 M KHCO3; Kuhl, Cave, Abram and Jaramillo, Energy Environ. Sci. 2012, 5,
7050, rounded from a digitised table. The constants in ``data/metals.json`` were fitted to these numbers, so that
agreement with them is calibration, not validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

HORI_TEMPERATURE: Final = 291.65
"""K."""

HORI_CONCENTRATION: Final = 100.0
"""mol m-3 of KHCO3."""

HORI_PH: Final = 6.8
"""Of the bulk, by which the authors' potentials become potentials vs RHE."""

KUHL_OFFSET: Final = 0.402
"""V from the standard to the reversible hydrogen electrode in Kuhl's work."""


@dataclass(frozen=True, slots=True)
class MetalRow:
    """A metal of Hori's table.

    Attributes:
        metal: element symbol.
        on_she: V vs SHE.
        current: mA cm-2, a positive cathodic magnitude.
        efficiencies: Faradaic efficiencies by product key, per cent as published; what was not found is left out.
        assumed: what the calibration filled in where nothing was published, per cent.
        total: sum as published, minor products included, per cent.
    """

    metal: str
    on_she: float
    current: float
    efficiencies: Mapping[str, float]
    total: float
    assumed: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def shares(self) -> Mapping[str, float]:
        """Efficiencies as fractions of their sum, which the calibration takes for targets."""
        known = {**self.efficiencies, **self.assumed}
        whole = sum(known.values())
        return MappingProxyType({product: value / whole for product, value in known.items()})

    @property
    def major(self) -> str:
        """The product with the largest efficiency."""
        return max(self.efficiencies, key=self.efficiencies.__getitem__)


def _row(
    metal: str, on_she: float, current: float, total: float, assumed: dict[str, float] | None = None, **found: float
) -> MetalRow:
    return MetalRow(metal, on_she, current, MappingProxyType(found), total, MappingProxyType(assumed or {}))


_HORI = (
    _row("Cu", -1.44, 5.0, 103.5, ch4=33.3, c2h4=25.5, c2h5oh=5.7, c3h7oh=3.0, co=1.3, hcoo=9.4, h2=20.5),
    _row("Au", -1.14, 5.0, 98.0, co=87.1, hcoo=0.7, h2=10.2),
    _row("Ag", -1.37, 5.0, 94.6, co=81.5, hcoo=0.8, h2=12.4),
    _row("Zn", -1.54, 5.0, 95.4, co=79.4, hcoo=6.1, h2=9.9),
    _row("Pd", -1.20, 5.0, 60.2, ch4=2.9, co=28.3, hcoo=2.8, h2=26.2),
    _row("Ga", -1.24, 5.0, 102.0, co=23.2, h2=79.0),
    _row("Pb", -1.63, 5.0, 102.4, hcoo=97.4, h2=5.0),
    _row("In", -1.55, 5.0, 100.3, co=2.1, hcoo=94.9, h2=3.3),
    _row("Sn", -1.48, 5.0, 100.1, co=7.1, hcoo=88.4, h2=4.6),
    _row("Cd", -1.63, 5.0, 103.0, ch4=1.3, co=13.9, hcoo=78.4, h2=9.4),
    _row("Bi", -1.56, 1.2, 77.0, {"co": 3.0, "h2": 20.0}, hcoo=77.0),
    _row("Ni", -1.48, 5.0, 92.4, ch4=1.8, c2h4=0.1, hcoo=1.4, h2=88.9),
    _row("Fe", -0.91, 5.0, 94.8, h2=94.8),
    _row("Pt", -1.07, 5.0, 95.8, hcoo=0.1, h2=95.7),
    _row("Ti", -1.60, 5.0, 99.7, h2=99.7),
)

HORI: Final[Mapping[str, MetalRow]] = MappingProxyType({row.metal: row for row in _HORI})
"""Hori's metals that the virtual cell knows, by symbol (mercury and thallium it does not)."""

KUHL_PRODUCTS: Final = ("h2", "co", "hcoo", "ch4", "c2h4", "c2h5oh", "c3h7oh")
"""Columns of :data:`KUHL` after potential and current; the last one holds all products with three carbon atoms."""

KUHL: Final = (
    (-0.67, 0.40, 76.0, 18.0, 9.0, 0.0, 0.0, 0.0, 0.0),
    (-0.74, 0.55, 62.0, 11.0, 19.0, 0.1, 0.4, 0.0, 0.0),
    (-0.82, 0.86, 44.0, 8.0, 23.0, 0.1, 1.8, 0.0, 0.0),
    (-0.89, 1.23, 38.0, 9.0, 25.0, 0.7, 3.6, 0.0, 0.0),
    (-0.95, 1.91, 30.0, 7.0, 17.0, 3.0, 10.0, 2.5, 3.4),
    (-1.01, 3.57, 25.0, 4.0, 11.0, 17.0, 18.0, 5.6, 6.1),
    (-1.05, 5.91, 23.0, 1.1, 2.1, 24.0, 26.0, 9.8, 3.7),
    (-1.09, 9.23, 22.0, 0.6, 1.4, 30.0, 21.0, 9.2, 2.9),
    (-1.14, 12.2, 32.0, 0.4, 0.8, 40.0, 15.0, 5.5, 1.0),
    (-1.17, 17.3, 52.0, 0.3, 0.5, 41.0, 9.0, 1.7, 0.1),
)
"""Kuhl's copper: V vs RHE, mA cm-2, and per cent of :data:`KUHL_PRODUCTS`."""

KUHL_TOLERANCES: Final[Mapping[str, float]] = MappingProxyType(
    {"h2": 15.0, "co": 8.0, "hcoo": 6.0, "ch4": 8.0, "c2h4": 8.0, "c2h5oh": 4.0}
)
"""Largest root-mean-square deviation over the ten points that counts as agreement, per cent."""

KUHL_CURRENT_TOLERANCE: Final = 0.15
"""The same for the decadic logarithm of the current density."""

HORI_TOLERANCE, HORI_COPPER_TOLERANCE, HORI_POTENTIAL_TOLERANCE = 3.0, 6.0, 0.020
"""Largest deviations from Hori: efficiencies in per cent, on copper, and potential in V."""

BOUNDARY_VALUE_PROBLEM: Final = (
    (0.1, 50, 5, 0.3, 9.72, 27.5),
    (0.1, 100, 5, 0.3, 9.87, 17.2),
    (0.1, 100, 10, 0.3, 10.36, 6.9),
    (0.1, 50, 20, 0.2, 10.55, 15.4),
    (0.5, 50, 10, 0.3, 9.43, 22.9),
    (0.5, 100, 10, 0.3, 9.70, 13.1),
    (0.5, 100, 20, 0.2, 10.09, 6.6),
    (1.0, 100, 20, 0.2, 9.77, 7.4),
)
"""Salt in mol L-1, film in um, mA cm-2, share of the current that consumes CO2 by two electrons; then pH and CO2 in
mol m-3 at the surface, by the numerical solution of diffusion and reaction of four species."""

FILM_PH_TOLERANCE, FILM_CO2_TOLERANCE = 0.05, 1.2
"""Largest deviations of the film in closed form from it, in pH and mol m-3."""
