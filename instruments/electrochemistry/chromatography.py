"""Chromatograms of a batch: mole fractions, outlet flows, windows and efficiencies, injection by injection."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from instruments.electrochemistry import gas
from instruments.electrochemistry.batch import Batch
from instruments.electrochemistry.charge import WindowMeans
from instruments.electrochemistry.constants import ROOM_TEMPERATURE, STANDARD_ATMOSPHERE
from instruments.electrochemistry.liquid_analysis import Amounts
from instruments.electrochemistry.products import PRODUCTS
from instruments.electrochemistry.reading import Reading, weights_of
from instruments.electrochemistry.tables import Flags, Floats
from instruments.electrochemistry.uncertain import Uncertain, Value, nominal, where


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
    timing = _timing(reading, amounts, peaks)
    accepted, weights = timing.accepted, weights_of(timing.accepted)

    fractions = _fractions(batch, peaks, accepted)
    meters = _meters(batch, *timing.windows)
    outlet = where(accepted, _outlet(reading, fractions, meters, amounts), np.zeros(accepted.shape))
    means = WindowMeans(batch.time, *timing.windows)
    current = np.where(accepted, -means(batch.current), 1.0) * reading.current_gain[:, None]
    through = outlet / current
    electrons = np.array([PRODUCTS[key].electrons for key in products], dtype=float)
    efficiency = gas.faradaic_efficiency(electrons, fractions[:, :, columns], through[:, :, None], 1.0)

    limit = np.full(columns.shape, np.nan) if batch.detection is None else batch.detection[:, columns]
    mean = (nominal(fractions)[:, :, columns] * weights[:, :, None]).sum(1)
    some = (peaks[:, :, columns] & accepted[:, :, None]).any(1)
    unseen = ~np.isnan(limit) & ((mean < limit) | ~some) & np.any(accepted, axis=1, keepdims=True)
    return Gases(
        species=layout.species,
        products=products,
        columns=columns,
        fractions=fractions,
        peaks=peaks,
        accepted=accepted,
        weights=weights,
        residence=timing.residence,
        windows=timing.windows,
        means=means,
        inlet=None if meters[0] is None else np.where(accepted, meters[0], 0.0) * reading.gain("inlet")[:, None],
        outlet=outlet,
        current=current,
        efficiency=efficiency,
        limits=gas.detection_limit(electrons, limit, (nominal(through) * weights).sum(1)[:, None], 1.0),
        absent=~some & np.isnan(limit),
        below=unseen,
    )


@dataclass(frozen=True, eq=False)
class _Timing:
    residence: Floats
    accepted: Flags
    windows: tuple[Floats, Floats]


def _timing(reading: Reading, amounts: Amounts | None, peaks: Flags) -> _Timing:
    """Which injections count, and when their gas was made, from the flows at the moment of the injection.

    An injection counts after the headspace has been flushed often enough, where its window lies within the trace,
    current was drawn in it, and the outlet flow is known and not 0. What does not count gets all of the trace as its
    window, so that no NaN spreads from it.
    """
    batch = reading.batch
    injections = _given(batch.injections)
    rough = _fractions(batch, peaks, None)
    outlet = _outlet(reading, nominal(rough), _meters(batch, injections, injections), amounts, exact=True)
    residence = _residence(reading, outlet)
    loop = reading.exact("loop_time") if reading.known("loop_time") else np.zeros(len(batch))
    start, end = gas.window(injections, loop[:, None], residence)
    first, last = batch.time[:, :1], batch.time[:, -1:]
    tolerance = 1e-6 * (last - first)
    flushed = injections - first >= reading.exact("steady_after")[:, None] * residence - tolerance
    within = (start >= first - tolerance) & (end <= last + tolerance)
    accepted = np.isfinite(injections) & np.isfinite(outlet) & (outlet > 0.0) & flushed & within
    windows = np.where(accepted, start, first), np.where(accepted, end, last)
    drawing = WindowMeans(batch.time, *windows)(batch.current) < 0.0
    windows = np.where(drawing, windows[0], first), np.where(drawing, windows[1], last)
    return _Timing(residence, accepted & drawing, windows)


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
    if batch.flow_time.shape[1] == 1:  # one reading stands for the whole run
        repeated = [None if v is None else np.repeat(v, end.shape[1], axis=1) for v in (batch.inlet, batch.outlet)]
        return repeated[0], repeated[1]
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
        made = amounts.consumption(carbonate)
        consumed = (nominal(made) if exact else made)[:, None]
    return gas.outlet_from_balance(
        flow,
        fractions[:, :, columns],
        np.array([product.carbons for product in table], dtype=float),
        np.array([product.hydroxides for product in table], dtype=float),
        consumed,
        carbonate,
    )


def _residence(reading: Reading, outlet: Floats) -> Floats:
    """Residence time in the headspace, 0 where its volume is not known, s, [E, N].

    Its gas has the conditions of the outlet, or else the temperature of the catholyte and standard pressure.
    """
    if not reading.known("headspace"):
        return np.zeros(outlet.shape)
    known = [name for name in ("gas_temperature", "temperature") if reading.known(name)]
    temperature = reading.exact(known[0]) if known else np.full(len(reading), ROOM_TEMPERATURE)
    standard = np.full(len(reading), STANDARD_ATMOSPHERE)
    pressure = reading.exact("gas_pressure") if reading.known("gas_pressure") else standard
    flow = np.where(outlet > 0.0, outlet, np.nan)
    volume = reading.exact("headspace")[:, None]
    time: Floats = gas.residence_time(volume, flow, temperature[:, None], pressure[:, None])
    return np.nan_to_num(time)
