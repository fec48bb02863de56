"""From rows of a told table to the experiments as they are afterwards; nothing is changed here."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from acquisition.errors import SpaceError
from acquisition.problem import Array
from acquisition.space import SearchSpace
from orchestrator.campaign.ledger import Ledger, merge, merged_values, seed_of
from orchestrator.campaign.told import ID, Told
from orchestrator.errors import InvalidValue, OutsideSpaceWarning, PendingConflict, TellError, UnknownExperiment
from orchestrator.store.records import ExperimentRecord


def take(
    ledger: Ledger, space: SearchSpace, rows: Sequence[Told], *, seed: int, prior: bool, amend: bool
) -> list[tuple[ExperimentRecord | None, ExperimentRecord]]:
    """Merge rows into the experiments that they belong to; rows without an id become new ones.

    Args:
        ledger: the experiments as they are.
        space: the search space.
        rows: what is told.
        seed: of the campaign, for experiments that are new.
        prior: rows without an id are prior data even where they equal a pending experiment.
        amend: told values may change.

    Returns:
        Each experiment before and after; ``None`` before for a new one.

    Raises:
        TellError: or a subclass of it.
    """
    pairs: list[tuple[ExperimentRecord | None, ExperimentRecord]] = []
    next_id, position = ledger.next_id, ledger.next_told
    for told in rows:
        before = None if told.id is None else _known(ledger, told.id)
        base = before or ExperimentRecord(id=next_id, state="proposed", origin="prior", seed=seed_of(seed, next_id))
        next_id += before is None
        _check_row(space, told, base)
        complete = ledger.complete(merged_values(base, told))
        after = merge(base, told, amend=amend, complete=complete, position=position)
        position += after.told == position
        pairs.append((before, after))
    _check_points(ledger, space, [after for _, after in pairs], rows, prior=prior)
    return pairs


def _known(ledger: Ledger, id: int) -> ExperimentRecord:
    record = ledger.get(id)
    if record is None:
        raise UnknownExperiment(
            f"experiment {id} is not known to this campaign.",
            field=ID,
            mend=f"Ids up to {ledger.next_id - 1} were given; prior data come without an id.",
        )
    return record


def _check_row(space: SearchSpace, told: Told, record: ExperimentRecord) -> None:
    if record.state in ("rejected", "cancelled"):
        raise TellError(f"row {told.row}: experiment {record.id} was {record.state}.", field=ID)
    missing = [column for column in space.columns if column not in told.executed]
    if told.id is None and missing:
        raise InvalidValue(
            f"row {told.row}: prior data without a value of {missing[0]!r}.",
            field=missing[0],
            mend="Prior data need all parameters; results of asked experiments need their ids.",
        )


def _check_points(
    ledger: Ledger, space: SearchSpace, records: Sequence[ExperimentRecord], rows: Sequence[Told], *, prior: bool
) -> None:
    """Settings must be values of their parameters, may warn, and must not betray a lost id."""
    try:
        points = ledger.array(records)
        executed = ledger.array([replace(record, measured={}) for record in records])
    except SpaceError as problem:
        raise InvalidValue(str(problem), field=problem.field) from problem
    if not np.isfinite(executed).all() or not np.isfinite(points).all():
        raise InvalidValue("a parameter is infinite.", field=space.columns[0])
    if not prior:
        _check_lost_ids(ledger, space, executed, rows)
    for record, told, why in zip(records, rows, space.violations(executed, tolerance=2e-3), strict=True):
        if why and told.executed:
            warnings.warn(f"experiment {record.id} lies outside the space: {why}", OutsideSpaceWarning, stacklevel=7)


def _check_lost_ids(ledger: Ledger, space: SearchSpace, executed: Array, rows: Sequence[Told]) -> None:
    strangers = [i for i, told in enumerate(rows) if told.id is None]
    waiting = ledger.pending()
    if not strangers or not waiting:
        return
    keys = dict(zip(space.keys(ledger.array(waiting)), (r.id for r in waiting), strict=True))
    for i, key in zip(strangers, space.keys(executed[strangers]), strict=True):
        if key in keys:
            raise PendingConflict(
                f"row {rows[i].row} has no id, but equals the pending experiment {keys[key]}.",
                field=ID,
                mend="Keep the index (or a column) named `experiment`, or say prior=True.",
            )
