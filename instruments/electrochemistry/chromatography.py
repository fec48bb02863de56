"""Chromatograms of a batch: mole fractions, outlet flows, windows and efficiencies, injection by injection."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from instruments.electrochemistry import gas
from instruments.electrochemistry.batch import Batch
from instruments.electrochemistry.charge import WindowMeans, places, value_at
from instruments.electrochemistry.constants import STANDARD_ATMOSPHERE
from instruments.electrochemistry.liquid_analysis import Amounts
from instruments.electrochemistry.products import PRODUCTS
from instruments.electrochemistry.reading import Reading, weights_of
from instruments.electrochemistry.tables import Flags, Floats
from instruments.electrochemistry.uncertain import Uncertain, Value, where


@dataclass(frozen=True, eq=False)
class Gases:
    """What the chromatograph tells of E experiments; N injections, S channels, G of them products.

    Attributes:
        species: of the channels.
        products: those that are products.
        columns: their places among the channels, [G].
        fractions: dry mole fractions, [E, N, S].
        peaks: where there was a peak, [E, N, S].
        accepted: which injections are steady and complete, [E, N].
        weights: of the injections, which sum to 1, [E, N].
        residence: of the gas in the headspace, s, [E, N].
        windows: when the gas was made; all of the trace where an injection is not used, s, [E, N] each.
        means: averages of traces over these windows.
        inlet: mol s-1, [E, N], or ``None``.
        outlet: dry flow of the gas that was sampled, 0 where an injection is not used, mol s-1, [E, N].
        current: mean magnitude over the window, 1 where an injection is not used, A, [E, N].
        efficiency: Faradaic efficiency, [E, N, G].
        limits: the least efficiency that could be seen, NaN where not known, [E, G].
        absent: products without any peak whose detection limit is not known, [E, G].
        below: products whose mean is below the detection limit, [E, G].
    """

    species: tuple[str, ...]
    products: tuple[str, ...]
    columns: np.ndarray
    fractions: Uncertain
    peaks: Flags
    accepted: Flags
    weights: Floats
    residence: Floats
    windows: tuple[Floats, Floats]
    means: WindowMeans
    inlet: Value | None
    outlet: Value
    current: Value
    efficiency: Uncertain
    limits: Floats
    absent: Flags
    below: Flags

    @cached_property
    def mean_efficiency(self) -> Uncertain:
        """Over the accepted injections, NaN where there is none, [E, G]."""
        return self.efficiency.weighted(self.weights[:, :, None], axis=1) + self._nowhere[:, None]

    @cached_property
    def _nowhere(self) -> Floats:
        """NaN for experiments without an accepted injection, else 0, [E]."""
        return np.where(self.accepted.any(1), 0.0, np.nan)

    def mean(self, number: Value) -> Value:
        """Of something by injection over the accepted ones, NaN where there is none, [E, N] to [E]."""
        if isinstance(number, Uncertain):
            return number.weighted(self.weights, axis=1) + self._nowhere
        return (number * self.weights).sum(1) + self._nowhere


def read_gases(reading: Reading, amounts: Amounts | None) -> Gases:
    """Reduce the chromatograms of a batch."""
    batch, layout = reading.batch, reading.layout
    products = layout.gases
    columns = np.array([layout.species.index(key) for key in products], dtype=int)
    peaks = ~np.isnan(_given(batch.signal))
    nominal = _fractions(batch, peaks, None)
    injections = _given(batch.injections)

    # residence time and windows from the flows at the moment of the injection
    at = np.broadcast_to(injections[:, :, None], (*injections.shape, 2))[..., 0]
    instant = _meters(batch, at, at)
    rough = _outlet(reading, nominal.values, instant, amounts, exact=True)
    residence = _residence(reading, rough)
    loop = reading.exact("loop_time") if reading.known("loop_time") else np.zeros(len(batch))
    windows = gas.window(injections, loop[:, None], residence)
    accepted = _accepted(reading, injections, residence, windows) & np.isfinite(rough)
    weights = weights_of(accepted)
    # what is not used gets a window all the same, so that no NaN spreads from it
    windows = np.where(accepted, windows[0], batch.time[:, :1]), np.where(accepted, windows[1], batch.time[:, -1:])

    fractions = _fractions(batch, peaks, accepted)
    meters = _meters(batch, *windows)
    outlet = where(accepted, _outlet(reading, fractions, meters, amounts), np.zeros(accepted.shape))
    means = WindowMeans(batch.time, *windows)
    current = -means(batch.current)
    usable = np.where(accepted, current, 1.0) * reading.current_gain[:, None]
    through = outlet / usable
    electrons = np.array([PRODUCTS[key].electrons for key in products], dtype=float)
    efficiency = gas.faradaic_efficiency(electrons, fractions[:, :, columns], through[:, :, None], 1.0)
    values = through.values if isinstance(through, Uncertain) else through
    limit = np.full((len(batch), len(layout.species)), np.nan) if batch.detection is None else batch.detection
    limit = limit[:, columns]
    limits = gas.detection_limit(electrons, limit, (values * weights).sum(1)[:, None], 1.0)
    mean = (nominal.values[:, :, columns] * weights[:, :, None]).sum(1)
    some = (peaks[:, :, columns] & accepted[:, :, None]).any(1)
    return Gases(
        species=layout.species,
        products=products,
        columns=columns,
        fractions=fractions,
        peaks=peaks,
        accepted=accepted,
        weights=weights,
        residence=residence,
        windows=windows,
        means=means,
        inlet=None if meters[0] is None else np.where(accepted, meters[0], 0.0) * reading.gain("inlet")[:, None],
        outlet=outlet,
        current=usable,
        efficiency=efficiency,
        limits=limits,
        absent=~some & np.isnan(limit),
        below=np.where(np.isnan(limit), False, (mean < limit) | ~some) & accepted.any(1)[:, None],
    )


def _given(array: Floats | None) -> Floats:
    """An array that the layout says is there."""
    if array is None:
        raise ValueError("the batch lacks an array that its layout promises")
    return array


def _fractions(batch: Batch, peaks: Flags, accepted: Flags | None) -> Uncertain:
    """Dry mole fractions by injection and channel; without ``accepted`` their values alone.

    What gave no peak is somewhere between nothing and the detection limit: half of it, with the standard deviation of
    a uniform distribution.
    """
    signal = np.where(peaks, _given(batch.signal), 0.0)
    coefficients, factor = _given(batch.coefficients)[:, None], _given(batch.factor)
    size = coefficients.shape[-1]
    powers = signal[..., None] ** np.arange(size)
    half = np.zeros(signal.shape) if batch.detection is None else 0.5 * np.nan_to_num(batch.detection)[:, None, :]
    values = np.where(peaks, (powers * coefficients).sum(-1), half)
    if accepted is None:
        return Uncertain(values)
    relative = np.full(signal.shape, np.nan) if batch.repeatability is None else batch.repeatability[:, None, :]
    floor = 0.0 if batch.noise is None else np.nan_to_num(batch.noise)[:, None, :]
    scatter = np.where(np.isnan(relative), _scatter(signal, peaks & accepted[:, :, None]), relative * np.abs(signal))
    slope = (np.arange(1, size) * powers[..., :-1] * coefficients[..., 1:]).sum(-1)
    own = np.where(peaks, np.abs(slope) * np.hypot(scatter, floor), half / np.sqrt(3.0))
    number = Uncertain.independent(values, own, "peaks", leading=1)
    if not factor.any():
        return number
    # each channel has components of its own
    channels = values.shape[-1]
    contributions = np.zeros((*values.shape, channels, size))
    shifts = np.einsum("ensp,espk->ensk", np.where(peaks[..., None], powers, 0.0), factor)
    contributions[:, :, np.arange(channels), np.arange(channels)] = shifts
    return number + Uncertain(np.zeros(values.shape), {"calibrations": contributions.reshape(*values.shape, -1)})


def _scatter(signal: Floats, used: Flags) -> Floats:
    """Standard deviation of each channel's signals over the injections, 0 where there are not two."""
    count = used.sum(1, keepdims=True)
    mean = np.divide((signal * used).sum(1, keepdims=True), count, out=np.zeros(count.shape), where=count > 0)
    square = (((signal - mean) * used) ** 2).sum(1, keepdims=True)
    variance = np.divide(square, count - 1, out=np.zeros(count.shape), where=count > 1)
    return np.broadcast_to(np.sqrt(variance), signal.shape)


def _meters(batch: Batch, start: Floats, end: Floats) -> tuple[Floats | None, Floats | None]:
    """Mean inlet and outlet readings over windows, [E, N] each."""
    if batch.flow_time is None:
        return None, None
    if batch.flow_time.shape[1] == 1:
        return tuple(  # type: ignore[return-value]
            None if values is None else np.broadcast_to(values, end.shape).copy()
            for values in (batch.inlet, batch.outlet)
        )
    means = WindowMeans(batch.flow_time, start, end)
    return (
        None if batch.inlet is None else means(batch.inlet),
        None if batch.outlet is None else means(batch.outlet),
    )


def _outlet(
    reading: Reading,
    fractions: Value,
    meters: tuple[Floats | None, Floats | None],
    amounts: Amounts | None,
    exact: bool = False,
) -> Value:
    """Dry flow of the gas that was sampled, by the layout's method, [E, N]; ``exact`` leaves uncertainties out."""
    layout = reading.layout
    inlet, outlet = meters

    def gain(name: str) -> Value:
        return 1.0 if exact else reading.gain(name)[:, None]

    if layout.flow_method == "internal_standard":
        known = reading.exact("standard") if exact else reading.scalar("standard")
        place = layout.species.index(layout.standard)
        share = fractions[:, :, place]
        there = ~np.isnan(_given(reading.batch.signal)[:, :, place])
        return gas.flow_from_standard(known[:, None], share + np.where(there, 0.0, np.nan))
    if layout.flow_method == "outlet":
        flow = _given(outlet) * gain("outlet")
        if not layout.outlet_wet:
            return flow
        return gas.dry_flow(flow, reading.exact("gas_temperature")[:, None], reading.exact("gas_pressure")[:, None])
    flow = _given(inlet) * gain("inlet")
    if layout.flow_method == "inlet":
        return flow
    columns = [layout.species.index(key) for key in layout.gases]
    table = [PRODUCTS[key] for key in layout.gases]
    carbonate = 1.0 if layout.carbonate == "stoichiometric" else 0.0
    consumed: Value = 0.0
    if amounts is not None:
        consumed = amounts.consumption(carbonate)
        consumed = (consumed.values if exact and isinstance(consumed, Uncertain) else consumed)[:, None]
    return gas.outlet_from_balance(
        flow,
        fractions[:, :, columns],
        np.array([product.carbons for product in table], dtype=float),
        np.array([product.hydroxides for product in table], dtype=float),
        consumed,
        carbonate,
    )


def _residence(reading: Reading, outlet: Floats) -> Floats:
    """Residence time in the headspace, 0 where its volume is not known, s, [E, N]."""
    if not reading.known("headspace"):
        return np.zeros(outlet.shape)
    temperature = reading.exact("temperature") if reading.known("temperature") else np.full(len(reading), 298.15)
    pressure = (
        reading.exact("gas_pressure") if reading.known("gas_pressure") else np.full(len(reading), STANDARD_ATMOSPHERE)
    )
    if reading.known("gas_temperature"):
        temperature = reading.exact("gas_temperature")
    flow = np.where(outlet > 0.0, outlet, np.nan)
    time: Floats = gas.residence_time(
        reading.exact("headspace")[:, None], flow, temperature[:, None], pressure[:, None]
    )
    return np.nan_to_num(time)


def _accepted(reading: Reading, injections: Floats, residence: Floats, windows: tuple[Floats, Floats]) -> Flags:
    """Injections whose window lies within the trace, after the headspace has been flushed often enough."""
    time, current = reading.batch.time, reading.batch.current
    first, last = time[:, :1], time[:, -1:]
    tolerance = 1e-6 * (last - first)
    flushed = injections - first >= reading.exact("steady_after")[:, None] * residence - tolerance
    within = (windows[0] >= first - tolerance) & (windows[1] <= last + tolerance)
    with np.errstate(invalid="ignore"):
        drawing = value_at(current, places(time, np.nan_to_num(windows[1]))) < 0.0
    return np.isfinite(injections) & flushed & within & drawing
