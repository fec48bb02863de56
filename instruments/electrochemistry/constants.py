"""Physical constants of the data reduction."""

from __future__ import annotations

from typing import Final

FARADAY: Final = 96485.33212
"""Charge of a mole of electrons, C mol-1 (CODATA 2018)."""

GAS_CONSTANT: Final = 8.314462618
"""J mol-1 K-1 (CODATA 2018)."""

ROOM_TEMPERATURE: Final = 298.15
"""K; standard potentials refer to it."""

ZERO_CELSIUS: Final = 273.15
"""K."""

STANDARD_ATMOSPHERE: Final = 101325.0
"""Pa."""

SCCM: Final = 1e-6 / 60.0 * STANDARD_ATMOSPHERE / (GAS_CONSTANT * ZERO_CELSIUS)
"""Molar flow of a cubic centimetre of ideal gas a minute at 0 degrees Celsius and 101.325 kPa, mol s-1.

A meter whose reference is 20 degrees Celsius means 6.8 % less: the reference is part of the data.
"""

MA_PER_CM2: Final = 10.0
"""One mA cm-2 in A m-2."""

OXYGEN_POTENTIAL: Final = 1.229
"""Standard potential of oxygen evolution, V vs RHE (298.15 K)."""
