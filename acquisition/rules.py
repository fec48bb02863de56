"""Non-linear constraints over native arrays: whether they hold, and by how much they are missed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from acquisition.arithmetic import Expression
from acquisition.constraints import Constraint, ExpressionConstraint, LinearConstraint, NonlinearConstraint
from acquisition.errors import SpaceError
from acquisition.layout import Floats, Layout, nearest

Nonlinear: TypeAlias = NonlinearConstraint | ExpressionConstraint


class Rule:
    """One non-linear constraint of a space.

    Args:
        constraint: as given.
        layout: the columns of the space.
        where: position among the constraints, for messages.

    Attributes:
        constraint: as given.
        columns: positions of the columns that it looks at.

    Raises:
        SpaceError: a column that is none, or a function that cannot be imported.
    """

    def __init__(self, constraint: Nonlinear, layout: Layout, where: int) -> None:
        self.constraint, self._whole, self._where = constraint, layout, where
        self._expression: Expression | None = None
        if isinstance(constraint, ExpressionConstraint):
            self._expression = Expression(constraint.expression)
            names, part = self._expression.columns, "expression"
        else:
            names, part = constraint.columns or layout.names, "columns"
            try:
                self._function = constraint.resolve()
            except SpaceError as problem:
                problem.field = f"constraints.{where}.function"
                raise
        for name in names:
            if name not in layout.names:
                raise SpaceError(
                    f"constraint '{constraint}': there is no column {name!r}.",
                    field=f"constraints.{where}.{part}",
                    mend=nearest(name, layout.names),
                )
        self.columns = tuple(layout.names.index(name) for name in names)
        self._layout = layout.part(self.columns)

    def __reduce__(self) -> tuple[type[Rule], tuple[Nonlinear, Layout, int]]:
        return Rule, (self.constraint, self._whole, self._where)

    def values(self, array: Floats) -> Floats:
        """The function's values at native points (n, c), 1 or 0 where it says yes or no; (n,).

        Raises:
            SpaceError: the function fails, or gives anything but one finite number or truth value a row.
        """
        if not len(array):
            return np.zeros(0)
        own = array[:, self.columns]
        if self._expression is not None:
            try:
                result: Any = self._expression(self._plain(own))
            except SpaceError as problem:
                raise self._wrong(str(problem)) from None
            return self._checked(result, own)
        frame = self._layout.to_frame(own)
        try:
            result = self._function(frame)
        except Exception as problem:  # whatever a function of the user's raises
            raise self._failed(frame, problem) from problem
        return self._checked(result, own)

    def _plain(self, own: Floats) -> dict[str, NDArray[Any]]:
        """The columns by name, numbers as they are and categories by their labels."""
        columns: dict[str, NDArray[Any]] = {}
        for column, values in zip(self._layout.columns, own.T, strict=True):
            labels = np.array([*column.labels, None], dtype=object)[:-1]
            columns[column.name] = labels[np.rint(values).astype(np.intp)] if column.kind == "category" else values
        return columns

    def _checked(self, result: Any, own: Floats) -> Floats:
        given = np.asarray(result)
        if given.shape != (len(own),):
            raise self._wrong(
                f"for a table of {len(own)} rows it gives {_shape(result, given)}.",
                "It must return one number or truth value a row, such as a column of the table.",
            )
        yes_or_no = given.dtype == bool
        if not yes_or_no and self.constraint.lower is None and self.constraint.upper is None:
            raise self._wrong("it gives numbers, and has no bound.", "Give `lower` or `upper`, or return truth values.")
        try:
            values = given.astype(float)
        except (TypeError, ValueError):
            raise self._wrong(f"it gives {given.ravel()[0]!r}, which is no number.") from None
        wrong = np.flatnonzero(~np.isfinite(values))
        if len(wrong):
            at = self._at(own[wrong[:1]])
            raise self._wrong(f"it gives {values[wrong[0]]:g} {at}.", "It must be finite.")
        return values

    def _failed(self, frame: pd.DataFrame, problem: Exception) -> SpaceError:
        """Which row the function fails at, and how."""
        for row in range(min(len(frame), 1000)):
            try:
                self._function(frame.iloc[[row]].reset_index(drop=True))
            except Exception as own:  # noqa: BLE001  the same function of the user's, row by row
                return self._wrong(f"it fails with {type(own).__name__}: {own} {_place(frame.iloc[row])}.")
        return self._wrong(
            f"it fails with {type(problem).__name__}: {problem} for a table of {len(frame)} rows.",
            "It is called with many rows at once.",
        )

    def _at(self, own: Floats) -> str:
        return _place(self._layout.to_frame(own).iloc[0])

    def _wrong(self, text: str, mend: str | None = None) -> SpaceError:
        text = f"the constraint '{self.constraint.title}': {text}"
        return SpaceError(text, field=f"constraints.{self._where}", mend=mend)

    def shortfall(self, array: Floats, tolerance: float = 0.0) -> Floats:
        """By how much each point misses the constraint, zero where it holds, (n,); the tolerance is relative to bounds.

        Without bounds 1 where the function says no.
        """
        values, constraint = self.values(array), self.constraint
        if constraint.lower is None and constraint.upper is None:
            return 1.0 - values
        low = -np.inf if constraint.lower is None else constraint.lower - tolerance * max(1.0, abs(constraint.lower))
        high = np.inf if constraint.upper is None else constraint.upper + tolerance * max(1.0, abs(constraint.upper))
        missed: Floats = np.maximum(np.maximum(low - values, values - high), 0.0)
        return missed


def _shape(result: Any, given: NDArray[Any]) -> str:
    if given.ndim == 0:
        return f"a single {type(result).__name__}"
    return f"{len(given)} values" if given.ndim == 1 else f"values of shape {given.shape}"


def _place(row: pd.Series[Any]) -> str:
    return "at " + ", ".join(f"{name} = {value}" for name, value in row.to_dict().items())


def holding(rules: Sequence[Rule], array: Floats, tolerance: float = 0.0) -> NDArray[np.bool_]:
    """Which points meet all rules, (n,); later rules are asked only about those that meet the earlier ones."""
    good = np.ones(len(array), dtype=bool)
    for rule in rules:
        rows = np.flatnonzero(good)
        good[rows] = rule.shortfall(array[rows], tolerance) == 0.0
    return good


def compiled(constraints: Sequence[Constraint], layout: Layout) -> list[Rule]:
    """The rules of the constraints that are not linear.

    Raises:
        SpaceError: a column that is none, or a function that cannot be imported.
    """
    return [
        Rule(constraint, layout, where)
        for where, constraint in enumerate(constraints)
        if not isinstance(constraint, LinearConstraint)
    ]
