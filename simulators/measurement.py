"""What a laboratory would see of a cell: signals with noise, and figures of merit reduced from them.

Noise has levels. An *electrode* has its own rate constants, boundary layer, mixing and composition, drawn by its id. A
*run* has errors of the bulk pH (and so of the reversible hydrogen scale), temperature, gas flow and current; its
*analyses* scatter with the size of their signals and their limits of detection. Standard uncertainties cover run and
analyses by first-order propagation, never the electrode. All sizes are simulator parameters. Left to a later stage:
raw traces, offsets between laboratories, drift, gross errors and failures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch

from simulators._torch import double
from simulators.batch import IN_C2PLUS, Batch, Floats, figures, partial_currents
from simulators.constants import FARADAY, GAS_CONSTANT, MA_PER_CM2, PRODUCTS, SCCM, SIMULATED
from simulators.elements import STEPS
from simulators.kinetics import Electrode
from simulators.materials import TYPICAL_MIXING
from simulators.worlds import stream

MINUTE: Final = 60.0
ASSEMBLY, CHROMATOGRAM, LIQUID_ANALYSIS, CLEANING = 15 * MINUTE, 12 * MINUTE, 15 * MINUTE, 10 * MINUTE
SHORTEST_RUN, LONGEST_RUN = 30 * MINUTE, 90 * MINUTE

AREA: Final = 4.5e-4
"""Of the electrode, m2."""
GAS_FLOW: Final = 20 * SCCM
"""Of CO2 through the cell, mol s-1."""
CATHOLYTE: Final = 8e-6
"""m3."""

DETECTION: Final = {"h2": 50e-6, "co": 2e-6, "ch4": 1e-6, "c2h4": 1e-6}
"""Limits of detection of the chromatograph (three standard deviations), mole fractions."""
AREA_SCATTER: Final = 0.015
"""Of a chromatogram's peak area, relative."""
SPECTRUM_SCATTER, SPECTRUM_FLOOR = 0.04, 5e-3
"""Of a concentration by nuclear magnetic resonance: relative, and in mol m-3."""

PH_ERROR, TEMPERATURE_ERROR, FLOW_ERROR, CURRENT_ERROR = 0.03, 0.3, 0.01, 0.001
"""Standard deviations a run: of pH, K, and relative."""

RATE_SPREAD: Final = {
    "co2_to_co": 0.12,
    "co2_to_formate": 0.12,
    "co_to_methane": 0.12,
    "co_coupling": 0.12,
    "water_to_h2": 0.20,
}
"""Between electrodes, of the natural logarithm of site rate constants."""
ROUGHNESS_SPREAD, THICKNESS_SPREAD, BATCH_CONCENTRATION = 0.15, 0.10, 800.0
MIXING_SHAPE: Final = (8.0, 2.0)

_CHARGES = np.array([PRODUCTS[key].electrons * FARADAY for key in SIMULATED])
_IS_GAS = np.array([PRODUCTS[key].phase == "gas" for key in SIMULATED])
_DETECTION = np.array([DETECTION.get(key, 0.0) for key in SIMULATED])
_MA_PER_CM2_OF_A = 1.0 / (AREA * MA_PER_CM2)


@dataclass(frozen=True)
class Run:
    """One run's draws: standard normal deviates by source, and how long it takes.

    Attributes:
        seconds: of electrolysis.
        deviates: pH, temperature, flow, current, then one a product.
    """

    seconds: float
    deviates: Floats

    @classmethod
    def drawn(cls, seed: int) -> Run:
        """The run that belongs to a seed."""
        generator = stream("run", seed)
        return cls(
            seconds=float(generator.uniform(SHORTEST_RUN, LONGEST_RUN)),
            deviates=generator.standard_normal(4 + len(SIMULATED)),
        )

    @property
    def injections(self) -> int:
        """Chromatograms taken while it runs."""
        return int(self.seconds // CHROMATOGRAM)

    @property
    def duration(self) -> float:
        """From assembly to the cleaned cell, with the analysis of the liquid, in seconds."""
        return ASSEMBLY + self.seconds + CHROMATOGRAM + LIQUID_ANALYSIS + CLEANING


def individual(batch: Batch, identity: Sequence[object], noise: float) -> Batch:
    """The electrode with this identity, made for the one experiment of a batch.

    Args:
        batch: one experiment with an average electrode.
        identity: what names the electrode; the same names give the same electrode.
        noise: factor on all spreads.
    """
    generator = stream("electrode", *identity)
    roughness, thickness = np.exp(noise * generator.standard_normal(2) * [ROUGHNESS_SPREAD, THICKNESS_SPREAD])
    spreads = np.array([RATE_SPREAD.get(step, 0.0) for step in STEPS])
    factors = np.exp(noise * spreads * generator.standard_normal(len(STEPS)))
    mixing = TYPICAL_MIXING + noise * (generator.beta(*MIXING_SHAPE) - TYPICAL_MIXING)
    made = {
        name: _scattered(fraction, noise, stream("electrode", *identity, "composition", name))
        for name, fraction in zip(batch.elements.names, batch.fractions[0].tolist(), strict=True)
    }
    fractions = np.array(list(made.values()))
    one = torch.ones_like(batch.mixing)
    return replace(
        batch,
        fractions=double(fractions / fractions.sum()).unsqueeze(0),
        run=replace(batch.run, thickness=batch.run.thickness * float(thickness)),
        mixing=one * float(np.clip(mixing, 0.0, 1.0)),
        electrode=Electrode(one * float(roughness), one, double(factors).unsqueeze(0)),
    )


def _scattered(fraction: float, noise: float, generator: np.random.Generator) -> float:
    """An amount that, normalised with the others, makes a Dirichlet draw around the fractions asked for."""
    if fraction <= 0.0:
        return 0.0
    concentration = BATCH_CONCENTRATION / noise**2
    return float(generator.gamma(max(concentration * fraction, 1e-3))) / concentration


@dataclass(frozen=True)
class Reduced:
    """Figures of merit in the order of ``chemistries.FIGURES``, with one standard uncertainty each."""

    values: Floats
    uncertainties: Floats


def measure(batch: Batch, run: Run, noise: float) -> Reduced:
    """Run one experiment and reduce its signals.

    Args:
        batch: one experiment.
        run: its draws.
        noise: factor on all errors; 0 gives the true figures.

    Raises:
        ConvergenceError: the experiment has no steady state within tolerance.
    """
    slope = math.log(10.0) * GAS_CONSTANT / FARADAY * float(batch.run.temperature[0])
    sizes = noise * np.array([slope * PH_ERROR, TEMPERATURE_ERROR])
    asked = float(batch.run.potential[0])
    if noise == 0.0:
        currents = partial_currents(batch.rates())[0].numpy()
        truth = figures(currents, currents.sum(), asked)
        return Reduced(truth, np.zeros_like(truth))
    # four experiments at once: as it really was, as it was asked, and the latter with either condition changed
    actual = sizes * run.deviates[:2]
    shifts = np.array([actual, [0.0, 0.0], [sizes[0], 0.0], [0.0, sizes[1]]])
    currents = partial_currents(_shifted(batch, shifts).rates()).numpy()
    by_condition = currents[2:] - currents[1]
    return _reduce(currents[0], by_condition, run, noise, asked, sizes[0])


def _shifted(batch: Batch, shifts: Floats) -> Batch:
    """Copies of a one-experiment batch at changed potentials (V) and temperatures (K)."""
    count = len(shifts)

    def copies(column: torch.Tensor) -> torch.Tensor:
        return column.expand(count, *column.shape[1:])

    run = batch.run.each(copies)
    moved = replace(
        run, potential=run.potential + double(shifts[:, 0]), temperature=run.temperature + double(shifts[:, 1])
    )
    electrode = None if batch.electrode is None else batch.electrode.each(copies)
    return replace(
        batch, fractions=copies(batch.fractions), run=moved, mixing=copies(batch.mixing), electrode=electrode
    )


def _reduce(
    currents: Floats, by_condition: Floats, run: Run, noise: float, asked: float, potential_error: float
) -> Reduced:
    """Signals of the true partial currents, and figures of merit from them.

    Sources of error are, in order: potential scale, temperature, gas flow, current, one analysis a product.
    """
    count = len(SIMULATED)
    flow, current = noise * FLOW_ERROR * run.deviates[2], noise * CURRENT_ERROR * run.deviates[3]
    seen = currents + noise * _analysis_scatter(currents, run) * run.deviates[4:]
    seen = np.where(_IS_GAS, seen * (1.0 + flow), seen)
    total = currents.sum() * (1.0 + current)

    influence = np.zeros((count, 4 + count))
    influence[:, :2] = by_condition.T
    influence[:, 2] = noise * FLOW_ERROR * seen * _IS_GAS
    influence[:, 4:] = np.diag(noise * _analysis_scatter(seen, run))
    on_total = np.concatenate([by_condition.sum(axis=1), [0.0, noise * CURRENT_ERROR * total], np.zeros(count)])
    on_efficiency = (influence - np.outer(seen / total, on_total)) / total
    rows = [
        on_efficiency,
        IN_C2PLUS @ on_efficiency,
        on_efficiency.sum(axis=0),
        on_total,
        influence,
        IN_C2PLUS @ influence,
    ]
    uncertainties = np.linalg.norm(np.vstack(rows), axis=1)
    return Reduced(figures(seen, total, asked), np.append(uncertainties, potential_error))


def _analysis_scatter(currents: Floats, run: Run) -> Floats:
    """Standard deviation of each partial current (mA cm-2) by its analysis alone."""
    rates = currents / _MA_PER_CM2_OF_A / _CHARGES
    fraction = rates / GAS_FLOW
    gas = np.hypot(AREA_SCATTER * fraction, _DETECTION / 3.0) / math.sqrt(run.injections) * GAS_FLOW
    volume_rate = CATHOLYTE / run.seconds
    liquid = np.hypot(SPECTRUM_SCATTER * rates / volume_rate, SPECTRUM_FLOOR) * volume_rate
    scatter: Floats = np.where(_IS_GAS, gas, liquid) * _CHARGES * _MA_PER_CM2_OF_A
    return scatter
