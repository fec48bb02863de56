"""The short way from readings to figures of merit: the formulas of the data reduction, without its tables and checks.

Standard uncertainties are first-order propagations of what a laboratory knows of its instruments: calibration, flow and
current, the scatter of the analyses, and the declared uncertainty of area and potential scale. What differs between
electrodes, or between runs because pH and temperature are never quite the same, is no part of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from instruments.electrochemistry.energy import full_cell_efficiency
from instruments.electrochemistry.gas import faradaic_efficiency
from instruments.electrochemistry.uncertain import Uncertain, concatenate
from instruments.lab import Figure
from simulators.batch import CARBONS, CHARGES, IN_C2PLUS, equilibrium_potentials
from simulators.constants import FARADAY, FIGURES, GAS_CONSTANT, MA_PER_CM2, MULTICARBON, SIMULATED
from simulators.control import OXYGEN
from simulators.course import HARDWARE, IS_GAS, Course
from simulators.degradation import LIQUIDS
from simulators.readings import AREA_SCATTER, DETECTION, GAS_FLOORS, SPECTRUM_FLOOR, SPECTRUM_SCATTER, Readings
from simulators.variability import (
    CALIBRATION,
    CURRENT_ERROR,
    FLOW_ERROR,
    GASES,
    LAB_AREA,
    LAB_FLOW,
    LAB_POTENTIAL,
    LAB_SLOPE,
    PH_ERROR,
    REFERENCE_ERROR,
    RESISTANCE_ERROR,
)

ELECTRONS: Final = CHARGES / FARADAY
_ORDER: Final = np.array([(*GASES, *LIQUIDS).index(key) for key in SIMULATED])
_LIMITS: Final = np.array([DETECTION[key] for key in GASES])


@dataclass(frozen=True, slots=True)
class Declared:
    """What the laboratory states of its instruments, as standard uncertainties.

    Attributes:
        slope: of the chromatograph's calibration, relative.
        flow: of a gas flow, relative.
        current: relative.
        area: of the electrode, relative.
        reference: of the reference electrode, V.
        ph: of the pH.
        resistance: relative.
        noise: factor on the scatter of the analyses.
    """

    slope: float
    flow: float
    current: float
    area: float
    reference: float
    ph: float
    resistance: float
    noise: float

    @classmethod
    def of(cls, noise: float, bias: float) -> Declared:
        """The uncertainties that belong to the factors on the errors of runs and on the laboratory's offsets."""
        return cls(
            slope=math.hypot(noise * CALIBRATION, bias * LAB_SLOPE),
            flow=math.hypot(noise * FLOW_ERROR, bias * LAB_FLOW),
            current=noise * CURRENT_ERROR,
            area=bias * LAB_AREA,
            reference=math.hypot(noise * REFERENCE_ERROR, bias * LAB_POTENTIAL),
            ph=noise * PH_ERROR,
            resistance=noise * RESISTANCE_ERROR,
            noise=noise,
        )


def measured(readings: Readings, course: Course, declared: Declared) -> dict[str, Figure]:
    """Figures of merit with one standard uncertainty each; what is below its limit of detection is censored there.

    Args:
        readings: of the instruments.
        course: for the cell's hardware.
        declared: what the laboratory states of its instruments.
    """
    current = Uncertain.systematic(readings.current, declared.current * readings.current, "current")
    mean = current.mean()
    gas, liquid = _gases(readings, current, declared), _liquids(readings, course, declared)
    efficiency = concatenate([gas, liquid])[_ORDER]
    area = Uncertain.systematic(readings.area, declared.area * readings.area, "area")
    density = mean / area / MA_PER_CM2
    partial = efficiency * density[None]
    figures = concatenate(
        [
            efficiency,
            _c2plus(efficiency),
            efficiency.sum()[None],
            density[None],
            partial,
            _c2plus(partial),
            _potential(readings, course, declared)[None],
            *_of_the_cell(readings, course, efficiency, mean, declared),
        ]
    )
    bounds = _bounds(readings, course, declared)
    values, sems = figures.values.tolist(), figures.sem.tolist()
    told = {name: Figure(value, sem) for name, value, sem in zip(FIGURES, values, sems, strict=True)}
    energy = (OXYGEN - equilibrium_potentials(course.ph)) / float(readings.voltage.mean())
    for product, bound in bounds.items():
        told[f"fe_{product}"] = Figure(bound, None, "below")
        told[f"j_{product}"] = Figure(bound * float(density.values), None, "below")
        if product in SIMULATED:
            share = float(energy[SIMULATED.index(product)])
            told[f"ee_{product}"] = Figure(bound * share, None, "below")
    if "c2plus" in bounds:
        most = sum(bounds[key] * float(energy[SIMULATED.index(key)]) for key in MULTICARBON)
        told["ee_c2plus"] = Figure(most, None, "below")
    return told


def _gases(readings: Readings, current: Uncertain, declared: Declared) -> Uncertain:
    """Faradaic efficiencies of the gases, means over the injections, [gases]."""
    seen = readings.fractions
    limits = declared.noise * _LIMITS
    found = seen > limits
    scatter = declared.noise * np.hypot(AREA_SCATTER * seen, GAS_FLOORS)
    scatter = np.where(found, scatter, limits / math.sqrt(12.0))  # anywhere between nothing and the limit
    single = Uncertain.independent(np.zeros_like(seen), scatter, "peak areas")
    slopes = Uncertain.independent(np.ones(len(GASES)), declared.slope, "calibration")
    outlet = Uncertain.systematic(readings.outlet, declared.flow * readings.outlet, "outlet")
    electrons = ELECTRONS[IS_GAS]
    peaks = np.where(found, seen, 0.5 * limits)
    efficiency: Uncertain = faradaic_efficiency(electrons, slopes * peaks + single, outlet[:, None], current[:, None])
    return efficiency.mean(0)


def _liquids(readings: Readings, course: Course, declared: Declared) -> Uncertain:
    """Faradaic efficiencies of the liquid products from the whole charge, [liquids]."""
    seen, limit = readings.concentrations, 3.0 * declared.noise * SPECTRUM_FLOOR
    scatter = declared.noise * np.hypot(SPECTRUM_SCATTER * seen, SPECTRUM_FLOOR)
    nothing = (seen <= 0.0) & (limit > 0.0)
    concentration = Uncertain.independent(
        np.where(nothing, 0.5 * limit, seen), np.where(nothing, limit / math.sqrt(12.0), scatter), "liquid analyses"
    )
    charge = Uncertain.systematic(readings.charge, declared.current * readings.charge, "current")
    efficiency: Uncertain = concentration * (CHARGES[~IS_GAS] * HARDWARE[course.kind].catholyte) / charge[None]
    return efficiency


def _bounds(readings: Readings, course: Course, declared: Declared) -> dict[str, float]:
    """Efficiencies that products have at the most which no analysis saw, by product, with their sum where no product
    with two or more carbon atoms was seen.
    """
    if declared.noise == 0.0:
        return {}
    limit = declared.noise * _LIMITS * CHARGES[IS_GAS] * float((readings.outlet / readings.current).mean())
    unseen = (readings.fractions <= declared.noise * _LIMITS).all(axis=0)
    bounds = {key: float(limit[place]) for place, key in enumerate(GASES) if bool(np.asarray(unseen)[place])}
    lowest = 3.0 * declared.noise * SPECTRUM_FLOOR
    for key, charge, seen in zip(LIQUIDS, CHARGES[~IS_GAS], readings.concentrations, strict=True):
        if seen < lowest:
            bounds[key] = float(lowest * charge * HARDWARE[course.kind].catholyte / readings.charge)
    if all(key in bounds for key in MULTICARBON):
        bounds["c2plus"] = sum(bounds[key] for key in MULTICARBON)
    return bounds


def _c2plus(products: Uncertain) -> Uncertain:
    return products.weighted(IN_C2PLUS)[None]


def _potential(readings: Readings, course: Course, declared: Declared) -> Uncertain:
    """On the reversible hydrogen scale, mean over the windows."""
    slope = math.log(10.0) * GAS_CONSTANT / FARADAY * course.temperature
    drop = float(readings.current.mean()) * readings.resistance * (1.0 - HARDWARE[course.kind].compensated)
    return Uncertain(
        float(readings.potential.mean()),
        {
            "reference": [declared.reference],
            "ph": [slope * declared.ph],
            "resistance": [drop * declared.resistance],
            "current": [drop * declared.current],
        },
    )


def _of_the_cell(
    readings: Readings, course: Course, efficiency: Uncertain, current: Uncertain, declared: Declared
) -> list[Uncertain]:
    """Cell voltage, energy efficiencies, conversion, and what is missing at the outlet without being in a product."""
    voltage = float(readings.voltage.mean())
    energy: Uncertain = full_cell_efficiency(efficiency, equilibrium_potentials(course.ph), voltage)
    inlet = Uncertain.systematic(readings.inlet, declared.flow * readings.inlet, "inlet")
    converted = (efficiency * (CARBONS / CHARGES)).sum() * current / inlet
    seen = Uncertain.independent(readings.co2, declared.noise * AREA_SCATTER * readings.co2, "peak areas of CO2")
    slope = Uncertain.systematic(1.0, declared.slope, "calibration for CO2")
    outlet = Uncertain.systematic(readings.outlet, declared.flow * readings.outlet, "outlet")
    left = (seen * outlet).mean() * slope / inlet
    return [Uncertain([voltage]), energy, _c2plus(energy), converted[None], (1.0 - left - converted)[None]]
