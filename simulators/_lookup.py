"""Find the rows of a table that hold given settings, in microseconds and within a tolerance."""

from __future__ import annotations

import itertools
import logging
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from instruments.errors import LabError

logger = logging.getLogger(__name__)

TOLERANCE: Final = 1e-6
"""How far a setting may be from a table's value; relative for columns far from the order of one."""

SUM_SLACK: Final = 2e-3
"""How far rounded fractions may miss a sum of one and still be renormalised."""

_CELL: Final = 1e-4 * math.pi
"""Width of a hash cell over the column's scale: irrational, so that decimal grids never lie on its edges."""

_PRIME: Final = 0x9E3779B97F4A7C15
_MASK: Final = (1 << 64) - 1

Floats = npt.NDArray[np.float64]


def is_number(column: pd.Series) -> bool:
    """Whether a column holds plain numbers (truth values are categories here)."""
    return bool(is_numeric_dtype(column) and not is_bool_dtype(column))


def composition_groups(table: pd.DataFrame, columns: Sequence[str]) -> list[list[str]]:
    """Columns that together are fractions: not negative, with every row's sum within :data:`SUM_SLACK` of one.

    Candidates are the columns that share what stands before their last underscore, and all columns together.
    """
    by_prefix: dict[str, list[str]] = defaultdict(list)
    for column in columns:
        prefix, separator, _ = column.rpartition("_")
        if separator:
            by_prefix[prefix].append(column)
    groups = [group for group in by_prefix.values() if len(group) > 1 and _sums_to_one(table[group].to_numpy(float))]
    if not groups and len(columns) > 1 and _sums_to_one(table[list(columns)].to_numpy(float)):
        groups = [list(columns)]
    return groups


def _sums_to_one(values: Floats) -> bool:
    return bool((values >= 0).all() and (np.abs(values.sum(axis=1) - 1) <= SUM_SLACK).all())


def _scale(values: Floats) -> Floats:
    """Per column: one within the usual orders of magnitude, else the largest magnitude."""
    largest = np.abs(values).max(axis=0)
    usual = (largest <= 1) & (largest >= 1e-3)
    return np.where(usual | (largest == 0), 1.0, largest)


class RowLookup:
    """Rows of a table by the values of some of its columns.

    Numbers match within :data:`TOLERANCE`, fractions after renormalisation, categories exactly. Cells of a regular
    grid are hashed and sorted, so that a look-up costs one binary search whatever the table's length.

    Args:
        table: the rows; its index is not used.
        columns: names of the columns that are looked up.

    Raises:
        LabError: a column holds a gap or an infinite number.
    """

    def __init__(self, table: pd.DataFrame, columns: Sequence[str]) -> None:
        self._numeric = [name for name in columns if is_number(table[name])]
        self._labels = [name for name in columns if name not in self._numeric]
        for name in columns:
            _refuse_gaps(table[name])
        raw = table[self._numeric].to_numpy(dtype=np.float64)
        self._groups = [
            [self._numeric.index(name) for name in group] for group in composition_groups(table, self._numeric)
        ]
        values = raw.copy()
        for group in self._groups:
            values[:, group] /= values[:, group].sum(axis=1, keepdims=True)
        if self._groups and (moved := int((np.abs(values - raw) > TOLERANCE).any(axis=1).sum())):
            logger.info("fractions of %d of %d rows were renormalised to a sum of 1", moved, len(values))
        self._scale = _scale(values) if len(values) else np.ones(len(self._numeric))
        self._values = values / self._scale
        self._codes = [
            {label: code for code, label in enumerate(pd.unique(table[name]).tolist())} for name in self._labels
        ]
        coded = [
            table[name].map(codes).to_numpy(np.int64) for name, codes in zip(self._labels, self._codes, strict=True)
        ]
        cells = np.floor(self._values / _CELL + 0.5).astype(np.int64)
        keys = np.column_stack([cells, *coded]) if coded else cells
        self._coded = np.column_stack(coded) if coded else np.empty((len(values), 0), dtype=np.int64)
        hashes = _fold_columns(keys)
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]

    def find(self, settings: Mapping[str, float | int | str]) -> npt.NDArray[np.int64]:
        """Positions of all rows that hold these settings, in the table's order; empty where there is none.

        Raises:
            LabError: a number is wanted and something else given, or it is not finite.
        """
        asked = self._scaled(settings)
        codes = []
        for name, known in zip(self._labels, self._codes, strict=True):
            code = known.get(settings[name])
            if code is None:
                return np.empty(0, dtype=np.int64)
            codes.append(code)
        found: list[int] = []
        for cell in itertools.product(*(_cells(value) for value in asked)):
            found.extend(self._in_cell((*cell, *codes), asked, codes))
        return np.array(sorted(found), dtype=np.int64)

    def _in_cell(self, key: tuple[int, ...], asked: list[float], codes: list[int]) -> list[int]:
        hashed = np.uint64(_fold(key))
        start, stop = self._hashes.searchsorted(hashed, "left"), self._hashes.searchsorted(hashed, "right")
        rows = self._order[start:stop]
        near = (np.abs(self._values[rows] - asked) <= TOLERANCE).all(axis=1)
        same = (self._coded[rows] == codes).all(axis=1)
        matching: list[int] = rows[near & same].tolist()
        return matching

    def _scaled(self, settings: Mapping[str, float | int | str]) -> list[float]:
        values = [_number(name, settings[name]) for name in self._numeric]
        for group in self._groups:
            total = sum(values[position] for position in group)
            if abs(total - 1) <= SUM_SLACK:
                for position in group:
                    values[position] /= total
        return [value / scale for value, scale in zip(values, self._scale.tolist(), strict=True)]


def _refuse_gaps(column: pd.Series) -> None:
    gaps = column.isna().to_numpy()
    if is_number(column):
        gaps = gaps | ~np.isfinite(column.to_numpy(dtype=np.float64, na_value=np.nan))
    if gaps.any():
        raise LabError(
            f"column {column.name!r} has no finite value in row {column.index[int(np.argmax(gaps))]}.",
            field=str(column.name),
            mend="Fill the gap, or leave that row out of the table.",
        )


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise LabError(f"{name!r} is {value!r}, where the table holds numbers.", field=name)
    number = float(value)
    if not math.isfinite(number):
        raise LabError(f"{name!r} is {number}, which is no setting.", field=name)
    return number


def _cells(value: float) -> tuple[int, ...]:
    low = math.floor((value - TOLERANCE) / _CELL + 0.5)
    high = math.floor((value + TOLERANCE) / _CELL + 0.5)
    return (low,) if low == high else (low, high)


def _fold(key: Sequence[int]) -> int:
    hashed = 0
    for part in key:
        hashed = ((hashed ^ (part & _MASK)) * _PRIME) & _MASK
        hashed ^= hashed >> 29
    return hashed


def _fold_columns(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """The same as :func:`_fold` for all rows at once."""
    hashed = np.zeros(len(keys), dtype=np.uint64)
    for column in keys.T.astype(np.uint64):
        hashed = (hashed ^ column) * np.uint64(_PRIME)
        hashed ^= hashed >> np.uint64(29)
    return hashed
