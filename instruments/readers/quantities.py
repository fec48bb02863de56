"""Quantities of the raw-signal form, their dimensions and the units in which files give them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pint

UNITS: Final[Mapping[str, str | None]] = MappingProxyType(
    {
        "time": "s",
        "retention": "s",
        "current": "A",
        "set_current": "A",
        "potential": "V",
        "set_potential": "V",
        "cell_voltage": "V",
        "temperature": "K",
        "frequency": "Hz",
        "z_real": "ohm",
        "z_imag": "ohm",
        "area": None,  # what a detector counts in; the calibration has the same unit
        "fraction": "1",
        "inlet": "mol s-1",
        "outlet": "mol s-1",
        "pressure_drop": "Pa",
        "back_pressure": "Pa",
        "concentration": "mol L-1",
        "concentration_sem": "mol L-1",
        "detection_limit": "mol L-1",
        "recovery": "1",
        "signal_to_noise": "1",
        "dilution": "1",
    }
)
"""Every quantity with a unit of its dimension; ``None`` where any unit is right."""

PLAIN: Final = ("species", "injection", "compartment", "method", "detector", "overload", "cycle")
"""Columns without a dimension, whose names have no slash."""

TABLES: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = MappingProxyType(
    {
        "potentiostat": (
            ("time", "current", "potential"),
            ("cell_voltage", "set_potential", "set_current", "overload", "cycle", "temperature"),
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

_STANDARD_FLOW: Final = re.compile(r"(sccm|slm|slpm|sccs|m?ln\s*(/\s*min|min-1|min\*\*-1))", re.IGNORECASE)
_FACTOR: Final = re.compile(
    r"(?P<sign>\s*[/*·.]\s*|\s+|)(?P<name>[A-Za-zµμΩ°]+|%)(?:(?:\^|\*\*)?(?P<power>[-−]?[1-9]))?(?![\w^])"
)
_SPELLINGS: Final = MappingProxyType({"Ohm": "ohm", "Ohms": "ohm", "°C": "degC", "%": "percent"})


@cache
def _registry() -> pint.UnitRegistry[Any]:
    import pint

    return pint.UnitRegistry()


def is_standard_flow(unit: str) -> bool:
    """Whether a unit is a volume a minute at reference conditions that its name does not tell."""
    return _STANDARD_FLOW.fullmatch(unit.strip()) is not None


def parsed(unit: str) -> Any | None:
    """The unit as pint has it, or ``None`` where it is no unit.

    A unit is a product of names, each with an exponent written ``cm-2``, ``cm^-2`` or ``cm**-2``; a slash turns the
    name after it over. Only names are given to pint, whose own grammar stumbles over wild text.
    """
    import pint

    text = unit.strip()
    if text in ("", "1", "-"):
        return _registry().Unit("")
    result, place = _registry().Unit(""), 0
    while place < len(text):
        found = _FACTOR.match(text, place)
        if found is None or (place > 0 and not found["sign"]) or (place == 0 and found["sign"].strip()):
            return None
        try:
            factor = _registry().parse_units(_SPELLINGS.get(found["name"], found["name"]))
        except (pint.errors.UndefinedUnitError, ValueError):  # "nan" is taken for a number
            return None
        power = int((found["power"] or "1").replace("−", "-"))
        result = result * factor ** (-power if "/" in found["sign"] else power)
        place = found.end()
    return result


def fits(quantity: str, unit: str) -> bool:
    """Whether a unit is one of the quantity's dimension; flows may be molar, volumetric or standard."""
    wanted = UNITS[quantity]
    if quantity in ("inlet", "outlet") and is_standard_flow(unit):
        return True
    found = parsed(unit)
    if found is None or wanted is None:
        return found is not None
    if quantity in ("inlet", "outlet"):
        return any(found.is_compatible_with(parsed(right)) for right in ("mol s-1", "m3 s-1"))
    return bool(found.is_compatible_with(parsed(wanted)))


def factor(unit: str, into: str) -> float | None:
    """What a number in one unit is multiplied with in another; ``None`` where one does not become the other."""
    if unit == into:
        return 1.0
    a, b = parsed(unit), parsed(into)
    if a is None or b is None or not a.is_compatible_with(b) or "degree_Celsius" in (str(a), str(b)):
        return None
    return float(_registry().Quantity(1.0, a).to(b).magnitude)


def split_name(column: str) -> tuple[str, str | None]:
    """``"current/mA"`` into ``("current", "mA")``; a plain column has no unit."""
    quantity, slash, unit = column.partition("/")
    return quantity.strip(), unit.strip() if slash else None
