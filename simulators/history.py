"""Courses of runs: steady, drowning, or ageing."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np
import torch
from torch import Tensor

from simulators._torch import double
from simulators.batch import Batch, Floats, Solved
from simulators.course import HARDWARE, Course
from simulators.degradation import CLEAN_PRESSURE_DROP, LIQUIDS, Degradation
from simulators.evolution import evolve
from simulators.worlds import stream

_INTERVAL: Final = 600.0
"""Between nodes of an ageing cell, s."""
_DIRT_SPREAD, _GROWTH_SPREAD = 0.5, 0.2
"""Between electrodes, of the natural logarithm of impurities and of restructuring."""
_NODES: Final = 9
_HASTE: Final = 4.0
"""How much faster water comes in at the beginning of a flooding than at its end, as a natural logarithm."""


def steady(batch: Batch, area: float, temperature_set: float) -> Course:
    """The course of the one experiment of a batch, without any change in time.

    Args:
        batch: one experiment.
        area: true area of the electrode, m2.
        temperature_set: K, as it should be.

    Raises:
        ConvergenceError: it has no steady state.
    """
    return _course(batch, batch.solve(), np.zeros(1), area, temperature_set)


def drowning(batch: Batch, area: float, temperature_set: float, seconds: float, flooded: float) -> Course:
    """The course of a gas-diffusion electrode that floods.

    Args:
        batch: one experiment.
        area: true area of the electrode, m2.
        temperature_set: K, as it should be.
        seconds: of electrolysis.
        flooded: share of the electrode that is under water at the end.

    Raises:
        ConvergenceError: it has no steady state at some time.
    """
    share = np.linspace(0.0, 1.0, _NODES)
    water = flooded * np.expm1(-_HASTE * share) / np.expm1(-_HASTE)

    def copies(column: Tensor) -> Tensor:
        return column.expand(_NODES, *column.shape[1:])

    whole = Batch(
        world=batch.world,
        elements=batch.elements,
        fractions=copies(batch.fractions),
        run=replace(batch.run.each(copies), flooded=torch.maximum(copies(batch.run.flooded), double(water))),
        mixing=copies(batch.mixing),
        electrode=batch.electrode.each(copies),
        separate=batch.separate,
    )
    return _course(batch, whole.solve(), seconds * share, area, temperature_set)


def evolving(batch: Batch, area: float, temperature_set: float, seconds: float, identity: tuple[object, ...]) -> Course:
    """The course of a cell that ages: poisoned and restructured sites, leaching, flooding, salt, a batch catholyte.

    In a world of patches each metal ages in a cell of its own.

    Args:
        batch: one experiment.
        area: true area of the electrode, m2.
        temperature_set: K, as it should be.
        seconds: of electrolysis.
        identity: what names the electrode: how clean its electrolyte is, and how it restructures.

    Raises:
        ConvergenceError: it has no steady state at some time.
    """
    weights = batch.fractions[0].numpy()
    present = np.flatnonzero(weights > 0.0)
    if not batch.world.patches:
        bulk, weights = batch.fractions, np.ones(1)
    else:
        bulk, weights = torch.eye(len(weights), dtype=batch.fractions.dtype)[present], weights[present]

    def copies(column: Tensor) -> Tensor:
        return column.expand(len(bulk), *column.shape[1:])

    time = np.append(np.arange(0.0, seconds - 0.5 * _INTERVAL, _INTERVAL), seconds)
    hardware = HARDWARE[batch.run.cell]
    aged = evolve(
        bulk,
        batch.elements,
        batch.world,
        batch.run.each(copies),
        batch.electrode.each(copies),
        times=time,
        degradation=_degradation(identity),
        mixing=copies(batch.mixing),
        depth=hardware.catholyte / area,
    )

    def mean(values: Floats) -> Floats:
        averaged: Floats = np.einsum("m,nm...->n...", weights, values)
        return averaged

    dissolved, stripped, crossed = (mean(each)[-1] for each in (aged.dissolved, aged.stripped, aged.crossed))
    made = dissolved + stripped + crossed
    kept = np.divide(dissolved, made, out=np.ones_like(made), where=made > 0.0)
    in_h_cell = batch.run.cell == "h_cell"
    return Course(
        kind=batch.run.cell,
        area=area,
        time=aged.time,
        rates=mean(aged.rates),
        potential=mean(aged.potential),
        voltage=mean(aged.voltage),
        resistance=mean(aged.resistance) / area,
        carbonate=np.zeros(len(aged.time)) if in_h_cell else mean(aged.absorbed),
        pressure_drop=mean(aged.pressure_drop),
        inlet=float(batch.run.inlet[0]) * area,
        kept=kept,
        ph=float(mean(aged.ph)[0]),
        temperature=float(batch.run.temperature[0]),
        temperature_set=temperature_set,
        galvanostatic=batch.run.control == "current",
    )


def _degradation(identity: tuple[object, ...]) -> Degradation:
    generator = stream("ageing", *identity)
    usual = Degradation()
    dirt, growth = generator.standard_normal(2)
    return Degradation(
        impurity=float(usual.impurity) * math.exp(_DIRT_SPREAD * dirt),
        growth=float(usual.growth) * math.exp(_GROWTH_SPREAD * growth),
    )


def _course(batch: Batch, solved: Solved, time: Floats, area: float, temperature_set: float) -> Course:
    return Course(
        kind=batch.run.cell,
        area=area,
        time=time,
        rates=solved.rates,
        potential=solved.potential,
        voltage=solved.voltage,
        resistance=solved.resistance / area,
        carbonate=solved.absorbed,
        pressure_drop=np.full(len(time), CLEAN_PRESSURE_DROP),
        inlet=float(solved.inlet[0]) * area,
        kept=np.ones(len(LIQUIDS)),
        ph=float(solved.ph[0]),
        temperature=float(batch.run.temperature[0]),
        temperature_set=temperature_set,
        galvanostatic=batch.run.control == "current",
    )
