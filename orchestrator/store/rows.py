"""What a store in an SQL database reads and writes of one campaign, as rows, inside a transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection, Select

from orchestrator.store import codec
from orchestrator.store import statements as sql
from orchestrator.store.codec import Row
from orchestrator.store.creation import unknown_campaign
from orchestrator.store.planning import Kept, Plan
from orchestrator.store.transactions import Proof


class CampaignView:
    """One campaign's rows, for planning."""

    def __init__(self, connection: Connection, key: int) -> None:
        self._connection = connection
        self._key = key

    def has_ask(self, number: int) -> bool:
        """Whether an ask has this number."""
        return self._connection.execute(sql.HAS_ASK, {"of": self._key, "one": number}).first() is not None

    def experiment(self, id: int) -> Kept | None:
        """Row of an experiment."""
        return first_row(self._connection, sql.EXPERIMENT, {"of": self._key, "one": id})

    def attempt(self, experiment: int, number: int) -> Kept | None:
        """Row of an attempt."""
        return first_row(self._connection, sql.ATTEMPT, {"of": self._key, "one": experiment, "two": number})


def put_blobs(connection: Connection, blobs: Mapping[str, bytes]) -> None:
    """Write contents that are not there yet."""
    for digest, content in blobs.items():
        if connection.execute(sql.HAS_BLOB, {"of": digest}).first() is None:
            connection.execute(sql.ADD_BLOB, {"digest": digest, "content": content})


def carry_out(connection: Connection, key: int, done: Plan, sequence: int) -> None:
    """Write a plan; what others refer to comes first."""
    added = {"campaign": key}
    put_blobs(connection, done.blobs)
    if done.asks:
        connection.execute(sql.ADD_ASK, [row | added for row in done.asks.values()])
    new = [row | added for id, row in done.experiments.items() if id in done.new_experiments]
    changed = [
        _set(row, ("id",), key, one=id) for id, row in done.experiments.items() if id not in done.new_experiments
    ]
    if new:
        connection.execute(sql.ADD_EXPERIMENT, new)
    if changed:
        connection.execute(sql.SET_EXPERIMENT, changed)
    new = [row | added for at, row in done.attempts.items() if at in done.new_attempts]
    changed = [
        _set(row, ("experiment", "number"), key, one=at[0], two=at[1])
        for at, row in done.attempts.items()
        if at not in done.new_attempts
    ]
    if new:
        connection.execute(sql.ADD_ATTEMPT, new)
    if changed:
        connection.execute(sql.SET_ATTEMPT, changed)
    if done.results:
        keys = [{"of": key, "one": metric, "two": id} for metric, id in done.results]
        connection.execute(sql.DROP_RESULT, keys)
        if new := [row | added for row in done.results.values() if row is not None]:
            connection.execute(sql.ADD_RESULT, new)
    connection.execute(sql.ADD_EVENT, [row | added for row in done.events])
    last = {"last_event": sequence + len(done.events), "of": key}
    connection.execute(sql.set_campaign(done.campaign), done.campaign | last)


def _set(row: Row, ids: tuple[str, ...], key: int, **at: int) -> Row:
    """Parameters of an update. If it also set the ids, the database would look for all who refer to them."""
    return {name: value for name, value in row.items() if name not in ids} | {"of": key, **at}


def campaign_row(connection: Connection, name: str, *, lock: bool = False) -> Kept:
    """Row of a campaign; whoever writes locks it first.

    Raises:
        UnknownCampaign: there is none of this name.
    """
    statement = sql.LOCKED_CAMPAIGN if lock else sql.CAMPAIGN_BY_NAME
    row = first_row(connection, statement, {"of": codec.text(name)})
    if row is None:
        raise unknown_campaign(name, connection.scalars(sql.NAMES))
    return row


def campaign_key(connection: Connection, name: str) -> int:
    """What the rows of a campaign are found by.

    Raises:
        UnknownCampaign: there is none of this name.
    """
    key = connection.scalar(sql.KEY, {"of": codec.text(name)})
    if key is None:
        raise unknown_campaign(name, connection.scalars(sql.NAMES))
    return int(key)


def lease_row(connection: Connection, kind: str, name: str, *, lock: bool = False) -> Kept | None:
    """Row of a lease, locked where it is to be changed; ``None`` where nobody ever had it."""
    return first_row(connection, sql.LOCKED_LEASE if lock else sql.LEASE, {"of": kind, "one": name})


def put_lease(connection: Connection, kind: str, name: str, before: Kept | None, row: Row) -> None:
    """Write the row of a lease; ``before`` is what it was."""
    values = {column: row[column] for column in ("token", "held", "expires", "deadline", "document")}
    if before is None:
        connection.execute(sql.ADD_LEASE, {"kind": kind, "name": name, **values})
    else:
        connection.execute(sql.SET_LEASE, {"of": kind, "one": name, **values})


def first_row(connection: Connection, statement: Select[Any], parameters: Row) -> Kept | None:
    """The first row that a statement finds, by column."""
    return cast("Kept | None", connection.execute(statement, parameters).mappings().first())


def all_rows(connection: Connection, statement: Select[Any], parameters: Row) -> Sequence[Kept]:
    """All rows that a statement finds, by column."""
    return cast("Sequence[Kept]", connection.execute(statement, parameters).mappings().all())


def logged(key: int, row: Row) -> Proof:
    """That an event of a campaign is in its log, which nobody rewrites."""
    return Proof(sql.LOCKED_KEY, sql.EVENT, {"of": key, "one": row["sequence"]}, row)


def leased(kind: str, name: str, row: Row) -> Proof:
    """That a lease is the one that was given."""
    given = {column: row[column] for column in ("token", "expires", "document")}
    return Proof(sql.LOCKED_LEASE, sql.LEASE, {"of": kind, "one": name}, given)
