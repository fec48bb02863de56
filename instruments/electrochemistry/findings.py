"""From the intermediate results of a reduction to the evidence that quality control looks at."""

from __future__ import annotations

from typing import Any

import numpy as np

from instruments.electrochemistry import carbon, energy, gas
from instruments.electrochemistry.batch import Batch
from instruments.electrochemistry.charge import WindowMeans
from instruments.electrochemistry.chromatography import Gases
from instruments.electrochemistry.evidence import Evidence
from instruments.electrochemistry.potentials import ohmic_drop
from instruments.electrochemistry.reading import Reading
from instruments.electrochemistry.results import Results
from instruments.electrochemistry.tables import Flags, Floats
from instruments.electrochemistry.uncertain import Uncertain, Value

MAJOR = 0.10
"""Efficiency from which a product counts as a major one: its injections must agree."""

MEDIAN_OF_THREE = 3.1864
"""Standard deviation of normal noise over the median distance of its points from their running median of three."""

DIFFUSIVITY, SOLUBILITY = 1.91e-9, 33.0
"""Of CO2 in water at 298.15 K and 1 bar, m2 s-1 and mol m-3, for the limiting current."""


def plain(number: Value) -> Any:
    """Values without uncertainties."""
    return number.values if isinstance(number, Uncertain) else number


def evidence_of(results: Results) -> Evidence:
    """All evidence that a batch has."""
    reading = results.reading
    layout = reading.layout
    found: dict[str, Any] = {}
    found.update(_potentiostat(reading))
    found.update(_resistance(reading))
    found.update(_closure(results))
    if results.gases is not None:
        found.update(_chromatograph(reading, results.gases))
        found.update(_injections(reading, results.gases))
        found.update(_carbon(results))
    found.update(_pressures(reading.batch))
    found.update(_checks(reading))
    found.update(_thermodynamics(results))
    blank = _blank(results)
    if blank is not None:
        found["blank"] = blank
    if results.hydrogen is not None and results.gases is not None:
        found["hydrogen_slope"] = np.where(results.hydrogen.rises, results.hydrogen.slope.values, 0.0) + np.where(
            np.isnan(results.hydrogen.slope.values), np.nan, 0.0
        )
        found["hydrogen_ratio"] = _last_over_first(results.gases, "h2")
    if results.amounts is not None:
        found["liquids"] = results.amounts.products
        found["liquid_ratio"] = results.amounts.ratio
        found["liquid_efficiency"] = results.amounts.efficiency.values
    count = len(reading)
    return Evidence(
        count=count,
        complete=np.full(count, layout.complete),
        missing=(layout.missing,) * count,
        **found,
    )


def _closure(results: Results) -> dict[str, Any]:
    efficiencies = results.efficiencies
    if not efficiencies.keys:
        return {}
    total = efficiencies.values.sum()
    return {
        "products": efficiencies.keys,
        "closure": total.values,
        "closure_sem": total.sem,
        "efficiency": efficiencies.values.values,
        "efficiency_sem": efficiencies.values.sem,
        "efficiency_limit": efficiencies.limits,
    }


def _potentiostat(reading: Reading) -> dict[str, Any]:
    """Spikes, overload, distance from the set point."""
    batch, layout = reading.batch, reading.layout
    found: dict[str, Any] = {}
    free, floor = (batch.current, None) if layout.control == "potential" else (_voltage(batch), 1e-3)
    if layout.control is not None and free is not None:
        found["spikes"] = spikes(free, batch.points, floor)
    length = batch.time[:, -1] - batch.time[:, 0]
    if batch.overload is not None:
        found["overload"] = _share_of_time(batch.time, batch.overload > 0.0, length)
    if batch.set_point is not None and batch.potential is not None and layout.control == "potential":
        off = np.abs(batch.set_point - batch.potential) > 2e-3
        found["off_set_point"] = _share_of_time(batch.time, off, length)
    return found


def _voltage(batch: Batch) -> Floats | None:
    """The potential, or the voltage of a cell without a reference electrode."""
    return batch.cell_voltage if batch.potential is None else batch.potential


def _share_of_time(time: Floats, flags: Flags, length: Floats) -> Floats:
    steps = np.diff(time, axis=1)
    share: Floats = (steps * 0.5 * (flags[:, 1:].astype(float) + flags[:, :-1])).sum(1) / length
    return share


def spikes(values: Floats, points: Floats, floor: float | None = None) -> Floats:
    """Share of points far off their neighbours: more than six robust standard deviations from a running median.

    Args:
        values: [E, T].
        points: number of points before padding, [E].
        floor: the least standard deviation that counts; by default a thousandth of the median.

    Returns:
        NaN below ten points, [E].
    """
    count = values.shape[1]
    enough = points >= 10
    if not enough.all():
        found = np.full(len(values), np.nan)
        if enough.any():
            found[enough] = spikes(values[enough], points[enough], floor)
        return found
    # the median of three is their sum without the least and the greatest: it follows trends and steps, not spikes
    left, middle, right = values[:, :-2], values[:, 1:-1], values[:, 2:]
    low = np.minimum(np.minimum(left, middle), right)
    high = np.maximum(np.maximum(left, middle), right)
    rest = np.abs(middle - (left + middle + right - low - high))
    inside = np.arange(1, count - 1) < points[:, None] - 1
    size = np.maximum(points - 2, 1)
    if (points == count).all():
        typical, spread = np.median(np.abs(values), axis=1), np.median(rest, axis=1)
    else:
        known = np.arange(count) < points[:, None]
        typical = np.nanmedian(np.where(known, np.abs(values), np.nan), axis=1)
        spread = np.nanmedian(np.where(inside, rest, np.nan), axis=1)
    scale = np.maximum(MEDIAN_OF_THREE * spread, 1e-3 * typical if floor is None else floor)
    share: Floats = ((rest > 6.0 * scale[:, None]) & inside).sum(1) / size
    return share


def ohmic_uncertainty(reading: Reading) -> Floats | None:
    """Standard uncertainty of the ohmic drop that is corrected in software, V, [E]."""
    if not reading.known("resistance", "compensated") or np.isnan(reading.batch.scalars["resistance"][1]).all():
        return None
    current = reading.average("current")
    drop: Uncertain = ohmic_drop(current, reading.scalar("resistance"), reading.scalar("compensated"))
    error: Floats = np.where(np.isnan(reading.batch.scalars["resistance"][1]), np.nan, drop.sem)
    return error


def _resistance(reading: Reading) -> dict[str, Any]:
    found: dict[str, Any] = {}
    error = ohmic_uncertainty(reading)
    if error is not None:
        found["ohmic_sem"] = error
    if reading.known("resistance", "rest_potential") and reading.batch.potential is not None:
        distance = np.abs(reading.average("potential") - reading.exact("rest_potential"))
        drop = np.abs(reading.average("current")) * reading.exact("resistance")
        found["ohmic_share"] = np.divide(drop, distance, out=np.full(len(reading), np.nan), where=distance > 0.0)
    if reading.known("resistance_before", "resistance_after"):
        before = reading.exact("resistance_before")
        change = np.abs(reading.exact("resistance_after") - before)
        found["resistance_change"] = np.divide(change, before, out=np.full(len(reading), np.nan), where=before > 0.0)
    return found


def _chromatograph(reading: Reading, gases: Gases) -> dict[str, Any]:
    """Ranges and ages of the calibrations, air in the gas, drifts while the gas was made."""
    batch = reading.batch
    used = gases.peaks & gases.accepted[:, :, None]
    fractions = gases.fractions.values
    found: dict[str, Any] = {"channels": gases.species}
    if batch.high is not None and batch.low is not None:
        largest = np.where(used, fractions, 0.0).max(1)
        smallest = np.where(used, fractions, np.inf).min(1)
        seen = used.any(1)
        found["range_ratio"] = np.where(seen, largest / batch.high, np.nan)
        known = seen & (batch.low > 0.0)
        found["low_ratio"] = np.divide(smallest, batch.low, out=np.full(seen.shape, np.nan), where=known)
        places = {key: i for i, key in enumerate(gases.products)}
        mean = gases.mean_efficiency.values
        columns = [mean[:, places[s]] if s in places else np.full(len(reading), np.nan) for s in gases.species]
        found["channel_efficiency"] = np.stack(columns, 1)
    for name, array, worst in (
        ("calibration_age", batch.age, np.fmax),
        ("calibration_expired", batch.expired, np.fmax),
        ("calibration_fit", batch.r_squared, np.fmin),
    ):
        if array is not None and array.shape[1]:
            found[name] = worst.reduce(array, axis=1)
    for name, species in (("oxygen", "o2"), ("nitrogen", "n2")):
        if species in gases.species and species != reading.layout.standard:
            column = gases.species.index(species)
            found[name] = gases.mean(np.where(gases.peaks[:, :, column], fractions[:, :, column], 0.0))
    found.update(_drift(reading, gases))
    return found


def _drift(reading: Reading, gases: Gases) -> dict[str, Any]:
    """Change of what was not controlled while the gas of an injection was made, the worst injection.

    The gas is a mixture of what was made during some residence times; its means over the first and the second half of
    that stretch differ by half of the change.
    """
    batch, layout = reading.batch, reading.layout
    if layout.control is None:
        return {}
    start, end = gases.windows
    start = np.maximum(start - reading.exact("steady_after")[:, None] * gases.residence, batch.time[:, :1])
    middle = 0.5 * (start + end)
    values = batch.current if layout.control == "potential" else _voltage(batch)
    if values is None:
        return {}
    halves = WindowMeans(batch.time, np.hstack([start, middle]), np.hstack([middle, end]))(values)
    first, second = np.hsplit(halves, 2)
    change = 2.0 * np.abs(second - first)
    if layout.control == "potential":
        mean = np.abs(0.5 * (first + second))
        change = np.divide(change, mean, out=np.zeros(change.shape), where=mean > 0.0)
    usable = gases.accepted & (end > start)
    worst = np.where(usable, change, 0.0).max(1, initial=0.0)
    name = "current_drift" if layout.control == "potential" else "potential_drift"
    return {name: np.where(usable.any(1), worst, np.nan)}


def _injections(reading: Reading, gases: Gases) -> dict[str, Any]:
    """How many injections are steady, and how far consecutive ones of major products differ.

    Where the repeatability of peaks is known, the differences are also told in units of what it lets expect.
    """
    count = gases.accepted.sum(1).astype(float)
    values = gases.efficiency.values
    later, earlier = values[:, 1:], values[:, :-1]
    mean = 0.5 * (later + earlier)
    both = (gases.accepted[:, 1:] & gases.accepted[:, :-1])[:, :, None]
    counts = both & (gases.mean_efficiency.values > MAJOR)[:, None, :] & (mean > 0.0)
    change = np.abs(later - earlier)
    relative = np.divide(change, mean, out=np.full(mean.shape, np.nan), where=counts)
    found = {
        "injections": count,
        "injection_products": gases.products * mean.shape[1],
        "injection_difference": relative.reshape(len(count), -1),
    }
    peaks = gases.efficiency.sources.get("peaks")
    known = reading.batch.repeatability
    if peaks is not None and known is not None:
        variance = np.einsum("...k,...k->...", peaks, peaks)
        expected = np.sqrt(variance[:, 1:] + variance[:, :-1])
        assessed = counts & ~np.isnan(known[:, None, gases.columns]) & (expected > 0.0)
        sigmas = np.divide(change, expected, out=np.full(mean.shape, np.nan), where=assessed)
        found["injection_sigmas"] = sigmas.reshape(len(count), -1)
    return found


def _last_over_first(gases: Gases, product: str) -> Floats:
    """Of a product's efficiency over the accepted injections; NaN where there are not two, or it stays a minor one."""
    values = gases.efficiency.values[:, :, gases.products.index(product)]
    rows = np.arange(len(values))
    first = gases.accepted.argmax(1)
    last = gases.accepted.shape[1] - 1 - gases.accepted[:, ::-1].argmax(1)
    start, end = values[rows, first], values[rows, last]
    ratio: Floats = np.divide(
        end, start, out=np.full(len(values), np.nan), where=(start > 0.0) & (last > first) & (end > MAJOR)
    )
    return ratio


def _carbon(results: Results) -> dict[str, Any]:
    """Carbon balance, flows against their balance, and conversion against its limit."""
    balance, gases, layout = results.balance, results.gases, results.reading.layout
    found: dict[str, Any] = {}
    if gases is None or balance.inlet is None or balance.feed is None:
        return found
    efficiencies = results.efficiencies
    carbons, hydroxides = efficiencies.numbers("carbons"), efficiencies.numbers("hydroxides")
    rates, feed, inlet = plain(balance.rates), plain(balance.feed), plain(balance.inlet)
    measured = layout.flow_method in ("outlet", "internal_standard")
    if balance.carbonate is not None and measured and layout.complete:
        if balance.co2 is not None:
            outlet = plain(balance.co2)
            found["carbon_balance"] = carbon.carbon_balance(outlet, carbons, rates, plain(balance.carbonate), feed)
        gaseous = np.array([float(key in gases.products) for key in efficiencies.keys])
        expected = gas.outlet_from_rates(inlet, rates @ carbons, plain(balance.carbonate), rates @ gaseous)
        sampled = plain(gases.mean(gases.outlet))
        if layout.standard:  # it is in the gas that was sampled, but not in the inlet flow
            sampled = gas.before_standard(sampled, results.reading.exact("standard"))
        found["flow_mismatch"] = np.abs(sampled - expected) / expected
    binding = layout.membrane == "aem" and layout.regime in ("neutral", "alkaline")
    if binding and balance.conversions is not None:
        maxima = carbon.maximum_conversion(carbons, hydroxides)
        total = balance.conversions.sum()
        shares = balance.conversions.values[:, carbons > 0.0]
        positive = np.maximum(shares, 0.0)
        most = np.divide(
            positive.sum(1),
            (positive / maxima[carbons > 0.0]).sum(1),
            out=np.ones(len(total)),
            where=positive.sum(1) > 0.0,
        )
        found.update(conversion=total.values, conversion_sem=total.sem, conversion_limit=most)
    return found


def _pressures(batch: Batch) -> dict[str, Any]:
    """Changes of flows and pressures from begin to end."""
    found: dict[str, Any] = {}
    if batch.flow_time is None or batch.flow_time.shape[1] < 2:
        return found

    def ratio(values: Floats) -> Floats:
        start = values[:, 0]
        left: Floats = np.divide(values[:, -1], start, out=np.full(len(values), np.nan), where=start > 0.0)
        return left

    if batch.back_pressure is not None:
        found["back_pressure"] = np.abs(ratio(batch.back_pressure) - 1.0)
    if batch.pressure_drop is not None:
        found["pressure_rise"] = ratio(batch.pressure_drop) - 1.0
    through = batch.outlet if batch.outlet is not None else batch.inlet
    if through is not None:
        found["flow_left"] = ratio(through)
    return found


def _checks(reading: Reading) -> dict[str, Any]:
    """What was checked beside the experiment."""
    found: dict[str, Any] = {}
    for name, evidence in (
        ("check_leak", "leak"),
        ("check_check_gas", "check_gas"),
        ("check_retention_shift", "retention_shift"),
        ("check_blank_efficiency", "blank"),
        ("check_clock_offset", "clock_offset"),
        ("check_injection_delay", "injection_delay"),
        ("check_liquid_in_gas_line", "liquid_in_gas_line"),
        ("check_pressure_oscillates", "pressure_oscillates"),
        ("signal_to_noise", "signal_to_noise"),
        ("reference_drift", "reference_drift"),
    ):
        if reading.known(name):
            value = reading.exact(name)
            found[evidence] = value if name == "signal_to_noise" else np.abs(value)
    if reading.known("retention_shift"):
        found["retention_shift"] = np.fmax(reading.exact("retention_shift"), found.get("retention_shift", 0.0))
    if reading.known("check_standard_recovery"):
        found["standard_recovery"] = np.abs(reading.exact("check_standard_recovery") - 1.0)
    if reading.known("ph", "ph_expected"):
        found["ph_deviation"] = np.abs(reading.exact("ph") - reading.exact("ph_expected"))
    if reading.known("temperature_set") and reading.known("temperature"):
        actual = "trace_temperature" if reading.known("trace_temperature") else "temperature"
        found["temperature_deviation"] = np.abs(reading.exact(actual) - reading.exact("temperature_set"))
    return found


def _blank(results: Results) -> Floats | None:
    """What was found of carbon products in a run without CO2: it comes from somewhere else."""
    reading, efficiencies = results.reading, results.efficiencies
    if not reading.known("feed_co2") or not efficiencies.keys or (reading.exact("feed_co2") > 0.0).any():
        return None
    seen = np.where(efficiencies.below | efficiencies.absent, 0.0, plain(efficiencies.values))
    found: Floats = seen @ (efficiencies.numbers("carbons") > 0.0).astype(float)
    return found


def _thermodynamics(results: Results) -> dict[str, Any]:
    """Potentials against equilibrium, currents against transport."""
    reading, efficiencies = results.reading, results.efficiencies
    found: dict[str, Any] = {}
    if results.potential is not None and efficiencies.keys:
        standard = efficiencies.numbers("potential")[None, :]
        if reading.known("ph"):
            standard = standard + efficiencies.numbers("potential_slope") * reading.exact("ph")[:, None]
        found["above_equilibrium"] = plain(results.potential)[:, None] - standard
    if reading.known("boundary_layer", "area") and reading.layout.cell == "h_cell" and efficiencies.keys:
        carbons, electrons = efficiencies.numbers("carbons"), efficiencies.numbers("electrons")
        with_carbon = carbons > 0.0
        density = plain(results.current)[:, None] * plain(efficiencies.values) / reading.exact("area")[:, None]
        limits = energy.limiting_current_density(
            electrons[with_carbon],
            carbons[with_carbon],
            DIFFUSIVITY,
            SOLUBILITY,
            reading.exact("boundary_layer")[:, None],
        )
        found["transport"] = (density[:, with_carbon] / limits).sum(1)
    return found
