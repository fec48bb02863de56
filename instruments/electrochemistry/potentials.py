"""Potential scales: reference electrodes, temperature, pH, and the ohmic drop.

All functions take floats, arrays or :class:`~instruments.electrochemistry.uncertain.Uncertain` alike.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

from instruments.electrochemistry.constants import FARADAY, GAS_CONSTANT, ROOM_TEMPERATURE
from instruments.errors import SignalError


@dataclass(frozen=True, slots=True)
class ReferenceElectrode:
    """A reference electrode.

    Attributes:
        name: how a setup calls it.
        potential: at 298.15 K, V on ``scale``.
        slope: its change with temperature, V K-1; ``None`` where it is not known: other temperatures are refused.
        sem: standard uncertainty of a well-kept electrode, V.
        source: of the numbers.
        scale: ``RHE`` for an electrode that stands in the very electrolyte of the cell, where no pH enters.
    """

    name: str
    potential: float
    slope: float | None
    sem: float
    source: str
    scale: Literal["SHE", "RHE"] = "SHE"


_IJC: Final = "Int. J. Corros. 2010, 756950"
_SAWYER: Final = "Sawyer, Sobkowiak, Roberts, Electrochemistry for Chemists, 1995"
_BARD: Final = "Bard, Faulkner, Electrochemical Methods, 2001"

_ROWS: Final = (
    ReferenceElectrode("SHE", 0.0, 0.0, 0.0, "definition"),
    ReferenceElectrode("Ag/AgCl (KCl sat.)", 0.197, -1.01e-3, 3e-3, f"{_IJC}; slope: {_SAWYER}"),
    ReferenceElectrode("Ag/AgCl (3.5 M KCl)", 0.205, -0.73e-3, 3e-3, _SAWYER),
    ReferenceElectrode("Ag/AgCl (3 M KCl)", 0.210, -0.7e-3, 3e-3, "makers' tables"),
    ReferenceElectrode("Ag/AgCl (1 M KCl)", 0.236, None, 3e-3, _IJC),
    ReferenceElectrode("Ag/AgCl (0.1 M KCl)", 0.2895, None, 3e-3, _IJC),
    ReferenceElectrode("SCE", 0.2412, -0.66e-3, 3e-3, _BARD),
    ReferenceElectrode("Hg/HgO (a(OH-) = 1)", 0.098, -1.1e-3, 15e-3, _BARD),
    ReferenceElectrode("Hg/HgO (1 M NaOH)", 0.140, -1.1e-3, 15e-3, "makers' tables"),
    ReferenceElectrode("Hg/HgO (0.1 M NaOH)", 0.165, -1.1e-3, 15e-3, _IJC),
    ReferenceElectrode("Hg/Hg2SO4 (K2SO4 sat.)", 0.645, -0.8e-3, 5e-3, _BARD),
    ReferenceElectrode("Hg/HgO (same electrolyte)", 0.926, -0.3e-3, 5e-3, "thermodynamics", scale="RHE"),
)

REFERENCE_ELECTRODES: Final = MappingProxyType({row.name: row for row in _ROWS})
"""Reference electrodes by name."""


def reference_electrode(name: str) -> ReferenceElectrode:
    """A reference electrode of the table.

    Raises:
        SignalError: there is none of this name; names the nearest.
    """
    if name in REFERENCE_ELECTRODES:
        return REFERENCE_ELECTRODES[name]
    near = difflib.get_close_matches(name, REFERENCE_ELECTRODES, n=1)
    mend = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(REFERENCE_ELECTRODES)}."
    raise SignalError(
        f"there is no reference electrode {name!r}.",
        field="reference.electrode",
        mend=f"{mend} Or give its `potential`.",
    )


def reference_potential(electrode: ReferenceElectrode, temperature: Any = ROOM_TEMPERATURE) -> Any:
    """Potential of a reference electrode at a temperature in K, V on its scale.

    Raises:
        SignalError: its change with temperature is not known and the temperature is another than 298.15 K.
    """
    if electrode.slope is None:
        import numpy as np

        if np.any(np.abs(np.asarray(getattr(temperature, "values", temperature)) - ROOM_TEMPERATURE) > 1.0):
            raise SignalError(
                f"the change of {electrode.name} with temperature is not known.",
                field="reference.electrode",
                mend="Calibrate the electrode at its temperature and give `reference.potential`.",
            )
        return electrode.potential + 0.0 * temperature
    return electrode.potential + electrode.slope * (temperature - ROOM_TEMPERATURE)


def nernst_slope(temperature: Any = ROOM_TEMPERATURE) -> Any:
    """``R T ln(10) / F`` in V for each unit of pH: 59.159 mV at 298.15 K."""
    return temperature * (GAS_CONSTANT * math.log(10.0) / FARADAY)


def she(potential: Any, reference: Any) -> Any:
    """A potential against a reference electrode, V vs SHE."""
    return potential + reference


def rhe(potential_she: Any, ph: Any, temperature: Any = ROOM_TEMPERATURE) -> Any:
    """A potential in V vs SHE, on the reversible hydrogen scale of the bulk electrolyte: the pH at the surface has no
    place here.
    """
    return potential_she + nernst_slope(temperature) * ph


def ohmic_drop(current: Any, resistance: Any, compensated: Any = 0.0) -> Any:
    """What is left of ``I R`` after compensation in hardware, V: negative for a cathodic (negative) current."""
    return current * resistance * (1.0 - compensated)


def corrected(potential: Any, current: Any, resistance: Any, compensated: Any = 0.0) -> Any:
    """A potential without its ohmic drop.

    The sign is that of the current, whatever the potential's: a cathodic drop makes the measured potential too
    negative, so that the corrected one is less so.
    """
    return potential - ohmic_drop(current, resistance, compensated)
