"""A campaign's experiments in memory: what the store holds, in the form that strategies and tables need."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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
from orchestrator.campaign.table import Ordered, Table
from orchestrator.campaign.told import Told
from orchestrator.errors import TellError, ValueConflict
from orchestrator.store.records import ExperimentRecord, ExperimentState, Value

PENDING: Final[frozenset[ExperimentState]] = frozenset(
    {"proposed", "approved", "queued", "running", "needs_inspection"}
)
NO_LESSON: Final = ("equipment", "analysis", "planning")
"""Causes of failures that say nothing of the experiment itself."""
SUSPECT_INFLATION: Final = 4.0
"""Factor on the noise variance of suspect measurements (the quality rules' combination rule)."""


def seed_of(campaign: int, experiment: int) -> int:
    """The seed of an experiment: a 63-bit number that depends on the campaign's seed and the id alone."""
    digest = hashlib.sha256(f"{campaign}:{experiment}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@dataclass(frozen=True, slots=True)
class Spending:
    """The experiments that count in a budget.

    Attributes:
        experiments: so many.
        told: of those of which something is known, the positions in the order of tells, (t,).
        cost: of all.
        gains: what a model expected of each that it proposed, in the order of their ids, (g,); NaN where none did.
    """

    experiments: int
    told: NDArray[np.int64]
    cost: float
    gains: Array


class Ledger:
    """Experiments by id. Reading only: changes go through the store and come back by :meth:`put`.

    What is asked at every step of a loop is kept in order and in numbers as experiments come and change, so that a step
    does not take longer and longer.
    """

    def __init__(self, space: SearchSpace, metrics: Sequence[str], records: Iterable[ExperimentRecord] = ()) -> None:
        self._space = space
        self._metrics = tuple(metrics)
        width = len(space.columns)
        self._records: dict[int, ExperimentRecord] = {}
        self._rows: dict[tuple[int, bool], tuple[ExperimentRecord, Array]] = {}  # as last encoded: that takes longest
        self._all = Table(width, self.array)
        self._otherwise = Table(width, self.array)  # as asked, where they were executed otherwise
        self._learned = Table(width + 3 * len(self._metrics) + 1, self._lessons)
        self._budget = Table(5, _accounts)
        self._told, self._pending, self._failed = Ordered(), Ordered(), Ordered()
        self.put(records)

    def put(self, records: Iterable[ExperimentRecord]) -> None:
        """Take over what the store now holds."""
        for record in records:
            former, key = self._records.get(record.id), (record.id,)
            self._records[record.id] = record
            self._all.put(key, record)
            self._budget.put(key, record)
            self._pending.keep(key, record, self._is_pending(record))
            self._failed.keep(key, record, record.state == "failed" and record.failure_cause not in NO_LESSON)
            differs = bool(record.asked) and self.inputs(record) != record.asked
            self._otherwise.keep(key, replace(record, executed=None, measured={}) if differs else record, differs)
            if former is not None and former.told is not None and former.told != record.told:
                self._told.drop((former.told, record.id))
                self._learned.drop((former.told, record.id))
            if record.told is not None:
                place = (record.told, record.id)
                self._told.put(place, record)
                self._learned.keep(place, record, teaches(record, self._metrics))

    def _is_pending(self, record: ExperimentRecord) -> bool:
        waits = record.state == "awaiting_analysis" and not measured(record, self._metrics)
        return waits or record.state in PENDING

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Any:
        return iter(list(self._all.records))

    def get(self, id: int) -> ExperimentRecord | None:
        """The experiment of an id, if there is one."""
        return self._records.get(id)

    @property
    def next_id(self) -> int:
        """The id of the next experiment. Ids are never used again."""
        return self._all.keys[-1][0] + 1 if self._all.keys else 1

    @property
    def next_told(self) -> int:
        """Position of the next tell."""
        return self._told.keys[-1][0] + 1 if self._told.keys else 1

    def states(self) -> dict[ExperimentState, int]:
        """How many experiments are in each state that occurs."""
        counts: dict[ExperimentState, int] = {}
        for record in self._records.values():
            counts[record.state] = counts.get(record.state, 0) + 1
        return counts

    def asked(self) -> int:
        """How many experiments of the budget are spent; those that were rejected or cancelled are not counted."""
        return self.spending().experiments

    def spending(self) -> Spending:
        """The experiments that count in a budget, in numbers."""
        rows = self._budget.rows()
        counted = rows[rows[:, 0] > 0]
        told = counted[:, 1]
        return Spending(
            experiments=len(counted),
            told=told[~np.isnan(told)].astype(np.int64),
            cost=math.fsum(counted[:, 2]),
            gains=counted[counted[:, 4] > 0, 3],
        )

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
        return list(self._told.records)

    def learned(self) -> list[ExperimentRecord]:
        """Experiments that the model learns from, in the order in which they were told."""
        return list(self._learned.records)

    def observed(self) -> dict[str, int]:
        """By metric, how many experiments that the model learns from have a value of it."""
        return observed(self._learned.records, self._metrics)[1]

    def pending(self) -> list[ExperimentRecord]:
        """Experiments under way, and those of which no result is known yet."""
        return list(self._pending.records)

    def failed(self) -> list[ExperimentRecord]:
        """Experiments that did not work, and not for a fault of equipment, analysis or planning."""
        return list(self._failed.records)

    def taken(self) -> Array:
        """Points that are not to be proposed again: of all experiments as best known, and where that differs as asked.

        Returns:
            (n, c), in the native form of the space.
        """
        return np.concatenate([self._all.rows(), self._otherwise.rows()])

    def observations(self) -> Observations:
        """What the model learns from."""
        records, rows = self._learned.records, self._learned.rows()
        width, count = len(self._space.columns), len(self._metrics)
        values, sems, signs = (rows[:, width + part * count : width + (part + 1) * count].T for part in range(3))
        return Observations(
            points=rows[:, :width].copy(),
            values={m: column.copy() for m, column in zip(self._metrics, values, strict=True)},
            sems={m: column.copy() for m, column in zip(self._metrics, sems, strict=True)},
            inflation=rows[:, -1].copy(),
            samples=tuple(r.sample for r in records),
            censored={m: s.astype(np.int8) for m, s in zip(self._metrics, signs, strict=True) if s.any()},
            point_sems=self._point_sems(records),
        )

    def _lessons(self, records: Sequence[ExperimentRecord]) -> Array:
        """Points, values, uncertainties, signs of censoring and inflation of experiments, (n, c + 3 metrics + 1)."""
        signs = {"below": -1.0, "above": 1.0, None: 0.0}
        told = [[r.values.get(m, Value(None)) for m in self._metrics] for r in records]
        parts: list[Array] = [
            np.array([[_cell(value.value) for value in row] for row in told]),
            np.array([[_cell(value.sem) for value in row] for row in told]),
            np.array([[signs[value.censored] for value in row] for row in told]),
            np.array([[SUSPECT_INFLATION if r.verdict == "suspect" else 1.0] for r in records]),
        ]
        return np.hstack([self.array(records), *parts])

    def _point_sems(self, records: Sequence[ExperimentRecord]) -> Array | None:
        """Uncertainties of the inputs as measured, (n, c); ``None`` where none is known."""
        if not any(r.measured_sem.get(name) for r in records if r.measured_sem for name in r.measured):
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


def _cell(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _accounts(records: Sequence[ExperimentRecord]) -> Array:
    """Whether experiments count in a budget; their positions of tells, costs, gains; whether a strategy wanted them."""
    counted = {r.id for r in spent(records)}
    rows = [(r.id in counted, _cell(r.told), r.cost or 0.0, _cell(r.gain), r.origin == "asked") for r in records]
    return np.array(rows, dtype=np.float64)


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
