"""Laboratories in software: virtual chemistry, the simulated laboratory, and tables that answer."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from simulators.errors import ChemistryError, SimulatorsError

if TYPE_CHECKING:
    from simulators.chemistries import CHEMISTRIES, Chemistry, chemistry
    from simulators.replay import ReplayLab, ReplayOptions
    from simulators.simulated import SimulatedLab, SimulatedOptions

_HOMES = {
    "CHEMISTRIES": "simulators.chemistries",
    "Chemistry": "simulators.chemistries",
    "chemistry": "simulators.chemistries",
    "ReplayLab": "simulators.replay",
    "ReplayOptions": "simulators.replay",
    "SimulatedLab": "simulators.simulated",
    "SimulatedOptions": "simulators.simulated",
}

__all__ = [
    "CHEMISTRIES",
    "Chemistry",
    "ChemistryError",
    "ReplayLab",
    "ReplayOptions",
    "SimulatedLab",
    "SimulatedOptions",
    "SimulatorsError",
    "chemistry",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use, so that the package itself stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__part_of__ = "sabatier"  # tells this package from others of its name
