"""The long way: a run's raw signals, in the form in which a laboratory would store them, and what it notes beside them.

Traces have the instruments' noise (white, slow, and gas bubbles that detach), peaks are areas under a calibration
that expires, concentrations are what a spectrometer prints. What a laboratory cannot see is not here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from instruments.electrochemistry.potentials import REFERENCE_ELECTRODES, nernst_slope, reference_potential
from instruments.electrochemistry.setup import Setup
from simulators.batch import Floats
from simulators.constants import SCCM
from simulators.course import HARDWARE, IS_GAS, Course
from simulators.degradation import LIQUIDS
from simulators.measurement import Declared
from simulators.readings import DETECTION, LOOP, SPECTRUM_FLOOR, SPECTRUM_SCATTER, Readings
from simulators.variability import CURRENT_ERROR, GASES, PH_ERROR, Run
from simulators.worlds import stream

if TYPE_CHECKING:
    import pandas as pd

    from instruments.electrochemistry.calibration import Calibrations

INTERVAL: Final = 2.0
"""Between points of the potentiostat's record, s."""
ELECTRODE: Final = "Ag/AgCl (3 M KCl)"
OPEN_CIRCUIT: Final = -0.35
"""V vs RHE; a simulator parameter."""
REFERENCE_SEM: Final = 0.001
"""Standard uncertainty of the calibrated reference electrode, V."""

WHITE, SLOW, BUBBLES = 3e-4, 3e-4, 2e-5
"""Noise of the current, relative: white, slow (about ten minutes), and bubbles for each mA cm-2 of gas."""
VOLTAGE_NOISE: Final = 5e-5
"""V."""

GAUGE: Final = 1e6
"""The most that the gauge across the gas channel shows, Pa."""
PH_METER: Final = 15.5
"""The most that the pH meter shows; concentrated hydroxide in the cold has more, as no activity is reckoned with."""

RETENTION: Final = {"h2": 52.1, "o2": 60.2, "n2": 68.5, "ch4": 83.1, "co": 98.0, "co2": 132.0, "c2h4": 138.5}
"""Of the peaks, s."""
RESPONSE: Final = {"h2": 4.0e5, "ch4": 2.1e7, "co": 2.0e7, "c2h4": 4.1e7, "co2": 5.0e4, "o2": 4.5e4, "n2": 4.4e4}
"""Of the detectors: peak area in uV s for a mole fraction of one."""


@dataclass
class Draft:
    """A measurement as it grows: tables as columns, peaks and notes; faults change it before it is bound.

    Attributes:
        trace: columns of the potentiostat's record.
        peaks: rows of the chromatograph's table.
        flows: columns of the flow meters' record.
        liquids: rows of the liquid analyses.
        setup: what the laboratory notes, as arguments of its setup.
        checks: results of checks beside the run.
    """

    trace: dict[str, Any]
    peaks: list[dict[str, Any]]
    flows: dict[str, Any]
    liquids: list[dict[str, Any]]
    setup: dict[str, Any]
    checks: dict[str, Any] = field(default_factory=dict)

    def metadata(self, records: Calibrations) -> dict[str, Any]:
        """Setup and calibrations, as the reduction of the measurement reads them."""
        setup = Setup(**self.setup, checks=self.checks)
        return {**setup.to_metadata(), "calibrations": records.to_json()}

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables of the raw-signal form."""
        import pandas as pd

        return {
            "potentiostat": pd.DataFrame(self.trace),
            "chromatograph": pd.DataFrame(self.peaks),
            "flow": pd.DataFrame(self.flows),
            "liquid": pd.DataFrame(self.liquids),
        }


def draft(course: Course, readings: Readings, run: Run, declared: Declared, seed: int, stability_of: str) -> Draft:
    """The raw signals of a run without faults.

    Args:
        course: what truly happens.
        readings: of its instruments.
        run: the draws of the run.
        declared: what the laboratory states of its instruments.
        seed: of the run, for the noise of the traces.
        stability_of: the metric whose change over time is of interest.
    """
    generator = stream("trace", seed)
    return Draft(
        trace=_trace(course, readings, run, declared, generator),
        peaks=_peaks(readings, declared, generator),
        flows=_flows(readings, course),
        liquids=_liquids(readings, declared),
        setup=_setup(course, readings, run, declared, generator, stability_of),
        checks=_checks(declared, generator),
    )


def _trace(
    course: Course, readings: Readings, run: Run, declared: Declared, generator: np.random.Generator
) -> dict[str, Any]:
    count = int(run.seconds // INTERVAL) + 1
    time = np.append(INTERVAL * np.arange(count), run.seconds)
    current = course.at(course.currents.sum(-1), time) * (1.0 + declared.noise * CURRENT_ERROR * run.current)
    bubbling = float(course.currents[:, IS_GAS].sum(-1).mean() / course.area / 10.0)
    galvanostatic = course.galvanostatic
    noise = declared.noise * _noise(len(time), min(BUBBLES * bubbling, 5e-3), generator)
    if not galvanostatic:
        current = current * (1.0 + noise)
    # the recorded potential is what gives the reported one by the laboratory's own numbers
    reported = np.interp(time, readings.times, readings.potential)
    scale = reported - _on_reference(course, run, declared)
    drop = current * readings.resistance * (1.0 - HARDWARE[course.kind].compensated)
    wobble = declared.noise * VOLTAGE_NOISE * generator.standard_normal(len(time))
    if galvanostatic:
        wobble = wobble + noise * 0.025
    columns = {
        "time/s": time,
        "current/A": -current,
        "potential/V": scale - drop + wobble,
        "cell_voltage/V": course.at(course.voltage, time) + wobble,
        "overload": np.zeros(len(time), dtype=bool),
    }
    if galvanostatic:
        columns["set_current/A"] = np.full(len(time), -float(course.currents.sum(-1).mean()))
    else:
        columns["set_potential/V"] = scale - drop
    return columns


def _on_reference(course: Course, run: Run, declared: Declared) -> float:
    """What the laboratory adds to a recorded potential to have it on the reversible hydrogen scale, V."""
    reference = reference_potential(REFERENCE_ELECTRODES[ELECTRODE], course.temperature)
    return float(reference + nernst_slope(course.temperature) * _read_ph(course, run, declared))


def _read_ph(course: Course, run: Run, declared: Declared) -> float:
    return min(course.ph + declared.noise * PH_ERROR * run.ph, PH_METER)


def _noise(count: int, ticks: float, generator: np.random.Generator) -> Floats:
    """White noise, noise with a memory of about ten minutes, and bubbles that detach, relative to the signal."""
    memory = math.exp(-INTERVAL / 600.0)
    steps = SLOW * math.sqrt(1.0 - memory**2) * generator.standard_normal(count)
    slow = np.empty(count)
    level = SLOW * float(generator.standard_normal())
    for i, step in enumerate(steps):
        level = memory * level + step
        slow[i] = level
    detaching = ticks * generator.laplace(size=count)
    noise: Floats = WHITE * generator.standard_normal(count) + slow + detaching
    return noise


def _peaks(readings: Readings, declared: Declared, generator: np.random.Generator) -> list[dict[str, Any]]:
    rows = []
    for number, time in enumerate(readings.times, start=1):
        seen = dict(zip(GASES, readings.fractions[number - 1], strict=True))
        seen["co2"] = float(readings.co2[number - 1])
        for species, fraction in seen.items():
            limit = DETECTION.get(species, 0.0) * declared.noise
            if fraction <= max(limit, 0.0):
                continue  # no peak stands out of the noise
            shift = 1.0 + 2e-3 * declared.noise * float(generator.standard_normal())
            rows.append(
                {
                    "injection": number,
                    "time/s": float(time),
                    "species": species,
                    "area/uV s": RESPONSE[species] * float(fraction),
                    "retention/s": RETENTION[species] * shift,
                }
            )
    return rows


def _flows(readings: Readings, course: Course) -> dict[str, Any]:
    time = np.concatenate([[0.0], readings.times, [readings.seconds]])
    outlet = np.interp(time, readings.times, readings.outlet)
    columns = {
        "time/s": time,
        "inlet/sccm": np.full(len(time), readings.inlet / SCCM),
        "outlet/sccm": outlet / SCCM,
    }
    if course.kind != "h_cell":
        columns["pressure_drop/Pa"] = np.minimum(course.at(course.pressure_drop, time), GAUGE)
    return columns


def _liquids(readings: Readings, declared: Declared) -> list[dict[str, Any]]:
    rows = []
    for species, concentration in zip(LIQUIDS, readings.concentrations.tolist(), strict=True):
        seen = max(concentration, 0.0)
        rows.append(
            {
                "species": species,
                "compartment": "catholyte",
                "concentration/mol m-3": seen,
                "concentration_sem/mol m-3": declared.noise * math.hypot(SPECTRUM_SCATTER * seen, SPECTRUM_FLOOR),
                "detection_limit/mol m-3": 3.0 * declared.noise * SPECTRUM_FLOOR,
                "method": "nmr",
                "time/s": readings.seconds,
            }
        )
    return rows


def _setup(
    course: Course,
    readings: Readings,
    run: Run,
    declared: Declared,
    generator: np.random.Generator,
    stability_of: str,
) -> dict[str, Any]:
    """What the laboratory notes; texts with units, as a person would write them."""
    kind, noise = course.kind, declared.noise
    hardware = HARDWARE[kind]

    def written(value: float, sem: float, unit: str) -> str:
        return f"{value!r} +/- {sem!r} {unit}"

    reference = float(reference_potential(REFERENCE_ELECTRODES[ELECTRODE], course.temperature))
    before, after = reference + noise * REFERENCE_SEM * generator.standard_normal(2)
    later = readings.resistance * (1.0 + 0.01 * noise * float(generator.standard_normal()))
    return {
        "cell": kind,
        "membrane": "aem",
        "regime": "neutral" if course.ph < 10.0 else "alkaline",
        "control": "current" if course.galvanostatic else "potential",
        "area": written(readings.area, declared.area * readings.area, "m2"),
        "reference": {
            "electrode": ELECTRODE,
            "potential": written(reference, declared.reference, "V"),
            "before": written(float(before), 1e-3, "V"),
            "after": written(float(after), 1e-3, "V"),
        },
        "ph": f"{_read_ph(course, run, declared)!r} +/- {noise * PH_ERROR!r}",
        "ph_source": "measured",
        "ph_expected": f"{min(course.ph, PH_METER)!r}",
        "temperature": f"{course.temperature!r} K",
        "temperature_set": f"{course.temperature_set!r} K",
        "resistance": written(readings.resistance, declared.resistance * readings.resistance, "ohm"),
        "resistance_before": f"{readings.resistance!r} ohm",
        "resistance_after": f"{later!r} ohm",
        "compensated": f"{hardware.compensated!r}",
        "flow_method": "outlet",
        "flow_reference": {"temperature": "273.15 K", "pressure": "101325 Pa"},
        "outlet_wet": False,
        "feed": {"co2": 1.0},
        "headspace": f"{hardware.headspace!r} m3",
        "loop_time": f"{LOOP!r} s",
        "catholyte": f"{hardware.catholyte!r} m3",
        "liquid_mode": "batch",
        "analysed": ["gas", "liquid"],
        "expected": [*GASES, *LIQUIDS],
        "stability_of": stability_of,
        "accuracy": {
            "current": repr(declared.current),
            "inlet": repr(declared.flow),
            "outlet": repr(declared.flow),
        },
    }


def _checks(declared: Declared, generator: np.random.Generator) -> dict[str, Any]:
    noise = declared.noise
    leak, check_gas, retention, recovery, clock = noise * generator.standard_normal(5)
    return {
        "leak": repr(2e-3 * float(leak)),
        "check_gas": repr(0.012 * float(check_gas)),
        "retention_shift": repr(3e-3 * float(retention)),
        "standard_recovery": repr(1.0 + 0.025 * float(recovery)),
        "clock_offset": f"{0.5 * float(clock)!r} s",
        "liquid_in_gas_line": False,
    }
