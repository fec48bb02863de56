"""Whether points lie in a space that parameters span, and in words why not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from acquisition.constraints import LinearConstraint
from acquisition.errors import SpaceError
from acquisition.layout import Column, Floats, Layout, nearest
from acquisition.parameters import Composition, Parameter
from acquisition.polytope import Rows

_Finding: TypeAlias = tuple[NDArray[np.bool_], str, Floats]


def constraint_rows(layout: Layout, constraints: Sequence[LinearConstraint]) -> Rows:
    """Constraints as a matrix over all columns.

    Raises:
        SpaceError: a coefficient of an unknown or a categorical column.
    """
    kinds = {column.name: column.kind for column in layout.columns}
    matrix = np.zeros((len(constraints), len(layout.names)))
    for i, constraint in enumerate(constraints):
        for name, value in constraint.coefficients.items():
            where = f"constraints.{i}.coefficients"
            if name not in kinds:
                raise SpaceError(
                    f"constraint '{constraint}': there is no column {name!r}.", field=where, mend=nearest(name, kinds)
                )
            if kinds[name] == "category":
                raise SpaceError(
                    f"constraint '{constraint}': column {name!r} is categorical.",
                    field=where,
                    mend="Constraints weigh numbers only.",
                )
            matrix[i, layout.names.index(name)] = value
    lower = np.array([-np.inf if c.lower is None else c.lower for c in constraints], dtype=float)
    upper = np.array([np.inf if c.upper is None else c.upper for c in constraints], dtype=float)
    sizes = np.maximum(np.abs(layout.low), np.abs(layout.high))
    return Rows(matrix, lower, upper, np.abs(matrix) @ layout.grain, np.abs(matrix) @ sizes)


class Membership:
    """Bounds, kinds, compositions and constraints of a space, as checks over many points at once.

    Args:
        layout: the columns.
        parameters: what spans the space.
        constraints: between the columns.
        fixed: column -> the value that it is held at, inside its bounds or not.

    Raises:
        SpaceError: a constraint on an unknown or a categorical column.
    """

    def __init__(
        self,
        layout: Layout,
        parameters: Sequence[Parameter],
        constraints: Sequence[LinearConstraint],
        fixed: Mapping[int, float] | None = None,
    ) -> None:
        self._layout, self._fixed = layout, dict(fixed or {})
        rows = constraint_rows(layout, constraints)
        self._rows, open_ = rows.undecided(self._fixed)
        self._constraints = [c for c, there in zip(constraints, open_, strict=True) if there]
        free = [i not in self._fixed for i in range(len(layout.names))]
        self._mixtures: list[tuple[Composition, slice]] = []
        start = 0
        for parameter in parameters:
            end = start + len(parameter.columns)
            if isinstance(parameter, Composition) and any(free[start:end]):
                self._mixtures.append((parameter, slice(start, end)))
            start = end

    def contains(self, array: Floats, tolerance: float) -> NDArray[np.bool_]:
        """Which rows lie inside, (n,)."""
        inside = np.ones(len(array), dtype=bool)
        for broken, _, _ in self._findings(array, tolerance):
            inside &= ~broken
        return inside

    def violations(self, array: Floats, tolerance: float) -> list[str]:
        """The first thing that is wrong with each row, "" where nothing is."""
        texts = [""] * len(array)
        for broken, text, values in self._findings(array, tolerance):
            for row in np.flatnonzero(broken):
                texts[row] = texts[row] or text.replace("{value}", f"{values[row]:.6g}")
        return texts

    def _findings(self, array: Floats, tolerance: float) -> Iterator[_Finding]:
        """Checks in turn: which rows fail, a text, and the values that it quotes."""
        for i, column in enumerate(self._layout.columns):
            if i in self._fixed:
                yield _check_given(column, array[:, i], self._fixed[i], tolerance)
            else:
                yield from _check_column(column, array[:, i], tolerance)
        for parameter, part in self._mixtures:
            yield from _check_mixture(parameter, array[:, part], tolerance)
            for i, component in enumerate(parameter.components, start=part.start):
                least = parameter.least(component)
                if i not in self._fixed and least > parameter.limits(component)[0]:
                    yield _check_least(self._layout.names[i], array[:, i], least, tolerance)
        sums = array @ self._rows.coefficients.T
        missed = self._rows.missed(array, tolerance)
        for i, constraint in enumerate(self._constraints):
            yield missed[:, i], f"the constraint {constraint} is broken: the sum is {{value}}", sums[:, i]


def _check_given(column: Column, x: Floats, value: float, tolerance: float) -> _Finding:
    slack = tolerance * (abs(value) if column.log else max(column.grain, 1e-6 * abs(value)))
    return ~(np.abs(x - value) <= slack), f"{column.name} is {{value}}, but is given as {value:.6g}", x


def _check_column(column: Column, x: Floats, tolerance: float) -> Iterator[_Finding]:
    unit = f" {column.unit}" if column.unit else ""
    slack = tolerance * column.grain
    yield ~np.isfinite(x), f"{column.name} is not finite", x
    if column.kind == "category":
        whole = np.abs(x - np.rint(x)) <= tolerance
        yield ~whole | (x < -0.5) | (x > column.high + 0.5), f"{column.name}: no category has the index {{value}}", x
        return
    low_slack, high_slack = (tolerance * column.low, tolerance * column.high) if column.log else (slack, slack)
    yield x < column.low - low_slack, f"{column.name} is {{value}}{unit}, below {column.low:g}{unit}", x
    yield x > column.high + high_slack, f"{column.name} is {{value}}{unit}, above {column.high:g}{unit}", x
    if column.kind == "integer":
        yield np.abs(x - np.rint(x)) > tolerance, f"{column.name} is {{value}}, not a whole number", x
    if column.values is not None:
        gap = np.abs(x[:, None] - column.values).min(axis=1)
        yield gap > slack, f"{column.name} is {{value}}{unit}, which is none of its values", x


def _check_least(name: str, x: Floats, least: float, tolerance: float) -> _Finding:
    scant = (x > tolerance) & (x < least - tolerance)
    return scant, f"{name} is {{value}}, neither absent nor {least:g} or more", x


def _check_mixture(parameter: Composition, part: Floats, tolerance: float) -> Iterator[_Finding]:
    total = part.sum(axis=1)
    # Each fraction may be rounded by itself, so that their errors add up.
    yield (
        np.abs(total - 1) > tolerance * part.shape[1],
        f"{parameter.name}: the fractions sum to {{value}}, not to 1",
        total,
    )
    if parameter.max_components is not None:
        present = (part > tolerance).sum(axis=1)
        text = f"{parameter.name}: {{value}} components are present, more than {parameter.max_components}"
        yield present > parameter.max_components, text, present.astype(float)
    if parameter.step is not None:
        units = round(1 / parameter.step)
        off = np.abs(part - np.rint(part * units) / units).max(axis=1)
        yield off > tolerance, f"{parameter.name}: a fraction is off the step of {parameter.step:g} by {{value}}", off
