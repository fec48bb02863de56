"""The kind of search space that a pool lists."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.domains import RIGOUR
from acquisition.encoding import metric
from acquisition.errors import InfeasibleSpaceError
from acquisition.layout import Floats
from acquisition.polyhedron import Polyhedron
from acquisition.pool import Pool

_TREE_WIDTH = 32
_PART = 2048
_NEAR = 0.05
"""Rows whose values differ from given ones by up to this share of a column's range stand for them: a sample's measured
composition is never quite that of its row."""


class Tabled:
    """The rows of a pool.

    Attributes:
        pool: the rows.
        layout: the columns.
        metric: coordinates in which distances mean something.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.layout = pool.layout
        self.metric = metric(pool.layout.columns, pool.parameters)

    @property
    def size(self) -> int:
        """Number of different rows."""
        return len(self.pool.array)

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Rows drawn with replacement, (n, c)."""
        return self.pool.array[rng.integers(self.size, size=n)]

    def points(self) -> Floats:
        """All rows."""
        return self.pool.array.copy()

    @cached_property
    def _projection(self) -> tuple[Floats, Floats, NDArray[np.intp]]:
        """Weights of a random projection, the rows' projections in rising order, and that order."""
        weights = np.random.default_rng(0).uniform(0.5, 1.5, size=len(self.layout.names)) / self.layout.span
        value = (self.pool.array - self.layout.low) @ weights
        order = np.argsort(value, kind="stable")
        return weights, value[order], order

    def row_of(self, array: Floats, tolerance: float) -> NDArray[np.intp]:
        """Index of the nearest row that each point matches in every column, -1 where none does, (n,)."""
        weights, value, order = self._projection
        reach = tolerance * (np.abs(weights) @ self.layout.span) * (1 + 1e-9) + 1e-12
        at = (array - self.layout.low) @ weights
        first, last = np.searchsorted(value, at - reach), np.searchsorted(value, at + reach, side="right")
        found, best = np.full(len(array), -1), np.full(len(array), tolerance)
        open_ = np.flatnonzero(first < last)
        while len(open_):
            row = order[first[open_]]
            gap = (np.abs(array[open_] - self.pool.array[row]) / self.layout.span).max(axis=1)
            closer = gap <= best[open_]
            found[open_[closer]], best[open_[closer]] = row[closer], gap[closer]
            first[open_] += 1
            open_ = open_[first[open_] < last[open_]]
        return found

    def contains(self, array: Floats, tolerance: float) -> NDArray[np.bool_]:
        """Which points are rows of the pool."""
        return self.row_of(array, tolerance) >= 0

    def violations(self, array: Floats, tolerance: float) -> list[str]:
        """Says of strangers that they are no rows."""
        return ["" if known else "no row of the pool" for known in self.contains(array, tolerance)]

    def perturb(self, points: Floats, scale: float, rng: np.random.Generator) -> Floats:
        """A random one of each point's nearest other rows: the nearest ``scale`` of the pool, 4 to 64 of them."""
        count = min(self.size - 1, int(np.clip(np.ceil(scale * self.size), 4, 64)))
        if count < 1 or not len(self.metric.names):
            return points.copy()
        near = self._nearest(points, count + 1, rng)
        # The point itself goes last, where no pick reaches it.
        itself = near == self.row_of(points, RIGOUR)[:, None]
        near = np.take_along_axis(near, np.argsort(itself, axis=1, kind="stable"), axis=1)
        picks = near[np.arange(len(points)), rng.integers(count, size=len(points))]
        return self.pool.array[picks]

    def polyhedron(self) -> Polyhedron:
        """The ranges of the columns; nothing may move, since only rows are candidates."""
        layout = self.layout
        none = np.zeros(len(layout.names), dtype=bool)
        fractions = np.array([column.kind == "fraction" for column in layout.columns])
        no_rows = np.zeros((0, len(none)))
        return Polyhedron(layout.low, layout.high, no_rows, np.zeros(0), np.zeros(0), none, layout.low, fractions)

    def given(self, point: Floats, columns: Sequence[int]) -> Tabled:
        """The rows that hold a point's values in some columns, or else the values of the row that is nearest there.

        Raises:
            InfeasibleSpaceError: no row comes near.
        """
        index, span = list(columns), self.layout.span[list(columns)]
        part = self.pool.array[:, index]
        gap = (np.abs(part - point[index]) / span).max(axis=1, initial=0.0)
        if gap.min() > RIGOUR:
            nearest = int(gap.argmin())
            if gap[nearest] > _NEAR:
                raise InfeasibleSpaceError(
                    "no row of the pool holds the given values, or values near them.",
                    field="given",
                    mend=f"The nearest row is off by {gap[nearest]:.2g} of a column's range.",
                )
            gap = (np.abs(part - part[nearest]) / span).max(axis=1, initial=0.0)
        return Tabled(self.pool.part(np.flatnonzero(gap <= RIGOUR)))

    def _nearest(self, points: Floats, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """The nearest rows of each point, (m, count)."""
        from scipy.spatial.distance import cdist

        if len(self.metric.names) <= _TREE_WIDTH:
            found: NDArray[np.intp] = self._tree.query(self.metric(points), k=np.arange(1, count + 1))[1]
            return found
        # Trees do not help among many categories: the nearest within a random part of the pool must do.
        rows = rng.permutation(self.size)[: max(_PART, count)] if self.size > _PART else np.arange(self.size)
        gaps = cdist(self.metric(points), self.metric(self.pool.array[rows]))
        near: NDArray[np.intp] = rows[np.argsort(gaps, axis=1, kind="stable")[:, :count]]
        return near

    @cached_property
    def _tree(self) -> Any:
        from scipy.spatial import cKDTree

        return cKDTree(self.metric(self.pool.array), balanced_tree=False, compact_nodes=False)
