"""Every statement, built once. Parameters: ``of`` (what it belongs to, mostly the campaign's key), ``one``, ``two``."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Select,
    Table,
    Update,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from orchestrator.store.glance import ExperimentRow, FigureRow, Kind
from orchestrator.store.schema import asks, attempts, blobs, campaigns, events, experiments, leases, results

# numbers are compared as large ones: what is looked for may be larger than what is kept
_OF: Any = bindparam("of")
_ONE: Any = bindparam("one")
_ID: Any = bindparam("one", type_=BigInteger)
_TWO: Any = bindparam("two", type_=BigInteger)


def _rows(table: Table) -> Select[Any]:
    """All columns but the campaign's key."""
    return select(*(column for column in table.columns if column.name != "campaign"))


def _replace(table: Table, *where: ColumnElement[bool]) -> Update:
    """Set every column that is no part of the primary key."""
    values: dict[str, Any] = {column.name: bindparam(column.name) for column in table.columns if not column.primary_key}
    return update(table).where(*where).values(values)


CAMPAIGNS = select(campaigns).order_by(campaigns.c.key)
CAMPAIGN_BY_NAME = select(campaigns).where(campaigns.c.name == _OF)
LOCKED_CAMPAIGN = CAMPAIGN_BY_NAME.with_for_update()
LOCKED_KEY = select(campaigns.c.key).where(campaigns.c.key == _OF).with_for_update()
NAMES = select(campaigns.c.name)
KEY = select(campaigns.c.key).where(campaigns.c.name == _OF)
ADD_CAMPAIGN = insert(campaigns)
SET_LAST_EVENT = update(campaigns).where(campaigns.c.key == _OF).values(last_event=bindparam("last_event"))

BLOB = select(blobs.c.content).where(blobs.c.digest == _OF)
HAS_BLOB = select(blobs.c.digest).where(blobs.c.digest == _OF)
ADD_BLOB = insert(blobs)

ASKS = _rows(asks).where(asks.c.campaign == _OF).order_by(asks.c.number)
HAS_ASK = select(asks.c.number).where(asks.c.campaign == _OF, asks.c.number == _ID)
ADD_ASK = insert(asks)

EXPERIMENTS = _rows(experiments).where(experiments.c.campaign == _OF).order_by(experiments.c.id)
OF_IDS = experiments.c.id.in_(bindparam("ids", type_=BigInteger, expanding=True))
# whoever asks for states sorts by himself: for the order's sake SQLite would read all rows by their key
IN_STATES = experiments.c.state.in_(bindparam("states", expanding=True))
EXPERIMENT = _rows(experiments).where(experiments.c.campaign == _OF, experiments.c.id == _ID)
COUNTS = select(experiments.c.state, func.count()).where(experiments.c.campaign == _OF).group_by(experiments.c.state)
TALLY = (
    select(*(experiments.c[name] for name in Kind._fields), func.count())
    .where(experiments.c.campaign == _OF)
    .group_by(*(experiments.c[name] for name in Kind._fields))
)
ADD_EXPERIMENT = insert(experiments)
SET_EXPERIMENT = _replace(experiments, experiments.c.campaign == _OF, experiments.c.id == _ID)

FIGURES = (
    select(*(results.c[name] for name in FigureRow._fields))
    .where(results.c.campaign == _OF, results.c.metric == _ONE)
    .order_by(results.c.experiment)
)
VALUES = (
    select(results.c.experiment, results.c.value)
    .where(results.c.campaign == _OF, results.c.metric == _ONE)
    .where(results.c.state.in_(bindparam("states", expanding=True)), results.c.verdict.is_distinct_from("invalid"))
    .order_by(results.c.experiment)
)
DROP_RESULT = delete(results).where(results.c.campaign == _OF, results.c.metric == _ONE, results.c.experiment == _TWO)
ADD_RESULT = insert(results)

EXPERIMENT_ROWS = EXPERIMENTS.with_only_columns(*(experiments.c[name] for name in ExperimentRow._fields))
ATTEMPTS = _rows(attempts).where(attempts.c.campaign == _OF).order_by(attempts.c.experiment, attempts.c.number)
ATTEMPTS_OF_ONE = ATTEMPTS.where(attempts.c.experiment == _ID)
ATTEMPT_STATES = attempts.c.state.in_(bindparam("states", expanding=True))
NEWEST_ATTEMPTS = attempts.c.experiment.desc(), attempts.c.number.desc()
CLOCK = select(func.max(attempts.c.clock_started + func.coalesce(attempts.c.duration, 0.0))).where(
    attempts.c.campaign == _OF, attempts.c.state.in_(("finished", "failed"))
)
ATTEMPT = _rows(attempts).where(attempts.c.campaign == _OF, attempts.c.experiment == _ID, attempts.c.number == _TWO)
ADD_ATTEMPT = insert(attempts)
SET_ATTEMPT = _replace(attempts, attempts.c.campaign == _OF, attempts.c.experiment == _ID, attempts.c.number == _TWO)

EVENTS = (
    _rows(events)
    .where(events.c.campaign == _OF, events.c.sequence > bindparam("behind", type_=BigInteger))
    .order_by(events.c.sequence)
)
OF_KINDS = events.c.kind.in_(bindparam("kinds", expanding=True))
OF_EXPERIMENT = events.c.experiment == _ID
# an experiment has few events, a kind may have many: its index is not to be used
OF_KINDS_BESIDES = events.c.kind.concat("").in_(bindparam("kinds", expanding=True))
NEWEST = events.c.sequence.desc()
LAST_EVENT = select(campaigns.c.last_event).where(campaigns.c.name == _OF)
EVENT = _rows(events).where(events.c.campaign == _OF, events.c.sequence == _ID)
ADD_EVENT = insert(events)

LEASE = select(leases).where(leases.c.kind == _OF, leases.c.name == _ONE)
LOCKED_LEASE = LEASE.with_for_update()
HELD = select(leases).where(leases.c.held)
ADD_LEASE = insert(leases)
SET_LEASE = _replace(leases, leases.c.kind == _OF, leases.c.name == _ONE)

NOW = select(func.clock_timestamp(type_=DateTime(timezone=True)))
"""By the clock of a PostgreSQL server."""


def set_campaign(columns: Iterable[str]) -> Update:
    """Set these columns of a campaign, and the number of its last event."""
    return _set_campaign(frozenset(columns))


@cache
def _set_campaign(columns: frozenset[str]) -> Update:
    values: dict[str, Any] = {name: bindparam(name) for name in sorted(columns | {"last_event"})}
    return update(campaigns).where(campaigns.c.key == _OF).values(values)
