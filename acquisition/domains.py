"""What a search space is made of, and the kind that parameters span."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from acquisition.blocks import product
from acquisition.constraints import LinearConstraint
from acquisition.encoding import Encoding, metric
from acquisition.errors import InfeasibleSpaceError
from acquisition.feasibility import conflict
from acquisition.groups import Builder, Made
from acquisition.layout import Floats, Layout, describe
from acquisition.membership import Membership, constraint_rows
from acquisition.parameters import Composition, Parameter
from acquisition.polyhedron import Polyhedron

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

    def given(self, point: Floats, columns: Sequence[int]) -> Domain:
        """The same domain with some columns held at the values of a point (c,)."""


class Spanned:
    """All values of parameters that meet the constraints.

    Args:
        parameters: what spans the space.
        constraints: between their columns.
        fixed: column -> the value that it is held at, inside its bounds or not.
        made: parts of a space that this one may share.

    Attributes:
        layout: the columns.
        metric: coordinates in which distances mean something.
        fixed: as given.
        groups: the independent parts.

    Raises:
        SpaceError: constraints on unknown or categorical columns.
        InfeasibleSpaceError: nothing meets them all.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        constraints: Sequence[LinearConstraint],
        fixed: Mapping[int, float] | None = None,
        made: Made | None = None,
    ) -> None:
        self._parameters, self._constraints, self.fixed = tuple(parameters), tuple(constraints), dict(fixed or {})
        self.layout = Layout([column for parameter in parameters for column in describe(parameter)])
        self.metric = metric(self.layout.columns, parameters)
        self._membership = Membership(self.layout, parameters, constraints, self.fixed)
        try:
            builder = self._built(constraints, made)
        except InfeasibleSpaceError as problem:
            raise self._explained(problem) from None
        self.groups, self._made = builder.groups, builder.made

    def _built(self, constraints: Sequence[LinearConstraint], made: Made | None = None) -> Builder:
        return Builder(self._parameters, constraint_rows(self.layout, constraints), self.fixed, made)

    def given(self, point: Floats, columns: Sequence[int]) -> Spanned:
        """The same with some columns held at a point's values."""
        fixed = self.fixed | {column: float(point[column]) for column in columns}
        return Spanned(self._parameters, self._constraints, fixed, self._made)

    def _explained(self, problem: InfeasibleSpaceError) -> InfeasibleSpaceError:
        """The same problem with the constraints that cause it by name."""

        def feasible(subset: Sequence[LinearConstraint]) -> bool:
            try:
                self._built(subset)
            except InfeasibleSpaceError:
                return False
            return True

        if not feasible([]):
            given = " The given values leave no room." if self.fixed else ""
            return InfeasibleSpaceError(f"{problem}{given}", field=problem.field)
        culprits = conflict(self._constraints, feasible)
        within = "the parameters' bounds and the given values" if self.fixed else "the parameters' bounds"
        quoted = " and ".join(f"'{culprit}'" for culprit in culprits)
        text = (
            f"the constraint {quoted} leaves no point within {within}."
            if len(culprits) == 1
            else f"the constraints {quoted} cannot hold together within {within}."
        )
        return InfeasibleSpaceError(text, field="constraints", mend="Loosen one of them, or widen bounds.")

    @cached_property
    def size(self) -> int | None:
        """Product of the groups' sizes."""
        sizes = [group.sampler.size for group in self.groups]
        return None if None in sizes else math.prod(size for size in sizes if size is not None)

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Uniform draws, (n, c)."""
        out = np.empty((n, len(self.layout.names)))
        for group in self.groups:
            out[:, group.columns] = group.sampler.sample(n, rng)
        return out

    def weights(self, points: Floats) -> Floats:
        """Relative probabilities of the points of a finite space, (n,)."""
        shares = [group.weights(points[:, group.columns]) for group in self.groups]
        return np.asarray(np.prod(shares, axis=0))

    def points(self) -> Floats:
        """Every point, (size, c)."""
        order = np.concatenate([group.columns for group in self.groups])
        return product([group.sampler.points() for group in self.groups])[:, np.argsort(order)]

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
        low, high, least = np.zeros(width), np.zeros(width), np.zeros(width)
        real = np.zeros(width, dtype=bool)
        for group in self.groups:
            polytope = group.sampler.polytope
            low[group.columns], high[group.columns] = polytope.low, polytope.high
            least[group.columns] = polytope.least
            for start, block in zip(polytope.starts, polytope.blocks, strict=True):
                real[group.columns[start : start + block.width]] = block.real
        sums = np.zeros((0, width))
        start = 0
        for parameter in self._parameters:
            end = start + len(parameter.columns)
            if isinstance(parameter, Composition) and not set(range(start, end)) <= set(self.fixed):
                sums = np.concatenate([sums, np.zeros((1, width))])
                sums[-1, start:end] = 1.0
            start = end
        rows, _ = constraint_rows(self.layout, self._constraints).undecided(self.fixed)
        ones = np.ones(len(sums))
        return Polyhedron(
            low=low,
            high=high,
            matrix=np.concatenate([sums, rows.coefficients]),
            lower=np.concatenate([ones, rows.lower]),
            upper=np.concatenate([ones, rows.upper]),
            movable=real & (low < high),
            least=least,
            fractions=np.array([column.kind == "fraction" for column in self.layout.columns]),
        )

    def _step(self, points: Floats, scale: float, rng: np.random.Generator) -> Floats:
        """A step within one group of each row, which may lead outside."""
        moved = points.copy()
        weights = np.array([group.free for group in self.groups], dtype=float)
        if not weights.any():
            return moved
        picks = rng.choice(len(self.groups), size=len(points), p=weights / weights.sum())
        for i, group in enumerate(self.groups):
            rows = np.flatnonzero(picks == i)
            if len(rows):
                moved[np.ix_(rows, group.columns)] = group.step(points[np.ix_(rows, group.columns)], scale, rng)
        return moved
