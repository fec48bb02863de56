"""How laboratories, campaigns, electrodes and runs differ: random offsets, each drawn by what it belongs to.

A *laboratory* is off in its potential scale, areas, flows and chromatograph slopes; a *campaign* has its calibration of
the chromatograph; an *electrode* has rate constants, boundary layer, mixing and composition of its own; a *run* has
errors of pH, temperature, flow, current and resistance, and each of its *analyses* scatters with the size of its signal
and its limit of detection. The same names always give the same draws, whatever else was drawn before. All sizes are
simulator parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

import numpy as np
import torch

from simulators._torch import double
from simulators.batch import Batch, Floats
from simulators.constants import PRODUCTS, SIMULATED
from simulators.degradation import LIQUIDS
from simulators.elements import STEPS
from simulators.kinetics import Electrode
from simulators.materials import TYPICAL_MIXING
from simulators.worlds import stream

GASES: Final = tuple(key for key in SIMULATED if PRODUCTS[key].phase == "gas")
PEAKS: Final = (*GASES, "co2")
"""What the chromatograph is calibrated for."""

MINUTE: Final = 60.0
CHROMATOGRAM: Final = 12 * MINUTE
ASSEMBLY, LIQUID_ANALYSIS, CLEANING = 15 * MINUTE, 15 * MINUTE, 10 * MINUTE
SHORTEST_RUN, LONGEST_RUN = 30 * MINUTE, 90 * MINUTE
MOST_INJECTIONS: Final = int(LONGEST_RUN // CHROMATOGRAM)

LAB_POTENTIAL, LAB_SLOPE, LAB_FLOW, LAB_AREA = 0.015, 0.03, 0.015, 0.02
"""Between laboratories: V, and relative."""
CALIBRATION: Final = 0.02
"""Between campaigns, of a chromatograph's slope, relative."""
PERIOD: Final = 20
"""Days between calibrations."""
DRIFT_A_DAY: Final = 0.005
"""Stationary spread of the slopes' daily drift, relative; correlated over about ten days."""

PH_ERROR, TEMPERATURE_ERROR, REFERENCE_ERROR = 0.03, 0.3, 0.001
"""Between runs: of pH, in K, and of the reference electrode in V."""
FLOW_ERROR, CURRENT_ERROR, RESISTANCE_ERROR = 0.01, 0.001, 0.05
"""Between runs, relative."""

RATE_SPREAD: Final = {
    "co2_to_co": 0.12,
    "co2_to_formate": 0.12,
    "co_to_methane": 0.12,
    "co_coupling": 0.12,
    "water_to_h2": 0.20,
}
"""Between electrodes, of the natural logarithm of site rate constants."""
ROUGHNESS_SPREAD, THICKNESS_SPREAD = 0.15, 0.10
MIXING_SHAPE: Final = (8.0, 2.0)

Scatter: TypeAlias = Literal["typical", "ocx24"]
CONCENTRATION: Final[dict[Scatter, float]] = {"typical": 800.0, "ocx24": 36.0}
"""Of the Dirichlet law by which a synthesis misses its composition: by 1 to 2 at%, or by the 5.5 at% in the median that
the largest element of the electrodes of Abed et al., arXiv:2411.11783, is off."""
COMPOSITION_ANALYSIS: Final = 0.01
"""Standard uncertainty of an atomic fraction by X-ray fluorescence."""


@dataclass(frozen=True)
class Offsets:
    """What a laboratory does not know of itself.

    Attributes:
        potential: true minus reported potential, V.
        slopes: true over reported chromatograph slope, minus one, [peaks].
        flow: true over reported gas flow, minus one.
        area: true over reported electrode area, minus one.
    """

    potential: float
    slopes: Floats
    flow: float
    area: float

    @classmethod
    def drawn(cls, laboratory: int, size: float) -> Offsets:
        """The offsets of a laboratory, scaled by ``size``."""
        generator = stream("laboratory", laboratory)
        potential, flow, area, *slopes = generator.standard_normal(3 + len(PEAKS)) * size
        return cls(
            potential=LAB_POTENTIAL * potential,
            slopes=np.expm1(LAB_SLOPE * np.array(slopes)),
            flow=LAB_FLOW * flow,
            area=float(np.expm1(LAB_AREA * area)),
        )


def calibration_errors(names: Sequence[object], noise: float, days: float | None = None) -> Floats:
    """Errors of the chromatograph's slopes, relative, [peaks].

    Args:
        names: what names the campaign's calibrations.
        noise: factor on the spread.
        days: since the campaign began, where the slopes drift; every :data:`PERIOD` days they are calibrated anew.
    """
    period = 0 if days is None else int(days // PERIOD)
    errors = CALIBRATION * noise * stream("calibration", *names, period).standard_normal(len(PEAKS))
    if days is not None:
        errors = errors + DRIFT_A_DAY * noise * (_wander(names, days) - _wander(names, float(PERIOD * period)))
    relative: Floats = np.expm1(errors)
    return relative


def _wander(names: Sequence[object], days: float, memory: int = 10) -> Floats:
    """A stationary process with unit spread: the mean of the last days' own deviates, linear between days."""
    first = int(np.floor(days))
    deviates = np.array(
        [stream("drift", *names, day).standard_normal(len(PEAKS)) for day in range(first - memory, first + 2)]
    )
    share = days - first
    window = deviates[1:-1].sum(0) + (1.0 - share) * deviates[0] + share * deviates[-1]
    process: Floats = window / np.sqrt(memory)
    return process


@dataclass(frozen=True)
class Run:
    """One run's draws: standard normal deviates by source, and how long it takes.

    Attributes:
        seconds: of electrolysis.
        ph, temperature, reference, inlet, outlet, current, resistance: deviates of the conditions and their readings.
        areas: of the peaks [injections, peaks]: relative scatter.
        floors: of the peaks [injections, peaks]: detector noise.
        liquids: [liquids, 2]: relative scatter, and the spectrometer's noise.
    """

    seconds: float
    ph: float
    temperature: float
    reference: float
    inlet: float
    outlet: float
    current: float
    resistance: float
    areas: Floats
    floors: Floats
    liquids: Floats

    @classmethod
    def drawn(cls, seed: int) -> Run:
        """The run that belongs to a seed."""
        generator = stream("run", seed)
        seconds = float(generator.uniform(SHORTEST_RUN, LONGEST_RUN))
        ph, temperature, reference, inlet, outlet, current, resistance = generator.standard_normal(7).tolist()
        return cls(
            seconds=seconds,
            ph=ph,
            temperature=temperature,
            reference=reference,
            inlet=inlet,
            outlet=outlet,
            current=current,
            resistance=resistance,
            areas=generator.standard_normal((MOST_INJECTIONS, len(PEAKS))),
            floors=generator.standard_normal((MOST_INJECTIONS, len(PEAKS))),
            liquids=generator.standard_normal((len(LIQUIDS), 2)),
        )

    @property
    def injections(self) -> Floats:
        """Times of the chromatograms, s from the start of the electrolysis."""
        return CHROMATOGRAM * np.arange(1.0, self.seconds // CHROMATOGRAM + 1.0)

    @property
    def duration(self) -> float:
        """From assembly to the cleaned cell, with the analysis of the liquid, in seconds."""
        return ASSEMBLY + self.seconds + CHROMATOGRAM + LIQUID_ANALYSIS + CLEANING


def individual(batch: Batch, identity: Sequence[object], noise: float, scatter: Scatter = "typical") -> Batch:
    """The electrode with this identity, made for the one experiment of a batch.

    Args:
        batch: one experiment with an average electrode.
        identity: what names the electrode; the same names give the same electrode.
        noise: factor on all spreads.
        scatter: how well the synthesis meets compositions.
    """
    generator = stream("electrode", *identity)
    roughness, thickness = np.exp(noise * generator.standard_normal(2) * [ROUGHNESS_SPREAD, THICKNESS_SPREAD])
    spreads = np.array([RATE_SPREAD.get(step, 0.0) for step in STEPS])
    factors = np.exp(noise * spreads * generator.standard_normal(len(STEPS)))
    mixing = TYPICAL_MIXING + noise * (generator.beta(*MIXING_SHAPE) - TYPICAL_MIXING)
    concentration = CONCENTRATION[scatter] / noise**2
    made = {
        name: _scattered(fraction, concentration, stream("electrode", *identity, "composition", name))
        for name, fraction in zip(batch.elements.names, batch.fractions[0].tolist(), strict=True)
    }
    fractions = np.array(list(made.values()))
    one = torch.ones_like(batch.mixing)
    average = batch.electrode
    return replace(
        batch,
        fractions=double(fractions / fractions.sum()).unsqueeze(0),
        run=replace(batch.run, thickness=batch.run.thickness * float(thickness)),
        mixing=batch.mixing * 0.0 if batch.separate else one * float(np.clip(mixing, 0.0, 1.0)),
        electrode=Electrode(
            average.roughness * float(roughness), average.activity, average.factors * double(factors).unsqueeze(0)
        ),
    )


def _scattered(fraction: float, concentration: float, generator: np.random.Generator) -> float:
    """An amount that, normalised with the others, makes a Dirichlet draw around the fractions asked for."""
    if fraction <= 0.0:
        return 0.0
    return float(generator.gamma(max(concentration * fraction, 1e-3))) / concentration


def analysed_composition(fractions: Floats, identity: Sequence[object], noise: float) -> Floats:
    """What X-ray fluorescence says of an electrode's atomic fractions; absent elements stay absent."""
    scatter = COMPOSITION_ANALYSIS * noise * stream("fluorescence", *identity).standard_normal(len(fractions))
    seen = np.where(fractions > 0.0, np.clip(fractions + scatter, 0.0, None), 0.0)
    normalised: Floats = seen / seen.sum()
    return normalised
