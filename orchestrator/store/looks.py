"""Questions about one campaign in an SQL database that need no documents."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection

from orchestrator.store import codec
from orchestrator.store import statements as sql
from orchestrator.store.glance import ExperimentRow, FigureRow, Kind
from orchestrator.store.records import ExperimentState
from orchestrator.store.states import EXPERIMENT_STATES

AT_ONCE: Final = 200
"""So many rows are read together: of ten thousand, Python would look through all its objects for garbage."""


def figures(connection: Connection, key: int, metrics: Collection[str]) -> list[FigureRow]:
    """See :meth:`orchestrator.store.Store.figures`."""
    wanted = dict.fromkeys(map(codec.text, metrics))
    found = (connection.execute(sql.FIGURES, {"of": key, "one": metric}).partitions(AT_ONCE) for metric in wanted)
    return [FigureRow._make(row) for parts in found for part in parts for row in part]


def values(
    connection: Connection, key: int, metrics: Collection[str], states: Collection[ExperimentState]
) -> dict[str, dict[int, float]]:
    """See :meth:`orchestrator.store.Store.values`."""
    answers = {}
    for metric in map(codec.text, metrics):
        found = connection.execute(sql.VALUES, {"of": key, "one": metric, "states": sorted(states)})
        answers[metric] = {row[0]: row[1] for part in found.partitions(AT_ONCE) for row in part}
    return answers


def experiment_rows(connection: Connection, key: int) -> list[ExperimentRow]:
    """See :meth:`orchestrator.store.Store.experiment_rows`."""
    found = connection.execute(sql.EXPERIMENT_ROWS, {"of": key})
    return [ExperimentRow._make(row) for part in found.partitions(AT_ONCE) for row in part]


def tally(connection: Connection, key: int) -> dict[Kind, int]:
    """See :meth:`orchestrator.store.Store.tally`."""
    return {Kind(*row[:-1]): row[-1] for row in connection.execute(sql.TALLY, {"of": key})}


def counts(connection: Connection, key: int) -> dict[ExperimentState, int]:
    """See :meth:`orchestrator.store.Store.counts`."""
    found: dict[ExperimentState, int] = dict.fromkeys(EXPERIMENT_STATES, 0)
    return found | {row[0]: row[1] for row in connection.execute(sql.COUNTS, {"of": key})}


def clock(connection: Connection, key: int) -> float | None:
    """See :meth:`orchestrator.store.Store.clock`."""
    last = connection.scalar(sql.CLOCK, {"of": key})
    return None if last is None else float(last)
