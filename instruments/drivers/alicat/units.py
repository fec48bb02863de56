"""Units as Alicat devices name them, and their factors to this package's own."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ZERO_CELSIUS: Final = 273.15
"""K."""

_PER_MINUTE: Final = MappingProxyType(
    {
        "CCM": 1.0,
        "CCS": 60.0,
        "CCH": 1.0 / 60.0,
        "ML/M": 1.0,
        "ML/S": 60.0,
        "ML/H": 1.0 / 60.0,
        "UL/M": 1e-3,
        "LPM": 1e3,
        "L/M": 1e3,
        "L/S": 6e4,
        "L/H": 1e3 / 60.0,
        "CFM": 28316.846592,
        "CFH": 28316.846592 / 60.0,
        "M3/M": 1e6,
        "M3/H": 1e6 / 60.0,
    }
)
"""mL min-1 in one unit of flow, without the letter of its reference conditions."""
_BAR: Final = MappingProxyType(
    {
        "PSI": 0.0689475729,
        "BAR": 1.0,
        "MBAR": 1e-3,
        "PA": 1e-5,
        "HPA": 1e-3,
        "KPA": 1e-2,
        "MPA": 10.0,
        "ATM": 1.01325,
        "TORR": 1.01325 / 760.0,
        "MTORR": 1.01325 / 760e3,
        "MMHG": 1.01325 / 760.0,
    }
)
"""bar in one unit of pressure, without the letter that says absolute, gauge or differential."""

_NAMES: Final = (
    "Air", "Ar", "CH4", "CO", "CO2", "C2H6", "H2", "He", "N2", "N2O",
    "Ne", "O2", "C3H8", "nC4H10", "C2H2", "C2H4", "iC4H10", "Kr", "Xe", "SF6",
    "C-25", "C-10", "C-8", "C-2", "C-75", "He-25", "He-75", "A1025", "Star29", "P-5",
)  # fmt: skip
GASES: Final[Mapping[int, str]] = MappingProxyType(dict(enumerate(_NAMES)))
"""Numbers of the gases that every device knows (Alicat Serial Primer, appendix C)."""


def sccm_in(unit: str, standard: float, normal: float) -> float | None:
    """sccm (0 degrees Celsius, 101.325 kPa) in one unit of a device's mass flow, ``None`` where it is not known.

    Args:
        unit: as the device names it: ``S...`` at its standard temperature, ``N...`` at its normal one, both at 1 atm.
        standard: the device's standard temperature, degrees Celsius; 25 as delivered.
        normal: its normal temperature, degrees Celsius; 0 as delivered.
    """
    letter, rest = unit[:1].upper(), unit[1:].upper()
    factor = _PER_MINUTE.get(rest)
    reference = {"S": standard, "N": normal}.get(letter)
    if factor is None or reference is None:
        return None
    return factor * ZERO_CELSIUS / (ZERO_CELSIUS + reference)


def millilitres_in(unit: str) -> float | None:
    """mL min-1 in one unit of volumetric flow."""
    return _PER_MINUTE.get(unit.upper())


def bar_in(unit: str) -> float | None:
    """bar in one unit of pressure."""
    name = unit.upper()
    return _BAR.get(name, _BAR.get(name[:-1]) if name[-1:] in ("A", "G", "D") else None)


def celsius(value: float, unit: str) -> float | None:
    """A temperature in degrees Celsius."""
    match unit.strip("`").upper():
        case "C":
            return value
        case "K":
            return value - ZERO_CELSIUS
        case "F":
            return (value - 32.0) / 1.8
        case _:
            return None
