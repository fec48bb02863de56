"""Current, charge and what they make: current densities, partial currents, production rates.

Currents are signed by IUPAC, cathodic negative; efficiencies and rates use magnitudes. Functions take floats, arrays or
:class:`~instruments.electrochemistry.uncertain.Uncertain` alike, unless they say that they take traces.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from instruments.electrochemistry.constants import FARADAY
from instruments.electrochemistry.uncertain import Floats, Value, total

Places: TypeAlias = NDArray[np.intp]

SPECIFIC_CAPACITANCE: Final = {"Cu": 0.29, "Ag": 0.25}
"""Double-layer capacitance of smooth metals, F m-2, good to 30 %."""


def charge(time: Floats, current: Floats) -> Floats:
    """Charge by the trapezoid rule on the raw time base, C, signed like the current.

    Args:
        time: s, [..., points].
        current: A, [..., points].
    """
    passed: Floats = np.asarray(np.trapezoid(current, time, axis=-1), dtype=np.float64)
    return passed


def integral(time: Floats, values: Floats) -> Floats:
    """Integral of a trace from its first point to each of its points, [..., points]."""
    pieces = 0.5 * (values[..., 1:] + values[..., :-1]) * np.diff(time, axis=-1)
    return np.concatenate([np.zeros_like(pieces[..., :1]), np.cumsum(pieces, axis=-1)], axis=-1)


def places(time: Floats, at: Floats) -> tuple[Places, Floats]:
    """Where times stand in a time base: index of the point before, and the share of the way to the next.

    Args:
        time: not decreasing, [..., points].
        at: times, [..., n]; those outside stand at the nearest end.

    Returns:
        Indices and shares, each [..., n].
    """
    last = time.shape[-1] - 2
    before = np.clip((time[..., None, :] <= at[..., :, None]).sum(-1) - 1, 0, last)
    start = _taken(time, before)
    length = _taken(time, before + 1) - start
    share = np.divide(at - start, length, out=np.zeros(before.shape), where=length > 0.0)
    return before, np.clip(share, 0.0, 1.0)


def _taken(values: Floats, where: Places) -> Floats:
    """Values at indices of the last axis; rows go with rows."""
    if values.ndim == 1:
        return values[where]
    rows = np.arange(len(values))[:, None]
    found: Floats = values[rows, where] if values.ndim == 2 else np.take_along_axis(values, where, -1)
    return found


def value_at(values: Floats, place: tuple[Places, Floats]) -> Floats:
    """A trace at :func:`places`, linear between its points."""
    before, share = place
    low = _taken(values, before)
    return low + share * (_taken(values, before + 1) - low)


def integral_at(time: Floats, values: Floats, place: tuple[Places, Floats]) -> Floats:
    """Integral of a trace, linear between its points, from its first point to :func:`places`."""
    before, share = place
    low, high = _taken(values, before), _taken(values, before + 1)
    length = _taken(time, before + 1) - _taken(time, before)
    return _taken(integral(time, values), before) + length * share * (low + 0.5 * share * (high - low))


def mean_between(time: Floats, values: Floats, start: Floats, end: Floats) -> Floats:
    """Time average of a trace over windows, exact for a trace that is linear between its points.

    Args:
        time: s, [..., points].
        values: [..., points].
        start: of the windows, s, [..., n].
        end: of the windows, [..., n]; a window without length gives the value at that time.
    """
    return WindowMeans(time, start, end)(values)


class WindowMeans:
    """Time averages of several traces of one time base over the same windows, see :func:`mean_between`."""

    def __init__(self, time: Floats, start: Floats, end: Floats) -> None:
        self._time, self._count = time, start.shape[-1]
        edges = np.concatenate([start, end], axis=-1)
        self._places = places(time, edges)
        inside = np.clip(edges, time[..., :1], time[..., -1:])
        self._length = inside[..., self._count :] - inside[..., : self._count]

    def __call__(self, values: Floats) -> Floats:
        """Averages of a trace, [..., n]."""
        passed = integral_at(self._time, values, self._places)
        passed = passed[..., self._count :] - passed[..., : self._count]
        if (self._length > 0.0).all():
            whole: Floats = passed / self._length
            return whole
        instant = value_at(values, self._places)[..., self._count :]
        mean: Floats = np.divide(passed, self._length, out=instant, where=self._length > 0.0)
        return mean


def current_density(current: Value, area: Value) -> Value:
    """``I / A`` for the geometric area, A m-2."""
    return current / area


def real_current_density(current: Value, area: Value, roughness: Value) -> Value:
    """``I / (A RF)`` for the real area, A m-2."""
    return current / (area * roughness)


def roughness(capacitance: Value, specific: Value) -> Value:
    """Real over geometric area, from the double-layer capacitances of the electrode and of the smooth metal."""
    return capacitance / specific


def partial_current(efficiency: Value, current: Value) -> Value:
    """``FE I``; a density gives a partial density. Signed like the current."""
    return efficiency * current


def production_rate(efficiency: Value, current: Value, electrons: Value) -> Value:
    """``FE |I| / (n F)``, mol s-1."""
    return efficiency * abs(current) / (electrons * FARADAY)


def closure(efficiencies: Value, axis: int = -1) -> Value:
    """Sum of the efficiencies; never normalised to 1."""
    return total(efficiencies, axis)
