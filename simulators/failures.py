"""Why virtual experiments fail: hazards by mode, each with the cause under which a laboratory would report it.

A failed experiment has no figures of merit. Hazards act over the run, ``P = 1 - exp(-integral of the hazard)``; their
sizes are simulator parameters. Labels follow the idea of Raccuglia et al., Nature 2016, 533, 73: what failed, when, and
whether it teaches anything about the material (``material``), about the conditions (``condition``), or about neither.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from instruments.lab import Failure, FailureCause
from simulators.degradation import BLOCKED
from simulators.settings import CellKind
from simulators.worlds import stream

COMPLIANCE: Final = 12.0
"""The potentiostat's highest cell voltage, V."""

_ABSURD: Final = 100.0
"""V above which a number says no more to anybody."""

OPEN_CIRCUIT, CHROMATOGRAPH, PUMP = 0.010, 0.015, 0.005
"""Probabilities a run."""

BLOCKED_RISE: Final = (1.0 - BLOCKED) ** -3
"""Of the pressure drop, at which salt has closed a gas-diffusion electrode."""

SOFT: Final = {"Ga": 1.0, "In": 1.0, "Bi": 1.0, "Sn": 0.4}
"""How much an element weakens the adhesion of a deposit."""

_ADHESION, _PER_SOFT, _PER_ELEMENT = -4.6, 9.0, 0.35
_DETACHMENT: Final = 1.5e-4
"""An hour and mA cm-2 of gas evolved."""
_FLOODING, _FLOODING_ONSET, _FLOODING_SCALE = 0.02, 0.8, 0.12
"""An hour at the onset (V below RHE), and the potential over which it grows e-fold."""


@dataclass(frozen=True, slots=True)
class Stress:
    """What an experiment demands.

    Attributes:
        kind: of cell.
        fractions: element to atomic fraction as made.
        potential: V vs RHE.
        gas_current: partial current density of gases, mA cm-2.
        voltage: of the cell, V.
        hours: of electrolysis.
        pressure_rise: largest pressure drop over that of a clean cell: salt closes pores.
    """

    kind: CellKind
    fractions: Mapping[str, float]
    potential: float
    gas_current: float
    voltage: float
    hours: float
    pressure_rise: float = 1.0


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to fail: its label, its cause, what a person would write down, and at which share of the run."""

    label: str
    cause: FailureCause
    words: str
    at: float


def out_of_compliance(stress: Stress) -> tuple[Failure, float] | None:
    """The failure of a run for which the potentiostat has too little voltage."""
    if stress.voltage <= COMPLIANCE:
        return None
    needed = f"{stress.voltage:.1f} V, more than" if stress.voltage < _ABSURD else "far more than"
    words = f"the cell needs {needed} the {COMPLIANCE:.0f} V of the potentiostat"
    return _told(Mode("F_EC_COMPLIANCE", "condition", words, 0.0))


def failure_of(stress: Stress, electrode: tuple[object, ...], run: tuple[object, ...]) -> tuple[Failure, float] | None:
    """The failure that ends an experiment, if one does.

    Args:
        stress: what the experiment demands.
        electrode: what names the electrode: its synthesis fails or succeeds once for all.
        run: what names this execution.

    Returns:
        The failure, and after which share of the electrolysis it came (0: before it began).
    """
    if stream("failure", "synthesis", *electrode).random() < synthesis_risk(stress.fractions):
        return _told(Mode("F_SYN_DELAMINATION", "material", "the deposit came off the support", 0.0))
    generator = stream("failure", *run)
    chances = generator.random(5)
    when = float(generator.random())
    modes = (
        (OPEN_CIRCUIT, Mode("F_EC_OPEN_CIRCUIT", "equipment", "no contact to the electrode", 0.0)),
        (PUMP, Mode("F_CELL_PUMP", "equipment", "the electrolyte pump stood still", when)),
        (_detachment(stress), Mode("F_CAT_DETACHMENT", "material", "gas bubbles tore the catalyst off", when)),
        (_flooding(stress), Mode("F_CELL_FLOODING", "condition", "the electrode flooded and the gas broke off", when)),
        (CHROMATOGRAPH, Mode("F_ANA_CHROMATOGRAPH", "analysis", "the chromatograph's valve did not turn", 1.0)),
    )
    failed = [mode for (risk, mode), chance in zip(modes, chances, strict=True) if chance < risk]
    if stress.pressure_rise > BLOCKED_RISE:
        failed.append(Mode("F_CELL_SALT", "condition", "salt blocked the gas channel", 1.0))
    return _told(min(failed, key=lambda mode: mode.at)) if failed else None


def synthesis_risk(fractions: Mapping[str, float]) -> float:
    """Probability that a deposit of this composition does not hold."""
    soft = sum(SOFT.get(element, 0.0) * fraction for element, fraction in fractions.items())
    several = max(0, sum(fraction > 0.005 for fraction in fractions.values()) - 2)
    return 1.0 / (1.0 + math.exp(-(_ADHESION + _PER_SOFT * soft + _PER_ELEMENT * several)))


def _detachment(stress: Stress) -> float:
    return -math.expm1(-_DETACHMENT * stress.gas_current * stress.hours)


def _flooding(stress: Stress) -> float:
    if stress.kind == "h_cell":
        return 0.0
    hazard = _FLOODING * math.exp((-stress.potential - _FLOODING_ONSET) / _FLOODING_SCALE)
    return -math.expm1(-hazard * stress.hours)


def _told(mode: Mode) -> tuple[Failure, float]:
    return Failure(mode.cause, f"{mode.words} ({mode.label})"), mode.at
