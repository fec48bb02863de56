"""What a search space is made of, and the kind that parameters span."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from acquisition.blocks import Block, build, product
from acquisition.constraints import Constraint
from acquisition.encoding import Encoding, metric
from acquisition.errors import InfeasibleSpaceError
from acquisition.feasibility import conflict
from acquisition.layout import Floats, Layout, describe
from acquisition.membership import Membership, constraint_rows
from acquisition.parameters import Composition, Parameter
from acquisition.polyhedron import Polyhedron
from acquisition.polytope import Polytope, Rows
from acquisition.sampling import Sampler, sampler
from acquisition.walk import Walk

RIGOUR = 1e-7
"""Tolerance within which a space's own moves keep: tighter than the one of its users."""

_TRIES = 3


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

    def polyhedron(self) -> Polyhedron:
        """Bounds and linear rows for optimisers that follow gradients."""


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
        rows = self._rows = constraint_rows(self.layout, constraints)
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

    def polyhedron(self) -> Polyhedron:
        """Bounds of the tightened blocks, sums of compositions and constraints."""
        width = len(self.layout.names)
        low, high = np.zeros(width), np.zeros(width)
        real = np.zeros(width, dtype=bool)
        for group in self._groups:
            polytope = group.sampler.polytope
            low[group.columns], high[group.columns] = polytope.low, polytope.high
            for start, block in zip(polytope.starts, polytope.blocks, strict=True):
                real[group.columns[start : start + block.width]] = block.real
        sums = np.zeros((0, width))
        for parameter, start, end in zip(self._parameters, self._starts, self._ends, strict=True):
            if isinstance(parameter, Composition):
                total = np.zeros((1, width))
                total[0, start:end] = 1.0
                sums = np.concatenate([sums, total])
        rows, ones = self._rows, np.ones(len(sums))
        return Polyhedron(
            low=low,
            high=high,
            matrix=np.concatenate([sums, rows.coefficients]),
            lower=np.concatenate([ones, rows.lower]),
            upper=np.concatenate([ones, rows.upper]),
            movable=real & (low < high),
            least=low.copy(),
            fractions=np.array([column.kind == "fraction" for column in self.layout.columns]),
        )

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
