"""Write ``acquisition/data/elements.csv`` and the table of its sources from the Mendeleev database.

Not needed to run Sabatier: the table is frozen, so that the same campaign sees the same numbers for ever. Run it as
``python tools/make_elements.py`` in an environment with ``mendeleev`` 1.3, then read the difference.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mendeleev

DATA = Path(__file__).parents[1] / "acquisition" / "data"
LAST = 96
"""Curium: what is heavier is known by few atoms, and by no electrode."""

ALLOTROPES = {"C": "graphite", "P": "white", "S": "rhombic", "Se": "gray", "Sn": "white"}
"""Of elements with several melting points, the form whose point is taken."""


@dataclass(frozen=True)
class Property:
    """One column: its name, its unit, what it is and who measured it."""

    name: str
    unit: str
    what: str
    source: str
    read: Callable[[Any], float | int | None]


def _group(element: Any) -> int:
    return element.group_id if element.group_id is not None else 3


def _d_electrons(element: Any) -> int:
    return element.ec.conf.get((element.period - 1, "d"), 0)


def _affinity(element: Any) -> float | None:
    # the database has negative values of metastable anions
    value = element.electron_affinity
    return value if value is not None and value > 0 else None


def _melting(element: Any) -> float | None:
    forms = {phase.allotrope: phase.melting_point for phase in element.phase_transitions}
    return forms.get(ALLOTROPES.get(element.symbol)) if len(forms) > 1 else next(iter(forms.values()), None)


CRC = "CRC Handbook of Chemistry and Physics, 95th edition (2014)"
MIEDEMA = (
    "F. R. de Boer et al., Cohesion in Metals (North-Holland, 1988); R. F. Zhang et al., Comput. Phys. Commun. 209, "
    "58 (2016)"
)
PROPERTIES = (
    Property("atomic_number", "1", "number of protons", "-", lambda e: e.atomic_number),
    Property("atomic_mass", "u", "conventional atomic weight", "IUPAC (2016)", lambda e: e.atomic_weight),
    Property("period", "1", "row of the periodic table", "-", lambda e: e.period),
    Property("group", "1", "column of the periodic table, 1 to 18; 3 for lanthanides and actinides", "IUPAC", _group),
    Property("d_electrons", "1", "electrons in the d shell below the outermost shell, free atom", "-", _d_electrons),
    Property("electronegativity", "Pauling", "electronegativity by Pauling", CRC, lambda e: e.en_pauling),
    Property(
        "work_function_scale",
        "V",
        "electronegativity of the metal by Miedema, which is its work function, adjusted to heats of alloying",
        MIEDEMA,
        lambda e: e.en_miedema,
    ),
    Property(
        "electron_density",
        "4.6e22 cm-3",
        "electron density at the boundary of the Wigner-Seitz cell by Miedema",
        MIEDEMA,
        lambda e: e.miedema_electron_density,
    ),
    Property(
        "covalent_radius",
        "pm",
        "radius in single bonds",
        "P. Pyykkö and M. Atsumi, Chem. Eur. J. 15, 186 (2009)",
        lambda e: e.covalent_radius_pyykko,
    ),
    Property(
        "metallic_radius",
        "pm",
        "radius in the metal with twelve neighbours",
        "G. W. C. Kaye and T. H. Laby, Tables of Physical and Chemical Constants",
        lambda e: e.metallic_radius_c12,
    ),
    Property(
        "ionisation_energy",
        "eV",
        "first ionisation energy",
        "NIST Atomic Spectra Database",
        lambda e: e.ionenergies.get(1),
    ),
    Property(
        "electron_affinity",
        "eV",
        "electron affinity; missing where the anion is not stable",
        f"{CRC}; T. Andersen, Phys. Rep. 394, 157 (2004)",
        _affinity,
    ),
    Property(
        "polarisability",
        "bohr^3",
        "static dipole polarisability of the atom",
        "P. Schwerdtfeger and J. K. Nagle, Mol. Phys. 117, 1200 (2019), update of 2023",
        lambda e: e.dipole_polarizability,
    ),
    Property(
        "melting_point",
        "K",
        "melting point; of P white, S rhombic, Se grey, Sn white; none for C",
        "CRC Handbook of Chemistry and Physics, 97th edition (2016)",
        _melting,
    ),
    Property("density", "g cm-3", "density of the most abundant form at room temperature", CRC, lambda e: e.density),
    Property(
        "heat_of_atomisation",
        "kJ mol-1",
        "standard enthalpy of formation of the gaseous atom at 298 K, the cohesive energy of a solid",
        CRC,
        lambda e: e.heat_of_formation,
    ),
)


def main() -> None:
    """Write the table and its description."""
    elements = sorted(
        (e for e in mendeleev.get_all_elements() if e.atomic_number <= LAST), key=lambda e: e.atomic_number
    )
    with (DATA / "elements.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["symbol", *(p.name for p in PROPERTIES)])
        for element in elements:
            values = [p.read(element) for p in PROPERTIES]
            writer.writerow([element.symbol, *("" if v is None else f"{v:.8g}" for v in values)])
    rows = "\n".join(f"| `{p.name}` | {p.unit} | {p.what} | {p.source} |" for p in PROPERTIES)
    (DATA / "README.md").write_text(
        "# Properties of the elements\n\n"
        f"`elements.csv` holds hydrogen to curium, written by `tools/make_elements.py` from mendeleev "
        f"{mendeleev.__version__} (L. M. Mentel, MIT licence), which names these sources. Empty: not known.\n\n"
        "| column | unit | what | source |\n| --- | --- | --- | --- |\n"
        f"{rows}\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
