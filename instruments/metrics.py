"""The closed table of metric names with their units.

Faradaic efficiencies are fractions, current densities positive cathodic magnitudes in mA cm-2, potentials say
their reference. A metric that is not in this table is a free name of one table or one laboratory.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

PRODUCTS: Final = ("h2", "co", "hcoo", "ch4", "c2h4", "c2h6", "ch3oh", "c2h5oh", "ch3coo", "c3h7oh", "c2plus")
"""Product keys in metric names; ``c2plus`` is the sum over the products with two or more carbon atoms."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of merit: its name, its unit ("1" for fractions), and what it means in words."""

    name: str
    unit: str
    description: str


def _table() -> dict[str, Metric]:
    rows = [Metric(f"fe_{p}", "1", f"Faradaic efficiency of {p}") for p in PRODUCTS]
    rows.append(Metric("fe_total", "1", "sum of the Faradaic efficiencies of all analysed products"))
    rows.append(Metric("j_total", "mA cm-2", "total current density, positive cathodic magnitude"))
    rows += [Metric(f"j_{p}", "mA cm-2", f"partial current density of {p}, positive magnitude") for p in PRODUCTS]
    rows += [Metric(f"ee_{p}", "1", f"energy efficiency of {p}") for p in PRODUCTS]
    rows += [
        Metric("e_rhe", "V vs RHE", "electrode potential, iR-corrected"),
        Metric("u_cell", "V", "full-cell voltage"),
        Metric("spc_co2", "1", "single-pass conversion of CO2"),
        Metric("co2_carbonate", "1", "share of the CO2 feed that leaves as carbonate"),
        Metric("stability_slope", "h-1", "slope of the objective's Faradaic efficiency over time"),
        Metric("t80", "h", "time until 80 % of the starting value is left"),
    ]
    return {row.name: row for row in rows}


METRICS: Final = MappingProxyType(_table())
"""Every standard metric by name."""


def unit_of(name: str) -> str | None:
    """The unit of a standard metric, or ``None`` for a free name."""
    metric = METRICS.get(name)
    return None if metric is None else metric.unit


def is_fraction(name: str) -> bool:
    """Whether a metric is a fraction, so that values far above 1 betray per cent."""
    return unit_of(name) == "1"
