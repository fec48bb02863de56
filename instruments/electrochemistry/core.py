"""The vectorised reduction: a batch of experiments of one kind to figures of merit with all their covariances.

Every formula is one of the public functions of this package; here they are put together. Uncertainties have named
sources, see :data:`SOURCES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from instruments.electrochemistry import carbon, energy
from instruments.electrochemistry.batch import Batch
from instruments.electrochemistry.charge import current_density, partial_current, production_rate
from instruments.electrochemistry.chromatography import Gases, read_gases
from instruments.electrochemistry.constants import MA_PER_CM2, ROOM_TEMPERATURE
from instruments.electrochemistry.evidence import Evidence
from instruments.electrochemistry.findings import evidence_of
from instruments.electrochemistry.gas import carbonate_rate
from instruments.electrochemistry.liquid_analysis import Amounts, read_liquids
from instruments.electrochemistry.potentials import corrected, rhe, she
from instruments.electrochemistry.products import PRODUCTS
from instruments.electrochemistry.reading import Reading
from instruments.electrochemistry.results import Balance, Efficiencies, Results
from instruments.electrochemistry.tables import Flags, Floats
from instruments.electrochemistry.trends import Line, line
from instruments.electrochemistry.uncertain import Uncertain, Value, concatenate, nominal
from instruments.metrics import METRICS

SOURCES: Final = {
    "peaks": "repeatability and noise of each peak, independent",
    "calibrations": "coefficients of the chromatograph's calibrations",
    "current": "gain of the potentiostat's current, shared by the charge",
    "inlet": "inlet flow meter",
    "outlet": "outlet flow meter",
    "standard": "flow of the internal standard",
    "area": "geometric area",
    "reference": "potential of the reference electrode",
    "potential": "the potentiostat's voltage",
    "ph": "bulk pH",
    "temperature": "of the catholyte",
    "resistance": "between working and reference electrode",
    "compensated": "share of it that was compensated in hardware",
    "liquids": "each liquid analysis, independent",
    "liquid calibration": "calibration of the liquid analyses, one factor a species",
    "catholyte": "its volume",
    "anolyte": "its volume",
    "trap": "volume of the cold trap",
    "liquid flow": "flow of the catholyte",
    "scatter": "of a trend around its line",
}
"""Sources of uncertainty by name, in words."""

CHUNK: Final = 256
"""Experiments that are reduced at a time, so that their arrays stay in the processor's cache."""


@dataclass(frozen=True, eq=False)
class Figures:
    """Figures of merit of E experiments, F of them.

    Attributes:
        names: of the figures.
        joint: values and uncertainties with all covariances, [E, F]; NaN where a figure cannot be had.
        below: where the value is the limit of detection, and less was there, [E, F].
        above: where the value is a lower bound, [E, F].
        evidence: what quality control looks at.
        accepted: which injections were steady, [E, N], or ``None`` without a chromatograph.
        residence: of the gas in the headspace, s, [E, N], or ``None``.
    """

    names: tuple[str, ...]
    joint: Uncertain
    below: Flags
    above: Flags
    evidence: Evidence
    accepted: Flags | None = None
    residence: Floats | None = None


class _Collector:
    """Gathers figures one by one."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.names: list[str] = []
        self._parts: list[Uncertain] = []
        self._below: list[Flags] = []
        self._above: list[Flags] = []

    def add(self, names: list[str], values: Value, below: Flags | None = None, above: Flags | None = None) -> None:
        """Add figures, [E] or side by side [E, n]."""
        number = values if isinstance(values, Uncertain) else Uncertain(values)
        number = number[:, None] if number.ndim == 1 else number
        self.names += names
        self._parts.append(number)
        for flags, store in ((below, self._below), (above, self._above)):
            store.append(np.zeros(number.shape, dtype=bool) if flags is None else flags.reshape(number.shape))

    def made(self, evidence: Evidence, gases: Gases | None) -> Figures:
        """All of them."""
        empty = np.zeros((self._count, 0), dtype=bool)
        return Figures(
            names=tuple(self.names),
            joint=concatenate(self._parts) if self._parts else Uncertain(empty.astype(float)),
            below=np.concatenate(self._below, 1) if self._below else empty,
            above=np.concatenate(self._above, 1) if self._above else empty,
            evidence=evidence,
            accepted=None if gases is None else gases.accepted,
            residence=None if gases is None else gases.residence,
        )


def reduce_batch(batch: Batch) -> Figures:
    """Reduce a batch of one layout. Judging it is another matter, see :mod:`instruments.electrochemistry.quality`."""
    reading, layout = Reading(batch), batch.layout
    table = _Collector(len(batch))
    amounts = read_liquids(reading)
    gases = read_gases(reading, amounts) if layout.flow_method and layout.gases else None
    if gases is not None:
        reading.watch(gases.means, gases.accepted)
    current = -reading.average("current") * reading.current_gain
    efficiencies = _efficiencies(gases, amounts, len(batch))
    _tell_efficiencies(table, efficiencies, current, reading)
    potential = _potential(table, reading)
    balance = _carbon(table, reading, gases, efficiencies, current)
    _energy(table, reading, efficiencies)
    _stability(table, reading, gases)
    hydrogen = _trend(reading, gases, "h2") if gases is not None else None
    results = Results(reading, gases, amounts, efficiencies, current, potential, balance, hydrogen)
    return table.made(evidence_of(results), gases)


def _efficiencies(gases: Gases | None, amounts: Amounts | None, count: int) -> Efficiencies:
    """Of all products; one that is found in gas and liquid has the sum of both."""
    parts = [part for part in (gases, amounts) if part is not None]
    found = [key for part in parts for key in part.products]
    keys = tuple(key for key in PRODUCTS if key in found)
    if not parts:
        nothing = np.zeros((count, 0))
        return Efficiencies((), Uncertain(nothing), nothing, nothing.astype(bool), nothing.astype(bool))
    values = [part.mean_efficiency if isinstance(part, Gases) else part.efficiency for part in parts]
    mix = np.array([[float(name == key) for name in found] for key in keys]).reshape(len(keys), len(found))

    def joined(arrays: list[Floats]) -> Floats:
        mixed: Floats = np.concatenate(arrays, axis=1) @ mix.T
        return mixed

    limits = joined([part.limits for part in parts])
    below = joined([part.below.astype(float) for part in parts]) == mix.sum(1)  # in every phase where it was looked for
    absent = joined([(part.absent).astype(float) for part in parts]) > 0.0
    return Efficiencies(keys, concatenate(values).mixed(mix), limits, below, absent & ~below)


def _bounded(
    values: Uncertain, bounds: Value, below: Flags, absent: Flags, factor: Value = 1.0
) -> tuple[Uncertain, Flags]:
    """Values with the bound in place of what was not seen, and NaN for what cannot be told."""
    replace = below | absent
    shown = np.where(below, bounds * factor, np.where(absent, np.nan, values.values))
    kept = np.where(replace, 0.0, 1.0)[..., None]
    return Uncertain(shown, {name: part * kept for name, part in values.sources.items()}), below


def _tell_efficiencies(table: _Collector, efficiencies: Efficiencies, current: Value, reading: Reading) -> None:
    """Efficiencies, and current densities where the area is known."""
    keys = efficiencies.keys
    density = current_density(current, reading.scalar("area")) / MA_PER_CM2 if reading.known("area") else None
    if density is not None:
        table.add(["j_total"], density)
    if not keys:
        return
    told = [i for i, key in enumerate(keys) if f"fe_{key}" in METRICS]
    multi = efficiencies.numbers("carbons") > 1.0
    rows = [np.eye(len(keys))[i] for i in told] + ([multi.astype(float)] if multi.any() else [])
    names = [keys[i] for i in told] + (["c2plus"] if multi.any() else [])
    mix = np.array(rows).reshape(len(rows), len(keys))
    counted = np.maximum(mix.sum(1), 1.0)
    values = efficiencies.values.mixed(mix)
    bounds = np.nan_to_num(efficiencies.limits) @ mix.T
    below = (efficiencies.below.astype(float) @ mix.T) == counted
    absent = ((efficiencies.below | efficiencies.absent).astype(float) @ mix.T == counted) & ~below
    shown, censored = _bounded(values, bounds, below, absent)
    table.add([f"fe_{name}" for name in names], shown, censored)
    table.add(["fe_total"], efficiencies.values.sum())
    if density is not None:
        partial = partial_current(values, density[:, None])
        plain = density.values if isinstance(density, Uncertain) else density
        shown, censored = _bounded(partial, bounds, below, absent, plain[:, None])
        table.add([f"j_{name}" for name in names], shown, censored)


def _potential(table: _Collector, reading: Reading) -> Value | None:
    """The iR-corrected potential on the reversible hydrogen scale, averaged over the windows."""
    layout = reading.layout
    if layout.scale is None:
        return None
    temperature = reading.scalar("temperature")
    reference = reading.scalar("reference")
    if reading.known("reference_slope"):
        reference = reference + reading.exact("reference_slope") * (temperature - ROOM_TEMPERATURE)
    measured: Value = reading.average("potential")
    if reading.known("accuracy_potential"):
        measured = Uncertain.systematic(measured, reading.exact("accuracy_potential"), "potential")
    current = reading.average("current") * reading.current_gain
    potential = corrected(
        she(measured, reference), current, reading.scalar("resistance"), reading.scalar("compensated")
    )
    if layout.scale == "SHE":
        potential = rhe(potential, reading.scalar("ph"), temperature)
    table.add(["e_rhe"], potential)
    return potential


def _carbon(
    table: _Collector, reading: Reading, gases: Gases | None, efficiencies: Efficiencies, current: Value
) -> Balance:
    """Conversion of CO2 and what of it leaves as carbonate."""
    rates = production_rate(efficiencies.values, current[:, None], efficiencies.numbers("electrons"))
    if gases is None or gases.inlet is None or not reading.known("feed_co2"):
        return Balance(rates)
    inlet = gases.mean(gases.inlet)
    inlet = inlet + np.where(nominal(inlet) > 0.0, 0.0, np.nan)  # of no gas no share can be told
    feed = inlet * reading.exact("feed_co2")
    if not (reading.exact("feed_co2") > 0.0).all():
        return Balance(rates, None, inlet)
    carbons, hydroxides = efficiencies.numbers("carbons"), efficiencies.numbers("hydroxides")
    conversions = carbon.single_pass_conversion(carbons, rates, feed[:, None])
    table.add(["spc_co2"], conversions.sum())
    co2 = None
    if "co2" in gases.species and (gases.peaks[:, :, gases.species.index("co2")] | ~gases.accepted).all():
        co2 = gases.mean(gases.fractions[:, :, gases.species.index("co2")] * gases.outlet)
    carbonate = None
    if reading.layout.carbonate is not None:
        share = 1.0 if reading.layout.carbonate == "stoichiometric" else 0.0
        carbonate = share * carbonate_rate(hydroxides, rates)
    lost = _carbonate_share(reading, feed, co2, carbonate, conversions)
    if lost is not None:
        table.add(["co2_carbonate"], lost)
    return Balance(rates, feed, inlet, co2, carbonate, conversions)


def _carbonate_share(
    reading: Reading, feed: Value, co2: Value | None, carbonate: Value | None, conversions: Uncertain
) -> Value | None:
    """Share of the feed that leaves as carbonate: what is missing at the outlet, or else by stoichiometry."""
    measured = reading.layout.flow_method in ("outlet", "internal_standard")
    if co2 is not None and measured and reading.layout.complete:
        return carbon.co2_conversion(feed, co2) - conversions.sum()
    if carbonate is not None and reading.layout.carbonate == "stoichiometric":
        return carbonate / feed
    return None


def _energy(table: _Collector, reading: Reading, efficiencies: Efficiencies) -> None:
    """Cell voltage and energy efficiencies."""
    if reading.batch.cell_voltage is None:
        return
    voltage: Value = reading.average("cell_voltage")
    voltage = np.where(voltage > 0.0, voltage, np.nan)
    if reading.known("accuracy_potential"):
        voltage = Uncertain.systematic(voltage, reading.exact("accuracy_potential"), "potential")
    table.add(["u_cell"], voltage)
    slopes = efficiencies.numbers("potential_slope")
    usable = [i for i in range(len(slopes)) if slopes[i] == 0.0 or reading.known("ph")]
    if not usable:
        return
    potentials: Value = efficiencies.numbers("potential")[usable]
    if reading.known("ph"):
        potentials = potentials + slopes[usable] * reading.exact("ph")[:, None]
    below, absent = efficiencies.below[:, usable], efficiencies.absent[:, usable]
    per = energy.full_cell_efficiency(1.0, potentials, voltage[:, None])
    values = efficiencies.values[:, np.array(usable)] * per
    keys = [efficiencies.keys[i] for i in usable]
    told = np.array([i for i, key in enumerate(keys) if f"ee_{key}" in METRICS], dtype=int)
    plain = per.values if isinstance(per, Uncertain) else per
    bounds = np.nan_to_num(efficiencies.limits[:, usable]) * plain
    if len(told):
        shown, censored = _bounded(values[:, told], bounds[:, told], below[:, told], absent[:, told])
        table.add([f"ee_{keys[i]}" for i in told], shown, censored)
    multi = np.array([PRODUCTS[key].carbons > 1 for key in keys])
    if multi.any() and len(usable) == len(slopes):
        hidden: Flags = np.asarray(below[:, multi].all(axis=1))[:, None]  # then their sum is a bound as well
        bound = bounds[:, multi].sum(axis=1, keepdims=True)
        whole = values.weighted(multi.astype(float))[:, None]
        table.add(["ee_c2plus"], *_bounded(whole, bound, hidden, np.zeros_like(hidden)))


def _trend(reading: Reading, gases: Gases, product: str) -> Line | None:
    """Of one product's efficiency over the accepted injections."""
    if product not in gases.products or reading.batch.injections is None:
        return None
    points = gases.efficiency[:, :, gases.products.index(product)]
    return line(reading.batch.injections, reading.batch.time[:, 0], points, gases.accepted)


def _stability(table: _Collector, reading: Reading, gases: Gases | None) -> None:
    """Slope and lifetime of the efficiency that the setup names."""
    product = reading.layout.stability_of.removeprefix("fe_")
    found = _trend(reading, gases, product) if gases is not None and product else None
    if found is None:
        return
    table.add(["stability_slope"], found.slope)
    life, above = found.lifetime()
    table.add(["t80"], life, above=above)


def reduce_many(batch: Batch) -> list[Figures]:
    """Reduce a large batch in pieces that stay in the cache."""
    return [reduce_batch(batch[start : start + CHUNK]) for start in range(0, len(batch), CHUNK)]
