"""Chromatograms of two thermal-conductivity modules: traces from a gas, and the peaks that an instrument finds in them.

Retention times and responses are those of the virtual laboratory (:mod:`simulators.signals`), one count being one
microvolt, so that its calibrations hold. Peaks are exponentially modified Gaussians (Grushka, Anal. Chem. 1972, 44,
1733). The instrument integrates its own trace, noise and drift included: what it reports scatters as a real one does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import erfcx

from simulators.batch import Floats
from simulators.signals import RESPONSE, RETENTION

RATE: Final = 50.0
"""Values per second."""
FULL_SCALE: Final = 2**31 - 1
"""Counts at which the converter ends."""
NOISE: Final = 2.0
"""Of a detector's value, counts."""
DRIFT: Final = 40.0
"""Of the baseline over a run, counts."""
SCATTER: Final = 0.005
"""Of an injected amount, relative: what the sample loop repeats to."""
SHIFT: Final = 1e-3
"""Of retention times from run to run, relative."""
FOUND: Final = 5.0
"""Signal to noise above which a peak is one."""
REACH: Final = 5.0
"""Half of the window that is integrated, in widths of a peak."""


@dataclass(frozen=True, slots=True)
class Compound:
    """A peak that a method knows.

    Attributes:
        label: in run documents.
        species: key of it in a composition.
        width: standard deviation of its Gaussian, s.
        tail: time constant of its tail, s.
    """

    label: str
    species: str
    width: float
    tail: float


@dataclass(frozen=True, slots=True)
class Module:
    """A column with its detector.

    Attributes:
        name: of the detector in run documents.
        part: number of the module.
        carrier: gas.
        seconds: of its trace.
        compounds: that its method is calibrated for.
        unknown: retention of the front of what is not retained, s; a peak without a name.
        front: its area, count s; negative where it conducts less than the carrier gas.
    """

    name: str
    part: str
    carrier: str
    seconds: float
    compounds: tuple[Compound, ...]
    unknown: float
    front: float


MODULES: Final = (
    Module(
        "moduleB:tcd",
        "TR2",
        "helium",
        170.0,
        (Compound("CO2", "co2", 0.5, 0.2), Compound("C2H4", "c2h4", 0.45, 0.2)),
        125.0,
        300.0,
    ),
    Module(
        "moduleA:tcd",
        "W02",
        "argon",
        160.0,
        (
            Compound("H2", "h2", 0.5, 0.2),
            Compound("O2", "o2", 0.55, 0.2),
            Compound("N2", "n2", 0.6, 0.25),
            Compound("CH4", "ch4", 0.7, 0.3),
            Compound("CO", "co", 0.9, 0.4),
        ),
        38.0,
        -250.0,
    ),
)
"""In no particular order, as in real documents."""


def detectors(
    gas: Mapping[str, float], generator: np.random.Generator, saturated_at: float | None = None
) -> dict[str, dict[str, Any]]:
    """What the modules make of a gas: the part ``detectors`` of a run document.

    Args:
        gas: dry mole fractions by species.
        generator: of the noise.
        saturated_at: counts at which the amplifiers end, where they are set too high.
    """
    found = {module.name: _detector(module, gas, generator, saturated_at) for module in MODULES}
    total = math.fsum(p.get("concentration", 0.0) for one in found.values() for p in one["analysis"]["peaks"])
    for one in found.values():
        for peak in one["analysis"]["peaks"]:
            if "concentration" in peak:
                peak["normalizedConcentration"] = 100.0 * peak["concentration"] / total if total else 0.0
    return found


def _detector(
    module: Module, gas: Mapping[str, float], generator: np.random.Generator, saturated_at: float | None
) -> dict[str, Any]:
    time = np.arange(int(module.seconds * RATE)) / RATE
    shift = 1.0 + SHIFT * float(generator.standard_normal())
    injected = 1.0 + SCATTER * float(generator.standard_normal())
    slope = DRIFT * float(generator.standard_normal())
    values = NOISE * generator.standard_normal(len(time)) + slope * time / module.seconds
    values = values + module.front * _shape(time, module.unknown * shift, 0.4, 0.2)
    for compound in module.compounds:
        area = RESPONSE[compound.species] * max(gas.get(compound.species, 0.0), 0.0) * injected
        values = values + area * _shape(time, RETENTION[compound.species] * shift, compound.width, compound.tail)
    limit = FULL_SCALE if saturated_at is None else saturated_at
    counts = np.clip(np.rint(values), -limit, limit).astype(np.int64)
    peaks = [_unnamed(counts, module.unknown * shift)]
    peaks += [_peak(counts, compound, shift) for compound in module.compounds]
    return {
        "analysis": {"analysisFormatLevel": 2, "peaks": sorted(peaks, key=lambda peak: float(peak["top"]))},
        "carrierGas": module.carrier,
        "detectorId": 3,
        "nValuesExpected": len(counts),
        "nValuesOffset": 845 if module.name.startswith("moduleA") else 880,
        "nValuesPerSecond": int(RATE),
        "signalFilterName": "tcd2",
        "values": counts.tolist(),
    }


def _shape(time: Floats, retention: float, width: float, tail: float) -> Floats:
    """A peak of unit area whose highest point is at about ``retention``, 1/s."""
    centre = retention - 0.8 * tail
    z = (width / tail - (time - centre) / width) / math.sqrt(2.0)
    gauss = np.exp(-0.5 * ((time - centre) / width) ** 2)
    # far behind the peak the scaled function overflows while the Gaussian vanishes: there the tail is exponential
    late = z < -20.0
    safe = np.where(late, 0.0, z)
    exponent = width**2 / (2.0 * tail**2) - (time - centre) / tail
    shape: Floats = np.where(late, np.exp(np.minimum(exponent, 0.0)) / tail, gauss * erfcx(safe) / (2.0 * tail))
    return shape


def _window(counts: Any, retention: float, width: float, tail: float) -> tuple[int, int]:
    start = max(int((retention - REACH * width) * RATE), 0)
    end = min(int((retention + (REACH + 0.5) * width + 4.0 * tail) * RATE), len(counts) - 1)
    return start, end


def _integrate(counts: Any, start: int, end: int, retention: float) -> dict[str, Any]:
    """Area above the line between a peak's ends, and what else an instrument tells of it."""
    edge = 8
    before = float(np.mean(counts[max(start - edge, 0) : start + edge]))
    after = float(np.mean(counts[end - edge : end + edge]))
    above = counts[start : end + 1] - np.linspace(before, after, end - start + 1)
    middle = int(retention * RATE) - start
    near = slice(max(middle - 50, 0), middle + 50)
    top = near.start + int(np.argmax(above[near]))
    height = float(above[top])
    return {
        "area": round(float(above.sum() / RATE), 2),
        "baselinePoints": {"start": round(before), "end": round(after)},
        "start": round(start / RATE, 2),
        "end": round(end / RATE, 2),
        "top": round((start + top) / RATE, 2),
        "height": round(height),
        "snr": round(max(height, 0.0) / NOISE, 3),
        "tailing": 1.1,
    }


def _peak(counts: Any, compound: Compound, shift: float) -> dict[str, Any]:
    retention = RETENTION[compound.species] * shift
    start, end = _window(counts, retention, compound.width, compound.tail)
    peak = {"label": compound.label, **_integrate(counts, start, end, retention)}
    if peak["snr"] < FOUND:  # a method reports each compound that it knows, with nothing where it finds none
        place = round(RETENTION[compound.species], 2)
        peak |= {"area": 0, "height": 0, "snr": 0, "tailing": 0, "start": place, "end": place, "top": place}
        del peak["baselinePoints"]
    peak["concentration"] = 100.0 * peak["area"] / RESPONSE[compound.species]
    return peak


def _unnamed(counts: Any, retention: float) -> dict[str, Any]:
    return _integrate(counts, *_window(counts, retention, 0.4, 0.2), retention)
