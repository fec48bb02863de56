"""What the instruments of a run report: one reading an injection, one a liquid product, with the errors of each.

Readings are the step that both ways to figures of merit share. The short way turns them into figures at once
(:mod:`simulators.measurement`); the long way wraps them in the traces, peaks and flows that a laboratory would store
(:mod:`simulators.signals`) and leaves the rest to the reduction of real data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from simulators.batch import Floats
from simulators.constants import GAS_CONSTANT, ROOM_TEMPERATURE
from simulators.course import HARDWARE, Course
from simulators.variability import CURRENT_ERROR, FLOW_ERROR, GASES, RESISTANCE_ERROR, Offsets, Run

DETECTION: Final = {"h2": 50e-6, "co": 2e-6, "ch4": 1e-6, "c2h4": 1e-6}
"""Limits of detection of the chromatograph (three standard deviations), mole fractions."""
AREA_SCATTER: Final = 0.015
"""Of a chromatogram's peak area, relative."""
SPECTRUM_SCATTER, SPECTRUM_FLOOR = 0.04, 5e-3
"""Of a concentration by nuclear magnetic resonance: relative, and in mol m-3."""
LOOP: Final = 20.0
"""Time to fill the sampling loop, s."""

GAS_DENSITY: Final = 101325.0 / (GAS_CONSTANT * ROOM_TEMPERATURE)
"""Of the gas in the headspace, mol m-3."""

GAS_FLOORS: Final = np.array([DETECTION[key] / 3.0 for key in GASES])
PEAK_FLOORS: Final = np.append(GAS_FLOORS, 0.0)


@dataclass(frozen=True)
class Readings:
    """What the instruments report.

    Attributes:
        times: of the injections, s, [injections].
        windows: begin and end of the gas that each injection sampled, as the current saw it, s, [injections, 2].
        fractions: dry mole fractions of the gaseous products, [injections, gases].
        co2: dry mole fraction of CO2, [injections].
        inlet: reported flow, mol s-1.
        outlet: reported dry flow, mol s-1, [injections].
        concentrations: of the liquid products in the catholyte, mol m-3, [liquids].
        current: mean over each window as a positive magnitude, A, [injections].
        charge: passed in all, C, a positive magnitude.
        potential: mean over each window, iR-corrected, as reported, V vs RHE, [injections].
        voltage: mean over each window, V, [injections].
        seconds: of electrolysis.
        resistance: reported, ohm.
        area: reported, m2.
    """

    times: Floats
    windows: Floats
    fractions: Floats
    co2: Floats
    inlet: float
    outlet: Floats
    concentrations: Floats
    current: Floats
    charge: float
    potential: Floats
    voltage: Floats
    seconds: float
    resistance: float
    area: float


def read(course: Course, run: Run, offsets: Offsets, slopes: Floats, potential_error: float, noise: float) -> Readings:
    """Read all instruments.

    Args:
        course: what truly happens.
        run: the draws of the run.
        offsets: of the laboratory.
        slopes: errors of the chromatograph's calibration, relative, [peaks].
        potential_error: reported minus true potential on the reversible hydrogen scale, V.
        noise: factor on the errors of the run.
    """
    hardware = HARDWARE[course.kind]
    times = run.injections
    count = len(times)
    head = hardware.headspace * GAS_DENSITY / float(course.mean(course.outlet, 0.0, run.seconds))
    windows = np.column_stack([times - LOOP - head, times - head])

    def averaged(values: Floats) -> Floats:
        return np.array([course.mean(values, start, end) for start, end in windows])

    true = averaged(np.column_stack([course.gas_fractions, course.co2_fraction]))
    seen = true * (1.0 + noise * AREA_SCATTER * run.areas[:count]) + noise * PEAK_FLOORS * run.floors[:count]
    seen = seen * (1.0 + slopes) * (1.0 + offsets.slopes)
    outlet = averaged(course.outlet) / (1.0 + offsets.flow)
    current_factor = 1.0 + noise * CURRENT_ERROR * run.current
    concentrations = course.liquids(run.seconds) / hardware.catholyte
    relative, floor = run.liquids.T
    resistance = float(course.resistance[0])
    drop = averaged(course.currents.sum(-1) * course.resistance) * (1.0 - hardware.compensated)
    misread = noise * RESISTANCE_ERROR * run.resistance
    return Readings(
        times=times,
        windows=windows,
        fractions=seen[:, :-1],
        co2=seen[:, -1],
        inlet=course.inlet / (1.0 + offsets.flow) * (1.0 + noise * FLOW_ERROR * run.inlet),
        outlet=outlet * (1.0 + noise * FLOW_ERROR * run.outlet),
        concentrations=concentrations * (1.0 + noise * SPECTRUM_SCATTER * relative) + noise * SPECTRUM_FLOOR * floor,
        current=averaged(course.currents.sum(-1)) * current_factor,
        charge=course.charge(run.seconds) * current_factor,
        potential=averaged(course.potential) + potential_error + drop * misread,
        voltage=averaged(course.voltage),
        seconds=run.seconds,
        resistance=resistance * (1.0 + misread),
        area=course.area / (1.0 + offsets.area),
    )
