"""Pools: tables whose rows are the only candidates. Reading and checking them, and finding compositions in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from acquisition.constraints import Constraint, LinearConstraint
from acquisition.errors import InfeasibleSpaceError, SpaceError
from acquisition.layout import Column, Floats, Layout, nearest, quote
from acquisition.membership import constraint_rows
from acquisition.parameters import Categorical, Composition, Continuous, Parameter, Stage
from acquisition.rules import compiled, holding

SUM_TOLERANCE = 0.002
"""How far fractions of a table may miss a sum of 1 by rounding; they are then renormalised."""

_NOTED = 1e-6
_EXACT = 1e-12


@dataclass(frozen=True, eq=False)
class Pool:
    """A checked pool.

    Attributes:
        frame: unique rows as given (fractions renormalised), RangeIndex.
        array: (n, c) the same, native.
        layout: the columns.
        groups: composition name -> its column positions.
        parameters: records that describe the columns (constant columns have none).
        stages: (c,) stage of each column.
        notices: what was changed on the way in.
    """

    frame: pd.DataFrame
    array: Floats
    layout: Layout
    groups: dict[str, list[int]]
    parameters: tuple[Parameter, ...]
    stages: tuple[Stage, ...]
    notices: tuple[str, ...] = field(default=())

    def part(self, rows: NDArray[np.intp]) -> Pool:
        """Some of the rows as a pool whose columns mean the same."""
        frame = self.frame.iloc[rows].reset_index(drop=True)
        return replace(self, frame=frame, array=self.array[rows])


def read(
    frame: pd.DataFrame,
    categorical: Sequence[str],
    compositions: Mapping[str, Sequence[str]] | None,
    stages: Mapping[str, Stage] | None,
) -> Pool:
    """Check a table and make a pool of it.

    Raises:
        SpaceError: no rows, no columns, columns twice, entries missing or infinite or of mixed kinds, fractions that do
            not sum to one, or names that are no columns.
    """
    _check_shape(frame)
    for name in categorical:
        _known(name, frame.columns, "categorical")
    columns, arrays = [], []
    for name in frame.columns:
        column, values = _column(frame[name], name in set(categorical))
        columns.append(column)
        arrays.append(values)
    array = np.stack(arrays, axis=1)
    groups = _groups(columns, array, compositions)
    notices = [note for name, index in groups.items() if (note := _renormalise(array, name, index, frame.index))]
    notices += [
        f"column {column.name!r} has another label in every row, which says nothing about rows not measured yet"
        for column in columns
        if column.kind == "category" and len(column.labels) == len(frame) > 2
    ]
    layout = Layout(_settle(columns, array, groups))
    keep = layout.first(array)
    if not keep.all():
        equal = int((~keep).sum())
        notices.append(f"{equal} {'row repeats' if equal == 1 else 'rows repeat'} others; equal rows are one candidate")
        array = array[keep]
    cleaned = _cleaned(frame, keep, array, groups)
    parameters = _parameters(layout, groups, array, stages or {})
    own = {name: parameter.stage for parameter in parameters for name in parameter.columns}
    column_stages = tuple(own.get(name, (stages or {}).get(name, "condition")) for name in layout.names)
    return Pool(cleaned, array, layout, groups, parameters, column_stages, tuple(notices))


def filtered(
    frame: pd.DataFrame,
    constraints: Sequence[Constraint],
    categorical: Sequence[str],
    compositions: Mapping[str, Sequence[str]] | None,
    stages: Mapping[str, Stage] | None,
) -> Pool:
    """The pool of a table's rows that meet constraints.

    Raises:
        SpaceError: see :func:`read`; or a constraint on a column that is none.
        InfeasibleSpaceError: no row meets all of them.
    """
    pool = read(frame, categorical, compositions, stages)
    if not constraints:
        return pool
    linear = [constraint for constraint in constraints if isinstance(constraint, LinearConstraint)]
    good = constraint_rows(pool.layout, linear).holds(pool.array)
    good[good] = holding(compiled(constraints, pool.layout), pool.array[good])
    if good.all():
        return pool
    if not good.any():
        raise InfeasibleSpaceError(
            f"none of the pool's {len(good)} rows meets "
            + ("the constraint " if len(constraints) == 1 else "all of the constraints ")
            + " and ".join(f"'{constraint}'" for constraint in constraints)
            + ".",
            field="constraints",
        )
    # read anew, so that ranges and categories are those of the rows that are left
    names = {group: [pool.layout.names[i] for i in index] for group, index in pool.groups.items()}
    left = read(pool.frame.loc[good], categorical, names, stages)
    out = int((~good).sum())
    note = f"{out} {'row breaks' if out == 1 else 'rows break'} a constraint; only the others are candidates"
    return replace(left, notices=(*pool.notices, note))


def _check_shape(frame: pd.DataFrame) -> None:
    if not isinstance(frame, pd.DataFrame):
        raise SpaceError(f"a pool is a DataFrame, not {type(frame).__name__}.", field="pool")
    if not frame.shape[1]:
        raise SpaceError("the pool has no columns.", field="pool")
    if not len(frame):
        raise SpaceError("the pool is empty.", field="pool", mend="It needs at least one row.")
    again = frame.columns[frame.columns.duplicated()]
    if len(again):
        raise SpaceError(f"the pool has column {again[0]!r} more than once.", field="pool", mend="Rename or drop one.")
    for name in frame.columns:
        if not isinstance(name, str) or not name.strip():
            raise SpaceError(f"pool column {name!r} has no proper name.", field="pool", mend="Name columns by text.")
        if name == "experiment":
            raise SpaceError(
                "the pool has a column 'experiment', which is the name of experiments' ids.",
                field="pool",
                mend="Rename or drop it.",
            )


def _known(name: str, columns: Any, where: str) -> None:
    if name not in columns:
        raise SpaceError(f"{where}: the pool has no column {name!r}.", field=where, mend=nearest(name, columns))


def _column(series: pd.Series[Any], declared: bool) -> tuple[Column, Floats]:
    """What a column is, and its native values."""
    name = str(series.name)
    missing = np.flatnonzero(series.isna().to_numpy())
    if len(missing):
        raise SpaceError(
            f"pool column {name!r}, row {quote(series.index[missing[0]])}: the value is missing "
            f"({len(missing)} missing in all).",
            field=name,
            mend="Fill it in, or drop the row or the column.",
        )
    if declared or isinstance(series.dtype, pd.CategoricalDtype):
        return _labels(series)
    if not _readable(series):
        raise SpaceError(
            f"pool column {name!r} holds {series.dtype} values.",
            field=name,
            mend="Give numbers or text, or declare the column categorical.",
        )
    numbers = _numbers(series)
    texts = np.isnan(numbers)
    if texts.all():
        return _labels(series)
    if texts.any():
        first = int(texts.argmax())
        raise SpaceError(
            f"pool column {name!r}, row {quote(series.index[first])}: {quote(series.iloc[first])} is no number, unlike "
            f"{len(numbers) - int(texts.sum())} of {len(numbers)} entries.",
            field=name,
            mend="Correct it, or declare the column categorical.",
        )
    if not np.isfinite(numbers).all():
        first = int((~np.isfinite(numbers)).argmax())
        raise SpaceError(
            f"pool column {name!r}, row {quote(series.index[first])}: {quote(series.iloc[first])} is not finite.",
            field=name,
            mend="Correct it, or drop the row.",
        )
    dtype = series.dtype if pd.api.types.is_numeric_dtype(series.dtype) and series.dtype.kind in "biu" else None
    return Column(name, "continuous", float(numbers.min()), float(numbers.max()), dtype=dtype), numbers + 0.0


def _numbers(series: pd.Series[Any]) -> Floats:
    """Numbers where entries are such, NaN elsewhere; texts are read once each."""
    if pd.api.types.is_numeric_dtype(series.dtype):
        return series.to_numpy(dtype=float, na_value=np.nan)
    codes, different = pd.factorize(series, sort=False)
    read_ = pd.to_numeric(pd.Series(different), errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    return read_[codes]


def _readable(series: pd.Series[Any]) -> bool:
    """Whether a column holds real numbers or text."""
    if series.dtype == object:
        return all(isinstance(value, str | int | float | np.number | np.bool_ | Decimal) for value in series)
    numeric = pd.api.types.is_numeric_dtype(series.dtype) and series.dtype.kind != "c"
    return numeric or pd.api.types.is_string_dtype(series.dtype)


def _labels(series: pd.Series[Any]) -> tuple[Column, Floats]:
    codes, labels = pd.factorize(series, sort=False)
    values = [label.item() if isinstance(label, np.generic) else label for label in labels]
    unfit = [value for value in values if not isinstance(value, str | int | float)]
    if unfit:
        raise SpaceError(
            f"pool column {str(series.name)!r}: {unfit[0]!r} is no category.",
            field=str(series.name),
            mend="Categories are texts or numbers.",
        )
    # Categories in an order of their own, so that the order of rows decides nothing.
    order = sorted(range(len(values)), key=lambda i: (isinstance(values[i], str), values[i]))
    place = np.empty(len(values), dtype=float)
    place[order] = np.arange(len(values))
    column = Column(str(series.name), "category", 0.0, len(values) - 1.0, labels=tuple(values[i] for i in order))
    return column, place[codes]


def _groups(
    columns: Sequence[Column], array: Floats, compositions: Mapping[str, Sequence[str]] | None
) -> dict[str, list[int]]:
    """Composition name -> column positions, as declared or else as found."""
    if compositions is None:
        return _found(columns, array)
    names = [column.name for column in columns]
    groups: dict[str, list[int]] = {}
    taken: set[str] = set()
    for group, members in compositions.items():
        if isinstance(members, str) or len(members) < 2:
            raise SpaceError(f"compositions: {group!r} needs two columns or more.", field="compositions")
        for member in members:
            _known(member, names, "compositions")
            if member in taken:
                raise SpaceError(f"compositions: column {member!r} is there twice.", field="compositions")
            taken.add(member)
        index = [names.index(member) for member in members]
        if any(columns[i].kind == "category" for i in index):
            raise SpaceError(f"compositions: {group!r} has columns that are no numbers.", field="compositions")
        groups[group] = index
    return groups


def _found(columns: Sequence[Column], array: Floats) -> dict[str, list[int]]:
    fractions = [
        i
        for i, column in enumerate(columns)
        if column.kind != "category" and column.low >= -_EXACT and column.high <= 1 + SUM_TOLERANCE
    ]
    prefixes: dict[str, list[int]] = {}
    for i, column in enumerate(columns):
        parts = column.name.split("_")
        for cut in range(1, len(parts)):
            prefixes.setdefault("_".join(parts[:cut]), []).append(i)
    groups: dict[str, list[int]] = {}
    used: set[int] = set()
    for prefix, index in sorted(prefixes.items(), key=lambda entry: -len(entry[1])):
        fits = len(index) >= 2 and set(index) <= set(fractions) and not used & set(index)
        if prefix and fits and _sums_to_one(array[:, index]):
            groups[prefix] = index
            used |= set(index)
    if not groups and len(fractions) >= 2 and _sums_to_one(array[:, fractions]):
        groups["composition"] = fractions
    return groups


def _sums_to_one(part: Floats) -> bool:
    return bool((np.abs(part.sum(axis=1) - 1) <= SUM_TOLERANCE + _EXACT).all())


def _renormalise(array: Floats, name: str, index: Sequence[int], labels: pd.Index[Any]) -> str | None:
    """Make the fractions of a group sum to one, in place; says how many rows that changed noticeably."""
    part = array[:, index]
    if (part < -_EXACT).any():
        row = int((part < -_EXACT).any(axis=1).argmax())
        raise SpaceError(
            f"composition {name!r}, row {quote(labels[row])}: a fraction is negative.", field="compositions"
        )
    total = part.sum(axis=1)
    off = np.abs(total - 1)
    if off.max() > SUM_TOLERANCE + _EXACT:
        row = int((off > SUM_TOLERANCE + _EXACT).argmax())
        per_cent = np.abs(total - 100).max() < 1
        raise SpaceError(
            f"composition {name!r}, row {quote(labels[row])}: the fractions sum to {total[row]:.6g}, not to 1.",
            field="compositions",
            mend="Divide per cent by 100." if per_cent else f"Only {SUM_TOLERANCE:g} of rounding is mended.",
        )
    rows = off > _EXACT
    array[np.ix_(rows, index)] = np.maximum(part[rows], 0.0) / total[rows, None]
    noted = int((off > _NOTED).sum())
    return f"{noted} {'row' if noted == 1 else 'rows'} of fractions renormalised to a sum of 1" if noted else None


def mend_sums(array: Floats, groups: Mapping[str, Sequence[int]]) -> Floats:
    """The same renormalisation for rows from outside, where it applies."""
    for index in groups.values():
        total = array[:, index].sum(axis=1)
        rows = (np.abs(total - 1) <= SUM_TOLERANCE + _EXACT) & (np.abs(total - 1) > _EXACT)
        array[np.ix_(rows, index)] /= total[rows, None]
    return array


def _settle(columns: Sequence[Column], array: Floats, groups: Mapping[str, Sequence[int]]) -> list[Column]:
    """Columns with those of compositions marked as fractions."""
    members = {i for index in groups.values() for i in index}
    return [
        Column(column.name, "fraction", float(array[:, i].min()), float(array[:, i].max())) if i in members else column
        for i, column in enumerate(columns)
    ]


def _cleaned(frame: pd.DataFrame, keep: Any, array: Floats, groups: Mapping[str, Sequence[int]]) -> pd.DataFrame:
    cleaned = frame.loc[keep].reset_index(drop=True) if not keep.all() else frame.reset_index(drop=True)
    cleaned = cleaned.rename_axis(index=None, columns=None)
    members = {frame.columns[i]: array[:, i] for index in groups.values() for i in index}
    return cleaned.assign(**members) if members else cleaned.copy()


def _parameters(
    layout: Layout, groups: Mapping[str, Sequence[int]], array: Floats, stages: Mapping[str, Stage]
) -> tuple[Parameter, ...]:
    """One record a composition and a column that varies, in the order of the columns."""
    owner = {i: group for group, index in groups.items() for i in index}
    for name in stages:
        if name not in layout.names and name not in groups:
            raise SpaceError(
                f"stages: {name!r} is neither column nor composition.",
                field="stages",
                mend=nearest(name, [*groups, *layout.names]),
            )
    records: list[Parameter] = []
    done: set[str] = set()
    for i, column in enumerate(layout.columns):
        if (group := owner.get(i)) is not None:
            if group not in done:
                done.add(group)
                records.append(_composition(group, groups[group], layout, array, stages))
        elif column.constant:
            continue
        elif column.kind == "category":
            records.append(Categorical(column.name, column.labels, stage=stages.get(column.name, "condition")))
        else:
            records.append(Continuous(column.name, column.low, column.high, stage=stages.get(column.name, "condition")))
    return tuple(records)


def _composition(
    group: str, index: Sequence[int], layout: Layout, array: Floats, stages: Mapping[str, Stage]
) -> Composition:
    names = tuple(layout.names[i] for i in index)
    given = {stages[name] for name in (group, *names) if name in stages}
    if len(given) > 1:
        raise SpaceError(f"stages: the columns of composition {group!r} disagree.", field="stages")
    regular = all(name.startswith(f"{group}_") for name in names)
    return Composition(
        group,
        tuple(name[len(group) + 1 :] for name in names) if regular else names,
        max_components=max(1, int((array[:, index] > 0).sum(axis=1).max())),
        stage=given.pop() if given else "condition",
        column_names=None if regular else names,
    )
