"""Gross errors of a laboratory, by name: each changes what is recorded (some also what happens) so that quality control
can find it. They live in raw signals only; a simulated laboratory has them at the rates that its options give.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

import numpy as np

from simulators.settings import CellKind
from simulators.signals import RESPONSE, RETENTION, Draft
from simulators.worlds import stream

WRONG_REFERENCE: Final = 0.044
"""Between a saturated calomel electrode and the silver chloride electrode for which it was taken, V."""

Change = Callable[[Draft, np.random.Generator], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """A gross error.

    Attributes:
        summary: what happened, for people.
        verdict: what quality control must say at least.
        kinds: of cell that can have it.
        change: what it does to the record.
        potential: true minus reported potential, V.
        flooded: share of the electrode that is under water at the end, where the fault drowns it.
    """

    summary: str
    verdict: Literal["suspect", "invalid"]
    change: Change
    kinds: tuple[CellKind, ...] = ("h_cell", "gde", "mea")
    potential: float = 0.0
    flooded: float = 0.0


def _other_reference(draft: Draft, generator: np.random.Generator) -> None:  # noqa: ARG001
    reference = draft.setup["reference"]
    for when in ("before", "after"):
        value, _, rest = reference[when].partition(" ")
        reference[when] = f"{float(value) + WRONG_REFERENCE!r} {rest}"


def _leak(draft: Draft, generator: np.random.Generator) -> None:
    """Air gets into the gas behind the cell."""
    air = float(generator.uniform(0.04, 0.08))
    draft.flows["outlet/sccm"] = draft.flows["outlet/sccm"] * (1.0 + air)
    for peak in draft.peaks:
        peak["area/uV s"] /= 1.0 + air
    for number, time in sorted({(peak["injection"], peak["time/s"]) for peak in draft.peaks}):
        for species, share in (("o2", 0.21), ("n2", 0.78)):
            draft.peaks.append(
                {
                    "injection": number,
                    "time/s": time,
                    "species": species,
                    "area/uV s": RESPONSE[species] * share * air / (1.0 + air),
                    "retention/s": RETENTION[species],
                }
            )
    draft.checks["leak"] = repr(air)


def _drowned(draft: Draft, generator: np.random.Generator) -> None:  # noqa: ARG001
    draft.checks["liquid_in_gas_line"] = True


def _missed_injection(draft: Draft, generator: np.random.Generator) -> None:
    """The valve turned, but hardly anything reached the column."""
    numbers = sorted({peak["injection"] for peak in draft.peaks})
    missed = numbers[int(generator.integers(len(numbers)))]
    for peak in draft.peaks:
        if peak["injection"] == missed:
            peak["area/uV s"] *= 0.05


def _wrong_peak(draft: Draft, generator: np.random.Generator) -> None:
    """Peaks have moved, and an integrator took carbon monoxide for nitrogen; both are one peak where there is air."""
    draft.checks["retention_shift"] = repr(float(generator.uniform(0.06, 0.12)))
    air = {peak["injection"]: peak for peak in draft.peaks if peak["species"] == "n2"}
    for peak in [peak for peak in draft.peaks if peak["species"] == "co"]:
        peak["area/uV s"] *= RESPONSE["n2"] / RESPONSE["co"]
        if nitrogen := air.get(peak["injection"]):
            nitrogen["area/uV s"] += peak["area/uV s"]
            draft.peaks.remove(peak)
        else:
            peak["species"] = "n2"


def _flow_step(draft: Draft, generator: np.random.Generator) -> None:
    """The meter at the outlet sticks, halfway through."""
    outlet = np.array(draft.flows["outlet/sccm"])
    outlet[len(outlet) // 2 :] *= float(generator.uniform(1.25, 1.5))
    draft.flows["outlet/sccm"] = outlet


def _unit_slip(draft: Draft, generator: np.random.Generator) -> None:  # noqa: ARG001
    """Somebody entered the current in the wrong range."""
    draft.trace["current/A"] = draft.trace["current/A"] / 10.0


def _overload(draft: Draft, generator: np.random.Generator) -> None:
    """The potentiostat was at its limit for a while."""
    flags = np.array(draft.trace["overload"])
    start = int(generator.integers(len(flags) // 2))
    flags[start : start + max(2, len(flags) // 6)] = True
    draft.trace["overload"] = flags


def _spikes(draft: Draft, generator: np.random.Generator) -> None:
    """A loose contact: what the instrument does not hold jumps."""
    column = "potential/V" if "set_current/A" in draft.trace else "current/A"
    values = np.array(draft.trace[column])
    hit = generator.random(len(values)) < 0.05
    hit[len(hit) // 3] = hit[len(hit) // 2] = True
    values[hit] *= generator.uniform(0.3, 0.7, int(hit.sum()))
    draft.trace[column] = values


def _resistance_jump(draft: Draft, generator: np.random.Generator) -> None:
    """A bubble sits in the frit."""
    value, _, unit = draft.setup["resistance_after"].partition(" ")
    draft.setup["resistance_after"] = f"{float(value) * float(generator.uniform(1.5, 2.5))!r} {unit}"


def _bad_check_gas(draft: Draft, generator: np.random.Generator) -> None:
    """The detector has lost sensitivity since it was calibrated."""
    loss = float(generator.uniform(0.12, 0.3))
    draft.checks["check_gas"] = repr(-loss)
    for peak in draft.peaks:
        peak["area/uV s"] *= 1.0 - loss


FAULTS: Final[Mapping[str, Fault]] = MappingProxyType(
    {
        "wrong_reference": Fault(
            "another reference electrode than the setup says", "invalid", _other_reference, potential=WRONG_REFERENCE
        ),
        "leak": Fault("air leaks into the product gas", "invalid", _leak),
        "flooding": Fault(
            "the gas-diffusion electrode floods during the run",
            "invalid",
            _drowned,
            kinds=("gde", "mea"),
            flooded=0.995,
        ),
        "missed_injection": Fault("an injection that hardly reached the column", "invalid", _missed_injection),
        "wrong_peak": Fault("carbon monoxide taken for nitrogen", "invalid", _wrong_peak),
        "flow_step": Fault("the outlet meter sticks", "invalid", _flow_step),
        "unit_slip": Fault("a current that is ten times too small", "invalid", _unit_slip),
        "overload": Fault("the potentiostat at its limit", "invalid", _overload),
        "spikes": Fault("a loose contact", "suspect", _spikes),
        "resistance_jump": Fault("the resistance has risen", "invalid", _resistance_jump),
        "detector_loss": Fault("a detector that has lost sensitivity", "invalid", _bad_check_gas),
    }
)
"""Every fault by name."""


def drawn(rates: Mapping[str, float], seed: int) -> tuple[str, ...]:
    """The faults of a run: each comes with its own probability."""
    return tuple(name for name in FAULTS if stream("fault", name, seed).random() < rates.get(name, 0.0))


def commit(names: tuple[str, ...], draft: Draft, seed: int) -> None:
    """Change a record as its faults would."""
    for name in names:
        FAULTS[name].change(draft, stream("fault", name, seed, "size"))
