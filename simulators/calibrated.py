"""The virtual chromatograph's calibrations, and the calendar by which they are made and expire."""

from __future__ import annotations

import datetime
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from instruments.electrochemistry.calibration import Calibration, Calibrations
from simulators.readings import AREA_SCATTER, DETECTION
from simulators.signals import RESPONSE
from simulators.variability import PERIOD

if TYPE_CHECKING:
    from simulators.measurement import Declared

FIRST_DAY: Final = datetime.date(2026, 1, 1)
"""Of every campaign in the virtual laboratory."""
VALIDITY: Final = timedelta(days=30)
AREA_UNIT: Final = "uV s"
HIGHEST: Final = {"h2": 1.0, "co": 1.0, "ch4": 0.5, "c2h4": 0.5, "co2": 1.0, "o2": 0.25, "n2": 1.0}
"""Largest standards, mole fractions."""


def today(seconds: float) -> datetime.date:
    """The calendar day after so many seconds of a campaign."""
    return FIRST_DAY + timedelta(seconds=seconds)


def calibrations(declared: Declared, period: int) -> Calibrations:
    """The records that hold in one period between calibrations.

    Args:
        declared: what the laboratory states of its instruments.
        period: how many times the chromatograph was calibrated anew.
    """
    made = FIRST_DAY + timedelta(days=PERIOD * period - 1)
    return Calibrations(
        Calibration(
            device="",
            species=species,
            date=made,
            expires=made + VALIDITY,
            coefficients=(0.0, response),
            covariance=((0.0, 0.0), (0.0, (declared.slope * response) ** 2)),
            signal_unit=AREA_UNIT,
            high=HIGHEST[species],
            low=3.0 * DETECTION[species] if species in DETECTION else None,
            detection_limit=declared.noise * DETECTION[species] if species in DETECTION else None,
            r_squared=0.9995,
            repeatability=declared.noise * AREA_SCATTER,
            noise=declared.noise * DETECTION.get(species, 0.0) / 3.0 * response,
            standards="certified mixtures",
        )
        for species, response in RESPONSE.items()
    )
