"""Numbers with uncertainties from named, independent sources.

An :class:`Uncertain` array holds values and, for each source, the change of every value for one standard deviation of
each component of that source. First-order propagation (GUM, JCGM 100) is then arithmetic on these contributions, exact
to first order with all covariances: two results that rest on one flow meter share its source. Sources are independent
of each other; so are the components of one source.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]

Value: TypeAlias = Any
"""A float, an array, or an :class:`Uncertain`: what the formulas of this package take and return."""


class Uncertain:
    """Values with the contributions of named sources.

    Args:
        values: any shape.
        sources: contributions by the source's name, each of the values' shape with a trailing axis of components.

    Raises:
        ValueError: contributions whose shape does not fit.
    """

    __slots__ = ("_sources", "values")
    __array_ufunc__ = None  # numpy arrays leave arithmetic with this class to this class

    def __init__(self, values: ArrayLike, sources: Mapping[str, ArrayLike] | None = None) -> None:
        self.values: Final[Floats] = np.asarray(values, dtype=np.float64)
        self._sources: dict[str, Floats] = {}
        for name, given in (sources or {}).items():
            part = np.asarray(given, dtype=np.float64)
            if part.shape[:-1] != self.values.shape or part.ndim != self.values.ndim + 1:
                raise ValueError(f"contributions of {name!r} have shape {part.shape}, values {self.values.shape}")
            self._sources[name] = part

    @classmethod
    def _made(cls, values: Any, sources: dict[str, Floats]) -> Uncertain:
        made = cls.__new__(cls)
        made.values = np.asarray(values, dtype=np.float64)  # type: ignore[misc]
        made._sources = sources
        return made

    @classmethod
    def systematic(cls, values: ArrayLike, sem: ArrayLike, source: str) -> Uncertain:
        """Values that one error shifts together.

        Args:
            values: any shape.
            sem: standard uncertainties, signed where some values move against others.
            source: its name.
        """
        values = np.asarray(values, dtype=np.float64)
        return cls._made(values, {source: np.broadcast_to(np.asarray(sem, dtype=np.float64), values.shape)[..., None]})

    @classmethod
    def independent(cls, values: ArrayLike, sem: ArrayLike, source: str, *, leading: int = 0) -> Uncertain:
        """Values each of which has an error of its own.

        Args:
            values: any shape.
            sem: standard uncertainties.
            source: its name; the values' errors are its components.
            leading: how many leading axes are separate experiments, whose components are numbered alike.
        """
        values = np.asarray(values, dtype=np.float64)
        errors = np.broadcast_to(np.asarray(sem, dtype=np.float64), values.shape)
        size = int(np.prod(values.shape[leading:]))
        unit = np.eye(size).reshape(*values.shape[leading:], size)
        return cls._made(values, {source: errors[..., None] * unit})

    @property
    def sources(self) -> Mapping[str, Floats]:
        """Contributions by source, [..., components]."""
        return MappingProxyType(self._sources)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the values."""
        return self.values.shape

    @property
    def ndim(self) -> int:
        """Number of axes of the values."""
        return self.values.ndim

    def __repr__(self) -> str:
        return f"Uncertain({self.values!r}, sem={self.sem!r}, sources={sorted(self._sources)})"

    def __len__(self) -> int:
        return len(self.values)

    def __float__(self) -> float:
        return float(self.values)

    # Uncertainties

    @property
    def variance(self) -> Floats:
        """Of each value."""
        total = np.zeros(self.shape)
        for part in self._sources.values():
            total = total + np.einsum("...k,...k->...", part, part)
        return total

    @property
    def sem(self) -> Floats:
        """One standard uncertainty of each value."""
        root: Floats = np.sqrt(self.variance)
        return root

    def covariance(self, other: Uncertain) -> Floats:
        """Covariance of each value with the other's value at the same place (shapes broadcast)."""
        total = np.zeros(np.broadcast_shapes(self.shape, other.shape))
        for name in self._sources.keys() & other._sources.keys():
            total = total + np.einsum("...k,...k->...", self._sources[name], other._sources[name])
        return total

    def covariance_matrix(self) -> Floats:
        """Covariances along the last axis, [..., n, n]."""
        total = np.zeros((*self.shape, self.shape[-1]))
        for part in self._sources.values():
            total = total + part @ np.swapaxes(part, -1, -2)
        return total

    def share(self, source: str) -> Floats:
        """Share of a source in the variance of each value; 0 where there is no variance.

        Raises:
            KeyError: there is no such source.
        """
        part = np.einsum("...k,...k->...", self._sources[source], self._sources[source])
        share: Floats = np.divide(part, self.variance, out=np.zeros(self.shape), where=self.variance > 0.0)
        return share

    # Arithmetic

    def _mapped(self, values: Any, slope: Any) -> Uncertain:
        """A function of the values, by its derivative."""
        factor = np.asarray(slope, dtype=np.float64)[..., None]
        return Uncertain._made(values, {name: factor * part for name, part in self._sources.items()})

    def _with(self, other: Any, values: Any, mine: Any, its: Any) -> Uncertain:
        """A function of this and another number, by its two derivatives."""
        shape = np.shape(values)
        sources = _scaled(self, mine, shape)
        if isinstance(other, Uncertain):
            for name, part in _scaled(other, its, shape).items():
                sources[name] = sources[name] + part if name in sources else part
        return Uncertain._made(values, sources)

    def __add__(self, other: Any) -> Uncertain:
        return self._with(other, self.values + nominal(other), 1.0, 1.0)

    def __sub__(self, other: Any) -> Uncertain:
        return self._with(other, self.values - nominal(other), 1.0, -1.0)

    def __rsub__(self, other: Any) -> Uncertain:
        return self._with(other, nominal(other) - self.values, -1.0, 1.0)

    def __mul__(self, other: Any) -> Uncertain:
        factor = nominal(other)
        return self._with(other, self.values * factor, factor, self.values)

    def __truediv__(self, other: Any) -> Uncertain:
        divisor = nominal(other)
        quotient = self.values / divisor
        return self._with(other, quotient, 1.0 / np.asarray(divisor), -quotient / divisor)

    def __rtruediv__(self, other: Any) -> Uncertain:
        quotient = nominal(other) / self.values
        return self._with(other, quotient, -quotient / self.values, 1.0 / self.values)

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Uncertain:
        return self._mapped(-self.values, -1.0)

    def __abs__(self) -> Uncertain:
        return self._mapped(np.abs(self.values), np.sign(self.values))

    def __pow__(self, exponent: float) -> Uncertain:
        return self._mapped(self.values**exponent, exponent * self.values ** (exponent - 1.0))

    # Shapes

    def __getitem__(self, key: Any) -> Uncertain:
        """Values at places of their axes; a mask or ``...`` never reaches the components."""
        picked = key if isinstance(key, tuple) else (key,)
        if Ellipsis not in [k for k in picked if not isinstance(k, np.ndarray)]:
            picked = (*picked, Ellipsis)
        whole = (*picked, slice(None))
        return Uncertain._made(self.values[picked], {name: part[whole] for name, part in self._sources.items()})

    def sum(self, axis: int = -1) -> Uncertain:
        """Along an axis."""
        axis %= self.ndim
        return Uncertain._made(self.values.sum(axis), {name: part.sum(axis) for name, part in self._sources.items()})

    def mean(self, axis: int = -1) -> Uncertain:
        """Along an axis."""
        return self.sum(axis) / self.shape[axis % self.ndim]

    def mixed(self, matrix: ArrayLike) -> Uncertain:
        """Linear combinations along the last axis: [..., n] to [..., m] by an exact matrix [m, n].

        A value that is NaN makes only those combinations NaN that it is part of.
        """
        rows = np.asarray(matrix, dtype=np.float64)
        unknown = np.isnan(self.values)
        values = np.where(unknown, 0.0, self.values) @ rows.T
        if unknown.any():
            values = np.where(unknown.astype(float) @ np.abs(rows.T) > 0.0, np.nan, values)
        return Uncertain._made(values, {name: rows @ part for name, part in self._sources.items()})

    def weighted(self, weights: ArrayLike, axis: int = -1) -> Uncertain:
        """Sum along an axis with exact weights, which have the values' shape or broadcast to it."""
        axis %= self.ndim
        factors = np.broadcast_to(np.asarray(weights, dtype=np.float64), self.shape)
        moved = np.moveaxis(factors, axis, -1)
        sources = {
            name: np.einsum("...n,...nk->...k", moved, np.moveaxis(part, axis, -2))
            for name, part in self._sources.items()
        }
        return Uncertain._made((factors * self.values).sum(axis), sources)


def _scaled(number: Uncertain, slope: Any, shape: tuple[int, ...]) -> dict[str, Floats]:
    """Contributions times a derivative, in the shape of the result."""
    factor = np.asarray(slope, dtype=np.float64)[..., None]
    missing = len(shape) - number.ndim
    made = {}
    for name, part in number._sources.items():
        lifted = part.reshape((1,) * missing + part.shape) if missing > 0 else part
        product = factor * lifted
        made[name] = product if product.shape[:-1] == shape else np.broadcast_to(product, (*shape, part.shape[-1]))
    return made


def nominal(number: Value) -> Any:
    """The values without their uncertainties."""
    return number.values if isinstance(number, Uncertain) else number


def log(number: Value) -> Value:
    """Natural logarithm."""
    if isinstance(number, Uncertain):
        return number._mapped(np.log(number.values), 1.0 / number.values)
    return np.log(number)


def exp(number: Value) -> Value:
    """Exponential function."""
    if isinstance(number, Uncertain):
        power = np.exp(number.values)
        return number._mapped(power, power)
    return np.exp(number)


def where(condition: ArrayLike, number: Value, other: Value) -> Value:
    """Of each place, the first where the condition holds, else the second."""
    if not isinstance(number, Uncertain) and not isinstance(other, Uncertain):
        return np.where(condition, number, other)
    chosen = np.asarray(condition, dtype=bool)
    shape = np.broadcast_shapes(chosen.shape, np.shape(nominal(number)), np.shape(nominal(other)))
    values = np.where(chosen, nominal(number), nominal(other))
    sources: dict[str, Floats] = {}
    for each, used in ((number, chosen), (other, ~chosen)):
        if isinstance(each, Uncertain):
            for name, part in _scaled(each, 1.0, shape).items():
                kept = np.where(used[..., None], part, 0.0)
                sources[name] = sources[name] + kept if name in sources else kept
    return Uncertain._made(values, sources)


def total(number: Value, axis: int = -1) -> Value:
    """Sum along an axis."""
    return number.sum(axis) if isinstance(number, Uncertain) else np.sum(number, axis=axis)


def stack(numbers: Iterable[Value], axis: int = -1) -> Uncertain:
    """Numbers of one shape side by side along a new axis.

    Raises:
        ValueError: shapes or numbers of components differ.
    """
    parts = [each if isinstance(each, Uncertain) else Uncertain(each) for each in numbers]
    return _joined([each[..., None] if each.ndim else each[None] for each in parts], axis)


def concatenate(numbers: Sequence[Value]) -> Uncertain:
    """Numbers side by side along their last axis.

    Raises:
        ValueError: shapes or numbers of components differ.
    """
    return _joined([each if isinstance(each, Uncertain) else Uncertain(each) for each in numbers], -1)


def _joined(parts: Sequence[Uncertain], axis: int) -> Uncertain:
    values = np.concatenate([part.values for part in parts], axis=-1)
    components: dict[str, int] = {}
    for part in parts:
        for name, given in part._sources.items():
            if components.setdefault(name, given.shape[-1]) != given.shape[-1]:
                raise ValueError(f"the source {name!r} has different numbers of components")
    sources = {name: np.zeros((*values.shape, size)) for name, size in components.items()}
    start = 0
    for part in parts:
        end = start + part.shape[-1]
        for name, given in part._sources.items():
            sources[name][..., start:end, :] = given
        start = end
    if axis in (-1, values.ndim - 1):
        return Uncertain._made(values, sources)
    moved = {name: np.moveaxis(part, -2, axis) for name, part in sources.items()}
    return Uncertain._made(np.moveaxis(values, -1, axis), moved)
