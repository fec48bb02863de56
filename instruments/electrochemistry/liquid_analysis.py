"""Liquid analyses of a batch: amounts or rates by product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from instruments.electrochemistry import liquid
from instruments.electrochemistry.products import PRODUCTS
from instruments.electrochemistry.reading import Reading
from instruments.electrochemistry.tables import Flags, Floats
from instruments.electrochemistry.uncertain import Uncertain, Value, stack


@dataclass(frozen=True, eq=False)
class Amounts:
    """Liquid products of E experiments.

    Attributes:
        products: their keys, L of them.
        rates: mean production over the time until the sample, mol s-1, [E, L].
        efficiency: Faradaic efficiency, [E, L].
        limits: the least efficiency that could be seen, NaN where not known, [E, L].
        below: where less was found than can be seen, [E, L].
        absent: where nothing was found and the detection limit is not known, [E, L].
        ratio: largest concentration of a compartment over what can be quantified there, NaN where not known, [E, L].
    """

    products: tuple[str, ...]
    rates: Uncertain
    efficiency: Uncertain
    limits: Floats
    below: Flags
    absent: Flags
    ratio: Floats

    def consumption(self, carbonate: float) -> Uncertain:
        """CO2 that the gas lost for them, with the carbonate of their hydroxide where ``carbonate`` is 1, [E]."""
        table = [PRODUCTS[key] for key in self.products]
        per_molecule = np.array([product.carbons + 0.5 * carbonate * product.hydroxides for product in table])
        return self.rates.weighted(per_molecule)


QUANTIFICATION = 10.0 / 3.3
"""The smallest concentration that can be quantified over the smallest that can be seen (ICH Q2)."""


def read_liquids(reading: Reading) -> Amounts | None:
    """Reduce the liquid analyses of a batch, or ``None`` where there are none that can be reduced."""
    batch, layout = reading.batch, reading.layout
    if not layout.liquid_mode or batch.concentration is None or not layout.liquids:
        return None
    limit = (
        np.full(batch.concentration.shape, np.nan) if batch.concentration_limit is None else batch.concentration_limit
    )
    found = np.nan_to_num(batch.concentration)
    guessed = (found == 0.0) & (limit > 0.0)  # somewhere between nothing and the limit
    given = np.zeros(found.shape) if batch.concentration_sem is None else np.nan_to_num(batch.concentration_sem)
    concentration = Uncertain.independent(
        np.where(guessed, 0.5 * np.nan_to_num(limit), found),
        np.where(guessed, np.nan_to_num(limit) / np.sqrt(12.0), given),
        "liquids",
        leading=1,
    )
    if reading.known("accuracy_liquid"):
        size = len(layout.liquids)
        relative = reading.exact("accuracy_liquid")[:, None]
        factors = Uncertain(np.ones((len(batch), size)), {"liquid calibration": relative[..., None] * np.eye(size)})
        concentration = concentration * factors[:, :, None]
    electrons = np.array([PRODUCTS[key].electrons for key in layout.liquids], dtype=float)
    if layout.liquid_mode == "batch":
        volumes = stack([reading.scalar(name) for name in layout.compartments])
        amounts = (concentration * volumes[:, None, :]).sum(2)
        charge = reading.charge()
        efficiency = liquid.batch_efficiency(electrons, amounts, charge[:, None])
        rates = amounts / (reading.sampled - batch.time[:, 0])[:, None]
        small = (np.nan_to_num(limit) * volumes.values[:, None, :]).sum(2)
        scale = liquid.batch_efficiency(electrons, 1.0, _plain(charge)[:, None])
    else:
        stream = reading.scalar("liquid_flow", "liquid flow")
        current = -reading.average("current") * reading.current_gain
        summed = concentration.sum(2)
        efficiency = liquid.flow_efficiency(electrons, summed, stream[:, None], current[:, None])
        rates = summed * stream[:, None]
        small = np.nan_to_num(limit).sum(2) * stream.values[:, None]
        scale = liquid.batch_efficiency(electrons, 1.0, _plain(current)[:, None])
    unseen = (found < limit) | (found == 0.0)
    measured = ~np.isnan(batch.concentration)
    nothing = (unseen | ~measured).all(2)
    unlimited = (measured & np.isnan(limit)).any(2)
    quantifiable = np.divide(found, QUANTIFICATION * limit, out=np.full(found.shape, np.nan), where=limit > 0.0)
    ratio = np.where(np.isnan(quantifiable).all(2), np.nan, np.nan_to_num(quantifiable).max(2))
    return Amounts(
        products=layout.liquids,
        rates=rates,
        efficiency=efficiency,
        limits=np.where(unlimited, np.nan, small * scale),
        below=nothing & ~unlimited,
        absent=nothing & unlimited,
        ratio=ratio,
    )


def _plain(number: Value) -> Floats:
    values: Floats = number.values if isinstance(number, Uncertain) else number
    return values
