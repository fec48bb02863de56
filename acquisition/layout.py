"""The columns of a search space: what each holds, and the way between tables and arrays."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from acquisition.errors import SpaceError
from acquisition.parameters import Categorical, Composition, Continuous, Discrete, Integer, Label, Parameter

Floats: TypeAlias = NDArray[np.float64]
ColumnKind: TypeAlias = Literal["continuous", "integer", "discrete", "category", "fraction"]

RESOLUTION = 1e-9
"""Two values closer than this, relative to their column's range, are the same setting."""


@dataclass(frozen=True, eq=False)
class Column:
    """One column: its kind, its range and what stands for what.

    Attributes:
        name: the column's name in tables.
        kind: what its numbers mean.
        low: least value (of a category: 0, the index of its first label).
        high: greatest value.
        log: whether the logarithm is what counts.
        labels: the categories, in the order of their indices.
        values: the allowed numbers of a discrete column, rising.
        dtype: dtype in tables, where it is not float64.
        unit: of the values, for messages.
    """

    name: str
    kind: ColumnKind
    low: float
    high: float
    log: bool = False
    labels: tuple[Label, ...] = ()
    values: Floats | None = None
    dtype: Any = None
    unit: str | None = None

    @property
    def span(self) -> float:
        """What differences in this column are relative to; never zero."""
        if self.kind in ("fraction", "category"):
            return 1.0
        return (self.high - self.low) or max(abs(self.high), 1.0)

    @property
    def grain(self) -> float:
        """What tolerances are relative to: the range, but between separate values no more than their distance."""
        if self.kind == "integer":
            return 1.0
        if self.values is not None and len(self.values) > 1:
            return float(np.diff(self.values).min())
        return self.span

    @property
    def constant(self) -> bool:
        """Whether only one value occurs."""
        return not self.low < self.high


def describe(parameter: Parameter) -> list[Column]:
    """The columns of a parameter, in order."""
    match parameter:
        case Continuous(name=name):
            return [Column(name, "continuous", parameter.low, parameter.high, parameter.log, unit=parameter.unit)]
        case Integer(name=name):
            low, high = float(parameter.low), float(parameter.high)
            return [Column(name, "integer", low, high, parameter.log, dtype=np.int64, unit=parameter.unit)]
        case Discrete(name=name):
            values = np.sort(np.asarray(parameter.values, dtype=float))
            low, high = float(values[0]), float(values[-1])
            return [Column(name, "discrete", low, high, parameter.log, values=values, unit=parameter.unit)]
        case Categorical(name=name):
            return [Column(name, "category", 0.0, len(parameter.values) - 1.0, labels=parameter.values)]
        case Composition():
            limits = [parameter.limits(component) for component in parameter.components]
            return [
                Column(name, "fraction", low, high) for name, (low, high) in zip(parameter.columns, limits, strict=True)
            ]


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence that offers the known name closest to a wrong one."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"Known are {', '.join(map(repr, known[:8]))}{' and more' if len(known) > 8 else ''}."


def quote(value: Any) -> str:
    """A value as people write it, without the names of numpy's types."""
    return repr(value.item() if isinstance(value, np.generic) else value)


class Layout:
    """All columns of a space, with vectorised conversions.

    Attributes:
        columns: in the order of arrays and tables.
        names: their names.
        low: (c,) least values.
        high: (c,) greatest values.
        span: (c,) ranges, never zero.
        grain: (c,) what tolerances are relative to.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self.names = tuple(column.name for column in columns)
        self.low: Floats = np.array([column.low for column in columns], dtype=float)
        self.high: Floats = np.array([column.high for column in columns], dtype=float)
        self.span: Floats = np.array([column.span for column in columns], dtype=float)
        self.grain: Floats = np.array([column.grain for column in columns], dtype=float)
        self._logs = [i for i, column in enumerate(columns) if column.log and column.kind == "continuous"]

    @cached_property
    def _labels(self) -> dict[int, pd.Index[Any]]:
        """The labels of each column of categories."""
        return {i: pd.Index(list(column.labels)) for i, column in enumerate(self.columns) if column.kind == "category"}

    def part(self, columns: Sequence[int]) -> Layout:
        """Some of the columns, in the given order."""
        return Layout([self.columns[i] for i in columns])

    def to_array(self, frame: pd.DataFrame) -> Floats:
        """Native values of a table's rows, (n, c); categories as their index.

        Raises:
            SpaceError: a column is missing, or an entry is missing, no finite number or no known category.
        """
        out = np.empty((len(frame), len(self.columns)))
        for i, column in enumerate(self.columns):
            there = int((frame.columns == column.name).sum())
            if there != 1:
                what = "is missing" if not there else "is there more than once"
                mend = nearest(column.name, map(str, frame.columns)) if len(frame.columns) and not there else None
                raise SpaceError(f"column {column.name!r} {what}.", field=column.name, mend=mend)
            series = frame[column.name]
            out[:, i] = _indices(series, column) if column.kind == "category" else _numbers(series)
        return out

    def to_frame(self, array: Floats) -> pd.DataFrame:
        """A table of native values, with whole numbers as int64 and categories by label."""
        array = np.asarray(array, dtype=float)
        if array.ndim != 2 or array.shape[1] != len(self.columns):
            raise SpaceError(f"points of shape {array.shape} do not fit {len(self.columns)} columns.", field="array")
        data: dict[str, Any] = {}
        for i, column in enumerate(self.columns):
            values = array[:, i]
            if column.kind == "category":
                data[column.name] = self._labels[i].take(np.rint(values).astype(np.intp))
            elif column.dtype is np.int64:
                data[column.name] = np.rint(values).astype(np.int64)
            elif column.dtype is not None:
                data[column.name] = pd.Series(np.rint(values)).astype(column.dtype)
            else:
                data[column.name] = values.copy()
        return pd.DataFrame(data, columns=list(self.names))

    def quantise(self, array: Floats) -> NDArray[np.int64]:
        """Whole numbers that are equal where rows are the same experiment, (n, c)."""
        # No finer than what arithmetic loses on the largest values.
        quantum = np.maximum(self.grain * RESOLUTION, 1e-12 * np.maximum(np.abs(self.low), np.abs(self.high)))
        scaled = np.clip(np.asarray(array, dtype=float) - self.low, -9e18 * quantum, 9e18 * quantum) / quantum
        for i in self._logs:
            low, high = self.low[i], self.high[i]
            ratio = np.log(np.maximum(array[:, i], low * 1e-12) / low) / np.log(high / low)
            scaled[:, i] = ratio / RESOLUTION
        return np.rint(scaled).astype(np.int64)

    def first(self, array: Floats) -> NDArray[np.bool_]:
        """Which rows are not the same experiment as a row before them, (n,)."""
        whole = self.quantise(array)
        # one number a row, wrapping round: rows of a number of their own need no closer look
        weights = np.random.default_rng(0).integers(2**62, size=whole.shape[1]) * 2 + 1
        alike = np.flatnonzero(pd.Series(whole @ weights).duplicated(keep=False).to_numpy())
        first = np.ones(len(whole), dtype=bool)
        first[alike] = ~pd.DataFrame(whole[alike]).duplicated().to_numpy()
        return first

    def keys(self, array: Floats) -> list[bytes]:
        """One hashable key a row, equal where rows are the same experiment."""
        whole = np.ascontiguousarray(self.quantise(array))
        size = whole.shape[1] * 8
        raw = whole.tobytes()
        return [raw[i : i + size] for i in range(0, len(raw), size)]


def _numbers(series: pd.Series[Any]) -> Floats:
    numbers = pd.to_numeric(series, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if len(wrong):
        _refuse(series, int(wrong[0]), "no finite number")
    return numbers


def _indices(series: pd.Series[Any], column: Column) -> Floats:
    found = pd.Index(list(column.labels), dtype=object).get_indexer(pd.Index(series, dtype=object))
    wrong = np.flatnonzero(found < 0)
    if len(wrong):
        value = series.iloc[int(wrong[0])]
        mend = None if pd.isna(value) else nearest(str(value), map(str, column.labels))
        _refuse(series, int(wrong[0]), "no known category", mend)
    return found.astype(float)


def _refuse(series: pd.Series[Any], position: int, complaint: str, mend: str | None = None) -> None:
    value = series.iloc[position]
    text = "is missing" if pd.isna(value) else f"is {quote(value)}, {complaint}"
    row = quote(series.index[position])
    raise SpaceError(f"column {series.name!r}, row {row}: the value {text}.", field=str(series.name), mend=mend)
