"""Non-linear constraints over native arrays: whether they hold, and by how much they are missed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
        call: Callable[[pd.DataFrame], Any]
        if isinstance(constraint, ExpressionConstraint):
            expression = Expression(constraint.expression)
            names: Sequence[str] = expression.columns
            call = lambda frame: expression({name: _plain(frame[name]) for name in names})  # noqa: E731
            part = "expression"
        else:
            names, part = constraint.columns or layout.names, "columns"
            try:
                call = constraint.resolve()
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
        self._call, self._layout = call, layout.part(self.columns)

    def __reduce__(self) -> tuple[type[Rule], tuple[Nonlinear, Layout, int]]:
        return Rule, (self.constraint, self._whole, self._where)

    def values(self, array: Floats) -> Floats:
        """The function's values at native points (n, c), 1 or 0 where it says yes or no; (n,).

        Raises:
            SpaceError: the function fails, or gives anything but one finite number or truth value a row.
        """
        if not len(array):
            return np.zeros(0)
        frame = self._layout.to_frame(array[:, self.columns])
        try:
            result = self._call(frame)
        except SpaceError as problem:
            raise self._wrong(str(problem)) from None
        except Exception as problem:  # whatever a function of the user's raises
            raise self._failed(frame, problem) from problem
        return self._checked(result, frame)

    def _checked(self, result: Any, frame: pd.DataFrame) -> Floats:
        given = np.asarray(result)
        if given.shape != (len(frame),):
            raise self._wrong(
                f"for a table of {len(frame)} rows it gives {_shape(result, given)}.",
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
            raise self._wrong(f"it gives {values[wrong[0]]:g} {_at(frame, int(wrong[0]))}.", "It must be finite.")
        return values

    def _failed(self, frame: pd.DataFrame, problem: Exception) -> SpaceError:
        """Which row the function fails at, and how."""
        for row in range(min(len(frame), 1000)):
            try:
                self._call(frame.iloc[[row]].reset_index(drop=True))
            except Exception as own:  # noqa: BLE001  the same function of the user's, row by row
                return self._wrong(f"it fails with {type(own).__name__}: {own} {_at(frame, row)}.")
        return self._wrong(
            f"it fails with {type(problem).__name__}: {problem} for a table of {len(frame)} rows.",
            "It is called with many rows at once.",
        )

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


def _plain(series: pd.Series[Any]) -> NDArray[Any]:
    """Numbers as float64, labels as objects."""
    numeric = pd.api.types.is_numeric_dtype(series.dtype)
    return series.to_numpy(dtype=float) if numeric else series.to_numpy(dtype=object)


def _shape(result: Any, given: NDArray[Any]) -> str:
    if given.ndim == 0:
        return f"a single {type(result).__name__}"
    return f"{len(given)} values" if given.ndim == 1 else f"values of shape {given.shape}"


def _at(frame: pd.DataFrame, row: int) -> str:
    return "at " + ", ".join(f"{name} = {value}" for name, value in frame.iloc[row].to_dict().items())


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
