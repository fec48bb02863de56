"""Where the carbon goes: conversion, carbonate, carbon balance.

Functions take floats, arrays or :class:`~instruments.electrochemistry.uncertain.Uncertain` alike; rates in mol s-1.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from instruments.electrochemistry.uncertain import Value, total
from instruments.errors import SignalError


def single_pass_conversion(carbons: Value, rate: Value, feed: Value) -> Value:
    """Share of the CO2 feed that became one product: ``nC n / n_CO2``."""
    return carbons * rate / feed


def co2_conversion(feed: Value, outlet: Value) -> Value:
    """Share of the CO2 feed that is missing at the outlet, carbonate and all."""
    return (feed - outlet) / feed


def carbon_efficiency(carbons: Value, rates: Value, feed: Value, outlet: Value) -> Value:
    """Share of the missing CO2 that became products."""
    return total(carbons * rates) / (feed - outlet)


def carbon_balance(outlet: Value, carbons: Value, rates: Value, carbonate: Value, feed: Value) -> Value:
    """All carbon that was found over all that was fed."""
    return (outlet + total(carbons * rates) + carbonate) / feed


def maximum_conversion(
    carbons: Value, hydroxides: Value, ion: Literal["carbonate", "bicarbonate"] = "carbonate"
) -> Value:
    """The most that can be converted where all hydroxide leaves the cathode as an ion that took up CO2.

    ``nC / (nC + nOH / 2)`` for carbonate, ``nC / (nC + nOH)`` for bicarbonate. More, in a neutral or alkaline cell with
    an anion exchange membrane, is an error of measurement.
    """
    return carbons / (carbons + (0.5 if ion == "carbonate" else 1.0) * hydroxides)


def maximum_of_mixture(conversions: Value, maxima: Value) -> Value:
    """The most for a mixture of products: conversions add up as shares of their maxima, ``S / sum (S_i / max_i)``."""
    return total(conversions) / total(conversions / maxima)


ANODE_RATIOS = {"carbonate": 2.0, "bicarbonate": 4.0, "hydroxide": 0.0}
"""CO2 to O2 in the anode's gas by the ion that crosses the membrane."""


def crossing_ion(co2: float, o2: float) -> str:
    """The ion whose CO2 to O2 ratio in the anode's gas is nearest to the measured one.

    Raises:
        SignalError: there is no oxygen in it.
    """
    if not o2 > 0.0:
        raise SignalError("there is no oxygen in the anode's gas.", field="o2", mend="Without it no ion can be told.")
    ratio = co2 / o2
    names = list(ANODE_RATIOS)
    return names[int(np.argmin([abs(ratio - ANODE_RATIOS[name]) for name in names]))]
