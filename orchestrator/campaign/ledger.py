"""A campaign's experiments in memory: what the store holds, in the form that strategies and tables need."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from acquisition.errors import SpaceError
from acquisition.problem import Array, Observations
from acquisition.space import SearchSpace
from instruments.lab import Scalar
from orchestrator.campaign.progress import measured, observed, spent, teaches
from orchestrator.campaign.told import Told
from orchestrator.errors import TellError, ValueConflict
from orchestrator.store.records import ExperimentRecord, ExperimentState, Value

PENDING: Final[frozenset[ExperimentState]] = frozenset(
    {"proposed", "approved", "queued", "running", "needs_inspection"}
)
SUSPECT_INFLATION: Final = 4.0
"""Factor on the noise variance of suspect measurements (the quality rules' combination rule)."""


def seed_of(campaign: int, experiment: int) -> int:
    """The seed of an experiment: a 63-bit number that depends on the campaign's seed and the id alone."""
    digest = hashlib.sha256(f"{campaign}:{experiment}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class Ledger:
    """Experiments by id. Reading only: changes go through the store and come back by :meth:`put`."""

    def __init__(self, space: SearchSpace, metrics: Sequence[str], records: Iterable[ExperimentRecord] = ()) -> None:
        self._space = space
        self._metrics = tuple(metrics)
        self._records: dict[int, ExperimentRecord] = {}
        self._rows: dict[tuple[int, bool], tuple[ExperimentRecord, Array]] = {}  # as last encoded: that takes longest
        self._as_asked: dict[int, ExperimentRecord] = {}
        self.put(records)

    def put(self, records: Iterable[ExperimentRecord]) -> None:
        """Take over what the store now holds."""
        for record in records:
            self._records[record.id] = record
            self._as_asked.pop(record.id, None)

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Any:
        return iter(sorted(self._records.values(), key=lambda record: record.id))

    def get(self, id: int) -> ExperimentRecord | None:
        """The experiment of an id, if there is one."""
        return self._records.get(id)

    @property
    def next_id(self) -> int:
        """The id of the next experiment. Ids are never used again."""
        return max(self._records, default=0) + 1

    @property
    def next_told(self) -> int:
        """Position of the next tell."""
        return max((r.told for r in self._records.values() if r.told is not None), default=0) + 1

    def states(self) -> dict[ExperimentState, int]:
        """How many experiments are in each state that occurs."""
        counts: dict[ExperimentState, int] = {}
        for record in self._records.values():
            counts[record.state] = counts.get(record.state, 0) + 1
        return counts

    def asked(self) -> int:
        """How many experiments of the budget are spent; those that were rejected or cancelled are not counted."""
        return len(spent(self._records.values()))

    def inputs(self, record: ExperimentRecord) -> dict[str, Scalar]:
        """The settings as best known: measured, else executed, else asked."""
        return {**(record.asked or {}), **(record.executed or {}), **record.measured}

    def array(self, records: Sequence[ExperimentRecord]) -> Array:
        """Inputs as best known, in the native form of the space; (n, c)."""
        rows = np.empty((len(records), len(self._space.columns)))
        new = []
        for i, record in enumerate(records):
            known = self._rows.get((record.id, record.executed is None))
            if known is not None and known[0] is record:
                rows[i] = known[1]
            else:
                new.append(i)
        if new:
            frame = pd.DataFrame([self.inputs(records[i]) for i in new], columns=list(self._space.columns))
            rows[new] = self._space.to_array(frame)
            for i in new:
                self._rows[records[i].id, records[i].executed is None] = records[i], rows[i].copy()
        return rows

    def told(self) -> list[ExperimentRecord]:
        """Experiments that something is known of, in the order in which it became known."""
        return sorted((r for r in self._records.values() if r.told is not None), key=lambda r: r.told or 0)

    def learned(self) -> list[ExperimentRecord]:
        """Experiments that the model learns from, in the order in which they were told."""
        return [r for r in self.told() if teaches(r, self._metrics)]

    def observed(self) -> dict[str, int]:
        """By metric, how many experiments that the model learns from have a value of it."""
        return observed(self.learned(), self._metrics)[1]

    def pending(self) -> list[ExperimentRecord]:
        """Experiments under way, and those of which no result is known yet."""
        return [
            r for r in self if r.state in PENDING or (r.state == "awaiting_analysis" and not measured(r, self._metrics))
        ]

    def failed(self) -> list[ExperimentRecord]:
        """Experiments that did not work, and not for a fault of equipment, analysis or planning."""
        return [r for r in self if r.state == "failed" and r.failure_cause not in ("equipment", "analysis", "planning")]

    def taken(self) -> list[ExperimentRecord]:
        """Experiments whose point is not to be proposed again: all, as best known and where that differs as asked."""
        known = list(self)
        asked = [self._asked_for(r) for r in known if r.asked and self.inputs(r) != r.asked]
        return known + asked

    def _asked_for(self, record: ExperimentRecord) -> ExperimentRecord:
        """The experiment as if it had been executed just as it was asked."""
        if record.id not in self._as_asked:
            self._as_asked[record.id] = replace(record, executed=None, measured={})
        return self._as_asked[record.id]

    def observations(self) -> Observations:
        """What the model learns from."""
        records = self.learned()
        return Observations(
            points=self.array(records),
            values={m: _column(records, m, "value") for m in self._metrics},
            sems={m: _column(records, m, "sem") for m in self._metrics},
            inflation=np.array([SUSPECT_INFLATION if r.verdict == "suspect" else 1.0 for r in records]),
            samples=tuple(r.sample for r in records),
            censored=_censored(records, self._metrics),
            point_sems=self._point_sems(records),
        )

    def _point_sems(self, records: Sequence[ExperimentRecord]) -> Array | None:
        """Uncertainties of the inputs as measured, (n, c); ``None`` where none is known."""
        if not any(r.measured_sem.get(name) for r in records for name in r.measured):
            return None
        columns = self._space.columns
        return np.array([[r.measured_sem.get(c, 0.0) if c in r.measured else 0.0 for c in columns] for r in records])

    def complete(self, values: Mapping[str, Value]) -> bool:
        """Whether all objectives and outcome constraints are measured."""
        return all(m in values and values[m].value is not None for m in self._metrics)


def inexpressible(ledger: Ledger, records: Sequence[ExperimentRecord]) -> SpaceError | None:
    """Why one of some experiments cannot be said in a ledger's space; ``None`` where all can."""
    try:
        ledger.array(records)
    except SpaceError as problem:
        return problem
    return None


def _column(records: Sequence[ExperimentRecord], metric: str, part: str) -> NDArray[np.float64]:
    cells = [getattr(r.values[metric], part) if metric in r.values else None for r in records]
    return np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64)


def _censored(records: Sequence[ExperimentRecord], metrics: Sequence[str]) -> dict[str, NDArray[np.int8]]:
    """By metric: -1 where the truth lies below the told value, 1 where above, 0 elsewhere; only where any does."""
    signs = {"below": -1, "above": 1, None: 0}
    columns = {m: [signs[r.values[m].censored if m in r.values else None] for r in records] for m in metrics}
    return {m: np.array(column, dtype=np.int8) for m, column in columns.items() if any(column)}


def merge(record: ExperimentRecord, told: Told, *, amend: bool, complete: bool, position: int) -> ExperimentRecord:
    """The record with what a row says added to it.

    Args:
        record: as it is.
        told: the row.
        amend: whether told values may change.
        complete: whether, with this row, everything wanted is measured.
        position: in the order of tells, if this is the first.

    Raises:
        ValueConflict: something told before would change, and ``amend`` is not set.
    """
    seen = _Conflicts(record, amend)
    values = merged_values(record, told, seen)
    executed: dict[str, Scalar] = dict(record.executed or record.asked or {})
    for name, value in told.executed.items():
        former = None if record.executed is None else executed.get(name)
        executed[name] = seen.settle(name, former, value)
    state = _state(record, told, complete)
    if state != record.state or told.values:
        seen.settle("status", record.state if record.state in ("completed", "failed") else None, _outcome(told, state))
    known = None if record.failure_cause == "unknown" else record.failure_cause
    cause = told.failure_cause or record.failure_cause or "unknown"
    return replace(
        record,
        state=state,
        executed=executed,
        measured={
            **record.measured,
            **{k: seen.settle(f"{k}_measured", record.measured.get(k), v) for k, v in told.measured.items()},
        },
        measured_sem={
            **record.measured_sem,
            **{
                k: seen.settle(f"{k}_measured_sem", record.measured_sem.get(k), v) for k, v in told.measured_sem.items()
            },
        },
        values=values,
        # the sample that was asked for may turn out to be another; one that was told may not
        sample=seen.settle("sample", None if record.executed is None else record.sample, told.sample) or record.sample,
        verdict=seen.settle("verdict", record.verdict, told.verdict) or ("valid" if told.outcome else None),
        verdict_reasons=told.verdict_reasons if told.reduced else told.verdict_reasons or record.verdict_reasons,
        calibrations=tuple(dict.fromkeys((*record.calibrations, *told.calibrations))),
        failure_cause=seen.settle("failure_cause", known, cause) if state == "failed" else None,
        failure_reason=(told.failure_reason or record.failure_reason) if state == "failed" else None,
        told=record.told or (position if told.outcome else None),
        updated=datetime.now(UTC),
    )


def _state(record: ExperimentRecord, told: Told, complete: bool) -> ExperimentState:
    """The state after a row."""
    if told.status == "failed":
        return "failed"
    if not told.outcome:  # a sample's name, a corrected setting: nothing is said of how it went
        return record.state if record.origin != "prior" or record.told is not None else "awaiting_analysis"
    if complete:
        return "completed"
    if record.state == "failed":
        if told.status == "completed":
            raise TellError(
                f"row {told.row}: failed experiment {record.id} can only become completed with all its metrics.",
                field="status",
            )
        return "failed"
    return "awaiting_analysis"


def _outcome(told: Told, state: ExperimentState) -> str:
    """What a row says of how it went: that of a failed experiment with a value contradicts the failure."""
    return "completed" if told.values and told.status != "failed" else state


def merged_values(record: ExperimentRecord, told: Told, seen: _Conflicts | None = None) -> dict[str, Value]:
    """The figures of merit with a row's added; conflicts are raised only where ``seen`` is given."""
    values = dict(record.values)
    for metric, new in told.values.items():
        old = values.get(metric, Value(None))
        keep = seen or _Conflicts(record, amend=True)
        value = keep.settle(metric, old.value, new.value)
        if value is None:
            raise TellError(f"row {told.row}: {metric} has an uncertainty, but no value.", field=metric)
        values[metric] = Value(
            value,
            keep.settle(f"{metric}_sem", old.sem, new.sem),
            keep.settle(f"{metric}_censored", old.censored, new.censored),
        )
    return values


class _Conflicts:
    """Decides between what was told and what is told now."""

    def __init__(self, record: ExperimentRecord, amend: bool) -> None:
        self._record, self._amend = record, amend

    def settle(self, name: str, old: Any, new: Any) -> Any:
        if new is None or old is None or self._amend or _same(old, new):
            return old if new is None else new
        raise ValueConflict(
            f"experiment {self._record.id}: {name} was told as {old!r}, now {new!r}.",
            field=name,
            mend="Tell it with amend=True if the earlier one was wrong.",
        )


def _same(old: Any, new: Any) -> bool:
    if isinstance(old, (int, float)) and isinstance(new, (int, float)):
        return abs(old - new) <= 1e-12 * max(abs(old), abs(new), 1e-300)
    return bool(old == new)
