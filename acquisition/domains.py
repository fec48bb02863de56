"""The two kinds of search space behind one interface: spanned by parameters, or listed in a pool."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from acquisition.blocks import Block, build, product
from acquisition.constraints import Constraint
from acquisition.encoding import Encoding, metric
from acquisition.errors import InfeasibleSpaceError
from acquisition.feasibility import conflict
from acquisition.layout import Floats, Layout, describe
from acquisition.membership import Membership, constraint_rows
from acquisition.parameters import Parameter
from acquisition.polytope import Polytope, Rows
from acquisition.pool import Pool
from acquisition.sampling import Sampler, sampler
from acquisition.walk import Walk

RIGOUR = 1e-7
"""Tolerance within which a space's own moves keep: tighter than the one of its users."""

_TRIES = 3
_TREE_WIDTH = 32
_PART = 2048


class Domain(Protocol):
    """What a search space asks of its points.

    Attributes:
        layout: the columns.
        metric: coordinates in which distances mean something.
    """

    layout: Layout
    metric: Encoding

    @property
    def size(self) -> int | None:
        """Number of points, None where not finite or not known."""

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Uniform draws, (n, c)."""

    def points(self) -> Floats:
        """Every point of a finite domain, (size, c)."""

    def contains(self, array: Floats, tolerance: float) -> NDArray[np.bool_]:
        """Which rows lie inside, (n,)."""

    def violations(self, array: Floats, tolerance: float) -> list[str]:
        """What is wrong with each row, "" where nothing is."""

    def perturb(self, points: Floats, scale: float, rng: np.random.Generator) -> Floats:
        """One random step from each row."""


@dataclass(frozen=True, eq=False)
class _Group:
    """Parameters that constraints tie together, directly or through others."""

    columns: NDArray[np.intp]
    sampler: Sampler

    @cached_property
    def _walk(self) -> Walk:
        return Walk(self.sampler.polytope)

    def step(self, x: Floats, scale: float, rng: np.random.Generator) -> Floats:
        """A step of one block in each row, or along the constraints; (m, g)."""
        polytope = self.sampler.polytope
        moved = x.copy()
        widths = np.array([block.width for block in polytope.blocks], dtype=float)
        picks = rng.choice(len(widths), size=len(x), p=widths / widths.sum())
        for i, (start, block) in enumerate(zip(polytope.starts, polytope.blocks, strict=True)):
            rows = np.flatnonzero(picks == i)
            part = np.s_[start : start + block.width]
            moved[rows, part] = block.nudge(x[rows, part], scale, rng)
        if len(polytope.rows):
            along = self._walk.local(x, scale, rng)
            moved = np.where(rng.random(len(x))[:, None] < 0.5, along, moved)
        return moved


class Spanned:
    """All values of parameters that meet the constraints.

    Raises:
        SpaceError: constraints on unknown or categorical columns.
        InfeasibleSpaceError: nothing meets them all.
    """

    def __init__(self, parameters: Sequence[Parameter], constraints: Sequence[Constraint]) -> None:
        self._parameters = tuple(parameters)
        self.layout = Layout([column for parameter in parameters for column in describe(parameter)])
        self.metric = metric(self.layout.columns, parameters)
        self._ends = np.cumsum([len(parameter.columns) for parameter in parameters])
        self._starts = self._ends - [len(parameter.columns) for parameter in parameters]
        self._membership = Membership(self.layout, parameters, constraints)
        try:
            self._groups = self._compile(constraints)
        except InfeasibleSpaceError as problem:
            raise self._explained(problem, constraints) from None

    def _compile(self, constraints: Sequence[Constraint]) -> list[_Group]:
        """Groups that no constraint connects, each with its sampler."""
        rows = constraint_rows(self.layout, constraints)
        single = (rows.coefficients != 0).sum(axis=1) == 1
        low, high = self._tightened(rows, np.flatnonzero(single))
        blocks: list[Block] = [
            build(parameter, low[start:end], high[start:end])
            for parameter, start, end in zip(self._parameters, self._starts, self._ends, strict=True)
        ]
        groups = []
        for members in self._connected(rows.coefficients[~single]):
            columns = np.concatenate([np.arange(self._starts[p], self._ends[p]) for p in members])
            touched = ~single & (rows.coefficients[:, columns] != 0).any(axis=1)
            polytope = Polytope(tuple(blocks[p] for p in members), rows.part(touched, columns))
            groups.append(_Group(columns, sampler(polytope)))
        return groups

    def _tightened(self, rows: Rows, single: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Bounds of columns by the constraints that weigh one column only."""
        low, high = np.full(len(self.layout.names), -np.inf), np.full(len(self.layout.names), np.inf)
        for i in single:
            column = int(np.flatnonzero(rows.coefficients[i])[0])
            ends = np.sort(np.array([rows.lower[i], rows.upper[i]]) / rows.coefficients[i, column])
            low[column], high[column] = max(low[column], ends[0]), min(high[column], ends[1])
        return low, high

    def _connected(self, coefficients: Floats) -> list[list[int]]:
        """Positions of parameters, those that share a constraint together."""
        label = list(range(len(self._parameters)))
        for row in coefficients:
            owners = np.searchsorted(self._ends, np.flatnonzero(row), side="right")
            merged = {label[owner] for owner in owners}
            label = [min(merged) if own in merged else own for own in label]
        return [[p for p, own in enumerate(label) if own == group] for group in sorted(set(label))]

    def _explained(self, problem: InfeasibleSpaceError, constraints: Sequence[Constraint]) -> InfeasibleSpaceError:
        """The same problem with the constraints that cause it by name."""

        def feasible(subset: Sequence[Constraint]) -> bool:
            try:
                self._compile(subset)
            except InfeasibleSpaceError:
                return False
            return True

        if not feasible([]):
            return problem
        culprits = conflict(constraints, feasible)
        quoted = " and ".join(f"'{culprit}'" for culprit in culprits)
        text = (
            f"the constraint {quoted} leaves no point within the parameters' bounds."
            if len(culprits) == 1
            else f"the constraints {quoted} cannot hold together within the parameters' bounds."
        )
        return InfeasibleSpaceError(text, field="constraints", mend="Loosen one of them, or widen bounds.")

    @cached_property
    def size(self) -> int | None:
        """Product of the groups' sizes."""
        sizes = [group.sampler.size for group in self._groups]
        return None if None in sizes else math.prod(size for size in sizes if size is not None)

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Uniform draws, (n, c)."""
        out = np.empty((n, len(self.layout.names)))
        for group in self._groups:
            out[:, group.columns] = group.sampler.sample(n, rng)
        return out

    def points(self) -> Floats:
        """Every point, (size, c)."""
        order = np.concatenate([group.columns for group in self._groups])
        return product([group.sampler.points() for group in self._groups])[:, np.argsort(order)]

    def contains(self, array: Floats, tolerance: float) -> NDArray[np.bool_]:
        """Which rows lie inside."""
        return self._membership.contains(array, tolerance)

    def violations(self, array: Floats, tolerance: float) -> list[str]:
        """The first bound or constraint that each row breaks."""
        return self._membership.violations(array, tolerance)

    def perturb(self, points: Floats, scale: float, rng: np.random.Generator) -> Floats:
        """One parameter of each row moved, or several at once along the constraints that tie them."""
        moved = points.copy()
        still = np.arange(len(points))
        for _ in range(_TRIES):
            trial = self._step(points[still], scale, rng)
            trial = np.where(self.contains(trial, RIGOUR)[:, None], trial, points[still])
            moved[still] = trial
            still = still[(trial == points[still]).all(axis=1)]
            if not len(still):
                break
        return moved

    def _step(self, points: Floats, scale: float, rng: np.random.Generator) -> Floats:
        """A step within one group of each row, which may lead outside."""
        moved = points.copy()
        weights = np.array([len(group.columns) for group in self._groups], dtype=float)
        picks = rng.choice(len(self._groups), size=len(points), p=weights / weights.sum())
        for i, group in enumerate(self._groups):
            rows = np.flatnonzero(picks == i)
            if len(rows):
                moved[np.ix_(rows, group.columns)] = group.step(points[np.ix_(rows, group.columns)], scale, rng)
        return moved


class Tabled:
    """The rows of a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.layout = pool.layout
        self.metric = metric(pool.layout.columns, pool.parameters)

    @property
    def size(self) -> int:
        """Number of different rows."""
        return len(self._pool.array)

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Rows drawn with replacement, (n, c)."""
        return self._pool.array[rng.integers(self.size, size=n)]

    def points(self) -> Floats:
        """All rows."""
        return self._pool.array.copy()

    @cached_property
    def _projection(self) -> tuple[Floats, Floats, NDArray[np.intp]]:
        """Weights of a random projection, the rows' projections in rising order, and that order."""
        weights = np.random.default_rng(0).uniform(0.5, 1.5, size=len(self.layout.names)) / self.layout.span
        value = (self._pool.array - self.layout.low) @ weights
        order = np.argsort(value, kind="stable")
        return weights, value[order], order

    def row_of(self, array: Floats, tolerance: float) -> NDArray[np.intp]:
        """Index of the row that each point matches in every column, -1 where none does, (n,)."""
        weights, value, order = self._projection
        reach = tolerance * (np.abs(weights) @ self.layout.span) * (1 + 1e-9) + 1e-12
        at = (array - self.layout.low) @ weights
        first, last = np.searchsorted(value, at - reach), np.searchsorted(value, at + reach, side="right")
        found = np.full(len(array), -1)
        open_ = np.flatnonzero(first < last)
        while len(open_):
            row = order[first[open_]]
            close = (np.abs(array[open_] - self._pool.array[row]) <= tolerance * self.layout.span).all(axis=1)
            found[open_[close]] = row[close]
            first[open_] += 1
            open_ = open_[~close & (first[open_] < last[open_])]
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
        return self._pool.array[picks]

    def _nearest(self, points: Floats, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """The nearest rows of each point, (m, count)."""
        from scipy.spatial.distance import cdist

        if len(self.metric.names) <= _TREE_WIDTH:
            found: NDArray[np.intp] = self._tree.query(self.metric(points), k=np.arange(1, count + 1))[1]
            return found
        # Trees do not help among many categories: the nearest within a random part of the pool must do.
        rows = rng.permutation(self.size)[: max(_PART, count)] if self.size > _PART else np.arange(self.size)
        gaps = cdist(self.metric(points), self.metric(self._pool.array[rows]))
        near: NDArray[np.intp] = rows[np.argsort(gaps, axis=1, kind="stable")[:, :count]]
        return near

    @cached_property
    def _tree(self) -> Any:
        from scipy.spatial import cKDTree

        return cKDTree(self.metric(self._pool.array), balanced_tree=False, compact_nodes=False)
