"""A laboratory that answers from a table of experiments that were once carried out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeAlias

from pydantic import Field
from pydantic.dataclasses import dataclass

from instruments.errors import ExecutionCancelled, LabError
from instruments.lab import Context, Figure, Job, Observation, Outcome, Parameters
from instruments.metrics import is_fraction, unit_of
from simulators._schema import CONFIG, nearest, speaks_lab_error

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

logger = logging.getLogger(__name__)

Pin: TypeAlias = bool | int | float | str

PLAUSIBLE_EFFICIENCY: Final = 1.5
"""A Faradaic efficiency above this betrays per cent."""


@speaks_lab_error
@dataclass(frozen=True, config=CONFIG)
class ReplayOptions:
    """The ``lab:`` block of a laboratory that looks the asked row up in a table.

    Attributes:
        table: path of a CSV or Parquet file, relative to the campaign file.
        where: columns with the value that rows must have to answer.
        columns: metric to the column that holds it; other numeric columns are metrics by their own name.
        units: unit of a metric in the table: ``percent``, ``fraction``, or the metric's own unit.
        sample: the column that names the physical electrode, if there is one. Further conditions that a campaign asks
            for on a sample are answered from the same electrode.
        cells: how many experiments may be looked up at a time.
    """

    table: str
    where: dict[str, Pin] = Field(default_factory=dict)
    columns: dict[str, str] = Field(default_factory=dict)
    units: dict[str, str] = Field(default_factory=dict)
    sample: str | None = None
    cells: int = Field(default=1, ge=1, le=1000)
    type: Literal["replay"] = Field(default="replay", kw_only=True)
    amendable: ClassVar[frozenset[str]] = frozenset({"cells"})
    """Options that may change in a campaign, while no process runs it."""

    def tables(self) -> Mapping[str, str]:
        """The one file that is read."""
        return {"table": self.table}

    def build(self, parameters: Sequence[str], tables: Mapping[str, pd.DataFrame]) -> ReplayLab:
        """Build the laboratory.

        Args:
            parameters: all parameter columns of the search space.
            tables: the content of the file as ``"table"``.

        Raises:
            LabError: table, options and parameters do not fit together.
        """
        return ReplayLab(
            tables["table"],
            parameters,
            where=self.where,
            columns=self.columns,
            units=self.units,
            sample_column=self.sample,
            cells=self.cells,
        )


class ReplayLab:
    """Looks the asked settings up in a table and answers with that row's figures of merit.

    Settings match within 1e-6; fractions whose sum misses one by at most 0.002 are renormalised on both sides first.
    Where several rows match (replicates), the experiment's seed draws one of them; but an experiment on a sample that
    is an electrode of the table is answered from that one, unless it was not measured so.

    A gap in a metric means that this row does not answer that metric, so its figure is left out; rows without any of
    the wanted metrics (those named in ``columns`` and ``units``, or all where none is named) are no answers and are
    dropped. A Faradaic efficiency above 1.5 whose unit is not declared is an error if it is named, or if nothing is
    named; other such columns are left out with a warning.

    Args:
        table: one row an experiment.
        parameters: columns that hold the settings.
        where: columns with the value that rows must have to answer.
        columns: metric to column.
        units: metric to its unit in the table.
        sample_column: the column that names the physical electrode.
        cells: how many experiments may be looked up at a time.

    Raises:
        LabError: a column is missing or there twice, a pinned value matches nothing or has the wrong type, a unit is
            missing or impossible, or nothing is left to answer with.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        parameters: Sequence[str],
        *,
        where: Mapping[str, Pin] | None = None,
        columns: Mapping[str, str] | None = None,
        units: Mapping[str, str] | None = None,
        sample_column: str | None = None,
        cells: int = 1,
    ) -> None:
        from simulators._lookup import RowLookup

        where, columns, units = dict(where or {}), dict(columns or {}), dict(units or {})
        _check_columns(table, parameters, where, columns, sample_column)
        rows = _pinned(table, where)
        sources = _metric_sources(rows, {*parameters, *where} | ({sample_column} - {None}), columns)
        _check_units(units, sources)
        wanted = {*columns, *units}
        values, self._metrics = _metric_values(rows, sources, units, wanted)
        answers = values[[name for name in self._metrics if name in wanted] or list(self._metrics)]
        kept = answers.notna().any(axis=1).to_numpy()
        if not kept.any():
            raise LabError("no row of the table has a value of any metric.", field="columns")
        if dropped := int((~kept).sum()):
            logger.info("%d rows of the table hold no wanted metric and are not used", dropped)
        rows, values = rows[kept], values[kept]
        self._parameters = tuple(parameters)
        self._lookup = RowLookup(rows, self._parameters)
        self._values = values.to_numpy(dtype=float)
        self._samples = None if sample_column is None else rows[sample_column].astype(str).tolist()
        self._cells = tuple(f"cell-{number}" for number in range(1, cells + 1))

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of the positions."""
        return self._cells

    @property
    def metrics(self) -> Mapping[str, str]:
        """The metrics that the table holds, each with its unit."""
        return dict(self._metrics)

    @property
    def repeat_is_safe(self) -> bool:
        """Looking up again changes nothing."""
        return True

    @property
    def virtual_time(self) -> bool:
        """A table answers at once."""
        return True

    def check(self, parameters: Parameters) -> None:
        """Raise where the table has no such row.

        Raises:
            LabError: settings are missing, not finite, or not in the table.
        """
        self._rows(parameters)

    def execute(self, job: Job, context: Context) -> Outcome:
        """Answer with one of the rows that match.

        Raises:
            LabError: no row matches.
            ExecutionCancelled: the context was cancelled.
        """
        if context.cancelled.is_set():
            raise ExecutionCancelled("the look-up was cancelled before it began.")
        rows = self._of_sample(self._rows(job.parameters), context.sample)
        row = int(rows[0])
        if len(rows) > 1:
            import numpy as np

            row = int(rows[np.random.default_rng(context.seed).integers(len(rows))])
        figures = {
            name: Figure(value)
            for name, value in zip(self._metrics, self._values[row].tolist(), strict=True)
            if value == value  # noqa: PLR0124  # a gap is the only value that differs from itself
        }
        sample = None if self._samples is None else self._samples[row]
        return Outcome(observation=Observation(figures), sample=sample)

    def make_safe(self) -> None:
        """A table is always safe."""

    def _of_sample(self, rows: npt.NDArray[np.int64], sample: str) -> npt.NDArray[np.int64]:
        """Those of the rows that were measured on a sample; all where none was."""
        if self._samples is None:
            return rows
        own = rows[[self._samples[row] == sample for row in rows.tolist()]]
        return own if len(own) else rows

    def _rows(self, parameters: Parameters) -> npt.NDArray[np.int64]:
        if missing := [name for name in self._parameters if name not in parameters]:
            raise LabError(f"the setting {missing[0]!r} is missing.", field=missing[0])
        if unknown := [name for name in parameters if name not in self._parameters]:
            raise LabError(
                f"{unknown[0]!r} is no parameter of this laboratory.",
                field=unknown[0],
                mend=nearest(unknown[0], self._parameters),
            )
        rows = self._lookup.find(parameters)
        if not len(rows):
            asked = ", ".join(f"{name}={_short(parameters[name])}" for name in self._parameters)
            raise LabError(
                f"the table has no row with {asked}.",
                field=self._parameters[0] if self._parameters else None,
                mend="Propose rows of the table only: use it as the pool of the search space.",
            )
        return rows


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _check_columns(
    table: pd.DataFrame,
    parameters: Sequence[str],
    where: Mapping[str, Pin],
    columns: Mapping[str, str],
    sample_column: str | None,
) -> None:
    if table.columns.has_duplicates:
        twice = table.columns[table.columns.duplicated()][0]
        raise LabError(f"the table has two columns named {twice!r}.", field="table", mend="Rename one of them.")
    if not len(table):
        raise LabError("the table has no rows.", field="table")
    if not parameters:
        raise LabError("a replay needs at least one parameter column to look rows up by.", field="parameters")
    asked = [("parameters", name) for name in parameters] + [("where", name) for name in where]
    asked += [(f"columns.{metric}", name) for metric, name in columns.items()]
    if sample_column is not None:
        asked.append(("sample", sample_column))
    for field, name in asked:
        if name not in table.columns:
            raise LabError(f"the table has no column {name!r}.", field=field, mend=nearest(name, table.columns))
    for name in where:
        if name in parameters:
            raise LabError(
                f"{name!r} is a parameter of the search space and pinned by `where` too.",
                field="where",
                mend="Keep one of the two.",
            )


def _pinned(table: pd.DataFrame, where: Mapping[str, Pin]) -> pd.DataFrame:
    """The rows that hold all pinned values."""
    import numpy as np
    from pandas.api.types import is_bool_dtype

    from simulators._lookup import TOLERANCE, is_number

    rows = table
    for name, value in where.items():
        column = rows[name]
        held = "truth values" if is_bool_dtype(column) else "numbers" if is_number(column) else "text"
        given = "truth values" if isinstance(value, bool) else "text" if isinstance(value, str) else "numbers"
        if held != given:
            raise LabError(
                f"`where` asks for {name} = {value!r}, but that column holds {held}.",
                field=f"where.{name}",
                mend="Write the value as the column holds it.",
            )
        if isinstance(value, (bool, str)):
            keep = (column == value).to_numpy(dtype=bool, na_value=False)
        else:
            numbers = column.to_numpy(dtype=float, na_value=np.nan)
            keep = np.abs(numbers - value) <= TOLERANCE * max(1.0, abs(value))
        if not keep.any():
            seen = ", ".join(_short(each) for each in column.dropna().unique()[:8])
            raise LabError(
                f"no row of the table has {name} = {value!r}.", field=f"where.{name}", mend=f"There are: {seen}."
            )
        rows = rows[keep]
    return rows


def _metric_sources(rows: pd.DataFrame, taken: set[Any], columns: Mapping[str, str]) -> dict[str, str]:
    """Metric to column."""
    from simulators._lookup import is_number

    for metric, name in columns.items():
        if not is_number(rows[name]):
            raise LabError(
                f"column {name!r} is to be the metric {metric!r}, but it does not hold numbers.",
                field=f"columns.{metric}",
            )
        if name in taken or metric in taken:
            raise LabError(
                f"{metric!r} (column {name!r}) cannot be a metric: it is a setting or a sample.",
                field=f"columns.{metric}",
            )
    renamed = set(columns.values())
    own = {
        str(name): str(name)
        for name in rows.columns
        if name not in taken and name not in renamed and name not in columns and is_number(rows[name])
    }
    sources = {**columns, **own}
    if not sources:
        raise LabError("the table has no numeric column left to be a metric.", field="columns")
    return sources


def _check_units(units: Mapping[str, str], sources: Mapping[str, str]) -> None:
    for metric, unit in units.items():
        if metric not in sources:
            raise LabError(f"a unit is given for {metric!r}, which is no metric of the table.",
                           field=f"units.{metric}", mend=nearest(metric, sources))  # fmt: skip
        standard = unit_of(metric)
        if standard is None:
            continue
        known = ("percent", "fraction", "1") if is_fraction(metric) else (standard,)
        if unit not in known:
            raise LabError(
                f"{metric} cannot be in {unit!r}.", field=f"units.{metric}", mend=f"Use one of: {', '.join(known)}."
            )


def _metric_values(
    rows: pd.DataFrame, sources: Mapping[str, str], units: Mapping[str, str], wanted: set[str]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Metrics in their own units (per cent becomes a fraction), and those units."""
    import numpy as np
    import pandas as pd

    values: dict[str, Any] = {}
    names: dict[str, str] = {}
    for metric, source in sources.items():
        column = rows[source].to_numpy(dtype=float, na_value=np.nan)
        if np.isinf(column).any():
            raise LabError(f"column {source!r} holds an infinite value.", field=f"columns.{metric}")
        unit = units.get(metric)
        if unit is None and is_fraction(metric) and np.nanmax(column, initial=0.0) > PLAUSIBLE_EFFICIENCY:
            if wanted and metric not in wanted:
                logger.warning("column %r looks like per cent and has no declared unit: it is no metric here", source)
                continue
            raise LabError(
                f"{metric} (column {source!r}) reaches {np.nanmax(column):g}, which is no fraction.",
                field=f"units.{metric}",
                mend=f"Declare its unit: units: {{{metric}: percent}}.",
            )
        values[metric] = column / 100 if unit == "percent" else column
        names[metric] = "1" if unit in {"percent", "fraction"} else unit_of(metric) or unit or ""
    return pd.DataFrame(values), names
