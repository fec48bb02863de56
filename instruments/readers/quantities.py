"""Quantities of the raw-signal form, the tables they make up, and the units in which files give them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from instruments.electrochemistry.tables import QUANTITIES
from instruments.electrochemistry.units import MOLAR_FLOW, flow_scale, scale
from instruments.errors import SignalError

UNITS: Final[Mapping[str, str]] = MappingProxyType(
    {**QUANTITIES, "area": "pA s", "inlet": MOLAR_FLOW, "outlet": MOLAR_FLOW}
)
"""Every quantity with a unit as an example; an area may have any, a flow any of a flow."""

PLAIN: Final = ("species", "injection", "compartment", "method", "detector", "overload", "cycle")
"""Columns without a dimension, whose names have no slash."""

TABLES: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = MappingProxyType(
    {
        "potentiostat": (
            ("time", "current"),
            ("potential", "cell_voltage", "set_potential", "set_current", "overload", "cycle", "temperature"),
        ),
        "open_circuit": (("time", "potential"), ("temperature",)),
        "impedance": (("frequency", "z_real", "z_imag"), ("time", "potential", "current", "cycle")),
        "chromatograph": (("injection", "time", "species"), ("area", "fraction", "detector", "retention")),
        "flow": (("time", "inlet"), ("outlet", "pressure_drop", "back_pressure")),
        "liquid": (
            ("species", "compartment", "concentration"),
            ("concentration_sem", "detection_limit", "recovery", "signal_to_noise", "method", "time", "dilution"),
        ),
    }
)
"""Quantities that each table must have, and those that it may have."""

ONE_OF: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"potentiostat": ("potential", "cell_voltage"), "chromatograph": ("area", "fraction")}
)
"""Quantities of which a table must have at least one."""

_UNIT: Final = re.compile(
    r"(?:[A-Za-zµμΩ°]+|%)(?:(?:\^|\*\*)?[-−]?[1-9])?(?:(?:\s*[/*·.]\s*|\s+)[A-Za-zµμΩ°]+(?:(?:\^|\*\*)?[-−]?[1-9])?)*"
)
"""A product of names with exponents; what else there may be between them is damage, and no unit."""


GAPS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "chromatograph": ("retention",),
        "liquid": ("concentration_sem", "detection_limit", "recovery", "signal_to_noise", "time", "dilution"),
    }
)
"""Quantities that need not be known in every row of a table."""


def plain_unit(unit: str) -> str | None:
    """A unit in the spelling that the reduction knows, or ``None`` where it is written like none."""
    text = unit.strip().replace("−", "-").replace("·", "*")
    if text in ("1", "-"):
        return "1"
    return text if _UNIT.fullmatch(text) and len(text) < 40 else None


def fits(quantity: str, unit: str) -> bool:
    """Whether a unit is one of the quantity's dimension; flows may be molar, volumetric or standard."""
    text = plain_unit(unit)
    if text is None:
        return False
    if quantity in ("inlet", "outlet"):
        return _is_flow(text)
    return scale(text, text if quantity == "area" else UNITS[quantity]) is not None


def _is_flow(unit: str) -> bool:
    """Whether the reduction takes a unit for a flow, given what a volume refers to."""
    try:
        flow_scale(unit, 273.15, 101_325.0, unit)
    except SignalError:
        return False
    return True


def factor(unit: str, into: str) -> float | None:
    """What a number in one unit is multiplied with in another; ``None`` where one does not become the other so."""
    if unit == into:
        return 1.0
    text, wanted = plain_unit(unit), plain_unit(into)
    found = None if text is None or wanted is None else scale(text, wanted)
    return found[0] if found is not None and found[1] == 0.0 else None


def split_name(column: str) -> tuple[str, str | None]:
    """``"current/mA"`` into ``("current", "mA")``; a plain column has no unit."""
    quantity, slash, unit = column.partition("/")
    return quantity.strip(), unit.strip() if slash else None
