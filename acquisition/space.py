"""Search spaces: what may be proposed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from acquisition import design
from acquisition.constraints import Constraint, ExpressionConstraint, LinearConstraint, NonlinearConstraint
from acquisition.domains import Domain, Spanned
from acquisition.encoding import Encoding, Encodings
from acquisition.errors import SpaceError
from acquisition.layout import Floats, nearest
from acquisition.parameters import Categorical, Composition, Continuous, Discrete, Integer, Parameter, Stage
from acquisition.polyhedron import Polyhedron
from acquisition.pool import Pool, filtered, mend_sums
from acquisition.restricted import Restricted
from acquisition.rules import compiled
from acquisition.tabled import Tabled


class SearchSpace:
    """All points that may be proposed: what parameters span within constraints, or the rows of a pool.

    Points go as native arrays (n, c), one column a parameter's column, categories by their index; or as tables. A space
    never changes.

    Args:
        parameters: what spans the space.
        constraints: between the parameters' columns.

    Attributes:
        parameters: as given; of a pool: a record for each composition and for each column that varies.
        constraints: as given.
        columns: all columns, in order.
        pool: the different rows of a pool, or None.
        notices: what was changed on the way in, for people to read.
        encoding: model inputs.

    Raises:
        SpaceError: no parameters, columns of one name, or constraints on columns that are none or categorical.
        InfeasibleSpaceError: no point meets all bounds and constraints; names the constraints in conflict.
    """

    def __init__(self, parameters: Sequence[Parameter], constraints: Sequence[Constraint] = ()) -> None:
        _check_parameters(parameters)
        _check_constraints(constraints)
        base = Spanned(parameters, [c for c in constraints if isinstance(c, LinearConstraint)])
        rules = compiled(constraints, base.layout)
        domain = Restricted(base, rules) if rules else base
        self._set(domain, tuple(parameters), tuple(constraints), None)

    @classmethod
    def from_pool(
        cls,
        pool: pd.DataFrame,
        *,
        categorical: Sequence[str] = (),
        compositions: Mapping[str, Sequence[str]] | None = None,
        stages: Mapping[str, Stage] | None = None,
        constraints: Sequence[Constraint] = (),
    ) -> SearchSpace:
        """A space whose points are the rows of a table.

        Args:
            pool: numbers, texts or both, nothing missing.
            categorical: columns whose numbers are only names.
            compositions: name -> columns that sum to 1. By default they are found: columns with a common prefix
                (``x_Cu``, ``x_Ag``), or else all columns within 0 and 1, whose rows all sum to 1.
            stages: column or composition name -> stage; ``condition`` by default.
            constraints: rows that break one are left out.

        Raises:
            SpaceError: a table that is empty, incomplete or of mixed kinds, or fractions that do not sum to 1.
            InfeasibleSpaceError: no row meets all constraints.
        """
        _check_constraints(constraints)
        table = filtered(pool, constraints, categorical, compositions, stages)
        space = cls.__new__(cls)
        space._set(Tabled(table), table.parameters, tuple(constraints), table)
        return space

    def _set(
        self,
        domain: Domain,
        parameters: tuple[Parameter, ...],
        constraints: tuple[Constraint, ...],
        pool: Pool | None,
    ) -> None:
        self._domain, self._pool = domain, pool
        self._parameters, self._constraints = parameters, constraints
        self._encodings = Encodings(domain.layout.columns, parameters)
        self._encoding = self._encodings[self._encodings.usual]
        self._fixed: dict[str, float] = {}

    def __repr__(self) -> str:
        if self._pool is not None:
            return f"<SearchSpace: pool of {self.size} rows, {len(self.columns)} columns>"
        given = f".given({self._fixed})" if self._fixed else ""
        return f"SearchSpace({list(self.parameters)!r}, constraints={list(self.constraints)!r}){given}"

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What spans the space, or describes the columns of its pool."""
        return self._parameters

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """Constraints between columns."""
        return self._constraints

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, in the order of arrays and tables."""
        return self._domain.layout.names

    @property
    def fixed(self) -> dict[str, float]:
        """Columns that :meth:`given` holds, with their native values."""
        return dict(self._fixed)

    def columns_of(self, stage: Stage) -> tuple[str, ...]:
        """The columns that belong to a stage, in order."""
        if self._pool is not None:
            stages: Sequence[Stage] = self._pool.stages
        else:
            stages = [parameter.stage for parameter in self.parameters for _ in parameter.columns]
        return tuple(name for name, own in zip(self.columns, stages, strict=True) if own == stage)

    def columns_named(self, names: Iterable[str]) -> tuple[str, ...]:
        """The columns that names of columns or parameters stand for, each once, in order.

        Raises:
            SpaceError: a name is neither.
        """
        owned = {parameter.name: parameter.columns for parameter in self.parameters}
        known = owned | {column: (column,) for column in self.columns}
        found: set[str] = set()
        for name in names:
            if name not in known:
                raise SpaceError(
                    f"{name!r} is neither column nor parameter of the space.",
                    field="columns",
                    mend=nearest(name, known),
                )
            found.update(known[name])
        return tuple(column for column in self.columns if column in found)

    def given(self, point: Floats, columns: Iterable[str]) -> SearchSpace:
        """The part of the space in which some columns have the values of a point.

        Columns, keys and encoding stay the same, so that points of either space are points of the other's form. The
        values are held as they are, on the grid of a step or beside it, within the bounds or beyond: a sample that was
        made is what it is, and constraints that weigh nothing else are dropped. In a pool the rows with these values
        are left; where none has them, those that share the values of the nearest row, if it differs by less than a
        twentieth of a column's range.

        Args:
            point: (c,) native values, of which only the named columns count.
            columns: names of columns or of whole parameters.

        Raises:
            SpaceError: unknown names, or values that are no finite numbers or no categories.
            InfeasibleSpaceError: no point of the space has these values.
        """
        names = self.columns_named(columns)
        index = [self.columns.index(name) for name in names]
        values = self._points(np.asarray(point, dtype=float)[None, :])[0]
        self._check_given(values, index)
        space = SearchSpace.__new__(SearchSpace)
        domain = self._domain.given(values, index)
        space._domain, space._pool = domain, domain.pool if isinstance(domain, Tabled) else None
        space._parameters, space._constraints = self._parameters, self._constraints
        space._encodings, space._encoding = self._encodings, self._encoding
        space._fixed = self._fixed | {name: float(values[i]) for name, i in zip(names, index, strict=True)}
        return space

    def _check_given(self, values: Floats, index: Sequence[int]) -> None:
        for i in index:
            column, value = self._domain.layout.columns[i], values[i]
            if not np.isfinite(value) or (column.kind == "category" and value not in range(len(column.labels))):
                raise SpaceError(f"column {column.name!r}: {value:g} cannot be given.", field=column.name)

    @property
    def pool(self) -> pd.DataFrame | None:
        """The different rows of the pool (a copy-on-write view), or None."""
        return None if self._pool is None else self._pool.frame[:]

    @property
    def array(self) -> Floats | None:
        """The different rows of the pool in native form, (size, c), or None.

        A view that cannot be written to: rows picked by an index array are a copy, slices are not.
        """
        if self._pool is None:
            return None
        view = self._pool.array.view()
        view.flags.writeable = False
        return view

    @property
    def notices(self) -> tuple[str, ...]:
        """What was changed on the way in."""
        return () if self._pool is None else self._pool.notices

    @property
    def encoding(self) -> Encoding:
        """Model inputs from native arrays: the usual one of :attr:`encodings`."""
        return self._encoding

    @property
    def encodings(self) -> Encodings:
        """Ways in which models may see the space, by name, for a choice by evidence."""
        return self._encodings

    @property
    def size(self) -> int | None:
        """Number of points; None where there are infinitely many, or constraints keep them from being counted."""
        return self._domain.size

    def to_array(self, frame: pd.DataFrame) -> Floats:
        """Native values of a table's rows, (n, c) float64; other columns are left alone.

        Fractions for a pool are renormalised like those of the pool itself.

        Raises:
            SpaceError: names the missing column, or the column and row of an entry that is missing or unknown.
        """
        array = self._domain.layout.to_array(frame)
        return array if self._pool is None else mend_sums(array, self._pool.groups)

    def to_frame(self, array: Floats) -> pd.DataFrame:
        """A table of native values: int64 for whole numbers, labels for categories, float64 for the rest."""
        return self._domain.layout.to_frame(array)

    def contains(self, array: Floats, tolerance: float = 1e-6) -> NDArray[np.bool_]:
        """Which rows lie inside, (n,); the tolerance is relative to each column's range (absolute for fractions)."""
        return self._domain.contains(self._points(array), tolerance)

    def violations(self, array: Floats, tolerance: float = 1e-6) -> list[str]:
        """What is wrong with each row: the bound or constraint that it breaks, "" where none."""
        return self._domain.violations(self._points(array), tolerance)

    def keys(self, array: Floats) -> list[bytes]:
        """One key a row, equal for points that are the same experiment."""
        return self._domain.layout.keys(self._points(array))

    def row_of(self, array: Floats, tolerance: float = 1e-6) -> NDArray[np.intp]:
        """Index of the pool's row that each point matches, -1 where none does, (n,).

        Raises:
            SpaceError: this space has no pool.
        """
        if not isinstance(self._domain, Tabled):
            raise SpaceError("this space has no pool.", field="pool")
        return self._domain.row_of(self._points(array), tolerance)

    def sample(self, n: int, rng: np.random.Generator) -> Floats:
        """Independent draws, uniform over the feasible set, (n, c); of a pool: rows, with replacement.

        Numbers on a log scale are uniform in their logarithm.
        """
        return self._domain.sample(n, rng)

    def enumerate(self, limit: int = 200_000) -> Floats | None:
        """Every point once, (size, c), where there are at most ``limit``; else None."""
        size = self.size
        return self._domain.points() if size is not None and size <= limit else None

    def design(self, n: int, rng: np.random.Generator, existing: Floats | None = None) -> Floats:
        """A space-filling choice of n points beside the existing ones, (n, c).

        All are different, and different from the existing ones, while the space has points left.
        """
        around = np.zeros((0, len(self.columns))) if existing is None else self._points(existing)
        return design.fill(self._domain, n, rng, around)

    def perturb(self, points: Floats, scale: float, rng: np.random.Generator) -> Floats:
        """One random feasible step from each point, (m, c); where a step would lead outside, the point stays.

        Args:
            points: (m, c), inside.
            scale: typical length of a step, in (0, 1] of the ranges; of a pool: the share of rows that count as near.
            rng: decides everything.
        """
        points = self._points(points)
        return self._domain.perturb(points, scale, rng) if len(points) else points.copy()

    def polyhedron(self) -> Polyhedron:
        """Bounds, sums and linear constraints in native columns, for optimisers that follow gradients.

        Where nothing may move by small amounts (pools, grids, categories), all of ``movable`` is false.
        """
        return self._domain.polyhedron()

    def _points(self, array: Floats) -> Floats:
        array = np.asarray(array, dtype=float)
        if array.ndim != 2 or array.shape[1] != len(self.columns):
            raise SpaceError(f"points of shape {array.shape} do not fit {len(self.columns)} columns.", field="array")
        return array


def _check_constraints(constraints: Sequence[Constraint]) -> None:
    for constraint in constraints:
        if not isinstance(constraint, LinearConstraint | NonlinearConstraint | ExpressionConstraint):
            raise SpaceError(
                f"{constraint!r} is no constraint.",
                field="constraints",
                mend="Constraints are LinearConstraint, NonlinearConstraint or ExpressionConstraint.",
            )


def _check_parameters(parameters: Sequence[Parameter]) -> None:
    if not len(parameters):
        raise SpaceError("a search space needs a parameter.", field="parameters")
    for parameter in parameters:
        if not isinstance(parameter, Continuous | Integer | Discrete | Categorical | Composition):
            raise SpaceError(
                f"{parameter!r} is no parameter.",
                field="parameters",
                mend="Parameters are Continuous, Integer, Discrete, Categorical or Composition.",
            )
    names = Counter(parameter.name for parameter in parameters)
    columns = Counter(column for parameter in parameters for column in parameter.columns)
    for what, counts in (("parameters", names), ("columns", columns)):
        again = [name for name, count in counts.items() if count > 1]
        if again:
            raise SpaceError(f"two {what} have the name {again[0]!r}.", field="parameters", mend="Rename one of them.")
