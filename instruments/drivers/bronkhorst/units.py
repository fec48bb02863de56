"""Capacity units of Bronkhorst devices, and their factors to this package's own.

The letter after the litre says the reference conditions: ``n`` is normal (0 degrees Celsius), ``s`` standard (20), both
at 101.325 kPa.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ZERO_CELSIUS: Final = 273.15
"""K."""
REFERENCES: Final[Mapping[str, float]] = MappingProxyType({"n": 0.0, "s": 20.0})
"""Degrees Celsius."""
_MILLILITRES: Final[Mapping[str, float]] = MappingProxyType({"u": 1e-3, "m": 1.0, "": 1e3, "m3": 1e6})
_MINUTES: Final[Mapping[str, float]] = MappingProxyType({"s": 1.0 / 60.0, "min": 1.0, "h": 60.0})
_BAR: Final[Mapping[str, float]] = MappingProxyType(
    {"bar": 1.0, "mbar": 1e-3, "psi": 0.0689475729, "Pa": 1e-5, "hPa": 1e-3, "kPa": 1e-2, "MPa": 10.0, "atm": 1.01325}
)
_FLOW: Final = re.compile(r"(?:([um]?)l([ns])|(m3)([ns]))/(s|min|h)")
_PRESSURE: Final = re.compile(r"(mbar|bar|psi|Pa|hPa|kPa|MPa|atm)[ (]{0,2}([adg]?)\)?")


def sccm_in(unit: str) -> float | None:
    """sccm (0 degrees Celsius, 101.325 kPa) in one unit such as ``mln/min``; ``None`` where it is none of mass flow."""
    found = _FLOW.fullmatch(unit.strip())
    if found is None:
        return None
    volume = _MILLILITRES[found[3] or found[1] or ""]
    reference = REFERENCES[found[2] or found[4]]
    return volume / _MINUTES[found[5]] * ZERO_CELSIUS / (ZERO_CELSIUS + reference)


def bar_in(unit: str) -> float | None:
    """bar in one unit such as ``bara`` or ``kPa(a)``; ``None`` where it is none of pressure."""
    found = _PRESSURE.fullmatch(unit.strip())
    return None if found is None else _BAR[found[1]]


def is_gauge(unit: str) -> bool:
    """Whether a unit of pressure counts from the atmosphere's."""
    found = _PRESSURE.fullmatch(unit.strip())
    return found is not None and found[2] in ("g", "d")
