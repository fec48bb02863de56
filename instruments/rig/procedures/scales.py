"""From the potential that is asked for to the one that a potentiostat is told, and from current densities to currents.

``E_RHE = E + E_ref(T) + (R T ln 10 / F) pH - I R_u``, with the signed current, so that for a wanted ``E_RHE`` the
potentiostat holds ``E = E_RHE - E_ref(T) - (R T ln 10 / F) pH + s I R_u``, where the share ``s`` of the ohmic drop is
made up for: with a cathodic (negative) current ``E`` is more negative than without.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from instruments.electrochemistry.constants import ROOM_TEMPERATURE
from instruments.electrochemistry.potentials import nernst_slope, ohmic_drop, reference_electrode, reference_potential
from instruments.electrochemistry.setup import Setup
from instruments.errors import LabError

SQUARE_METRE: Final = 10.0  # A m-2 for each mA cm-2


def current_of(density: float, setup: Setup, cell: str) -> float:
    """The current for a current density, A, cathodic negative.

    Args:
        density: positive cathodic magnitude, mA cm-2.
        setup: with the area.
        cell: for errors.

    Raises:
        LabError: the area is not known.
    """
    if setup.area is None:
        raise LabError(f"{cell}: the area of its electrode is not known.", field=f"cells.{cell}.area", mend="Give it.")
    return -density * SQUARE_METRE * setup.area.value


def on_reference(potential: float, setup: Setup, cell: str, *, ph: float | None = None) -> float:
    """A potential in V vs RHE, as V against the cell's reference electrode, without any ohmic drop.

    Args:
        potential: V vs RHE.
        setup: with reference electrode, temperature and pH.
        cell: for errors.
        ph: of the bulk as measured; by default that of the setup.

    Raises:
        LabError: reference electrode or pH is not known.
    """
    reference = setup.reference
    if reference is None:
        raise LabError(
            f"{cell}: its reference electrode is not known.", field=f"cells.{cell}.reference", mend="Name it."
        )
    temperature = ROOM_TEMPERATURE if setup.temperature is None else setup.temperature.value
    scale = reference.scale
    if reference.potential is not None:
        own = reference.potential.value
    else:
        electrode = reference_electrode(reference.electrode or "")
        own, scale = float(reference_potential(electrode, temperature)), electrode.scale
    if scale == "RHE":
        return potential - own
    known = ph if ph is not None else next((q.value for q in (setup.ph, setup.ph_expected) if q is not None), None)
    if known is None:
        raise LabError(
            f"{cell}: the pH of its electrolyte is not known, so that V vs RHE means nothing.",
            field=f"cells.{cell}.ph",
            mend="Give `ph` or `ph_expected`.",
        )
    return potential - own - float(nernst_slope(temperature)) * known


def with_drop(potential: float, current: float, resistance: float, share: float) -> float:
    """The potential to hold so that a share of the ohmic drop is made up for.

    Args:
        potential: wanted between electrode and electrolyte, V against the reference electrode.
        current: A, cathodic negative.
        resistance: uncompensated, ohm.
        share: of the drop.
    """
    return potential + share * float(ohmic_drop(current, resistance))


FLATTEST: Final = 0.1
"""Of the search's slope: a step is at most ten times what is missing, whatever two noisy stages seem to say."""
APART: Final = 1e-3
"""V: stages closer than this say nothing about the slope."""


@dataclass
class DropSearch:
    """Finds the potential at which a share of its own ohmic drop is made up for, by the secant method.

    What is sought is the zero of ``f(E) = E - (wanted + s I(E) R_u)``. The more current the electrode gives, the
    flatter ``f`` is: repeating ``E = wanted + s I R_u`` alone would creep.

    Attributes:
        wanted: V against the reference electrode, without any drop.
        share: of the drop.
    """

    wanted: float
    share: float
    _last: tuple[float, float] | None = field(default=None, repr=False)

    def next(self, held: float, current: float, resistance: float) -> float:
        """The potential to hold next.

        Args:
            held: V.
            current: that flowed, A, cathodic negative.
            resistance: uncompensated, ohm.
        """
        off = held - with_drop(self.wanted, current, resistance, self.share)
        slope = 1.0
        if self._last is not None and abs(held - self._last[0]) > APART:
            slope = min(1.0, max(FLATTEST, (off - self._last[1]) / (held - self._last[0])))
        self._last = held, off
        return held - off / slope
