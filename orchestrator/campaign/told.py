"""Reads a told table row by row, and refuses it as a whole where anything in it is wrong."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from instruments.lab import Scalar
from orchestrator.errors import InvalidValue, TellError, UnknownColumn, UnknownExperiment
from orchestrator.store.records import Value

ID: Final = "experiment"
CHOICES: Final = {
    "status": ("completed", "failed"),
    "failure_cause": ("material", "condition", "equipment", "analysis", "planning", "unknown"),
    "verdict": ("valid", "suspect", "invalid"),
}
CENSORED: Final = ("below", "above")


@dataclass(frozen=True, slots=True)
class Told:
    """What one row says. Whatever it leaves out stays as it is.

    Attributes:
        row: position in the table, for messages.
        id: of the experiment; ``None`` for prior data.
        executed: settings by parameter column.
        measured: settings as measured afterwards, by parameter column, and their standard uncertainties.
        values: figures of merit; a part that is ``None`` is not told.
        calibrations: ids of the calibration records that the values rest on.
        outcome: whether anything is said of how it went, if only that results are to come.
        reduced: whether it comes from raw signals, so that its verdict stands without former reasons.
    """

    row: int
    id: int | None = None
    executed: Mapping[str, Scalar] = field(default_factory=dict)
    measured: Mapping[str, float] = field(default_factory=dict)
    measured_sem: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, Value] = field(default_factory=dict)
    sample: str | None = None
    status: str | None = None
    failure_cause: str | None = None
    failure_reason: str | None = None
    verdict: str | None = None
    verdict_reasons: tuple[str, ...] = ()
    calibrations: tuple[str, ...] = ()
    outcome: bool = True
    reduced: bool = False


def read(
    frame: pd.DataFrame, parameters: tuple[str, ...], metrics: Iterable[str], *, amend: bool = False
) -> list[Told]:
    """Take a told table apart.

    Args:
        frame: one row an experiment; ids in an index or a column named ``experiment``.
        parameters: the parameter columns of the space.
        metrics: names that may be told.
        amend: whether settings alone may be told, to correct them.

    Raises:
        TellError: or one of its subclasses, naming row and column.
    """
    if not isinstance(frame, pd.DataFrame):
        raise TellError(f"tell takes a DataFrame, not {type(frame).__name__}.")
    ids = _ids(frame)
    columns = _Columns.sort(frame, parameters, tuple(metrics), amend)
    if not len(frame):
        raise TellError("the table has no rows.", mend="A merge on ids that do not match loses all of them.")
    rows = [
        columns.row(position, id, dict(zip(frame.columns, cells, strict=True)))
        for position, (id, cells) in enumerate(zip(ids, frame.itertuples(index=False, name=None), strict=True))
    ]
    _no_repeats(rows)
    return rows


def _ids(frame: pd.DataFrame) -> list[int | None]:
    in_index = ID in frame.index.names
    in_columns = ID in frame.columns
    if in_index and in_columns:
        raise TellError("`experiment` is both the index and a column.", field=ID, mend="Leave one of them out.")
    if in_index and frame.index.nlevels > 1:
        raise TellError("`experiment` is one of several index levels.", field=ID, mend="Use reset_index().")
    if not in_index and not in_columns:
        return [None] * len(frame)
    values = frame.index if in_index else frame[ID]
    return [_id(value, row) for row, value in enumerate(values)]


def _id(value: Any, row: int) -> int | None:
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    try:
        number = int(value)
        if isinstance(value, (bool, str)) or number != value or number < 1:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise UnknownExperiment(f"row {row}: {value!r} is no experiment's id.", field=ID) from None
    return number


def _no_repeats(rows: list[Told]) -> None:
    seen: set[int] = set()
    for told in rows:
        if told.id is not None and told.id in seen:
            raise UnknownExperiment(
                f"row {told.row}: experiment {told.id} is told twice in one table.",
                field=ID,
                mend="Replicates have ids of their own.",
            )
        if told.id is not None:
            seen.add(told.id)


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of a told table, sorted by what they say."""

    parameters: tuple[str, ...]
    measured: Mapping[str, str]
    measured_sem: Mapping[str, str]
    metrics: tuple[str, ...]

    @classmethod
    def sort(cls, frame: pd.DataFrame, parameters: tuple[str, ...], metrics: tuple[str, ...], amend: bool) -> _Columns:
        names = [str(name) for name in frame.columns]
        repeated = {name for name in names if names.count(name) > 1}
        if repeated:
            raise UnknownColumn(f"column {min(repeated)!r} is there twice.", field=min(repeated))
        optional = [*CHOICES, "sample", "failure_reason", ID]
        known = {*parameters, *metrics, *optional}
        known |= {f"{p}{end}" for p in parameters for end in ("_measured", "_measured_sem")}
        known |= {f"{m}{end}" for m in metrics for end in ("_sem", "_censored")}
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, sorted(known), 1)
                raise UnknownColumn(
                    f"column {name!r} is no parameter, no metric and no optional column of this campaign.",
                    field=name,
                    mend=f"Did you mean {near[0]!r}?" if near else "Metrics of your own are declared by `metrics`.",
                )
        if not amend and all(name in parameters or name == ID for name in names):
            raise UnknownColumn(
                "the table tells nothing: it has parameter columns only.",
                mend=f"Add a column for {' or '.join(metrics[:3])}, or `status`.",
            )
        present = set(names)
        return cls(
            parameters=tuple(p for p in parameters if p in present),
            measured={p: f"{p}_measured" for p in parameters if f"{p}_measured" in present},
            measured_sem={p: f"{p}_measured_sem" for p in parameters if f"{p}_measured_sem" in present},
            metrics=tuple(m for m in metrics if present & {m, f"{m}_sem", f"{m}_censored"}),
        )

    def row(self, position: int, id: int | None, cells: Mapping[Any, Any]) -> Told:
        status, cause, verdict = (_choice(cells.get(name), name, position) for name in CHOICES)
        if cause is not None and status != "failed":
            raise InvalidValue(
                f"row {position}: a failure cause, but status is {status or 'not given'!r}.", field="status"
            )
        reason = cells.get("failure_reason")
        sample = cells.get("sample")
        return Told(
            row=position,
            id=id,
            executed={p: _plain(cells[p]) for p in self.parameters if not _missing(cells[p])},
            measured=_numbers(cells, self.measured, position),
            measured_sem=_numbers(cells, self.measured_sem, position, negative=False),
            values={m: v for m in self.metrics if (v := _value(cells, m, position)) is not None},
            sample=None if _missing(sample) else str(sample),
            failure_reason=None if _missing(reason) else str(reason),
            status=status,
            failure_cause=cause,
            verdict=verdict,
            outcome=bool(self.metrics) or status is not None or verdict is not None,
        )


def _missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))


def _plain(value: Any) -> Scalar:
    """A numpy scalar as the Python value it is, so that it can be written as JSON."""
    plain: Scalar = value.item() if hasattr(value, "item") else value
    return plain


def _number(value: Any, name: str, row: int, *, negative: bool = True) -> float | None:
    if _missing(value):
        return None
    try:
        if isinstance(value, (str, bool, np.bool_)):
            raise ValueError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise InvalidValue(f"row {row}: {name} is {value!r}, which is no number.", field=name) from None
    if math.isnan(number):
        return None
    if math.isinf(number):
        raise InvalidValue(
            f"row {row}: {name} is infinite.",
            field=name,
            mend="Tell NaN for what was not measured, `failed` for failure.",
        )
    if number < 0 and not negative:
        raise InvalidValue(f"row {row}: {name} is negative ({number:g}).", field=name)
    return number


def _numbers(
    cells: Mapping[Any, Any], columns: Mapping[str, str], row: int, *, negative: bool = True
) -> dict[str, float]:
    found = {p: _number(cells[name], name, row, negative=negative) for p, name in columns.items()}
    return {p: value for p, value in found.items() if value is not None}


def _value(cells: Mapping[Any, Any], metric: str, row: int) -> Value | None:
    value = _number(cells.get(metric), metric, row)
    sem = _number(cells.get(f"{metric}_sem"), f"{metric}_sem", row, negative=False)
    censored = cells.get(f"{metric}_censored")
    censored = None if _missing(censored) else str(censored)
    if censored is not None and censored not in CENSORED:
        raise InvalidValue(
            f"row {row}: {metric}_censored is {censored!r}.", field=f"{metric}_censored", mend="Use below or above."
        )
    if value is None and metric in cells and (sem is not None or censored is not None):
        raise InvalidValue(f"row {row}: {metric} is missing, but its uncertainty or censoring is told.", field=metric)
    return None if value is None and sem is None and censored is None else Value(value, sem, censored)


def _choice(value: Any, name: str, row: int) -> str | None:
    if _missing(value):
        return None
    if value not in CHOICES[name]:
        raise InvalidValue(
            f"row {row}: {name} is {value!r}.", field=name, mend=f"Use one of {', '.join(CHOICES[name])}."
        )
    return str(value)
