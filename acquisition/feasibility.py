"""Whether constraints can hold at all, which of them cannot hold together, and far-apart points where they do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from acquisition.blocks import Choice, Mixture, Whole
from acquisition.errors import InfeasibleSpaceError, SpaceError
from acquisition.layout import Floats
from acquisition.polytope import Polytope

T = TypeVar("T")

_TRUSTED = 1e-6
_INFEASIBLE = 2  # the status of scipy.optimize.milp
_THOROUGH, _QUICK = 100_000, 1_000


def conflict(constraints: Sequence[T], feasible: Callable[[list[T]], bool]) -> list[T]:
    """An irreducible subset of constraints that cannot hold together: without any one of them it could.

    Args:
        constraints: a set that is infeasible.
        feasible: decides a subset.
    """
    kept = list(constraints)
    for constraint in constraints:
        rest = [other for other in kept if other is not constraint]
        if not feasible(rest):
            kept = rest
    return kept


class Program:
    """A polytope as a mixed-integer linear programme (solved by HiGHS).

    Presence of components and the choice among discrete values are binary variables, fractions on a grid are whole
    numbers of steps.
    """

    def __init__(self, polytope: Polytope) -> None:
        self._polytope = polytope
        self._width = len(polytope.low)
        # The solver's tolerances are absolute: columns are scaled to their ranges, rows to their largest coefficient.
        span = polytope.high - polytope.low
        self._scale: Floats = np.where(span > 0, span, 1.0)
        self._whole = [0] * self._width
        self._rows: list[tuple[dict[int, float], float, float]] = []
        for start, block in zip(polytope.starts, polytope.blocks, strict=True):
            if isinstance(block, Mixture) and block.units is not None:
                self._scale[start : start + block.width] = 1 / block.units
                self._whole[start : start + block.width] = [1] * block.width
            elif isinstance(block, Whole):
                self._scale[start], self._whole[start] = 1.0, 1
        low, high = polytope.low / self._scale, polytope.high / self._scale
        self._low = list(np.where(self._whole, np.rint(low), low))
        self._high = list(np.where(self._whole, np.rint(high), high))
        for start, block in zip(polytope.starts, polytope.blocks, strict=True):
            if isinstance(block, Mixture):
                self._mixture(start, block)
            elif isinstance(block, Choice):
                self._choice(start, block)
        rows = polytope.rows
        for coefficients, lower, upper in zip(rows.coefficients, rows.lower, rows.upper, strict=True):
            self._add({int(i): float(coefficients[i]) for i in np.flatnonzero(coefficients)}, lower, upper)

    def _add(self, terms: dict[int, float], lower: float, upper: float) -> None:
        """A row over columns (in their own units) and switches."""
        scaled = {i: a * self._scale[i] if i < self._width else a for i, a in terms.items()}
        size = max(map(abs, scaled.values()))
        self._rows.append(({i: a / size for i, a in scaled.items()}, lower / size, upper / size))

    def _binary(self, count: int) -> range:
        first = len(self._low)
        self._low += [0.0] * count
        self._high += [1.0] * count
        self._whole += [1] * count
        return range(first, first + count)

    def _mixture(self, start: int, block: Mixture) -> None:
        columns = range(start, start + block.width)
        self._add(dict.fromkeys(columns, 1.0), 1.0, 1.0)
        gaps = (block.least > 1 / (block.units or np.inf)) & (block.low == 0) & (block.high > 0)
        if block.selects or gaps.any():
            present = self._binary(block.width)
            for i, (column, switch) in enumerate(zip(columns, present, strict=True)):
                self._add({column: 1.0, switch: -float(block.high[i])}, -np.inf, 0.0)
                if gaps[i]:
                    self._add({column: 1.0, switch: -float(block.least[i])}, 0.0, np.inf)
            self._add(dict.fromkeys(present, 1.0), 0.0, float(block.most))

    def _choice(self, column: int, block: Choice) -> None:
        chosen = self._binary(block.count)
        self._add(dict.fromkeys(chosen, 1.0), 1.0, 1.0)
        values = {switch: -float(value) for switch, value in zip(chosen, block.values, strict=True)}
        self._add({column: 1.0, **values}, 0.0, 0.0)

    @cached_property
    def _matrix(self) -> Any:
        from scipy.sparse import lil_array

        matrix: Any = lil_array((len(self._rows), len(self._low)))
        for i, (terms, _, _) in enumerate(self._rows):
            for column, value in terms.items():
                matrix[i, column] = value
        return matrix.tocsr()

    def _solve(self, objective: Floats, nodes: int) -> tuple[Floats | None, bool]:
        """A good feasible point for an objective to be minimised, if one is found, and whether it is sure that none is.

        Bounded in nodes, not in time, so that the answer does not depend on the machine.
        """
        from scipy.optimize import Bounds, LinearConstraint, milp

        result = milp(
            np.concatenate([objective * self._scale, np.zeros(len(self._low) - self._width)]),
            integrality=self._whole,
            bounds=Bounds(self._low, self._high),
            constraints=LinearConstraint(self._matrix, [row[1] for row in self._rows], [row[2] for row in self._rows]),
            options={"node_limit": nodes, "mip_rel_gap": 0.05},
        )
        if result.x is None:
            return None, result.status == _INFEASIBLE
        x = self._tidy(result.x)
        # What the solver's tolerance alone makes feasible is not.
        holds = bool(self._polytope.rows.holds(x[None], _TRUSTED)[0])
        return (x, False) if holds else (None, True)

    def point(self) -> Floats:
        """Any feasible point, (g,).

        Raises:
            InfeasibleSpaceError: there is none.
            SpaceError: the solver could not tell.
        """
        x, sure = self._solve(np.zeros(self._width), _THOROUGH)
        if x is not None:
            return x
        if sure:
            raise InfeasibleSpaceError("no point meets the constraints.", field="constraints")
        raise SpaceError(
            "it could not be decided whether any point meets the constraints.",
            field="constraints",
            mend="Loosen equalities between whole numbers, or give fewer of them.",
        )

    def _tidy(self, x: Floats) -> Floats:
        """Whole numbers made whole, choices exact, absent components zero."""
        x = np.where(self._whole, np.rint(x), x)[: self._width] * self._scale
        x = np.clip(x, self._polytope.low, self._polytope.high)
        for start, block in zip(self._polytope.starts, self._polytope.blocks, strict=True):
            part = slice(start, start + block.width)
            if isinstance(block, Choice):
                x[part] = block.values[np.abs(block.values - x[part]).argmin()]
            elif isinstance(block, Mixture):
                absent = x[part] < np.maximum(1e-9, 0.5 * block.least)
                x[part] = np.where(absent & (block.low == 0), 0.0, x[part])
        return x

    def corners(self, count: int, rng: np.random.Generator) -> Floats:
        """Feasible points far apart, (up to count, g): minima of random objectives."""
        span = np.maximum(self._polytope.high - self._polytope.low, 1e-12)
        found = [self._solve(rng.standard_normal(self._width) / span, _QUICK)[0] for _ in range(count)]
        return np.array([x for x in found if x is not None]).reshape(-1, self._width)
